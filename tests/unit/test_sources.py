"""Which modules a script uses, found by reading it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from affectlab.config import sources
from affectlab.config.sources import imported_sources

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


@pytest.fixture
def package(tmp_path):
    files = {
        "job.py": "from pkg.sub.a import thing\nimport json\n",
        "pkg/__init__.py": '__version__ = "1"\n',
        "pkg/unused.py": "",
        "pkg/sub/__init__.py": "",
        "pkg/sub/a.py": "import numpy\n\ndef f():\n    from pkg.sub import b\n    return b\n",
        "pkg/sub/b.py": 'import pkg.c\nTEMPLATE = "card.md.j2"\n',
        "pkg/sub/card.md.j2": "",
        "pkg/sub/other.md.j2": "",
        "pkg/c.py": "from pkg.sub import a  # a circle\n",
        "pkg/d.py": "from pkg import __version__\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def names(script, package):
    found = imported_sources(package / script, package / "pkg")
    return [path.relative_to(package).as_posix() for path in found]


def test_imports_are_followed_lazy_ones_and_circles_included(package):
    assert names("job.py", package) == [
        "pkg/c.py",
        "pkg/sub/a.py",
        "pkg/sub/b.py",
        "pkg/sub/card.md.j2",
    ]


def test_a_package_counts_where_something_is_imported_from_it(package):
    assert names("pkg/d.py", package) == ["pkg/__init__.py"]


@pytest.mark.parametrize(
    "text",
    [
        "import json, pkg.c\n",
        "from pkg import (\n    c,\n)\n",
        "from pkg import (  # (all of it)\n    c,\n)\n",
        "from pkg import \\\n    c\n",
        "def f():\n    if True:\n        from pkg import c\n",
        '"""Something taken\nfrom pkg, in prose.\n"""\nimport pkg.c\n',
        "value = (\n    1\n)\nfrom pkg import c as d\n",
    ],
)
def test_imports_of_every_form_are_read(package, text):
    (package / "form.py").write_text(text)
    assert "pkg/c.py" in names("form.py", package)


def test_reading_only_the_import_lines_finds_what_the_whole_file_tells():
    """Nothing is overlooked in our own sources, and no string is taken for an import."""
    for path in sorted(SCRIPTS.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        told = {
            ast.unparse(node)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Import | ast.ImportFrom) and "affectlab" in ast.unparse(node)
        }
        read = {ast.unparse(node) for node in sources.imports(text, "affectlab")}
        assert read == told, path.name


@pytest.mark.parametrize(
    "script", sorted(path.name for path in SCRIPTS.glob("*.py")), ids=lambda name: name
)
def test_no_module_that_a_script_loads_is_overlooked(script):
    """What Python really imports at the top of a script's modules was found by reading."""
    found = imported_sources(SCRIPTS / script, SCRIPTS / "affectlab")
    modules = [
        ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)
        for path in found
        if path.suffix == ".py" and path.name != "__init__.py"
    ]
    code = (
        f"import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(*sorted(m.__file__ for n, m in sys.modules.items() if n.startswith('affectlab')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {Path(name) for name in done.stdout.split() if not name.endswith("__init__.py")}
    assert loaded <= set(found)

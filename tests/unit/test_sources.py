"""Which modules a script uses, found by reading it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from affectlab.config import sources
from affectlab.config.dotted import load
from affectlab.config.sources import imported_sources
from affectlab.experiments import EXPERIMENTS, GENERATORS, MODEL_GENERATORS

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
SCHEMAS = SCRIPTS.parent / "schemas"


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


LOADER = """
import importlib, json, os, sys
import scipy.stats, sklearn.linear_model, torch, transformers
for modules in json.load(sys.stdin):
    sys.stdout.flush()
    child = os.fork()
    if not child:
        for name in modules:
            importlib.import_module(name)
        files = [m.__file__ for n, m in sys.modules.items() if n.startswith("affectlab")]
        print(json.dumps(files), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, modules
"""
"""Prints for each list of modules which of our files importing them loads.

The heavy packages are loaded once; each list is imported by a child of its own.
"""


def test_no_module_that_a_script_loads_is_overlooked():
    """What Python really imports at the top of a script's modules was found by reading."""
    scripts = sorted(SCRIPTS.glob("*.py"))
    found = [set(imported_sources(script, SCRIPTS / "affectlab")) for script in scripts]
    modules = [
        [
            ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)
            for path in sorted(files)
            if path.suffix == ".py" and path.name != "__init__.py"
        ]
        for files in found
    ]
    done = subprocess.run(
        [sys.executable, "-c", LOADER],
        # Longer than an argument may be.
        input=json.dumps(modules),
        env={"PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(scripts)
    for script, line, files in zip(scripts, lines, found, strict=True):
        loaded = {Path(name) for name in json.loads(line) if not name.endswith("__init__.py")}
        assert loaded
        assert loaded <= files, script.name


def test_a_digest_changes_with_what_a_script_uses_and_with_nothing_else(package):
    def digest():
        sources._direct_sources.cache_clear()
        sources._content_digest.cache_clear()
        return sources.sources_digest(package / "job.py", package / "pkg")

    before = digest()
    for name in ("pkg/unused.py", "pkg/sub/other.md.j2", "pkg/d.py"):
        (package / name).write_text("edited = 1\n")
    (package / "pkg" / "c.py").touch()
    assert digest() == before
    for name in ("pkg/sub/b.py", "pkg/sub/card.md.j2"):
        content = (package / name).read_text()
        (package / name).write_text(content + "# edited\n")
        assert digest() != before
        (package / name).write_text(content)
    assert digest() == before


def sources_of(script, loaded=()):
    found = imported_sources(SCRIPTS / script, SCRIPTS / "affectlab", loaded)
    return {path.relative_to(SCRIPTS / "affectlab").as_posix() for path in found}


def test_dotted_names_count_where_they_are_given(package):
    script, folder = package / "pkg" / "d.py", package / "pkg"
    found = imported_sources(script, folder, ["pkg.sub.b:TEMPLATE"])
    named = {path.relative_to(folder).as_posix() for path in found}
    assert named == {"__init__.py", "c.py", "sub/a.py", "sub/b.py", "sub/card.md.j2"}


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda one: one.name)
def test_the_report_alone_depends_on_a_section_and_its_template(experiment):
    name = experiment.name
    own = {f"{name}/report.py", f"{name}/report.html.j2"}
    assert own <= sources_of("report_build.py", [experiment.report_section])
    for script in SCRIPTS.glob("*.py"):
        assert not own & sources_of(script.name)


@pytest.mark.parametrize("script", ["fetch_dataset.py", "fetch_model.py"])
def test_fetching_depends_neither_on_the_registry_nor_on_a_generator(script):
    found = sources_of(script)
    assert not any(name.startswith(("experiments", "samples/", "config/load")) for name in found)
    added = sources_of(script, [GENERATORS["face"]]) - found
    assert added == {"samples/face.py"}


def test_every_dotted_name_of_an_experiment_can_be_loaded():
    for experiment in EXPERIMENTS.values():
        settings = experiment.load_settings()
        assert callable(settings.mistakes)
        assert callable(settings.needed_assets)
        generators = [*experiment.generators.values(), *experiment.model_generators.values()]
        for dotted in (experiment.commands, experiment.report_section, *generators):
            assert callable(load(dotted)), dotted
        assert (SCHEMAS / f"{experiment.prediction_schema}.schema.json").is_file()


def test_no_generator_of_an_experiment_hides_that_of_another():
    experiments = EXPERIMENTS.values()
    assert len(GENERATORS) == sum(len(one.generators) for one in experiments)
    assert len(MODEL_GENERATORS) == sum(len(one.model_generators) for one in experiments)

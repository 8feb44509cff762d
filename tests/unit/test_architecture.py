"""Packages import downwards only, without cycles, and the light ones load nothing heavy."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

from affectlab.experiments import EXPERIMENTS

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
PACKAGE = SCRIPTS / "affectlab"

LAYERS = (
    {"errors"},
    {"files"},
    {"config"},
    {"assets"},
    {"datasets"},
    {"evaluation"},
    {"models"},
    {"training"},
    {"report"},
    {"terminal"},
    set(EXPERIMENTS),
    {"samples"},
    {"experiments"},
    {"model_owner", "referee"},
    {"cli"},
    {"__main__"},
)
"""Parts of the library, lowest first. Parts of one layer do not import each other."""

LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

LIGHT = ("config", "files", "assets", "experiments")
HEAVY = ("torch", "transformers", "pandas", "datasets")


def module_name(path, root):
    """The dotted name of the file *path* of a package whose parent folder is *root*."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(package):
    """Dotted name -> path of every module of the folder *package*."""
    return {module_name(path, package.parent): path for path in sorted(package.rglob("*.py"))}


def imports(package):
    """Module -> (line, module) of all its imports from *package*, wherever they stand."""
    known = modules(package)
    return {name: sorted(_imports_of(path, known)) for name, path in known.items()}


def _imports_of(path, known):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: a relative import"
            names = [
                inner if (inner := f"{node.module}.{alias.name}") in known else node.module
                for alias in node.names
            ]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name in known)


def part_of(module):
    """The part of the library that a module is in; None for the package itself."""
    return module.split(".")[1] if "." in module else None


def forbidden(package):
    """Imports that do not go downwards, as lines of text."""
    return [
        f"{module}, line {line}: imports {other}"
        for module, found in imports(package).items()
        for line, other in found
        if part_of(other) is not None
        and part_of(module) != part_of(other)
        and LEVEL[part_of(module)] <= LEVEL[part_of(other)]
    ]


def cycle(package):
    """A cycle of modules that import each other, or None."""
    graph = {module: {other for _, other in found} for module, found in imports(package).items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def test_every_part_of_the_library_has_a_layer():
    parts = {part_of(module) for module in modules(PACKAGE)} - {None}
    assert parts == set(LEVEL)


def test_imports_go_downwards_only():
    assert forbidden(PACKAGE) == []


def test_no_modules_import_each_other_in_a_cycle():
    assert cycle(PACKAGE) is None


def test_only_the_registry_names_all_experiments():
    """As strings or by imports; prose in docstrings may list them."""
    found = imports(PACKAGE)
    for module, path in modules(PACKAGE).items():
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        named = set(EXPERIMENTS) & (strings | {part_of(other) for _, other in found[module]})
        assert (named == set(EXPERIMENTS)) == (module == "affectlab.experiments"), module


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("from affectlab.report import page\n", "affectlab.report.page"),
        ("def f():\n    import affectlab.cli\n", "affectlab.cli"),
        ("if TYPE_CHECKING:\n    from affectlab.face.data import Image\n", "affectlab.face.data"),
        ("from affectlab.audio.data import read\n", "affectlab.audio.data"),
        ("from affectlab.face import data\n", "affectlab.face.data"),
    ],
)
def test_an_upward_or_sideways_import_is_found(tmp_path, text, problem):
    package = tmp_path / "affectlab"
    for name in ("report/page", "face/data", "audio/data", "cli", "entity/data"):
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert forbidden(package) == []
    (package / "entity" / "data.py").write_text("from affectlab.report import page\n")
    assert forbidden(package) == []
    (package / "entity" / "other.py").write_text(text)
    line = text.count("\n")
    expected = [f"affectlab.entity.other, line {line}: imports {problem}"]
    assert forbidden(package) == ([] if problem == "affectlab.report.page" else expected)
    (package / "files").mkdir()
    (package / "files" / "io.py").write_text(text)
    assert f"affectlab.files.io, line {line}: imports {problem}" in forbidden(package)


def test_a_cycle_is_found_also_through_a_function(tmp_path):
    package = tmp_path / "affectlab"
    package.mkdir()
    (package / "a.py").write_text("from affectlab import b\n")
    (package / "b.py").write_text("import json\n")
    assert cycle(package) is None
    (package / "b.py").write_text("def f():\n    from affectlab.a import g\n")
    assert set(cycle(package)) == {"affectlab.a", "affectlab.b"}


def heavy_after(code):
    """Which heavy packages a fresh process has loaded after *code*."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*set({HEAVY!r}) & set(sys.modules))"],
        env={"PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(done.stdout.split())


@pytest.mark.parametrize("part", LIGHT)
def test_loading_a_light_part_loads_nothing_heavy(part):
    names = [name for name in modules(PACKAGE) if part_of(name) == part]
    assert names
    assert heavy_after("\n".join(f"import {name}" for name in names)) == []


def test_loading_the_settings_of_all_experiments_loads_nothing_heavy():
    """Every Snakemake process loads them."""
    registry = "from affectlab.experiments import EXPERIMENTS"
    code = f"{registry}\nfor one in EXPERIMENTS.values():\n    one.load_settings()"
    assert heavy_after(code) == []


def test_a_heavy_package_that_was_loaded_is_reported():
    assert heavy_after("import pandas") == ["pandas"]

"""The environments of the rules and the pin file of .venv are one set of pins, and complete."""

import ast
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from environment_files import (
    ENVIRONMENTS,
    OPTIONAL,
    PROJECT,
    SCRIPTS,
    environment_pins,
    pins_of,
    read_rules,
)
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Imported name -> distribution, where they differ.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml"}


@pytest.fixture(scope="module")
def lock():
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    return pins_of(line for line in lines if line and not line.startswith("#"))


def environment(path):
    return yaml.safe_load(path.read_text())


def requirements_of(name):
    """What an installed distribution needs here, extras left out."""
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_an_environment_pins_what_the_lock_pins(path, lock):
    pins = environment_pins(path)
    assert pins == {name: lock.get(name) for name in pins}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_an_environment_is_complete(path):
    """Nothing that a pinned package needs is left for the installer to choose."""
    pins = environment_pins(path)
    open_ends = {
        f"{name} needs {requirement.name}"
        for name in pins
        for requirement in requirements_of(name)
        if canonicalize_name(requirement.name) not in pins and not OPTIONAL.match(requirement.name)
    }
    assert not open_ends


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_channels_and_python(path):
    content = environment(path)
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert content["dependencies"][:2] == ["python=3.11", "pip"]


def test_the_lock_is_complete_and_is_what_is_installed(lock):
    for name, version in lock.items():
        assert metadata.version(name).partition("+")[0] == version, name
        for requirement in requirements_of(name):
            below = canonicalize_name(requirement.name)
            assert below in lock or OPTIONAL.match(below), f"{name} needs {below}"


def test_the_lock_holds_what_the_project_asks_for(lock):
    text = (PROJECT / "pyproject.toml").read_text()
    for line in tomllib.loads(text)["project"]["dependencies"]:
        assert canonicalize_name(Requirement(line).name) in lock


def top_level_imports(source):
    """Names of the modules that are imported as soon as *source* is."""
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_at_start(script):
    """First parts of the names of all modules outside the project that *script* loads at once."""
    outside, seen, waiting = set(), set(), [SCRIPTS / f"{script}.py"]
    while waiting:
        for name in top_level_imports(waiting.pop()):
            first = name.partition(".")[0]
            path = SCRIPTS.joinpath(*name.split(".")).with_suffix(".py")
            if first != "affectlab":
                outside.add(first)
            elif path.is_file() and path not in seen:
                seen.add(path)
                waiting.append(path)
    return outside - set(sys.stdlib_module_names)


@pytest.mark.parametrize("rule", read_rules(), ids=lambda rule: rule.name)
def test_an_environment_holds_what_its_scripts_load(rule):
    pins = environment_pins(PROJECT / "envs" / f"{rule.environment}.yaml")
    loaded = loaded_at_start(rule.script)
    needed = {canonicalize_name(DISTRIBUTIONS.get(top, top)) for top in loaded}
    assert needed <= set(pins)
    assert ("torch" in needed) <= (rule.environment in {"text", "vision"})


def test_only_what_a_job_uses_is_loaded():
    """The fixed cost of a job: nothing heavy stands at the top of a module that all use."""
    heavy = {"torch", "transformers", "sklearn", "pandas", "matplotlib"}
    # Work on PyTorch modules from its first line to its last.
    both = ("emotion_export", "summary_neural", "entity_train", "summary_train")
    both += ("emotion_pretrained", "face_pretrained")
    used = {name: {"torch", "transformers"} for name in both}
    used |= {name: {"torch"} for name in ("face_export", "face_train")}
    for script in {rule.script for rule in read_rules()}:
        assert not loaded_at_start(script) & (heavy - used.get(script, set())), script

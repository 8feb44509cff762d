"""README's `--use-conda`, on real environments created from the unmodified files in envs/."""

import ast
import csv
import json
import shlex

import pytest
from environment_files import (
    ENVIRONMENTS,
    OPTIONAL,
    PROJECT,
    SCRIPTS,
    environment_pins,
    read_rules,
)
from packaging.utils import canonicalize_name

from affectlab.config.load import load_config
from affectlab.config.sources import imported_sources

OVERLAYS = [PROJECT / "config" / "demo.yaml", PROJECT / "tests" / "tiny.yaml"]
EXPERIMENTS = load_config(PROJECT, OVERLAYS)["experiments"]
# Nothing answers here, and pip may not even ask.
OFFLINE = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "",
}
each_environment = pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)


@each_environment
def test_an_environment_holds_its_pins_and_nothing_else(clone, environments, path):
    python = environments[path.stem] / "bin" / "python"
    listed = json.loads(clone.run(python, "-m", "pip", "list", "--format", "json").output)
    found = {
        # A build of torch, as in 2.13.0+cpu, is that version.
        canonicalize_name(entry["name"]): entry["version"].partition("+")[0]
        for entry in listed
    }
    pins = environment_pins(path)
    assert {name: found.get(name) for name in pins} == pins
    others = {name for name in set(found) - set(pins) if not OPTIONAL.match(name)}
    assert others <= {"pip", "setuptools", "wheel"}
    checked = clone.run(python, "-m", "pip", "check")
    assert checked.status == 0, checked.output


def imports_at_start(script):
    """The import statements of a script, as source code."""
    for node in ast.parse((SCRIPTS / f"{script}.py").read_bytes()).body:
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if isinstance(node, ast.Import | ast.ImportFrom) and not future:
            yield ast.unparse(node)


def imported_anywhere(script):
    """First parts of the names that a script and its modules import, inside functions too."""
    for path in [
        SCRIPTS / f"{script}.py",
        *imported_sources(SCRIPTS / f"{script}.py", SCRIPTS / "affectlab"),
    ]:
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module.partition(".")[0]


@each_environment
def test_an_environment_needs_nothing_of_snakemake_s(clone, environments, path):
    """Jobs also see Snakemake's own packages, which would hide that one is missing.

    So a plain Python of the environment imports what its scripts import at once, and of what they
    import later all that Snakemake has; the rest would be missed by the runs below.
    """
    lent = clone.run(
        "python",
        "-c",
        "from importlib.metadata import packages_distributions as installed\nprint(*installed())",
    ).output.split()
    scripts = sorted({rule.script for rule in read_rules() if rule.environment == path.stem})
    later = {name for script in scripts for name in imported_anywhere(script)} & set(lent)
    program = [
        "import sys",
        f"sys.path.append({str(clone.root / 'workflow' / 'scripts')!r})",
        *(line for script in scripts for line in imports_at_start(script)),
        *(f"import {name}" for name in sorted(later)),
    ]
    python = environments[path.stem] / "bin" / "python"
    done = clone.run(python, "-I", "-c", "\n".join(program))
    assert done.status == 0, done.output


def test_one_result_asks_for_its_own_environments_only(clone, tmp_path):
    target = "results/emotion/tfidf_demo/seed0/metrics.json"
    result = clone.snakemake(target, "-n", SNAKEMAKE_CONDA_PREFIX=str(tmp_path))
    assert result.planned_environments == {"data", "report"}


@pytest.fixture(scope="module")
def fetched(clone, environments):
    """What a login node does for nodes without a network: environments, data and models."""
    result = clone.snakemake("--until", "fetch_dataset", "fetch_model")
    assert result.status == 0, result.output


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_runs_without_a_network(clone, fetched, experiment):
    result = clone.snakemake(experiment, **OFFLINE)
    assert result.status == 0, result.output
    assert "Creating conda environment" not in result.output
    assert any((clone.root / "results" / experiment).rglob("metrics.json"))


@pytest.fixture(scope="module")
def finished(clone, fetched):
    """Everything, without a network."""
    result = clone.snakemake(**OFFLINE)
    assert result.status == 0, result.output
    return result


def test_everything_runs_and_then_nothing_is_to_be_done(clone, finished):
    with (clone.root / "results" / "tables" / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["experiment"] for row in rows if row["kind"] == "ours"} == set(EXPERIMENTS)
    assert "Nothing to be done" in clone.snakemake().output


@pytest.mark.parametrize(
    "command",
    [
        line.removeprefix("$ ").partition(" #")[0].strip()
        for line in (PROJECT / "README.md").read_text().splitlines()
        if "snakemake" in line and "--use-conda" in line and line.startswith("$ ")
    ],
)
def test_a_command_of_the_readme_plans(clone, environments, command):
    result = clone.run(*shlex.split(command), "-n", SNAKEMAKE_CONDA_PREFIX=str(clone.prefix))
    assert result.status == 0, result.output
    assert not result.planned_environments


def test_another_run_directory_shares_the_environments(clone, demanded, environments, tmp_path):
    shared = clone.snakemake("-n", "--directory", str(tmp_path))
    assert shared.status == 0, shared.output
    assert not shared.planned_environments
    alone = clone.snakemake("-n", "--directory", str(tmp_path), SNAKEMAKE_CONDA_PREFIX="")
    assert alone.planned_environments == demanded


@each_environment
def test_a_changed_pin_reruns_the_rules_of_that_environment(clone, demanded, finished, path):
    """Planned, not run: what is created from a file is tested above, once for each file."""
    file = clone.root / "envs" / path.name
    before = file.read_text()
    try:
        file.write_text(before.replace("==", "==1.", 1))
        result = clone.snakemake("-n")
    finally:
        file.write_text(before)
    assert result.status == 0, result.output
    assert result.planned_environments == demanded & {path.stem}
    own = {rule.name for rule in read_rules() if rule.environment == path.stem}
    changed = {name for name, why in result.reasons.items() if "Software environment" in why}
    assert bool(changed) == (path.stem in demanded)
    assert changed <= own
    for name in set(result.reasons) - own:
        assert result.reasons[name].startswith("Input files updated by another job"), name


def test_a_missing_conda_is_named(clone, tmp_path):
    path = clone.path.split(":")
    result = clone.snakemake("-n", PATH=":".join([path[0], *path[2:]]))
    assert result.status == 1
    assert "conda: command not found" in result.output


def test_a_pin_that_does_not_exist_is_named_and_leaves_nothing(clone, environments):
    file = clone.root / "envs" / "report.yaml"
    before = file.read_text()
    folders = {path for path in clone.prefix.iterdir() if path.is_dir()}
    try:
        file.write_text(before.replace("==", "==0.0.", 1))
        result = clone.snakemake("--conda-create-envs-only")
    finally:
        file.write_text(before)
    assert result.status == 1
    assert "Could not create conda environment from" in result.output
    assert "No matching distribution found for" in result.output
    assert {path for path in clone.prefix.iterdir() if path.is_dir()} == folders


def test_an_environment_is_made_again_from_kept_packages(clone, environments, tmp_path):
    """For pip's packages: no index is asked, only the folder that they were kept in."""
    file = PROJECT / "envs" / "report.yaml"
    pins = [f"{name}=={version}" for name, version in environment_pins(file).items()]
    wheels = str(tmp_path / "wheels")
    python = environments["report"] / "bin" / "python"
    kept = clone.run(python, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels, *pins)
    assert kept.status == 0, kept.output
    again = tmp_path / "again"
    made = clone.run(
        *("conda", "env", "create", "--quiet", "--file", str(file), "--prefix", str(again)),
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=wheels,
    )
    assert made.status == 0, made.output
    freeze = ("-m", "pip", "list", "--format", "freeze")
    listed = clone.run(again / "bin" / "python", *freeze)
    assert listed.status == 0, listed.output
    assert listed.output == clone.run(python, *freeze).output

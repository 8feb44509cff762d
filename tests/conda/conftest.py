"""A fresh clone, a Snakemake that knows nothing but itself, and the environments it creates."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from environment_files import ENVIRONMENTS, PROJECT

HERE = Path(__file__).parent
# What a caller's own set-up could slip into the jobs.
FOREIGN = re.compile("^(CONDA_|PYTHON|SNAKEMAKE_|VIRTUAL_ENV)")


def pytest_collection_modifyitems(items):
    """Mark the tests of this folder; without a conda there is nothing to test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.conda)
            # Gigabytes are downloaded and unpacked.
            item.add_marker(pytest.mark.timeout(3600))
            if shutil.which("conda") is None:
                item.add_marker(pytest.mark.skip(reason="there is no conda on the PATH"))


def pytest_terminal_summary(terminalreporter):
    """Tests that are skipped all together end with status 0, which is not to pass for a pass."""
    if shutil.which("conda") is None:
        line = "NOT TESTED: no environment was created, for there is no conda on the PATH"
        terminalreporter.write_line(line, yellow=True, bold=True)


@dataclass(frozen=True)
class Result:
    """How a process ended, and what it printed."""

    status: int
    output: str

    @property
    def reasons(self):
        """Rule -> why its first job is to run, from a dry run."""
        found = re.findall(
            r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    reason: (.*)$", self.output, re.MULTILINE
        )
        return dict(reversed(found))

    @property
    def planned_environments(self):
        """Names of the environments that a dry run says it would create."""
        lines = r"^Conda environment .*?(\w+)\.yaml will be created"
        return set(re.findall(lines, self.output, re.MULTILINE))


@dataclass(frozen=True)
class Clone:
    """The project as Git has it, and the one folder of its environments."""

    root: Path
    prefix: Path
    path: str

    def run(self, *command, cwd=None, **variables):
        """Run a command with the bare Snakemake and conda on the PATH, and wait."""
        inherited = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=cwd or self.root,
            env=inherited
            | {
                "PATH": self.path,
                "HF_HUB_OFFLINE": "1",
                "OMP_NUM_THREADS": "1",
                # Bytecode of what is never imported is two thirds of the work of an installation.
                "PIP_COMPILE": "0",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            }
            | variables,
            check=False,
        )
        return Result(done.returncode, done.stdout)

    def snakemake(self, *arguments, **variables):
        """README's command on the tiny demo; SNAKEMAKE_CONDA_PREFIX is the folder for all."""
        return self.run(
            *("snakemake", "--cores", "2", "--use-conda"),
            # The last ends the list of config files, should targets follow.
            *("--configfile", "config/demo.yaml", "tests/tiny.yaml", "--nocolor"),
            *arguments,
            **{"SNAKEMAKE_CONDA_PREFIX": str(self.prefix)} | variables,
        )


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """Fresh, and with no .venv in sight: Snakemake runs from an environment of its own."""
    folder = tmp_path_factory.mktemp("conda")
    root = folder / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in listed.stdout.decode().rstrip("\0").split("\0"):
        if (PROJECT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, root / name)

    bare = folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", str(bare)], check=True)
    places = [bare / "bin", Path(shutil.which("conda")).parent, "/usr/bin", "/bin"]
    made = Clone(root, folder / "environments", os.pathsep.join(map(str, places)))
    installed = made.run(
        *("python", "-m", "pip", "install", "--quiet"),
        *("--constraint", "requirements.lock", "snakemake"),
    )
    assert installed.status == 0, installed.output
    yield made
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def demanded(clone, tmp_path_factory):
    """Names of the environment files that the jobs of the demo run in."""
    nowhere = tmp_path_factory.mktemp("nowhere")
    result = clone.snakemake("-n", SNAKEMAKE_CONDA_PREFIX=str(nowhere))
    assert result.status == 0, result.output
    return result.planned_environments


@pytest.fixture(scope="session")
def environments(clone, demanded):
    """Name of an environment file -> the real environment made from it."""
    created = clone.snakemake("--conda-create-envs-only")
    assert created.status == 0, created.output
    names = {path.read_bytes(): path.stem for path in ENVIRONMENTS}
    # Beside each environment Snakemake leaves the file that it was made from.
    made = {names[path.read_bytes()]: path.with_suffix("") for path in clone.prefix.glob("*.yaml")}
    assert set(made) == demanded
    for path in ENVIRONMENTS:
        if path.stem not in made:
            made[path.stem] = clone.prefix / path.stem
            arguments = ("--quiet", "--file", str(path), "--prefix", str(made[path.stem]))
            created = clone.run("conda", "env", "create", *arguments)
            assert created.status == 0, created.output
    return made

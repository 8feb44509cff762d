"""Real `snakemake` processes on a copy of the checkout; corpus and models are generated."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from jsonschema import Draft202012Validator
from pyarrow import parquet

from affectlab.experiments import EXPERIMENTS

CHECKOUT = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "workflow", "config", "envs", "profiles")
TINY = {"experiments": ["emotion"]} | yaml.safe_load((CHECKOUT / "tests" / "tiny.yaml").read_text())


@dataclass(frozen=True)
class Result:
    """How a `snakemake` process ended, and what it printed."""

    status: int
    output: str

    @property
    def jobs(self):
        """Rule -> number of jobs, from the table that Snakemake prints before it starts."""
        table = re.search(
            r"^job +count\n[- ]+\n(.*?)^total ", self.output, re.DOTALL | re.MULTILINE
        )
        rows = table.group(1).split("\n")[:-1] if table else []
        return {name: int(count) for name, count in (row.split() for row in rows)}

    @property
    def rules(self):
        """Names of the rules of a run that went well, without the target that only collects."""
        assert self.status == 0, self.output
        return set(self.jobs) - {"all"}


class Project:
    """A copy of the checkout, and folders to run it in, all at the same depth."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "project"
        self.overlay = folder / "tiny.yaml"
        self.passing = []

    def command(self, *arguments, directory, overlays=None):
        """The command line; *overlays* are config files put on the full configuration."""
        if overlays is None:
            overlays = [self.root / "config" / "demo.yaml", self.overlay]
        configfiles = ["--configfile", *map(str, overlays)] if overlays else []
        return [
            *(sys.executable, "-m", "snakemake", "--cores", "2"),
            *("--snakefile", str(self.root / "Snakefile"), "--directory", str(directory)),
            *configfiles,
            # Ends the list of config files, should targets follow.
            "--nocolor",
            *arguments,
        ]

    def snakemake(self, *arguments, directory, overlays=None, env=None):
        """Run it and wait; *env* changes variables of the environment, None removes one."""
        done = subprocess.run(
            self.command(*arguments, directory=directory, overlays=overlays),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            # Not where the checkout is, nor where the results go.
            cwd=self.folder,
            env=environment(env or {}),
            check=False,
        )
        return Result(done.returncode, done.stdout)

    def kill_once(self, sign, *arguments, directory, overlays=None):
        """Run it, and kill -9 everything as soon as the file *sign* exists."""
        process = subprocess.Popen(
            self.command(*arguments, directory=directory, overlays=overlays),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env=environment(),
            start_new_session=True,
        )
        deadline = time.monotonic() + 240
        try:
            while not sign.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @contextmanager
    def edited(self, module, ending=b"\n# edited\n"):
        """For a while *module* (relative to the library) ends differently."""
        path = self.root / "workflow" / "scripts" / "affectlab" / module
        before = path.read_bytes()
        try:
            path.write_bytes(before + ending)
            yield
        finally:
            path.write_bytes(before)

    def directory(self, name):
        """An empty folder to run in, until the module of its test has ended."""
        path = self.folder / "runs" / name
        path.mkdir(parents=True)
        self.passing.append(path)
        return path

    def write_overlay(self, name, content):
        """A config file of one's own."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path


def environment(changes=MappingProxyType({})):
    """Of the processes: no hub, one thread per core that is asked for, nothing of a caller's."""
    made = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"} | changes
    return {name: value for name, value in made.items() if value is not None}


@pytest.fixture(scope="session")
def misfits():
    """A function: where rows of predictions do not fit the schema of their experiment."""

    def find(path, experiment):
        name = EXPERIMENTS[experiment].prediction_schema
        schema = CHECKOUT / "workflow" / "schemas" / f"{name}.schema.json"
        validator = Draft202012Validator(json.loads(schema.read_text()))
        rows = (
            parquet.read_table(path).to_pylist()
            if path.suffix == ".parquet"
            else [json.loads(line) for line in path.read_text().splitlines()]
        )
        assert rows
        return [error.message for row in rows for error in validator.iter_errors(row)]

    return find


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the checkout that nothing has been run in."""
    made = Project(tmp_path_factory.mktemp("workflow"))
    made.root.mkdir()
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, made.root / part, ignore=ignored)
        else:
            shutil.copy2(source, made.root / part)
    made.overlay.write_text(yaml.safe_dump(TINY))
    return made


@pytest.fixture(scope="module", autouse=True)
def _room_for_others(request, project):
    """Together, the runs of all modules are gigabytes. A failure keeps them."""
    yield
    if not request.session.testsfailed:
        for path in project.passing:
            shutil.rmtree(path)
    project.passing.clear()


@pytest.fixture(scope="session")
def finished(project):
    """The folder of a complete run; for reading only."""
    directory = project.folder / "finished" / "run"
    directory.mkdir(parents=True)
    result = project.snakemake(directory=directory)
    assert result.status == 0, result.output
    return directory

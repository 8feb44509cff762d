"""A real SLURM cluster on this machine, and runs of the small pipeline on it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
TOOL = CHECKOUT.parent / "shared" / "tools" / "slurm" / "slurm-cluster.sh"
SACCT_FIELDS = ("JobIDRaw", "State", "Partition", "AllocTRES", "ReqMem", "Account", "Comment")
# What the profile's larger values would only make slower here.
QUICK = ("--slurm-init-seconds-before-status-checks", "5", "--latency-wait", "10")
# The devices behind the cluster's GPUs are /dev/null and /dev/zero: PyTorch must not look for them.
HIDE_GPUS = "#!/bin/sh\necho unset CUDA_VISIBLE_DEVICES\n"
PREEMPTION = """
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=spare Nodes=gpu1 PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=urgent Nodes=gpu1 PriorityTier=100
"""


def pytest_collection_modifyitems(items):
    """Without the cluster's script there is nothing to test."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            # Jobs wait in a queue, and whoever comes first waits for the whole pipeline.
            item.add_marker(pytest.mark.timeout(1800))
            if not TOOL.exists():
                item.add_marker(pytest.mark.skip(reason=f"no script for a cluster: {TOOL}"))


def pytest_terminal_summary(terminalreporter):
    """Tests that are skipped all together end with status 0, which is not to pass for a pass."""
    if not TOOL.exists():
        line = f"NOT TESTED: nothing was run on a cluster, for there is no {TOOL}"
        terminalreporter.write_line(line, yellow=True, bold=True)


@dataclass(frozen=True)
class Cluster:
    """SLURM daemons with their files in *lab*."""

    lab: Path

    @property
    def environment(self):
        """For commands that talk to this cluster."""
        return os.environ | {
            "SLURM_LAB": str(self.lab),
            "SLURM_LAB_CPUS": "16",
            # Declared, not used: as much as the largest of the rules asks for.
            "SLURM_LAB_MEM_MB": "64000",
            "SLURM_CONF": str(self.lab / "etc" / "slurm.conf"),
            "SBATCH_ACCOUNT": "lab",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }

    @staticmethod
    def wait_for(condition, seconds, what):
        """Wait until *condition* returns something true, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"after {seconds} s: {what}"
            time.sleep(0.3)
        return found

    def __call__(self, *command, check=True):
        """Run a command of SLURM's; return what it prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=check, timeout=120
        )
        return done.stdout

    def tool(self, *command):
        """Run the script behind the cluster. Its daemons must not hold our pipes open."""
        with tempfile.TemporaryFile("w+") as printed:
            done = subprocess.run(
                [TOOL, *command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                timeout=300,
                check=False,
            )
            printed.seek(0)
            assert done.returncode == 0, printed.read()

    def start(self):
        """Start all daemons, with what the tests need beside the script's configuration."""
        self.tool("start")
        prolog = self.lab / "etc" / "hide_gpus.sh"
        prolog.write_text(HIDE_GPUS)
        prolog.chmod(0o755)
        with (self.lab / "etc" / "slurm.conf").open("a") as stream:
            stream.write(f"TaskProlog={prolog}\n{PREEMPTION}")
        self("scontrol", "reconfigure")
        # How jobs are preempted is read only at the start.
        self.tool("ctld-down")
        self.tool("ctld-up")
        self.wait_for(lambda: self("sinfo", "-h", "-p", "spare", check=False), 30, "no controller")

    def queue(self, run):
        """(id, state, comment) of every job of one run that is in the queue."""
        table = self("squeue", "--noheader", "--format", "%Z|%i|%T|%k")
        rows = (line.split("|", 3) for line in table.splitlines())
        return [tuple(row) for folder, *row in rows if folder == str(run.directory)]

    def running(self, run, rule="emotion_train"):
        """Ids of the running jobs of *rule*."""
        return [i for i, state, text in self.queue(run) if state == "RUNNING" and rule in text]

    def clear(self, run):
        """End a run, and what a killed one left in the queue."""
        run.interrupt()
        for identifier, *_ in self.queue(run):
            self("scancel", identifier)
        self.wait_for(lambda: not self.queue(run), 60, "jobs are left")

    def jobs(self, run, rule=""):
        """What accounting knows of the jobs of one run (and rule), as dictionaries, by job id."""
        table = self(
            *("sacct", "-X", "-P", "--noheader", "--name", run.slurm_id),
            *("--format", ",".join(SACCT_FIELDS)),
        )
        rows = (
            dict(zip(SACCT_FIELDS, line.split("|"), strict=True)) for line in table.splitlines()
        )
        chosen = (row for row in rows if rule in row["Comment"])
        return sorted(chosen, key=lambda row: int(row["JobIDRaw"]))


class Run:
    """A `snakemake` process that submits to the cluster."""

    def __init__(
        self,
        cluster,
        directory,
        *arguments,
        experiments=("emotion",),
        changes=None,
        environment=None,
    ):
        """Start it; *changes* are made to the configuration of the emotion network's run."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        overlay = directory / "changes.yaml"
        # Exporting takes as long as all the rest, and is a job like any other.
        block = {"export": [], "runs": {"qwen3_tiny": changes or {}}}
        overlay.write_text(yaml.safe_dump({"emotion": block}))
        self.log = directory / "snakemake.log"
        self.environment = cluster.environment | (environment or {})
        self.command = [
            *(sys.executable, "-m", "snakemake"),
            *("--workflow-profile", str(CHECKOUT / "profiles" / "slurm")),
            *("--snakefile", str(CHECKOUT / "Snakefile"), "--directory", str(directory)),
            *("--configfile", str(CHECKOUT / "config" / "demo.yaml")),
            *(str(CHECKOUT / "tests" / "tiny.yaml"), str(overlay)),
            *("--config", f"experiments=[{','.join(experiments)}]"),
            # Ends the list of values: what follows may be targets.
            *("--nocolor", *arguments, *QUICK),
        ]
        self.start()

    def start(self, *arguments):
        """Start it, or start it once more with further arguments."""
        self.started = time.time()
        with self.log.open("w") as stream:
            self.process = subprocess.Popen(
                [*self.command, *arguments],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A shell starts what runs in its background deaf to Ctrl-C, and so is what that
                # starts in turn.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def output(self):
        """What it printed so far."""
        return self.log.read_text()

    @property
    def slurm_id(self):
        """The name of all its jobs."""
        return re.search(r"SLURM run ID: (\S+)", self.output).group(1)

    def wait(self, seconds):
        """Its status, once it ends."""
        try:
            return self.process.wait(seconds)
        finally:
            self.interrupt()

    def interrupt(self):
        """Ctrl-C, if it still runs: a test that fails leaves no jobs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(60)


@pytest.fixture(scope="session")
def cluster():
    """A running cluster; stopped and removed at the end."""
    # The path of a socket in it must stay short.
    made = Cluster(Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp")))
    try:
        made.start()
        yield made
    finally:
        made.tool("stop", "--purge")


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Where the run directories lie."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def pipeline(cluster, runs):
    """A complete run in which the first attempt at training is given too little memory."""
    memory = "emotion_train:mem_mb=400 if attempt == 1 else 4000"
    run = Run(cluster, runs / "pipeline", "--set-resources", memory)
    assert run.wait(900) == 0, run.output
    return run


@pytest.fixture
def run_folder(runs, request):
    """A function from a name to a run directory of this test."""
    return lambda name="": runs / re.sub(r"\W+", "_", f"{request.node.name}_{name}")


@pytest.fixture
def fresh_run(cluster, run_folder):
    """A function that starts a run of everything."""
    started = []

    def start(*arguments, **options):
        started.append(Run(cluster, run_folder(), *arguments, **options))
        return started[-1]

    yield start
    for run in started:
        cluster.clear(run)


@pytest.fixture
def training(cluster, pipeline, run_folder):
    """A function that starts a run in which only the network, of another recipe, is trained."""
    started = []

    def start(*arguments, name="", environment=None, seeds=(42,), **changes):
        folder = shutil.copytree(pipeline.directory, run_folder(name), symlinks=True)
        targets = [f"results/emotion/qwen3_tiny/seed{seed}/model" for seed in seeds]
        changes = {"seeds": list(seeds)} | changes
        started.append(
            Run(cluster, folder, *targets, *arguments, changes=changes, environment=environment)
        )
        return started[-1]

    yield start
    for run in started:
        cluster.clear(run)

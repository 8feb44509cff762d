"""What goes wrong on clusters, and what becomes of a run. Slow: `make nightly`."""

import os
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from affectlab.files.io import read_json

pytestmark = pytest.mark.nightly

FOLDER = "results/emotion/qwen3_tiny/seed42"
CHECKPOINT = f"{FOLDER}/work/checkpoints/checkpoint.pt"
LOG = "logs/emotion_train/qwen3_tiny/seed42.log"


def begun(cluster, run):
    """The id of the training job of *run*, once it has trained for an epoch."""
    log = run.directory / LOG

    def trains():
        # Snakemake removes the log of an earlier attempt before it submits.
        new = log.exists() and log.stat().st_mtime > run.started
        return new and "affectlab.training.loop: " in log.read_text()

    cluster.wait_for(trains, 240, "no epoch of training")
    [job] = cluster.running(run)
    return job


def states(cluster, run):
    return [job["State"] for job in cluster.jobs(run, "emotion_train")]


def test_a_node_that_crashes(cluster, training):
    """The job is submitted again, and goes on from its checkpoint."""
    run = training(training={"epochs": 4, "checkpoint_minutes": 0.01})
    begun(cluster, run)
    cluster.wait_for((run.directory / CHECKPOINT).exists, 60, "no checkpoint")
    cluster.tool("node-down", "gpu1")
    cluster.wait_for(lambda: "NODE_FAIL" in states(cluster, run), 180, "the crash went unnoticed")
    cluster.tool("node-up", "gpu1")
    cluster.wait_for(lambda: "Trying to restart job" in run.output, 120, "no second attempt")
    # The plugin avoids the node that failed, and this cluster has no other with GPUs.
    assert run.wait(400) == 1
    assert "failed due to a node failure" in run.output
    run.start()
    begun(cluster, run)
    assert "resuming from update" in (run.directory / LOG).read_text()


def test_no_accounting_for_30_seconds(cluster, training):
    run = training(training={"epochs": 4})
    begun(cluster, run)
    pid_file = cluster.lab / "run" / "slurmdbd.pid"
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    time.sleep(30)
    subprocess.run(
        ["slurmdbd"], cwd=cluster.lab / "etc", env=cluster.environment, check=True, timeout=30
    )
    assert run.wait(400) == 0, run.output
    assert states(cluster, run) == ["COMPLETED"]


def test_no_controller_for_40_seconds(cluster, training):
    run = training(training={"epochs": 4})
    begun(cluster, run)
    cluster.tool("ctld-down")
    time.sleep(40)
    cluster.tool("ctld-up")
    assert run.wait(400) == 0, run.output
    assert states(cluster, run) == ["COMPLETED"]


def test_a_killed_snakemake_leaves_orphans_that_can_be_cancelled(cluster, training):
    def orphans(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "affectlab.cli", "cluster", "orphans", *arguments],
            env=cluster.environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=run.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    run = training(training={"epochs": 2000, "checkpoint_minutes": 0.01})
    job = begun(cluster, run)
    cluster.wait_for((run.directory / CHECKPOINT).exists, 60, "no checkpoint")
    status, printed = orphans("--cancel")
    assert status == 2, printed
    assert f"Snakemake (process {run.process.pid}) is at work here" in printed

    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait()
    assert orphans() == (1, f"{job}\tRUNNING\temotion_train_wildcards_qwen3_tiny_42\n")
    status, printed = orphans("--cancel")
    assert status == 0, printed
    assert cluster.queue(run) == []
    run.start("--unlock")
    assert run.process.wait(60) == 0
    # What the orphan left is gone on from, by one job only.
    run.start("--rerun-incomplete")
    begun(cluster, run)
    assert "resuming from update" in (run.directory / LOG).read_text()


def test_a_preempted_job_saves_a_checkpoint_and_goes_on(cluster, training, tmp_path):
    """It ends by itself in the time of grace, and so is a failed attempt: Snakemake tries again."""
    partitions = tmp_path / "partitions.yaml"
    partitions.write_text("partitions:\n  spare: {max_gpu: 2}\n")
    run = training(
        *("--slurm-partition-config", str(partitions)),
        training={"epochs": 4, "checkpoint_minutes": 60},
    )
    begun(cluster, run)
    assert not (run.directory / CHECKPOINT).exists()
    cluster("sbatch", "-p", "urgent", "--exclusive", "--output=/dev/null", "--wrap", "sleep 10")
    log = run.directory / LOG
    cluster.wait_for(lambda: "SIGTERM: checkpoint written" in log.read_text(), 60, "no checkpoint")
    assert run.wait(600) == 0, run.output
    assert states(cluster, run) == ["FAILED", "COMPLETED"]
    assert "resuming from update" in log.read_text()


GUARD = """
import os, socket
from pathlib import Path
if "SLURM_JOB_ID" in os.environ:
    noted = Path(os.environ["NOTED"])
    noted.joinpath(f"guarded-{os.getpid()}").touch()
    connect = socket.socket.connect
    def refuse(self, address):
        if self.family != socket.AF_UNIX:
            noted.joinpath(f"refused-{os.getpid()}").touch()
            raise OSError(101, "Network is unreachable")
        return connect(self, address)
    socket.socket.connect = refuse
"""


def test_compute_nodes_need_no_network(cluster, fresh_run, tmp_path):
    """In jobs every Python refuses to open a connection; what is fetched, is fetched before."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "noted").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    run = fresh_run(
        environment={"PYTHONPATH": str(tmp_path / "guard"), "NOTED": str(tmp_path / "noted")}
    )
    assert run.wait(900) == 0, run.output
    noted = [path.name for path in (tmp_path / "noted").iterdir()]
    assert len(noted) > len(cluster.jobs(run)) > 0
    assert not any(name.startswith("refused") for name in noted)


def test_several_processes_train_as_one(cluster, training):
    """On two GPUs, and on two nodes: the weights of one process. Without dropout, as each draws."""
    resources = {
        "node=1": ["gpu=1"],
        "gres/gpu=2": ["gpu=2"],
        "node=2": ["gpu=0", "nodes=2", "mpi=torchrun", "tasks=2"],
    }
    found = {}
    for granted, values in resources.items():
        run = training(
            *("--set-resources", *(f"emotion_train:{value}" for value in values)),
            name=granted,
            lora={"dropout": 0.0},
        )
        assert run.wait(400) == 0, run.output
        [job] = cluster.jobs(run, "emotion_train")
        assert granted in job["AllocTRES"].split(",")
        facts = read_json(run.directory / FOLDER / "training.json")
        assert facts["processes"] == (1 if granted == "node=1" else 2)
        found[granted] = load_file(run.directory / FOLDER / "model" / "model.safetensors")
    alone = found.pop("node=1")
    for weights in found.values():
        # Adam divides by the root of the squared gradient: where that is tiny, rounding shows.
        assert_close(weights, alone, rtol=1e-3, atol=1e-4)


def test_equal_jobs_can_be_one_array(cluster, training):
    run = training("--slurm-array-jobs", "emotion_train", seeds=(1, 2))
    assert run.wait(400) == 0, run.output
    assert states(cluster, run) == ["COMPLETED", "COMPLETED"]
    assert "Submitted array job" in run.output

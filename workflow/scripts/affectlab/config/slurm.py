"""SLURM jobs that a killed Snakemake left behind in a run directory."""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from affectlab.errors import UserError

# How Snakemake's SLURM plugin names its jobs (the id of the run) and comments them.
RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
COMMENT = re.compile(r"(rule|group)_")
CANCEL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job in the queue: its id, its state, and the rule (with wildcards) that it runs."""

    identifier: str
    state: str
    rule: str


def queued_jobs(directory: Path) -> list[QueuedJob]:
    """This user's jobs in the queue that a Snakemake working in *directory* submitted.

    Raises:
        UserError: SLURM is not here or does not answer.
    """
    table = _slurm(
        "squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%T|%j|%Z|%k"
    )
    jobs = []
    for line in table.splitlines():
        identifier, state, name, folder, comment = line.split("|", 4)
        ours = RUN_ID.search(name) and COMMENT.match(comment)
        if ours and Path(folder).resolve() == directory.resolve():
            jobs.append(QueuedJob(identifier, state, COMMENT.sub("", comment, count=1)))
    return jobs


def controlling_process(directory: Path) -> int | None:
    """Id of a Snakemake on this machine that works in *directory* and submits jobs.

    It may itself run in an allocation, as of salloc or JupyterHub; the Snakemake inside a job that
    was submitted is known by the option that tells it its target.
    """
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            folder = (process / "cwd").readlink()
        except OSError:
            # Ended meanwhile, or somebody else's.
            continue
        names = {Path(os.fsdecode(word)).name for word in words[:3]}
        in_a_job = b"--target-jobs" in words
        if "snakemake" in names and not in_a_job and folder == directory.resolve():
            return int(process.name)
    return None


def cancel(jobs: Sequence[QueuedJob], directory: Path) -> None:
    """Cancel *jobs* and wait until none of them is left in the queue.

    Raises:
        UserError: some are still there after a minute.
    """
    _slurm("scancel", *(job.identifier for job in jobs))
    deadline = time.monotonic() + CANCEL_SECONDS
    while left := queued_jobs(directory):
        if time.monotonic() > deadline:
            names = ", ".join(job.identifier for job in left)
            raise UserError(f"still in the queue after {CANCEL_SECONDS:.0f} s: {names}")
        time.sleep(0.5)


def _slurm(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise UserError(f"{command[0]}: no such command; is this a SLURM cluster?") from error
    except subprocess.CalledProcessError as error:
        raise UserError(f"{command[0]} failed: {error.stderr.strip()}") from error
    return done.stdout

"""`affectlab cluster orphans`, with stand-ins for squeue and scancel."""

import os
import subprocess
import sys

import pytest

from affectlab import cli

RUN = "0b4527b4-7ecd-4019-b2a8-639f367807a3"


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A function that fills the queue; scancel empties it of the jobs it is given."""
    commands, state = tmp_path / "bin", tmp_path / "queue"
    commands.mkdir()
    scripts = {
        "squeue": f'cat "{state}"',
        "scancel": f'for id; do sed -i "/^$id|/d" "{state}"; done',
    }
    for name, body in scripts.items():
        (commands / name).write_text(f"#!/bin/sh\n{body}\n")
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")

    def fill(*rows):
        state.write_text("".join(f"{row}\n" for row in rows))

    return fill


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return path


def orphans(capsys, *arguments):
    status = cli.main(["cluster", "orphans", *map(str, arguments)])
    return status, capsys.readouterr()


def test_only_jobs_that_snakemake_submitted_from_the_folder_count(queue, folder, capsys):
    queue(
        f"7|RUNNING|{RUN}|{folder}|rule_emotion_train_wildcards_minilm_13",
        f"8_[2-3]|PENDING|mine_{RUN}|{folder}|group_emotion_score",
        f"9|RUNNING|{RUN}|{folder.parent}|rule_emotion_train",
        f"10|RUNNING|jupyter|{folder}|rule_of_thumb",
        f"11|RUNNING|{RUN}|{folder}|(null)",
    )
    status, printed = orphans(capsys, folder)
    assert status == 1
    assert printed.out.splitlines() == [
        "7\tRUNNING\temotion_train_wildcards_minilm_13",
        "8_[2-3]\tPENDING\temotion_score",
    ]


def test_cancel_takes_them_out_of_the_queue_and_leaves_the_rest(queue, folder, capsys):
    queue(f"7|RUNNING|{RUN}|{folder}|rule_a", f"9|RUNNING|{RUN}|{folder.parent}|rule_a")
    status, printed = orphans(capsys, "--cancel", folder)
    assert status == 0
    assert printed.out.splitlines()[-1].startswith("1 cancelled")
    status, printed = orphans(capsys, folder)
    assert (status, printed.out) == (0, f"no jobs of {folder} in the queue\n")
    assert orphans(capsys, folder.parent)[0] == 1


@pytest.mark.parametrize("allocation", [{}, {"SLURM_JOB_ID": "42"}])
def test_nothing_is_cancelled_under_a_snakemake_at_work(queue, folder, capsys, allocation):
    """Be it in a login shell, or in an allocation as of salloc."""
    queue(f"7|RUNNING|{RUN}|{folder}|rule_a")
    process = subprocess.Popen(
        ["snakemake", "-c", "input()"],
        executable=sys.executable,
        cwd=folder,
        stdin=subprocess.PIPE,
        env=os.environ | allocation,
    )
    try:
        status, printed = orphans(capsys, "--cancel", folder)
        assert status == 2
        assert f"Snakemake (process {process.pid}) is at work here" in printed.err
    finally:
        process.communicate(b"\n")
    assert orphans(capsys, folder)[0] == 1


def test_the_snakemake_inside_a_job_is_not_the_one_at_work(queue, folder, capsys):
    queue(f"7|RUNNING|{RUN}|{folder}|rule_a")
    process = subprocess.Popen(
        ["snakemake", "-c", "input()", "--target-jobs", "a:"],
        executable=sys.executable,
        cwd=folder,
        stdin=subprocess.PIPE,
        env=os.environ | {"SLURM_JOB_ID": "7"},
    )
    try:
        assert orphans(capsys, folder)[0] == 1
    finally:
        process.communicate(b"\n")


def test_without_slurm_it_says_so(folder, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    status, printed = orphans(capsys, folder)
    assert status == 2
    assert "squeue: no such command; is this a SLURM cluster?" in printed.err

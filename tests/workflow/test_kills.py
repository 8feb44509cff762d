"""kill -9 of everything, again and again: the results are those of an undisturbed run, to the byte.

So is everything else below the folders of results and resources: nothing is left over.
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

FOLDERS = ("results", "resources")

VOLATILE = {"run.json", "training.json", "fitting.json", "export.json", "blur.json", "index.html"}
"""Files that hold times; that of a run's history is in `training.json`."""


def tree(directory):
    """Every file and folder below the results and resources, hidden ones too -> its content."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((directory / folder).rglob("*")):
            name = str(path.relative_to(directory))
            plain = path.name.removeprefix(".").removesuffix(".sha256")
            # TensorBoard's files are called by time and process; each start of a training adds one.
            if path.name == ".snakemake_timestamp" or "tfevents" in path.name:
                continue
            if path.is_dir() or plain in VOLATILE or path.suffix == ".npz":
                found[name] = None
            else:
                found[name] = path.read_bytes()
    return found


def count(directory):
    """How many files there are, those that are being written included."""
    return sum(len(names) for _, _, names in os.walk(directory / "results")) + sum(
        len(names) for _, _, names in os.walk(directory / "resources")
    )


def kill_at(project, files, delay, *arguments, directory, overlays):
    """Run it, and kill -9 everything *delay* seconds after there are so many *files*.

    Returns:
        Whether it was killed; it may have come to its end before.
    """
    process = subprocess.Popen(
        project.command(*arguments, directory=directory, overlays=overlays),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        cwd=project.folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    deadline = time.monotonic() + 900
    try:
        while process.poll() is None and count(directory) < files:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(delay)
        return process.poll() is None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            assert process.poll() is not None
        process.wait()


def killed_again_and_again(project, whole, kills, directory, overlays, *targets):
    """Run *targets* in *directory*, killed *kills* times; return how often it really was."""
    draw = random.Random(kills)
    done = 0
    for number in range(kills):
        files = round(whole * (number + draw.random()) / kills)
        arguments = ("--rerun-incomplete", *targets)
        done += kill_at(
            project,
            files,
            draw.random() / 2,
            *arguments,
            directory=directory,
            overlays=overlays,
        )
        unlocked = project.snakemake("--unlock", *targets, directory=directory, overlays=overlays)
        assert unlocked.status == 0, unlocked.output
    result = project.snakemake(
        "--rerun-incomplete", *targets, directory=directory, overlays=overlays
    )
    assert result.status == 0, result.output
    again = project.snakemake(*targets, directory=directory, overlays=overlays)
    assert "Nothing to be done" in again.output, again.output
    return done


def differences(found, expected):
    """Names of what is missing, left over, or of other content."""
    return sorted(
        name
        for name in found.keys() | expected.keys()
        if name not in found or name not in expected or found[name] != expected[name]
    )


def test_a_run_that_is_killed_twice(project, finished):
    """Of the demo's run by TF-IDF; nightly, of everything."""
    directory = project.directory("killed_twice")
    target = "results/emotion/tfidf_demo/seed0/metrics.json"
    folders = ("results/emotion/data", "results/emotion/tfidf_demo", "resources/raw")
    whole = sum(1 for name in tree(finished) if name.startswith(folders))
    done = killed_again_and_again(project, whole // 2, 2, directory, None, target)
    assert done >= 1
    found, expected = tree(directory), tree(finished)
    wrong = [name for name in found if name not in expected or found[name] != expected[name]]
    assert wrong == []


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("wing", ["emotion", "entity", "face", "summary", "audio"])
def test_kills(project, wing):
    """20 kills over the five experiments; what each leaves is what an undisturbed run leaves."""
    alone = project.write_overlay(f"kills_{wing}", {"wings": [wing]})
    overlays = [project.root / "config" / "demo.yaml", project.overlay, alone]
    undisturbed = project.directory(f"undisturbed_{wing}")
    result = project.snakemake(directory=undisturbed, overlays=overlays)
    assert result.status == 0, result.output
    directory = project.directory(f"kills_{wing}")
    kills = 4
    done = killed_again_and_again(project, count(undisturbed), kills, directory, overlays)
    assert done == kills
    assert differences(tree(directory), tree(undisturbed)) == []
    assert Path(directory / "results" / wing / "comparison.json").is_file()

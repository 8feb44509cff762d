"""kill -9 of everything, again and again: the results are those of an undisturbed run, to the byte.

So is everything else below the folders of results and resources: nothing is left over.
"""

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from affectlab.files.integrity import SUMS, check_directory, check_file

FOLDERS = ("results", "resources")

WITH_TIMES = {"run.json", "training.json", "export.json", "index.html"}
"""Files that hold when something was made, and what it cost."""

COSTS = {
    *("time", "seconds", "samples_per_second", "tokens_per_second"),
    *("peak_memory_mb", "peak_device_memory_mb"),
    *("latency_ms", "throughput", "ms_per_face"),
}
"""Their keys that differ between equal runs. All others must not."""

TIMES_ON_PAGE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    r"|<small>(seconds|samples per second|peak memory|peak device memory): [^<]*</small>"
    r"|, [^<,]* s, [^<,]* MB</small>"
    r"|<tr><th scope=\"row\">[^<]*(ms per face|latency|throughput)[^<]*</th>.*"
)


def without_costs(value):
    """*value* less the keys of `COSTS`, at any depth."""
    if isinstance(value, dict):
        return {key: without_costs(one) for key, one in value.items() if key not in COSTS}
    return [without_costs(one) for one in value] if isinstance(value, list) else value


def content(path):
    """What a file must have in common with that of another run: all of its bytes but times."""
    of_digest = path.name.startswith(".") and path.suffix == ".sha256"
    if of_digest and path.name[1:].removesuffix(".sha256") in WITH_TIMES:
        return None
    if path.name not in WITH_TIMES:
        return path.read_bytes()
    if path.suffix == ".html":
        return TIMES_ON_PAGE.sub("", path.read_text(encoding="utf-8"))
    return without_costs(json.loads(path.read_text(encoding="utf-8")))


def tree(directory):
    """Every file and folder below the results and resources, hidden ones too -> its content."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((directory / folder).rglob("*")):
            # TensorBoard's files are called by time and process; each start of a training adds one.
            if path.name != ".snakemake_timestamp" and "tfevents" not in path.name:
                name = str(path.relative_to(directory))
                found[name] = None if path.is_dir() else content(path)
    return found


def check_digests(directory):
    """Every digest is that of the file next to it, and every list of digests that of its folder."""
    for path in directory.rglob(".*.sha256"):
        check_file(path.with_name(path.name[1:].removesuffix(".sha256")))
    for path in directory.rglob(SUMS):
        check_directory(path.parent)


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
        done += kill_at(
            project,
            files,
            draw.random() / 2,
            *targets,
            directory=directory,
            overlays=overlays,
        )
        unlocked = project.snakemake("--unlock", *targets, directory=directory, overlays=overlays)
        assert unlocked.status == 0, unlocked.output
    result = project.snakemake(*targets, directory=directory, overlays=overlays)
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
    check_digests(directory)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("experiment", ["emotion", "entity", "face", "summary", "audio"])
def test_kills(project, experiment):
    """20 kills over the five experiments; what each leaves is what an undisturbed run leaves."""
    alone = project.write_overlay(f"kills_{experiment}", {"experiments": [experiment]})
    overlays = [project.root / "config" / "demo.yaml", project.overlay, alone]
    undisturbed = project.directory(f"undisturbed_{experiment}")
    result = project.snakemake(directory=undisturbed, overlays=overlays)
    assert result.status == 0, result.output
    directory = project.directory(f"kills_{experiment}")
    kills = 4
    done = killed_again_and_again(project, count(undisturbed), kills, directory, overlays)
    assert done == kills
    assert differences(tree(directory), tree(undisturbed)) == []
    check_digests(directory)
    assert Path(directory / "results" / experiment / "comparison.json").is_file()

"""`affectlab referee`: a verdict on predictions that somebody else made."""

import csv
import random
import signal
import subprocess
import sys
import time

import pytest
from conftest import environment
from own_texts import rows_of

TESTED = 90


@pytest.fixture(scope="module")
def case(project):
    """A folder with a table of texts, and predictions for some that are right for 8 in 10."""
    folder = project.directory("referee")
    rows = [
        {"id": f"t{n}", "text": row["tweet"], "emotion": row["emo"]}
        for n, row in enumerate(rows_of(180))
    ]
    with (folder / "tweets.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    drawn = random.Random(1)
    names = sorted({row["emotion"] for row in rows})
    predicted = [
        (row["id"], row["emotion"] if drawn.random() < 0.8 else drawn.choice(names))
        for row in rows[:TESTED]
    ]
    lines = ["id,label", *(f"{name},{label}" for name, label in predicted)]
    (folder / "theirs.csv").write_text("\n".join(lines) + "\n")
    right = sum(label == row["emotion"] for (_, label), row in zip(predicted, rows, strict=False))
    return folder, right / TESTED


def judged(folder, *arguments):
    command = [sys.executable, "-m", "affectlab", "referee", "emotion", "--data", "tweets.csv"]
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_verdict_tells_of_claim_baseline_and_leakage(case):
    folder, accuracy = case
    done = judged(folder, "--predictions", "theirs.csv", "--claim", "accuracy=99.5%")
    assert done.returncode == 0, done.stderr
    page = " ".join(done.stdout.split())
    assert f"On {TESTED} texts the accuracy is {accuracy:.3f}" in page
    assert "The claim is 0.995" in page
    assert "these items do not confirm it" in page
    assert "The strongest trivial baseline" in page
    assert "Leakage" in page
    assert "cannot be seen in predictions" in page
    assert len(done.stdout.splitlines()) <= 40
    assert (folder / "referee" / "results" / "report" / "index.html").is_file()


def test_what_is_wrong_is_said_in_one_line(case):
    folder, _ = case
    (folder / "broken.csv").write_text("id,label\nt1,Wut\nt2,rage\n")
    done = judged(folder, "--predictions", "broken.csv", "--to", "broken")
    assert done.returncode == 2
    assert "line 3: label: 'rage' is none of the classes" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = judged(folder, "--predictions", "theirs.csv", "--claim", "accuracy")
    assert "--claim accuracy: expected a score and a share" in done.stderr
    done = judged(folder, "--predictions", "theirs.csv", "--to", "theirs.csv")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--to theirs.csv: expected a folder, found a file" in done.stderr


def test_a_referee_that_is_ended_leaves_nothing_running_and_no_lock(case):
    folder, _ = case
    command = [sys.executable, "-m", "affectlab", "referee", "emotion", "--data", "tweets.csv"]
    process = subprocess.Popen(
        [*command, "--predictions", "theirs.csv", "--to", "ended"],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    locks = folder / "ended" / ".snakemake" / "locks"
    deadline = time.monotonic() + 120
    while not (locks.is_dir() and any(locks.iterdir())):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, printed = process.communicate(timeout=120)
    assert (process.returncode, printed) == (130, "affectlab: interrupted\n")
    assert not locks.exists()

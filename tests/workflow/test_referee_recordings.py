"""`affectlab referee audio` on numbers, and on several classes for a recording."""

import csv
import subprocess
import sys

import numpy as np
import soundfile
from conftest import environment

RATE = 8000
COUNT = 48
CLASSES = ("calm", "glad", "sad")


def write_recordings(root, header, cells):
    """Two clips of noise for each subject, with these cells of the table."""
    generator = np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    with (root / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", *header, "speaker"])
        for number, row in enumerate(cells):
            name = f"audio/{number:02d}.wav"
            sound = generator.uniform(0.05, 0.2) * generator.normal(size=RATE // 4)
            soundfile.write(root / name, np.clip(sound, -0.9, 0.9), RATE)
            table.writerow([name, *row, f"P{number // 2:02d}"])


def write_theirs(folder, header, rows):
    with (folder / "theirs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", *header], *rows])


def judged(folder, *arguments):
    command = [sys.executable, "-m", "affectlab", "referee", "audio", "--data", "mine"]
    done = subprocess.run(
        [*command, "--predictions", "theirs.csv", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def test_a_claim_on_numbers_of_recordings_is_judged(project, misfits):
    folder = project.directory("referee_recordings_numbers")
    generator = np.random.default_rng(1)
    values = generator.normal([5, 50], [1, 10], (COUNT, 2)).round(3).tolist()
    write_recordings(folder / "mine", ["valence", "arousal"], values)
    rows = [
        [f"audio/{number:02d}.wav", row[0] + 0.5 * (number % 2), row[1]]
        for number, row in enumerate(values)
    ]
    write_theirs(folder, ["valence", "arousal"], rows)
    page = judged(folder, "--claim", "ccc_valence=0.6")
    assert f"On {COUNT} recordings the concordance of valence is 0.9" in page
    assert "The claim is 0.600, −0.3" in page
    assert "these items show more than is claimed" in page
    assert "The strongest trivial baseline, the mean of the training labels, has 0.000" in page
    assert "trivial baselines use the labels of the scored recordings" in page
    run = folder / "referee/results/audio/mine_theirs/seed0"
    assert misfits(run / "predictions.jsonl", "audio") == []
    assert (run / "figures/predicted_values.svg").stat().st_size > 0


def test_a_claim_on_label_sets_of_recordings_is_judged(project, misfits):
    folder = project.directory("referee_recordings_classes")
    sets = [[name for k, name in enumerate(CLASSES) if n * 5 % 7 >> k & 1] for n in range(COUNT)]
    write_recordings(folder / "mine", ["moods"], [[";".join(names)] for names in sets])
    rows = [
        [f"audio/{number:02d}.wav", ";".join(names if number % 4 else ["sad"])]
        for number, names in enumerate(sets)
    ]
    write_theirs(folder, ["label"], rows)
    page = judged(folder, "--claim", "macro_f1=0.99")
    right = sum(names == ["sad"] or n % 4 > 0 for n, names in enumerate(sets))
    assert f"exact match {right / COUNT:.3f}" in page
    assert "The claim is 0.990" in page
    assert "There are no probabilities" in page
    run = folder / "referee/results/audio/mine_theirs/seed0"
    assert misfits(run / "predictions.jsonl", "audio") == []
    assert (run / "figures/precision_recall.svg").stat().st_size > 0

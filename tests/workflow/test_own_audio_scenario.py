"""Recordings of a user's own, from `affectlab init` to the report, with traps in them."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import yaml

RATE = 8000
CLASSES = {"calm": 220.0, "keen": 440.0, "sad": 330.0}
SUBJECTS = 12
FOREIGN = re.compile(
    r"FER2013|tweet|counsel|EATD|RAVDESS|EMO-DB|depress|volunteer|actor|six emotions", re.I
)


def voice(seed, frequency):
    """Half a second at about the pitch of a class, with a melody of its own."""
    generator = np.random.default_rng(seed)
    seconds = generator.uniform(0.45, 0.55)
    time = np.arange(int(seconds * RATE)) / RATE
    sound = generator.normal(0, 0.01, len(time))
    for multiple in (1, 2, 3):
        bend = np.interp(time, np.linspace(0, seconds, 6), generator.uniform(0.7, 1.3, 6))
        levels = np.interp(time, np.linspace(0, seconds, 9), generator.uniform(0, 1, 9))
        sound += 0.05 * levels * np.sin(2 * np.pi * np.cumsum(multiple * frequency * bend) / RATE)
    return sound


def write_recordings(root):
    """An audiofolder of 72 clips in three classes, of twelve subjects, with a trap of each kind."""
    rows = []
    (root / "audio").mkdir(parents=True)
    for subject in range(SUBJECTS):
        for number, (label, frequency) in enumerate(CLASSES.items()):
            # One class is rarer than folds, and another one was recorded at another rate.
            if label == "sad" and subject >= 4:
                label, frequency = "calm", CLASSES["calm"]
            for take in range(2):
                name = f"audio/{subject:02d}_{number}_{take}.wav"
                sound = voice(100 * subject + 10 * number + take, frequency)
                soundfile.write(root / name, sound, 11025 if label == "keen" else RATE)
                rows.append([name, label, f"P{subject:02d}"])
    # The last clips are copies of the first: one of another subject, one in another coding.
    first = root / rows[0][0]
    (root / rows[-1][0]).write_bytes(first.read_bytes())
    rows[-1] = [rows[-1][0], "calm", "P11"]
    (root / rows[-2][0]).unlink()
    soundfile.write(root / "audio" / "again.ogg", *soundfile.read(first))
    rows[-2] = ["audio/again.ogg", "calm", "P11"]
    rows[1][2] = "p 00"
    table = ["file_name,emotion,speaker", *(",".join(row) for row in rows)]
    (root / "metadata.csv").write_text("\n".join(table) + "\n")


def affectlab(project, *arguments):
    """Standard output of the command."""
    environment = os.environ | {"PYTHONPATH": str(project.root / "workflow" / "scripts")}
    done = subprocess.run(
        [sys.executable, "-m", "affectlab.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def own(project):
    """The folder of a complete run on the proposed configuration, made small."""
    data = project.folder / "voices"
    write_recordings(data)
    text = affectlab(project, "init", "audio", data)
    proposed = project.folder / "voices.yaml"
    proposed.write_text(text)
    probe = {"strengths": [0.01, 1], "inner_folds": 2, "repeats": 2, "permutations": 20}
    runs = yaml.safe_load(text)["audio"]["runs"]
    small = project.write_overlay(
        "voices_small",
        {
            "audio": {
                "selected": ["voices_logmel", "voices_ge2e"],
                "shards": 1,
                "bootstrap": {"resamples": 100},
                "encoders": {"tiny": {"kind": "whisper", "model": "whisper-tiny-random"}},
                "runs": {
                    "voices_logmel": {**runs["voices_logmel"], "probe": probe},
                    "voices_ge2e": {**runs["voices_ge2e"], "encoder": "tiny", "probe": probe},
                },
            }
        },
    )
    directory = project.directory("own_audio")
    overlays = [proposed, small]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    return directory, overlays, data


def test_the_configuration_is_short_and_runs_as_it_is(project, own):
    lines = (project.folder / "voices.yaml").read_text().splitlines()
    assert len([line for line in lines if not line.startswith("#")]) <= 20
    result = project.snakemake("-n", directory=project.directory("own_plan"), overlays=[own[1][0]])
    assert {"audio_convert", "audio_probe", "report_build"} <= result.rules


def test_every_item_has_a_score_with_baseline_and_interval(own, misfits):
    for run in ("voices_logmel", "voices_ge2e"):
        folder = own[0] / "results" / "audio" / run / "seed0"
        assert misfits(folder / "predictions.jsonl", "audio") == []
        record = json.loads((folder / "metrics.json").read_text())
        assert record["data"]["classes"] == list(CLASSES)
        assert (record["data"]["n"], record["data"]["groups"]) == (72, SUBJECTS)
        assert record["details"]["outer_folds"] == 5
        score = record["metrics"]["uar"]
        # A limit may be 1; the width may not be 0.
        low, high = score["ci"]
        assert 0 <= low <= score["value"] <= high <= 1
        assert low < high
        assert score["baseline"]["value"] >= 1 / 3


def test_the_audit_finds_the_planted_traps(own):
    audit = json.loads((own[0] / "results/audio/data/voices/audit.json").read_text())
    assert {trap["name"] for trap in audit["traps"]} == {
        "item_in_two_splits",
        "near_duplicates",
        "name_in_two_spellings",
        "condition_predicts_class",
        "class_smaller_than_folds",
    }


def test_cards_and_report_tell_what_is_known(own):
    traps = json.loads((own[0] / "results/audio/data/voices/audit.json").read_text())["traps"]
    card = (own[0] / "results/audio/voices_logmel/seed0/model_card.md").read_text()
    page = (own[0] / "results" / "report" / "index.html").read_text()
    section = page[page.index('<section id="audio"') : page.index('<section id="methods"')]
    assert not FOREIGN.search(card)
    assert not FOREIGN.search(re.sub(r"data:[^\"]+", "", section))
    assert "Data: not stated; terms" in card
    small = "With 72 items in 12 groups the interval of the unweighted average recall is"
    assert small in card
    assert small in page
    for trap in traps:
        assert trap["sentence"] in card
        assert trap["sentence"].replace("'", "&#39;") in page


def test_the_probe_predicts_the_own_classes(project, own):
    model = own[0] / "results/audio/voices_logmel/seed0/model"
    line = affectlab(project, "predict", "audio", "--model", model, own[2] / "audio" / "00_0_0.wav")
    assert list(json.loads(line)["probabilities"]) == list(CLASSES)


def test_a_second_run_does_nothing(project, own):
    result = project.snakemake(directory=own[0], overlays=own[1])
    assert "Nothing to be done" in result.output

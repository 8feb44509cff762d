"""Recordings with valence and arousal, from `affectlab init` to report, card and prediction."""

import html
import json
import os

import numpy as np
import pytest
import soundfile
import yaml
from card_checks import check_card

from affectlab import cli

RATE = 8000
SUBJECTS, TAKES = 12, 6
NAMES = ["valence", "arousal"]


def write_recordings(root):
    """72 clips: the pitch tells the valence and the length the arousal, of twelve subjects."""
    generator = np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    rows = ["file_name,valence,arousal,speaker"]
    for subject in range(SUBJECTS):
        for take in range(TAKES):
            valence, arousal = generator.uniform(1, 9, 2)
            seconds = 0.2 + 0.05 * arousal
            time = np.arange(int(seconds * RATE)) / RATE
            tone = np.sin(2 * np.pi * (200 + 50 * valence + 5 * subject) * time)
            levels = np.interp(time, np.linspace(0, seconds, 9), generator.uniform(0.5, 1, 9))
            sound = 0.1 * levels * tone + generator.normal(0, 0.01, len(time))
            name = f"audio/{subject:02d}_{take}.wav"
            soundfile.write(root / name, sound, RATE)
            rows.append(f"{name},{valence:.3f},{arousal:.3f},P{subject:02d}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")


def proposed(directory, capsys, monkeypatch):
    """What `affectlab init` prints for the folder, as a file."""
    monkeypatch.chdir(directory)
    assert cli.main(["init", "audio", "rated"]) == 0
    text = capsys.readouterr().out
    assert sum(not line.startswith("#") for line in text.splitlines()) <= 20
    (directory / "mine.yaml").write_text(text)
    return yaml.safe_load(text), directory / "mine.yaml"


@pytest.mark.nightly
def test_recordings_with_valence_and_arousal(project, capsys, misfits, monkeypatch):
    directory = project.directory("audio_numbers")
    write_recordings(directory / "rated")
    overlay, path = proposed(directory, capsys, monkeypatch)
    entry = overlay["datasets"]["rated"]
    assert (entry["target"], entry["columns"]["label"]) == ("numbers", NAMES)
    assert "classes" not in entry
    probe = {"strengths": [0.001, 0.01, 0.1], "inner_folds": 3, "repeats": 2, "permutations": 20}
    run = overlay["audio"]["runs"]["rated_logmel"]
    small = {
        "audio": {
            "selected": ["rated_logmel"],
            "shards": 1,
            "bootstrap": {"resamples": 100},
            "runs": {"rated_logmel": {**run, "probe": probe}},
        }
    }
    overlays = [path, project.write_overlay("audio_numbers_small", small)]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    results = directory / "results"
    folder = results / "audio" / "rated_logmel" / "seed0"
    assert misfits(folder / "predictions.jsonl", "audio") == []
    record = json.loads((folder / "metrics.json").read_text())
    check_metrics(record)
    audit = json.loads((results / "audio/data/rated/audit.json").read_text())
    traps = {trap["name"]: trap["sentence"] for trap in audit["traps"]}
    assert set(traps) == {"condition_predicts_number"}
    assert "The number arousal" in traps["condition_predicts_number"]
    comparison = json.loads((results / "audio/comparison.json").read_text())
    assert comparison["headline"] == ["ccc", "mae"]
    card = check_card(folder)
    page = html.unescape((results / "report" / "index.html").read_text())
    assert "(valence, arousal)" in card
    assert "rated_logmel (logmel) predicts valence and arousal with a concordance of" in page
    for sentence in traps.values():
        assert sentence in card
        assert sentence in page
    for name in ("predicted_values", "schemes"):
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 0
    model, clip = os.fspath(folder / "model"), os.fspath(directory / "rated/audio/00_0.wav")
    assert cli.main(["predict", "audio", "--model", model, clip]) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    truth = (directory / "rated" / "metadata.csv").read_text().splitlines()[1].split(",")
    assert list(values) == NAMES
    assert values["valence"] == pytest.approx(float(truth[1]), abs=3)


def check_metrics(record):
    """Every score has a baseline, and an interval around its value."""
    assert record["data"]["numbers"] == NAMES
    assert (record["data"]["n"], record["data"]["groups"]) == (SUBJECTS * TAKES, SUBJECTS)
    metrics = record["metrics"]
    kinds = ("ccc", "mae")
    assert set(metrics) == {f"{stem}{kind}" for kind in kinds for stem in ("", *STEMS)}
    for name, entry in metrics.items():
        assert entry["ci"][0] < entry["value"] < entry["ci"][1], name
    # The length tells the arousal, so it is the baseline to beat.
    assert metrics["arousal_ccc"]["baseline"]["name"] in ("duration", "conditions")
    assert metrics["arousal_ccc"]["baseline"]["value"] > 0.9
    assert metrics["valence_ccc"]["value"] > 0.5
    assert set(record["other_splits"]) >= {"clip_random", "duration", "loudness", "conditions"}
    assert len(record["details"]["folds_sha256"]) == 64


STEMS = tuple(f"{name}_" for name in NAMES)

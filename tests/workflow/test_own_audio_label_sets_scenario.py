"""Recordings with several classes, from `affectlab init` to report, card and prediction."""

import html
import json
import os

import numpy as np
import soundfile
import yaml
from card_checks import check_card

from affectlab import cli

RATE = 8000
SUBJECTS, TAKES = 12, 6
NAMES = ["calm", "glad", "sad"]
PITCHES = {"calm": 300, "glad": 900, "sad": 1800}
SCORES = {"macro_f1", "micro_f1", "exact_match", "mean_average_precision"}


def write_recordings(root):
    """72 clips of twelve subjects: each class has a tone, and glad clips are longer."""
    generator = np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    rows = ["file_name,moods,speaker,device"]
    for subject in range(SUBJECTS):
        for take in range(TAKES):
            has = [name for name in NAMES if generator.random() < 0.4]
            seconds = 0.6 if "glad" in has else 0.3
            time = np.arange(int(seconds * RATE)) / RATE
            tones = [np.sin(2 * np.pi * (PITCHES[name] + subject) * time) for name in has]
            places = np.linspace(0, seconds, 9)
            levels = [np.interp(time, places, generator.uniform(0.1, 1, 9)) for _ in NAMES]
            sound = sum(
                (level * tone for level, tone in zip(levels, tones, strict=False)),
                0.2 * levels[-1] * generator.normal(size=len(time)),
            )
            # The level tells nothing.
            sound *= generator.uniform(0.05, 0.1) / np.sqrt(np.mean(sound**2))
            name = f"audio/{subject:02d}_{take}.wav"
            soundfile.write(root / name, sound, RATE)
            device = ("phone", "tablet")[take % 2]
            rows.append(f"{name},{';'.join(has)},P{subject:02d},{device}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")


def proposed(directory, capsys, monkeypatch):
    """What `affectlab init` prints for the folder, as a file."""
    monkeypatch.chdir(directory)
    assert cli.main(["init", "audio", "tagged"]) == 0
    text = capsys.readouterr().out
    assert sum(not line.startswith("#") for line in text.splitlines()) <= 20
    (directory / "mine.yaml").write_text(text)
    return yaml.safe_load(text), directory / "mine.yaml"


def test_recordings_with_several_classes(project, capsys, misfits, monkeypatch):
    directory = project.directory("audio_label_sets")
    write_recordings(directory / "tagged")
    overlay, path = proposed(directory, capsys, monkeypatch)
    entry = overlay["datasets"]["tagged"]
    assert (entry["target"], entry["classes"]) == ("classes", NAMES)
    probe = {"strengths": [0.001, 0.01, 0.1], "inner_folds": 3, "repeats": 2, "permutations": 20}
    run = overlay["audio"]["runs"]["tagged_logmel"]
    small = {
        "datasets": {"tagged": {**entry, "subgroups": ["device"]}},
        "audio": {
            "selected": ["tagged_logmel"],
            "shards": 1,
            "bootstrap": {"resamples": 100},
            "runs": {"tagged_logmel": {**run, "probe": probe}},
        },
    }
    overlays = [path, project.write_overlay("audio_label_sets_small", small)]
    result = project.snakemake(directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    results = directory / "results"
    folder = results / "audio" / "tagged_logmel" / "seed0"
    assert misfits(folder / "predictions.jsonl", "audio") == []
    record = json.loads((folder / "metrics.json").read_text())
    check_metrics(record)
    card = check_card(folder)
    check_subgroups(record, page_of(results), card)
    audit = json.loads((results / "audio/data/tagged/audit.json").read_text())
    traps = {trap["sentence"]: trap["name"] for trap in audit["traps"]}
    assert list(traps.values()) == ["condition_predicts_class"]
    assert "the class glad" in next(iter(traps))
    comparison = json.loads((results / "audio/comparison.json").read_text())
    assert comparison["headline"] == ["macro_f1", "exact_match"]
    page = page_of(results)
    assert "A recording may have several classes, or none." in card
    assert "tagged_logmel (logmel) predicts any of 3 classes with a macro-F1 of" in page
    assert "classes of a clip" in page
    for sentence in traps:
        assert sentence in card
        assert sentence in page
    for name in ("precision_recall", "schemes"):
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 0
    assert cli.main(["plan", "audio/tagged"]) == 0
    assert "macro_f1" in capsys.readouterr().out
    model, clip = os.fspath(folder / "model"), os.fspath(directory / "tagged/audio/00_0.wav")
    assert cli.main(["predict", "audio", "--model", model, clip]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer["labels"]) <= set(answer["probabilities"]) == set(NAMES)


def page_of(results):
    return html.unescape((results / "report" / "index.html").read_text())


def check_subgroups(record, *shown):
    """Both devices have the scores of label sets, which report and card print."""
    metrics = record["subgroups"]["device"]["metrics"]
    assert set(metrics) == {"macro_f1", "exact_match"}
    scores = metrics["exact_match"]["scores"]
    assert {name: one["n"] for name, one in scores.items()} == {"phone": 36, "tablet": 36}
    whole = record["metrics"]["exact_match"]["value"]
    assert abs(np.mean([one["value"] for one in scores.values()]) - whole) < 1e-6
    for text in shown:
        assert "By device, the largest gap in macro F1 is" in text


def check_metrics(record):
    """Every score has a baseline, and an interval around its value."""
    assert (record["data"]["classes"], record["data"]["target"]) == (NAMES, "classes")
    assert (record["data"]["n"], record["data"]["groups"]) == (SUBJECTS * TAKES, SUBJECTS)
    assert set(record["metrics"]) == SCORES
    for name, entry in record["metrics"].items():
        low, high = entry["ci"]
        assert low <= entry["value"] <= high, name
        assert low < high
        assert entry["baseline"] is not None
    # The tones tell all three classes, the length tells one.
    assert record["metrics"]["macro_f1"]["value"] > 0.8
    duration = record["other_splits"]["duration"]["metrics"]["macro_f1"]["value"]
    assert duration < record["metrics"]["macro_f1"]["value"]
    assert set(record["other_splits"]) >= {"clip_random", "duration", "loudness", "conditions"}

"""Predictions of recordings that somebody else made, scored like any run."""

import csv
import html
import json

import pytest

OURS = "sample_3emo_logmel"
SEED = "results/audio/{}/seed0"
MADE = f"{SEED.format(OURS)}/predictions.jsonl"
DECISIONS = {"uar", "accuracy", "macro_f1"}


def theirs(path, **block):
    return {
        "method": "predictions",
        "task": "3emo",
        "data": "eatd_sample",
        "seeds": [0],
        "predictions": {"path": path, **block},
    }


@pytest.fixture(scope="module")
def scored(project):
    """The folder of a probe of our own, its predictions fed back, and a table of decisions."""
    directory = project.directory("outside_audio")
    alone = project.write_overlay("outside_audio_alone", {"experiments": ["audio"]})
    overlays = [project.root / "config" / "demo.yaml", project.overlay, alone]
    result = project.snakemake(MADE, directory=directory, overlays=overlays)
    assert result.status == 0, result.output
    with (directory / "plain.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "label"])
        table.writerows([row["id"], decision(row)] for row in grouped(directory))
    listed = [row["id"] for row in held_out(directory)][:9]
    (directory / "trained_on.txt").write_text("\n".join(listed))
    block = {
        "selected": [OURS, "fed_back", "plain"],
        "baseline": None,
        "runs": {
            "fed_back": theirs(MADE),
            "plain": theirs("plain.csv", trained_on="trained_on.txt"),
        },
    }
    overlay = project.write_overlay("outside_audio", {"audio": block})
    result = project.snakemake(directory=directory, overlays=[*overlays, overlay])
    assert result.status == 0, result.output
    assert {"audio_outside", "audio_evaluate_outside", "report_build"} <= result.rules
    return directory


def grouped(directory):
    """The lines of the first repeat with subjects kept apart."""
    rows = [json.loads(line) for line in (directory / MADE).read_text().splitlines()]
    return [row for row in rows if (row["scheme"], row["repeat"]) == ("grouped", 0)]


def held_out(directory):
    """Those of the validation split, which this corpus scores."""
    return [row for row in grouped(directory) if row["subject"].startswith("v_")]


def decision(row):
    names = ("negative", "neutral", "positive")
    return names[row["probabilities"].index(max(row["probabilities"]))]


def metrics(scored, run):
    return json.loads((scored / SEED.format(run) / "metrics.json").read_text())


def test_our_own_predictions_fed_back_have_the_same_scores(scored):
    ours, fed_back = metrics(scored, OURS), metrics(scored, "fed_back")
    for part in ("per_class", "confusion_matrix"):
        assert fed_back[part] == ours[part]
    assert fed_back["metrics"].keys() == ours["metrics"].keys()
    # The interval of a probe is that of its refits, which predictions do not hold.
    for name, entry in ours["metrics"].items():
        for key in ("value", "baseline"):
            assert fed_back["metrics"][name][key] == entry[key], name
    assert not (scored / SEED.format("fed_back") / "model_card.md").exists()


def test_decisions_have_the_scores_of_decisions(scored):
    rows, plain = held_out(scored), metrics(scored, "plain")
    assert set(plain["metrics"]) == DECISIONS
    right = sum(decision(row) == row["label"] for row in rows) / len(rows)
    assert plain["metrics"]["accuracy"]["value"] == pytest.approx(right, abs=1e-7)
    assert plain["data"]["n"] == len(rows) < len(grouped(scored))
    rest = plain["other_splits"]["test_without_overlap"]
    assert plain["data"]["n"] - rest["n"] == 9
    page = html.unescape((scored / "results/report/index.html").read_text())
    assert "plain: Somebody else predicted these recordings." in page
    assert "The model was trained on 9 of the scored recordings." in page

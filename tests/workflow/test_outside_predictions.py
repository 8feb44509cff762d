"""Predictions that somebody else made, scored like any run."""

import json
import random

import pytest
from own_texts import rows_of, write_csv
from test_own_emotion import WORDS, overlay_of, words_of

ENTRY = {
    "path": "mine.csv",
    "columns": {"text": "tweet", "label": "emo"},
    "split": {"test": 0.4, "validation": 0.1, "seed": 0},
}
SAME = ("metrics", "other_splits", "per_class", "confusion_matrix", "calibration")
"""Parts of metrics.json that do not tell who predicted."""


def theirs(path, **block):
    return {"method": "predictions", "seeds": [0], "predictions": {"path": path, **block}}


@pytest.fixture(scope="module")
def scored(project):
    """A run of our own, its predictions fed back, and tables of all kinds made of them."""
    directory = project.directory("outside")
    write_csv(directory, [{"tweet": row["tweet"], "emo": row["emo"]} for row in rows_of(200)])
    ours = overlay_of(ENTRY, words=WORDS)
    overlay = project.write_overlay("outside_ours", ours)
    target = "results/emotion/words/seed0/predictions.jsonl"
    result = project.snakemake(target, directory=directory, overlays=[overlay])
    assert result.status == 0, result.output
    rows = [json.loads(line) for line in (directory / target).read_text().splitlines()]
    tested = [row for row in rows if row["split"] == "test"]
    write_table(directory / "honest.csv", tested)
    write_table(directory / "missing.csv", tested[: len(tested) * 97 // 100])
    turned = {"Wut": "Angst", "Angst": "Wut"}
    write_table(directory / "swapped.csv", tested, turned)
    ids = [row["id"] for row in random.Random(0).sample(tested, 20)]
    (directory / "trained_on.txt").write_text("\n".join(ids))
    runs = {
        "words": WORDS,
        "fed_back": theirs(target),
        "honest": theirs("honest.csv"),
        "swapped": theirs("swapped.csv"),
        "leaked": theirs("honest.csv", trained_on="trained_on.txt"),
        "missing": theirs("missing.csv", allow_missing=True),
    }
    overlay = project.write_overlay("outside", overlay_of(ENTRY, **runs))
    result = project.snakemake(directory=directory, overlays=[overlay])
    assert result.status == 0, result.output
    assert {"emotion_outside", "report_build"} <= result.rules
    return directory


def write_table(path, rows, turned=None):
    """Decisions alone, some of their names *turned* into others."""
    names = [(turned or {}).get(row["prediction"], row["prediction"]) for row in rows]
    lines = [f"{row['id']},{name}" for row, name in zip(rows, names, strict=True)]
    path.write_text("\n".join(["id,label", *lines]) + "\n")


def metrics(scored, run):
    return json.loads((scored / f"results/emotion/{run}/seed0/metrics.json").read_text())


def page(scored):
    return words_of((scored / "results" / "report" / "index.html").read_text())


def test_our_own_predictions_fed_back_have_the_same_scores(scored):
    ours, fed_back = metrics(scored, "words"), metrics(scored, "fed_back")
    for part in SAME:
        assert fed_back[part] == ours[part], part
    assert fed_back["method"] == "predictions"


def test_decisions_have_the_scores_of_decisions(scored):
    ours, honest = metrics(scored, "words")["metrics"], metrics(scored, "honest")
    assert honest["calibration"] is None
    assert set(honest["metrics"]) == {
        "accuracy", "macro_f1", "micro_f1", "macro_precision", "macro_recall"
    }  # fmt: skip
    for name, entry in honest["metrics"].items():
        assert entry == ours[name]
    assert "There are no probabilities" in page(scored)


def test_swapped_names_are_found(scored):
    found = metrics(scored, "swapped")["details"]["outside"]["swapped_names"]
    assert found == {"Angst": "Wut", "Wut": "Angst"}
    assert "The names of classes seem swapped: Angst stands for Wut" in page(scored)
    assert metrics(scored, "honest")["details"]["outside"]["swapped_names"] == {}


def test_items_that_were_trained_on_are_left_out_too(scored):
    record = metrics(scored, "leaked")
    rest = record["other_splits"]["test_without_overlap"]
    assert record["data"]["n"] - rest["n"] == 20
    assert "The model was trained on 20 of the scored" in page(scored)
    assert "cannot be seen in predictions" in page(scored)


def test_missing_items_are_counted(project, scored):
    record = metrics(scored, "missing")
    missing = len(record["details"]["outside"]["missing"])
    assert record["data"]["n"] + missing == metrics(scored, "words")["data"]["n"]
    assert f" {missing} of " in page(scored)
    overlay = project.write_overlay(
        "outside_refused", overlay_of(ENTRY, refused=theirs("missing.csv"))
    )
    result = project.snakemake(directory=scored, overlays=[overlay])
    assert result.status != 0
    assert f"no prediction for {missing} of" in result.output


def test_a_run_needs_its_table(project):
    overlay = overlay_of(ENTRY, nothing={"method": "predictions", "seeds": [0, 1]})
    result = project.snakemake(
        "-n",
        directory=project.directory("outside_none"),
        overlays=[project.write_overlay("outside_none", overlay)],
    )
    assert result.status != 0
    assert "emotion.runs.nothing.predictions.path: expected the table" in result.output
    assert "emotion.runs.nothing.seeds: the table has one model" in result.output

"""Spans of a user's own, from the raw file to report, card and prediction."""

import json
import re

import pytest
import yaml
from own_spans import CLASSES, WORDS, rows_of, write

from affectlab import cli

TINY = {"epochs": 1, "batch_size": 32}


@pytest.fixture
def run_it(project, capsys, monkeypatch):
    """A function: run what `affectlab init` makes of rows, with tiny models in place of real ones.

    It returns the results of the experiment, and the text of the report.
    """

    def run(name, rows, runs, **entry):
        directory = project.directory(name)
        write(directory / "scenes.jsonl", rows)
        monkeypatch.chdir(directory)
        assert cli.main(["init", "entity", "scenes.jsonl"]) == 0
        proposed = capsys.readouterr().out
        (directory / "my.yaml").write_text(proposed)
        tiny = {
            "selected": runs,
            "bootstrap": {"resamples": 100},
            "runs": {
                own: {"model": "roberta-tiny", "stages": [{"training": {**training, **TINY}}]}
                for own, training in trainings(proposed).items()
            },
        }
        changes = {"entity": tiny, "datasets": {"scenes": entry}}
        overlay = project.write_overlay(f"{name}_tiny", changes)
        result = project.snakemake(directory=directory, overlays=[directory / "my.yaml", overlay])
        assert result.status == 0, result.output
        report = (directory / "results" / "report" / "index.html").read_text()
        return directory / "results" / "entity", words_of(report)

    return run


def trainings(text):
    """Name of a run -> its only training."""
    runs = yaml.safe_load(text)["entity"]["runs"]
    return {name: run["stages"][0]["training"] for name, run in runs.items()}


def words_of(html):
    """The text of a page, as a reader sees it."""
    plain = re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(plain.split()).replace("&#39;", "'")


def read(path):
    return json.loads(path.read_text())


def check_scores(results, runs, n):
    """Every run has a score with baseline and interval, on the user's own classes."""
    assert read(results / "data/scenes/description.json")["classes"] == list(CLASSES)
    comparison = read(results / "comparison.json")
    assert [run["run"] for run in comparison["runs"]] == runs
    for run in comparison["runs"]:
        assert run["n"] == n
        accuracy = run["metrics"]["accuracy"]
        assert 0 < accuracy["baseline"]["value"] < 1
        low, high = accuracy["ci"]
        assert 0 <= low <= accuracy["mean"] <= high <= 1
        assert low < high
        assert "non_neutral_accuracy" not in run["metrics"]


def check_pages(report, card):
    """Nothing is said that is only true of other data."""
    for page in (report, card):
        for claim in ("GoEmotions", "Reddit", "28 classes", "fiction", "neutral"):
            assert claim not in page, claim
    assert "not stated" in card
    assert "5 classes: awe, calm, grief, joy, rage" in card


def check_traps(results, report, card, names):
    """The named traps are in audit, report and card."""
    found = read(results / "data/scenes/audit.json")["traps"]
    traps = {trap["name"]: trap["sentence"] for trap in found}
    assert set(traps) == set(names)
    for sentence in traps.values():
        assert sentence in report
        assert f"- {sentence}" in card


def check_prediction(model, capsys):
    text = f"The {WORDS['joy']} was over."
    arguments = ["--model", str(model), "--top-k", "9", "--span", WORDS["joy"], text]
    assert cli.main(["predict", "entity", *arguments]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer["probabilities"]) == set(CLASSES)
    assert answer["label"] in CLASSES
    assert answer["span"] == [4, 16]


def test_spans_with_a_split_and_traps(run_it, capsys, misfits):
    """A column of splits; a text of train, and one nearly like it, occur in the test split too."""
    parts = ("train", "train", "train", "train", "validation", "test")
    rows = [{**row, "set": parts[n // 5 % 6]} for n, row in enumerate(rows_of(120))]
    for row in rows:
        row["spans"] = row["spans"][:1]
        if row["spans"][0]["label"] == "rage":
            row["text"] += f" And {' '.join(sorted(row['text'].lower().split()))}"
    rows.append({**rows[0], "set": "test"})
    rows.append({**rows[1], "text": rows[1]["text"].replace("day 1", "day 977"), "set": "test"})
    rows[2]["author"] = "WRITER 0"
    runs = ["scenes_tiny", "scenes_minilm"]
    results, report = run_it("own_spans", rows, runs)
    check_scores(results, runs, n=22)
    card = (results / "scenes_minilm/seed42/model_card.md").read_text()
    check_pages(report, card)
    # The column of splits divides the authors, too.
    names = ("item_in_two_splits", "near_duplicates", "name_in_two_spellings")
    names += ("group_in_two_splits",)
    check_traps(results, report, card, [*names, "condition_predicts_class"])
    assert "the interval of the accuracy is" in card
    assert misfits(results / "scenes_minilm/seed42/predictions.parquet", "entity") == []
    check_prediction(results / "scenes_minilm/seed42/model", capsys)


@pytest.mark.nightly
def test_spans_in_folds(run_it, capsys):
    """Each text is held out once; one class is too rare for the folds."""
    rows = rows_of(45)
    for row in rows[1:]:
        for span in row["spans"]:
            if "rage" in span["label"]:
                span["label"] = "awe"
    rows[0]["spans"][0]["label"] = "rage"
    results, report = run_it("own_folds", rows, ["scenes_minilm"], split={"folds": 3})
    check_scores(results, ["scenes_minilm"], n=90)
    metrics = read(results / "scenes_minilm/seed42/metrics.json")
    assert metrics["data"]["split"] == "cross-validation"
    assert metrics["other_splits"]["validation"]["n"] == 90
    card = (results / "scenes_minilm/seed42/model_card.md").read_text()
    check_pages(report, card)
    check_traps(results, report, card, ["class_smaller_than_folds"])
    assert "cross-validated in 3 folds" in card
    assert "each by a model that was trained without its fold" in report
    check_prediction(results / "scenes_minilm/seed42/model", capsys)

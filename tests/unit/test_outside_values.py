"""Predictions of numbers and of several classes for a text that somebody else made."""

import json

import numpy as np
import pytest
from scored_runs import scored_run
from sklearn.metrics import average_precision_score, f1_score

from affectlab.config.models import Outside, typed
from affectlab.datasets.description import Description
from affectlab.emotion.compare import compare
from affectlab.emotion.evaluate import evaluate
from affectlab.emotion.outside import store
from affectlab.emotion.readers import read_any
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import DataError
from affectlab.files.io import read_json, write_json, write_jsonl

CLASSES = ("anger", "fear", "joy")
NUMBERS = ("valence", "arousal")
RNG = np.random.default_rng(4)
WORDS = ("river", "window", "letter", "garden", "winter", "harbour", "lantern", "meadow")


def rows(target, folds=None):
    """Twenty texts of training, and forty each of validation and test."""
    made = []
    for letter, split, count in (("a", "train", 20), ("v", "validation", 40), ("t", "test", 40)):
        for n in range(count):
            text = " ".join(RNG.choice(WORDS, 5)) + f" {letter} {n * 7919}"
            if target == "numbers":
                truth = {"values": {"valence": float(n % 7), "arousal": n % 5 / 5}}
            else:
                truth = {"labels": [name for k, name in enumerate(CLASSES) if n >> k & 1]}
            fold = {} if folds is None else {"fold": n % folds}
            made.append({"id": f"{letter}{n}", "text": text, "split": split, **truth, **fold})
    return made


@pytest.fixture
def data(tmp_path):
    """A function: write the data of a target; their rows."""

    def write(target, folds=None):
        made = rows(target, folds)
        write_jsonl(tmp_path / "records.jsonl", made)
        names = NUMBERS if target == "numbers" else CLASSES
        Description(names, target, folds=folds).write(tmp_path / "description.json")
        write_json(tmp_path / "audit.json", {"overlap": {"test_in_train": ["t3"]}})
        return made

    return write


@pytest.fixture
def scored(tmp_path):
    """A function: score predictions.jsonl of a run of our own, or a table; metrics.json."""

    def run(recipe, outside_path=None, baseline=None):
        evaluate(
            scored_run(tmp_path, typed(EmotionRun, {"data": "mine", **recipe})),
            predictions_path=tmp_path / "predictions.jsonl",
            data=read_any(tmp_path / "records.jsonl", tmp_path / "description.json"),
            data_paths=[tmp_path / "records.jsonl"],
            audit_path=tmp_path / "audit.json",
            baseline=baseline,
            text_path=tmp_path / "evaluation_results.txt",
            figures=tmp_path / "figures",
            outside_path=outside_path,
        )
        return read_json(tmp_path / "metrics.json")

    return run


@pytest.fixture
def judged(tmp_path, scored):
    """A function: store a table and score it; metrics.json."""

    def run(text, name="theirs.csv", baseline=None, **recipe):
        (tmp_path / name).write_text(text, encoding="utf-8")
        block = {"path": str(tmp_path / name), **recipe}
        store(
            read_any(tmp_path / "records.jsonl", tmp_path / "description.json"),
            typed(Outside, block),
            0,
            tmp_path / "predictions.jsonl",
            tmp_path / "outside.json",
        )
        made = {"method": "predictions", "predictions": block}
        return scored(made, tmp_path / "outside.json", baseline)

    return run


def of_split(made, split):
    return [row for row in made if row["split"] == split]


def our_numbers(row):
    return {"prediction": {name: value + 0.7 for name, value in row["values"].items()}}


def our_classes(row):
    """Probabilities and thresholds, and the classes that reach them."""
    seed = int(row["id"][1:])
    values = [(seed * (k + 3) % 11) / 11 for k in range(3)]
    limits = [0.3, 0.4, 0.6]
    return {
        "prediction": [n for n, v, t in zip(CLASSES, values, limits, strict=True) if v >= t],
        "probabilities": dict(zip(CLASSES, values, strict=True)),
        "thresholds": dict(zip(CLASSES, limits, strict=True)),
    }


@pytest.mark.parametrize("folds", [None, 4])
@pytest.mark.parametrize("target", ["numbers", "classes"])
def test_our_own_predictions_fed_back_have_the_same_scores(
    data, scored, judged, tmp_path, target, folds
):
    made = data(target, folds)
    predict, truth = (our_numbers, "values") if target == "numbers" else (our_classes, "labels")
    held_out = made if folds else [row for row in made if row["split"] != "train"]
    splits = ("validation", "test") if folds else (None,)
    lines = [
        {"id": row["id"], "split": split or row["split"], truth: row[truth], **predict(row)}
        for split in splits
        for row in held_out
    ]
    write_jsonl(tmp_path / "predictions.jsonl", lines)
    ours = scored({"method": "tfidf"})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    found = judged(text, "theirs.jsonl")
    assert found["metrics"] == ours["metrics"]
    if folds:
        # Nobody knows what their model was trained on.
        del ours["other_splits"]["test_without_overlap"]
    assert found["other_splits"] == ours["other_splits"]
    assert found["details"]["outside"]["other_truths"] == []


def test_numbers_stand_in_columns_called_as_they_are(data, judged):
    test = of_split(data("numbers"), "test")
    lines = [f"{row['id']},{row['values']['valence'] + 1},{0.3}" for row in test]
    record = judged("\n".join(["id,V,arousal", *lines]) + "\n", classes={"V": "valence"})
    assert record["metrics"]["valence_mae"]["value"] == pytest.approx(1.0)
    assert record["metrics"]["arousal_ccc"]["value"] == pytest.approx(0.0)
    assert set(record["other_splits"]) == {"test_without_overlap"}
    assert record["other_splits"]["test_without_overlap"]["n"] == 39


def test_lists_of_classes_have_the_scores_of_decisions(data, judged, tmp_path):
    test = of_split(data("classes"), "test")
    sets = [row["labels"] if n % 3 else ["joy"] for n, row in enumerate(test)]
    lines = [f"{row['id']},{';'.join(given)}" for row, given in zip(test, sets, strict=True)]
    record = judged("\n".join(["id,label", *lines]) + "\n")
    assert set(record["metrics"]) == {"macro_f1", "micro_f1", "exact_match"}
    truth, decided = (
        np.array([[name in names for name in CLASSES] for names in given])
        for given in ([row["labels"] for row in test], sets)
    )
    expected = f1_score(truth, decided, average="macro", zero_division=0)
    assert record["metrics"]["macro_f1"]["value"] == pytest.approx(expected)
    assert record["per_class"]["joy"]["threshold"] is None
    assert record["per_class"]["joy"]["average_precision"] is None
    page = (tmp_path / "evaluation_results.txt").read_text()
    assert "There are no probabilities" in page


def test_probabilities_of_classes_are_decided_by_a_half(data, judged):
    test = of_split(data("classes"), "test")
    given = RNG.random((40, 3))
    lines = [
        f"{row['id']},{','.join(map(repr, values.tolist()))}"
        for row, values in zip(test, given, strict=True)
    ]
    record = judged("\n".join(["id,anger,fear,joy", *lines]) + "\n")
    truth = np.array([[name in row["labels"] for name in CLASSES] for row in test])
    expected = f1_score(truth, given >= 0.5, average="micro")
    assert record["metrics"]["micro_f1"]["value"] == pytest.approx(expected)
    expected = average_precision_score(truth, given, average="macro")
    assert record["metrics"]["mean_average_precision"]["value"] == pytest.approx(expected)
    assert record["per_class"]["fear"]["threshold"] == 0.5


def test_missing_texts_are_counted(data, judged):
    test = of_split(data("numbers"), "test")[:30]
    text = "\n".join(["id,valence,arousal", *(f"{row['id']},1,1" for row in test)]) + "\n"
    with pytest.raises(DataError, match="no prediction for 10 of 40 items"):
        judged(text)
    record = judged(text, allow_missing=True)
    assert record["data"]["n"] == 30
    assert len(record["details"]["outside"]["missing"]) == 10


def test_runs_with_missing_texts_are_compared_on_what_they_share(data, judged, tmp_path):
    test = of_split(data("numbers"), "test")
    head = "id,valence,arousal"
    whole = "\n".join([head, *(f"{row['id']},3,0.3" for row in test)]) + "\n"
    record = judged(whole)
    (tmp_path / "ours").mkdir()
    write_json(tmp_path / "ours" / "metrics.json", {**record, "run": "ours"})
    lines = (tmp_path / "predictions.jsonl").read_text()
    (tmp_path / "ours" / "predictions.jsonl").write_text(lines)
    part = "\n".join([head, *(f"{row['id']},2,0.3" for row in test[:30])]) + "\n"
    record = judged(part, allow_missing=True)
    paths = [tmp_path / "ours", tmp_path]
    compare(
        metrics_paths=[folder / "metrics.json" for folder in paths],
        predictions_paths=[folder / "predictions.jsonl" for folder in paths],
        data={"mine": read_any(tmp_path / "records.jsonl", tmp_path / "description.json")},
        baseline=None,
        bootstrap=scored_run(tmp_path, None).bootstrap,
        schema=scored_run(tmp_path, None).metrics_schema.with_name("comparison.schema.json"),
        output_path=tmp_path / "comparison.json",
    )
    runs = read_json(tmp_path / "comparison.json")["runs"]
    assert [run["n"] for run in runs] == [40, 30]


@pytest.mark.parametrize(
    ("target", "text", "problem"),
    [
        ("numbers", "id,valence\nt0,1\n", "no column for arousal; found: id, valence"),
        ("numbers", "id,valence,arousal\nt0,1,\n", "line 2: arousal: expected a number, found"),
        ("numbers", "id,valence,arousal\nt0,inf,1\n", "line 2: valence: expected a number"),
        ("classes", "id,label\nt0,joy;glee\n", "line 2: label: 'glee' is none of the classes"),
        ("classes", "id,anger,fear,joy\nt0,2,0,0\n", "line 2: probability of anger"),
        ("classes", "id,text\nt0,x\n", "expected a column with the predicted class"),
    ],
)
def test_what_is_no_prediction_is_refused(data, judged, target, text, problem):
    data(target)
    with pytest.raises(DataError, match=problem):
        judged(text)

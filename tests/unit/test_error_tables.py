"""The surest errors of a run, and where two runs disagree."""

import pytest

from affectlab.audio import report as audio
from affectlab.entity import report as entity
from affectlab.files.io import write_jsonl
from affectlab.report.errors import (
    NO_ANSWER,
    SHOWN,
    Prediction,
    RunPredictions,
    error_tables,
    errors_part,
    rival,
    stored_predictions,
    texts_of,
)
from affectlab.report.results import SeedResult


def run(*rows, name="ours"):
    """Of rows such as ``t1 joy fear 0.9``: id, true class, predicted class, confidence."""
    cells = [row.split() for row in rows]
    predictions = [
        Prediction(one, true, predicted, float(sure[0]) if sure else None)
        for one, true, predicted, *sure in cells
    ]
    return RunPredictions(name, 3, "tweets", predictions)


def test_errors_have_the_surest_first_and_unstated_confidence_last():
    shown = run("a joy joy 0.9", "b joy fear", "c joy fear 0.6", "d fear joy 0.8")
    (table,) = error_tables(shown, None, None)
    assert [row.id for row in table.rows] == ["d", "c", "b"]
    assert (table.count, table.runs) == (3, ["ours"])
    assert table.title == "Errors of ours, seed 3, on tweets, the surest first"


def test_a_table_has_so_many_rows_and_counts_all():
    shown = run(*(f"t{number} joy fear 0.{number:03d}" for number in range(50)))
    (table,) = error_tables(shown, None, None)
    assert [row.id for row in table.rows] == [f"t{number}" for number in range(49, 49 - SHOWN, -1)]
    assert table.count == 50


def test_runs_disagree_where_they_predict_other_classes():
    shown = run("a joy joy 0.9", "b joy fear 0.8", "c joy joy 0.7", "d joy fear 0.6")
    other = run("d joy joy 0.9", "c joy fear 0.5", "b joy fear 0.9", "e joy joy 0.9", name="theirs")
    table = error_tables(shown, other, None)[1]
    # The less sure one of the two runs counts; an item of one run alone is in no table.
    assert [row.id for row in table.rows] == ["d", "c"]
    assert [one.predicted for one in table.rows[1].predictions] == ["joy", "fear"]
    assert table.runs == ["ours", "theirs"]


def test_texts_are_read_for_the_shown_items_alone(tmp_path):
    records = tmp_path / "records.jsonl"
    write_jsonl(records, [{"id": name, "text": f"<b>{name}</b>"} for name in ("a", "b", "c")])
    shown = run("a joy joy 0.9", "b joy fear 0.8")
    assert texts_of(records)(["b", "x"]) == {"b": "<b>b</b>"}
    page = errors_part("emotion", shown, None, texts_of(records))["errors"]
    assert "&lt;b&gt;b&lt;/b&gt;" in page
    assert "the surest first: 1 of 1" in page
    assert "b</b>" not in errors_part("emotion", shown, None, None)["errors"]


def test_a_run_without_errors_has_no_empty_table():
    page = errors_part("face", run("a joy joy 0.9"), None, None)["errors"]
    assert "the surest first: none." in page
    assert "<table>" not in page


def result(folder, data, name="ours", validation=None, **record):
    splits = {}
    if validation is not None:
        splits = {"validation": {"n": 5, "metrics": {"accuracy": {"value": validation}}}}
    found = {
        "run": name,
        "seed": 3,
        "data": {"name": "tweets", "split": "test", "classes": ["joy", "fear"], "n": 9, **data},
        "metrics": {"accuracy": {"value": 0.5}},
        "other_splits": splits,
        **record,
    }
    return [SeedResult(folder, found, {}, None)]


def test_the_other_run_is_chosen_on_validation_among_those_of_the_same_items():
    runs = {
        "best": result(None, {}, validation=0.9),
        "elsewhere": result(None, {"name": "others"}, validation=0.99),
        "classes": result(None, {"classes": ["joy"]}, validation=0.98),
        "first": result(None, {}, validation=0.2),
        "second": result(None, {}, validation=0.8),
        "theirs": result(None, {}, validation=1.0, details={"outside": {}}),
    }
    assert rival("best", runs, "accuracy") == "second"
    assert rival("best", {"best": runs["best"], "x": result(None, {})}, "accuracy") == "x"
    assert rival("elsewhere", runs, "accuracy") is None


@pytest.mark.parametrize("split", ["test", "validation", "cross-validation"])
def test_stored_predictions_are_those_of_the_scored_split(tmp_path, split):
    stored = "test" if split == "cross-validation" else split
    other = {"test": "validation", "validation": "test"}[stored]
    shares = {"joy": 0.2, "fear": 0.8}
    line = {"id": "a", "split": stored, "label": "joy", "prediction": "fear"}
    write_jsonl(
        tmp_path / "predictions.jsonl",
        [
            line | {"probabilities": shares},
            line | {"id": "b", "invalid": True},
            line | {"id": "c", "split": other},
        ],
    )
    found = stored_predictions(result(tmp_path, {"split": split}))
    assert list(found.predictions) == [
        Prediction("a", "joy", "fear", 0.8),
        Prediction("b", "joy", NO_ANSWER, None),
    ]


def test_a_clip_is_predicted_by_the_mean_of_its_repeats(tmp_path):
    line = {"id": "a", "subject": "s", "label": "fear", "scheme": "grouped"}
    write_jsonl(
        tmp_path / "predictions.jsonl",
        [
            line | {"repeat": 0, "probabilities": [0.9, 0.1]},
            line | {"repeat": 1, "probabilities": [0.3, 0.7]},
            line | {"repeat": 0, "scheme": "clip_random", "probabilities": [0.0, 1.0]},
        ],
    )
    (found,) = audio._predictions(result(tmp_path, {"split": "grouped"})).predictions
    assert (found.true, found.predicted, found.confidence) == ("fear", "joy", pytest.approx(0.6))


def test_a_span_has_the_likeliest_or_the_named_class():
    classes = ["joy", "fear"]
    found = entity._prediction({"id": "a", "probabilities": [0.3, 0.7]}, "joy", classes)
    assert found == Prediction("a", "joy", "fear", 0.7)
    found = entity._prediction({"id": "a", "prediction": ["joy"]}, "joy", classes)
    assert found == Prediction("a", "joy", "joy", None)

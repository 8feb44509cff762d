"""Predictions that somebody else made: reading their table, and matching it with the records."""

import json

import pandas as pd
import pytest

from affectlab.config.models import Outside, typed
from affectlab.errors import DataError, UserError
from affectlab.evaluation.listed_training import listed_training
from affectlab.evaluation.outside import match, store_predicted
from affectlab.evaluation.outside_tables import Wanted, read_answers
from affectlab.files.io import read_json, read_jsonl

CLASSES = ("anger", "joy")
ITEMS = {"validation": {"v1": "joy"}, "test": {"t1": "anger", "t2": "joy", "t3": "joy"}}
TRAINING = {"a1": "joy"}


@pytest.fixture
def matched(tmp_path):
    """A function: write a table, read it, match it."""

    def run(text, name="theirs.csv", seed=None, **recipe):
        path = tmp_path / name
        if isinstance(text, pd.DataFrame):
            text.to_parquet(path)
        else:
            path.write_text(text, encoding="utf-8")
        outside = typed(Outside, {"path": str(path), **recipe})
        wanted = Wanted(CLASSES, numbers={"valence": 1.0})
        answers = read_answers(path, outside, wanted, seed)
        return match(path, answers, ITEMS, TRAINING, "test", outside)

    return run


def said(found, split="test"):
    return {name: answer.prediction for name, answer in found.answers[split].items()}


RIGHT = {"t1": "anger", "t2": "joy", "t3": "anger"}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("id,label\nt1,anger\nt2,joy\nt3,anger\n", "a.csv"),
        ("id,predicted\nt1,anger\nt2,joy\nt3,anger\n", "a.csv"),
        ("id;joy;anger\nt1;0.1;0.9\nt2;1;0\nt3;2e-1;0.8\n", "a.csv"),
        (pd.DataFrame({"id": list(RIGHT), "prediction": list(RIGHT.values())}), "a.parquet"),
        (
            "".join(
                json.dumps({"id": name, "probabilities": {"joy": p, "anger": 1 - p}}) + "\n"
                for name, p in (("t1", 0.25), ("t2", 0.75), ("t3", 0.0))
            ),
            "a.jsonl",
        ),
        ('{"id": "t1", "probabilities": [0.6, 0.4]}\n'
         '{"id": "t2", "probabilities": [0.4, 0.6]}\n'
         '{"id": "t3", "probabilities": [1, 0]}\n', "a.jsonl"),
    ],
)  # fmt: skip
def test_tables_of_any_form_say_the_same(matched, text, name):
    found = matched(text, name)
    assert said(found) == RIGHT
    assert found.splits_left_out == ("validation",)
    assert found.missing == ()
    stated = {answer.probabilities is not None for answer in found.answers["test"].values()}
    assert stated == {found.has_probabilities}
    assert found.has_probabilities == (name == "a.jsonl" or ";" in text)


def test_names_are_mapped(matched):
    text = "clip,LABEL_0,LABEL_1\nt1,.9,.1\nt2,.2,.8\nt3,.7,.3\n"
    names = {"LABEL_0": "anger", "LABEL_1": "joy"}
    assert said(matched(text, classes=names, columns={"id": "clip"})) == RIGHT


def test_rows_of_one_seed_are_read(matched):
    text = "id,label,run\nt1,anger,1\nt2,joy,1\nt3,anger,1\nt1,joy,2\nt2,joy,2\nt3,joy,2\n"
    columns = {"seed": "run"}
    assert said(matched(text, columns=columns, seed=1)) == RIGHT
    assert set(said(matched(text, columns=columns, seed=2)).values()) == {"joy"}
    with pytest.raises(DataError, match="no prediction with the seed 3"):
        matched(text, columns=columns, seed=3)


def test_answers_on_other_splits_are_told_apart(matched):
    found = matched("id,label\nt1,anger\nt2,joy\nt3,joy\nv1,joy\na1,joy\n")
    assert said(found, "validation") == {"v1": "joy"}
    assert (found.splits_left_out, found.training_items) == ((), 1)


def test_a_split_may_be_called_as_in_data_of_ones_own(matched):
    found = matched("id,label,split\nt1,anger,Test\nt2,joy,test\nt3,joy,testing\nv1,joy,dev\n")
    assert set(said(found)) == {"t1", "t2", "t3"}
    assert said(found, "validation") == {"v1": "joy"}
    with pytest.raises(DataError, match="line 2: the split 'part 3' is none of"):
        matched("id,label,split\nt1,anger,part 3\nt2,joy,test\nt3,joy,test\n")


def test_true_classes_that_differ_are_reported(matched):
    found = matched("id,prediction,label\nt1,anger,anger\nt2,joy,anger\nt3,joy,\n")
    assert found.other_truths == ("t2",)


def test_missing_items_are_refused_unless_allowed(matched):
    text = "id,label\nt1,anger\n"
    with pytest.raises(DataError, match="no prediction for 2 of 3 items: t2, t3"):
        matched(text)
    found = matched(text, allow_missing=True)
    assert found.missing == ("t2", "t3")


def test_an_empty_prediction_is_a_missing_one(matched):
    found = matched("id,label\nt1,anger\nt2, \nt3,\n", allow_missing=True)
    assert found.missing == ("t2", "t3")
    assert found.without_prediction == 4
    found = matched("id,joy,anger\nt1,.2,.8\nt2,,\nt3,1,0\n", allow_missing=True)
    assert found.missing == ("t2",)
    with pytest.raises(DataError, match="no prediction for 1 of 3 items: t2"):
        matched("id,label\nt1,anger\nt2,\nt3,joy\n")


def test_an_empty_class_beside_probabilities_is_the_likeliest_one(matched):
    text = "id,label,joy,anger\nt1,anger,.2,.8\nt2,,.7,.3\nt3,,.4,.6\n"
    assert said(matched(text)) == RIGHT


def test_case_and_white_space_of_a_class_make_no_difference(matched):
    assert said(matched("id,label\nt1,Anger\nt2, JOY\nt3,anger \n")) == RIGHT
    assert said(matched("id,Joy,ANGER\nt1,.1,.9\nt2,1,0\nt3,.2,.8\n")) == RIGHT
    # A column that is called exactly as the class comes first.
    both = "id,joy,Joy,anger\nt1,.1,1,.9\nt2,1,0,0\nt3,.2,1,.8\n"
    assert said(matched(both)) == RIGHT


@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        ({"LABEL_0": "angr"}, "LABEL_0 stands for 'angr', .* did you mean 'anger'"),
        ({"anger": "LABEL_0"}, "way round LABEL_0 would stand for 'anger'"),
    ],
)
def test_a_name_that_stands_for_no_class_is_refused(matched, classes, problem):
    with pytest.raises(UserError, match=f"predictions.classes: .*{problem}"):
        matched("id,label\nt1,LABEL_0\nt2,joy\nt3,joy\n", classes=classes)


def test_ids_of_people_who_withdrew_are_not_printed(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("id,label\nt1,anger\nmaria-7,joy\nt2,joy\nmaria-8,joy\nt3,joy\n")
    recipe = typed(Outside, {"path": str(path)})
    answers = read_answers(path, recipe, Wanted(CLASSES), None)
    with pytest.raises(DataError) as caught:
        match(path, answers, ITEMS, TRAINING, "test", recipe, withdrawn=True)
    assert "2 predictions are of no item of these data: line 3, line 5" in str(caught.value)
    assert "maria" not in str(caught.value)
    (tmp_path / "ids.txt").write_text("t1\nmaria-7\nMARIA-8\n")
    listed = listed_training(str(tmp_path / "ids.txt"), ["t1", "t2"], withdrawn=True)
    assert listed.to_dict()["training_list"]["unknown"] == 2
    assert "maria" not in str(listed.to_dict()).lower()


def test_items_that_the_model_was_trained_on_are_listed(matched, tmp_path):
    (tmp_path / "ids.txt").write_text("a1\nt3\n\n")
    text = "id,label\nt1,anger\nt2,joy\nt3,joy\n"
    assert matched(text, trained_on=str(tmp_path / "ids.txt")).trained_on == ("t3",)
    (tmp_path / "ids.txt").write_text("a1\nT2\nother\n")
    found = matched(text, trained_on=str(tmp_path / "ids.txt"))
    assert found.to_dict()["training_list"] == {
        "listed": 3,
        "unknown": 2,
        "examples": ["T2", "other"],
        "hint": "; 'T2' differs from 't2' in case or white space only",
    }
    (tmp_path / "ids.txt").write_text("other\n")
    with pytest.raises(DataError, match="expected ids of these data"):
        matched(text, trained_on=str(tmp_path / "ids.txt"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,label\nT1,anger\n", "'T1' differs from 't1' in case or white space only"),
        ("id,label,joy,anger\nt1,joy,.2,.8\n", "line 2: label: the class is joy, and anger has"),
        ("id,label\nt1,anger\nx9,joy\n", "1 prediction is of no item of these data: x9"),
        ("id,label\nt1,anger\nt1,joy\n", "1 prediction is given a second time: t1"),
        ("id,label\nt1,angry\n", "line 2: label: 'angry' is none of the classes anger, joy"),
        ("id,joy,anger\nt1,3,-1\n", "line 2: probability of anger: expected a number from 0"),
        ("id,joy,anger\nt1,.5,.9\n", "sum to 1.4, expected 1; if these are logits"),
        ("id,joy,anger\nt1,nan,.9\n", "probability of joy: expected a number from 0 to 1"),
        ("id,joy\nt1,.5\n", "columns for some classes, and none for anger"),
        ("id,text\nt1,hi\n", "expected a column with the predicted class"),
        ("id,label\n,joy\n", "line 2: the id is empty"),
        ("id,label\nv1,joy\n", "no prediction for the split 'test'"),
        ("id,label\n", "no prediction in the table"),
        ("name,label\nt1,joy\n", "missing column id"),
    ],
)
def test_what_is_no_prediction_is_refused_with_its_place(matched, text, problem):
    with pytest.raises(DataError) as caught:
        matched(text)
    assert problem in str(caught.value)


def test_numbers_that_go_with_a_class_are_read(matched):
    rows = "id,label,valence\nt1,joy,0.5\nt2,joy,-1\nt3,anger,0\n"
    found = matched(rows)
    assert [answer.numbers["valence"] for answer in found.answers["test"].values()] == [0.5, -1, 0]
    assert found.to_dict()["numbers"] == ["valence"]
    with pytest.raises(DataError, match="line 3: valence: expected a number from -1 to 1"):
        matched(rows.replace(",-1", ",-1.5"))


def test_predictions_of_a_model_are_stored_as_ours_are(tmp_path):
    predicted = {
        "t1": {"prediction": "joy", "probabilities": {"joy": 0.75, "anger": 0.25}, "cut": True},
        "t2": {"prediction": "joy", "probabilities": {"joy": 1.0, "anger": 0.0}, "cut": False},
    }
    paths = {"predictions_path": tmp_path / "p.jsonl", "record_path": tmp_path / "outside.json"}
    items = {"validation": {"t2": "anger"}, "test": {"t1": "anger"}}
    store_predicted("pretrained", items, predicted, {"model": "theirs"}, **paths)
    assert list(read_jsonl(paths["predictions_path"])) == [
        {"id": "t2", "split": "validation", "label": "anger", **predicted["t2"]},
        {"id": "t1", "split": "test", "label": "anger", **predicted["t1"]},
    ]
    record = read_json(paths["record_path"])
    assert record["kind"] == "pretrained"
    assert record["model"] == "theirs"
    assert record["probabilities"] is True
    assert record["missing"] == record["trained_on"] == record["splits_left_out"] == []


def test_predictions_without_probabilities_are_recorded_as_such(tmp_path):
    paths = {"predictions_path": tmp_path / "p.jsonl", "record_path": tmp_path / "outside.json"}
    store_predicted("prompt", {"test": {"t1": "joy"}}, {"t1": {"prediction": "joy"}}, {}, **paths)
    assert read_json(paths["record_path"])["probabilities"] is False

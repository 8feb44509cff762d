"""The verdict on somebody else's predictions, in words, and names of trivial baselines."""

import numpy as np
import pytest

from affectlab.config.checks import outside_file_mistakes
from affectlab.config.experiment import Judged
from affectlab.evaluation.baseline_names import short_name
from affectlab.evaluation.outside import complete_record
from affectlab.evaluation.stats import accuracy, confusion_matrix
from affectlab.evaluation.swapped_names import swapped_record
from affectlab.report.display import baseline_name
from affectlab.report.verdict import verdict
from affectlab.report.words import trivial

CLASSES = ("anger", "fear", "joy")
JUDGED = Judged("texts", ("accuracy",), "reads like one")


def record(value=0.3, ci=(0.2, 0.4), **outside):
    about = {"probabilities": False, "swapped_names": {}, **outside}
    return {
        "experiment": "emotion",
        "interval": {"level": 0.95},
        "data": {"n": 55, "groups": 55},
        "metrics": {
            "accuracy": {
                "value": value,
                "direction": "higher",
                "ci": list(ci),
                "baseline": {"name": "conditions_balanced", "value": 0.35},
            }
        },
        "other_splits": {"test_without_overlap": {"n": 55}},
        "details": {"outside": complete_record("predictions", about)},
    }


def page(found, claim=None, **options):
    return verdict(found, claim, JUDGED, **options)


def test_items_that_the_table_leaves_out_come_first():
    found = record(without_prediction=65)
    text = " ".join(page(found, predicted_alone=True).split())
    assert text.startswith("Chosen 65 of the 120 texts of these data have no prediction.")
    assert "If the 55 were chosen by how right they are, the score means nothing." in text
    assert "Chosen" not in page(found)
    assert "Chosen" not in page(record(), predicted_alone=True)


@pytest.mark.parametrize(
    ("value", "ci", "words"),
    [
        (0.30, (0.2, 0.34), "The interval is below it."),
        (0.30, (0.2, 0.4), "The score is not distinguishable from it."),
        (0.38, (0.3, 0.5), "The score is not distinguishable from it."),
        (0.50, (0.4, 0.6), "The interval is above it."),
    ],
)
def test_the_baseline_is_compared_and_called_by_its_name(value, ci, words):
    text = " ".join(page(record(value, ci)).split())
    assert words in text
    assert "the length and language of the text alone, has 0.350" in text
    assert "recording" not in text


def test_swapped_names_come_after_the_score_with_the_score_after_renaming():
    labels = np.arange(60) % 3
    swapped = np.array([1, 0, 2])[labels]
    swapped[:6] = 2
    found = swapped_record(labels, swapped, list(range(60)), CLASSES, 0.95)
    assert found["swapped_names"] == {"anger": "fear", "fear": "anger"}
    renamed = confusion_matrix(labels, np.array([1, 0, 2])[swapped], 3)
    assert found["renamed"]["accuracy"]["value"] == pytest.approx(accuracy(renamed))
    low, high = found["renamed"]["accuracy"]["ci"]
    assert low < 56 / 60 < high
    lines = page(record(**found), ("accuracy", 0.93)).split("\n")
    titles = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert titles[:3] == ["Score", "Names", "Claim"]
    text = " ".join(" ".join(lines).split())
    assert "anger stands for fear" in text
    assert "After renaming, the accuracy is 0.933 (95 % interval" in text
    assert "The claim lies in this interval." in text
    assert text.count("seem swapped") == 1
    assert "does not lie in" in " ".join(page(record(**found), ("accuracy", 0.2)).split())


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        (("accuracy", 0.9), "these items do not confirm it"),
        (("Accuracy", 0.1), "these items show more than is claimed"),
        (("accuracy", 0.3), "these 55 items agree"),
        (("accuracie", 0.3), "no score 'accuracie' of these predictions; did you mean 'accuracy'?"),
        (("wibble", 0.3), "no score 'wibble' of these predictions; known: accuracy. The claim is"),
    ],
)
def test_a_claim_is_judged_or_named(claim, words):
    text = " ".join(page(record(), claim).split())
    assert words in text
    assert text.startswith("Score On 55 texts the accuracy is 0.300")


def test_only_scored_items_count_as_trained_on():
    text = " ".join(page(record(trained_on=["t1", "t2", "t3"], missing=["t1"])).split())
    assert "The model was trained on 2 of the scored texts." in text


def test_listed_training_items_that_are_unknown_are_reported():
    listed = {"listed": 30, "unknown": 29, "examples": ["X1"], "hint": ""}
    text = " ".join(page(record(training_list=listed)).split())
    assert "29 of 30 listed training ids are none of the texts of these data, such as X1." in text


@pytest.mark.parametrize("key", ["conditions", "conditions_balanced"])
def test_conditions_are_called_by_what_they_are(key):
    for experiment in ("emotion", "entity"):
        assert trivial(key, experiment) == "the length and language of the text alone"
        assert baseline_name(key, experiment) == "length and language"
    for experiment in ("audio", "face", "summary"):
        assert baseline_name(key, experiment) == short_name(key, experiment)
        assert baseline_name(key, experiment) == "recording conditions"


def test_files_of_selected_runs_that_are_not_there_are_reported(tmp_path):
    (tmp_path / "theirs.csv").touch()
    block = {
        "selected": ["theirs", "ours"],
        "runs": {
            "theirs": {
                "method": "predictions",
                "predictions": {"path": str(tmp_path / "theirs.csv"), "trained_on": "no.txt"},
            },
            "other": {"method": "predictions", "predictions": {"path": "no.csv"}},
            "ours": {"method": "tfidf", "predictions": {"path": ""}},
        },
    }
    (mistake,) = outside_file_mistakes("emotion", block)
    assert mistake.startswith("emotion.runs.theirs.predictions.trained_on: no file 'no.txt', seen")
    block["selected"] = ["other"]
    (mistake,) = outside_file_mistakes("emotion", block)
    assert "emotion.runs.other.predictions.path: no file 'no.csv'" in mistake

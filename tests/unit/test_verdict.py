"""The verdict on somebody else's result."""

import pytest

from affectlab.config.experiment import Judged
from affectlab.report.verdict import verdict

ENTRY = {"value": 0.8, "ci": [0.7, 0.9], "baseline": None}
OUTSIDE = {
    "kind": "predictions",
    "trained_on": [],
    "missing": [],
    "without_prediction": 0,
    "other_truths": [],
    "swapped_names": {},
    "probabilities": True,
}


@pytest.fixture
def record():
    return {
        "data": {"n": 100, "groups": 100, "split": "test"},
        "interval": {"level": 0.95},
        "metrics": {"uar": ENTRY},
        "other_splits": {"test_without_overlap": {"n": 100, "metrics": {"uar": ENTRY}}},
        "details": {"outside": OUTSIDE},
    }


@pytest.mark.parametrize(
    ("alike", "ending"), [("has the same pixels as one", "as one."), (None, "that we know of.")]
)
def test_leakage_is_told_as_far_as_it_was_looked_for(record, alike, ending):
    page = " ".join(verdict(record, None, Judged("recordings", ("uar",), alike)).split())
    start = "None of the recordings is among the training items that we know of"
    told = page[page.index(start) :].partition(" Table ")[0]
    assert told.endswith(ending)


def test_nothing_is_said_of_training_items_that_nobody_knows(record):
    """Data with folds have no training split that the model could have been trained on."""
    record["other_splits"] = {}
    record["data"]["split"] = "cross-validation"
    page = " ".join(verdict(record, None, Judged("texts", ("uar",), "reads like one")).split())
    assert "Which texts the model was trained on is not known." in page
    assert "None of the texts" not in page
    assert "are in the training" not in page

"""The verdict on somebody else's result."""

import pytest

from affectlab.config.experiment import Judged
from affectlab.report.verdict import verdict

ENTRY = {"value": 0.8, "ci": [0.7, 0.9], "baseline": None}


@pytest.fixture
def record():
    return {
        "data": {"n": 100, "groups": 100},
        "interval": {"level": 0.95},
        "metrics": {"uar": ENTRY},
        "other_splits": {"test_without_overlap": {"n": 100, "metrics": {"uar": ENTRY}}},
    }


@pytest.mark.parametrize(
    ("alike", "ending"), [("has the same pixels as one", "as one."), (None, "that we know of.")]
)
def test_leakage_is_told_as_far_as_it_was_looked_for(record, alike, ending):
    page = " ".join(verdict(record, None, Judged("recordings", ("uar",), alike)).split())
    start = "None of the recordings is among the training items that we know of"
    told = page[page.index(start) :].partition(" Size ")[0]
    assert told.endswith(ending)

"""Published numbers next to ours: the difference with its interval, or why there is none."""

from types import SimpleNamespace

import pytest

from affectlab.config.entries import ReferenceResult
from affectlab.report.data_notes import DataNote
from affectlab.report.page import published_for
from affectlab.report.published import OurScore, csv_rows, our_scores, published_numbers
from affectlab.report.results import SeedResult

ENTRY = {
    "experiment": "emotion",
    "id": "bert",
    "name": "BERT",
    "data": "tweets",
    "split": "test",
    "n": 2000,
    "metric": "accuracy",
    "value": 0.9,
    "verified": True,
    "source": "a paper",
}
OURS = {
    "run": "minilm",
    "protocol": "corrected",
    "data": "tweets",
    "split": "test",
    "metric": "accuracy",
    "value": 0.875,
    "ci": (0.85, 0.91),
    "covers": "items and seeds",
    "n": 1990,
    "baseline": ("majority", 0.35),
}


def numbers(entry, *scores, seen=(), best="", differs=(), generated=False):
    return published_numbers(
        "emotion",
        [
            ReferenceResult.model_validate(ENTRY | entry),
            ReferenceResult.model_validate(ENTRY | {"experiment": "face", "id": "x"}),
        ],
        [OurScore(**{**OURS, **score}) for score in scores],
        best=best,
        seen=seen,
        notes={"tweets": DataNote("tweets", generated, tuple(differs))},
    )


def test_the_interval_of_a_difference_is_ours_minus_the_published_number():
    (one,) = numbers({"ci": [0.88, 0.92]}, {}, {"run": "bert", "protocol": "published"})
    assert one.corrected.difference == pytest.approx(-0.025)
    assert one.corrected.limits == pytest.approx((-0.05, 0.01))
    assert one.corrected.lines == [
        "minilm, interval 0.850–0.910",
        "n = 1,990",
        "difference −0.025 (−0.050 to +0.010), over items and seeds",
    ]
    assert one.published.score.run == "bert"
    assert (one.value, one.size) == ("0.900 (0.880–0.920)", "n = 2,000")
    assert one.baselines == [("0.350", "commonest class")]
    (row,) = csv_rows([one])
    assert (row["run"], row["value"], row["ci_low"], row["ci_high"]) == ("bert", 0.9, 0.88, 0.92)


@pytest.mark.parametrize(
    ("entry", "score", "data", "why"),
    [
        ({"split": "validation"}, {}, {}, "another split (test)"),
        ({}, {"split": "clip_random"}, {}, "another split (clips split at random)"),
        ({"metric": "macro_f1"}, {}, {}, "not measured"),
        ({"data": "others"}, {}, {}, "no such run"),
        ({"runs": ["large"]}, {}, {}, "no such run"),
        ({}, {}, {"differs": ["counts"]}, "our copy of the data differs"),
        ({}, {}, {"generated": True}, "our data are generated"),
    ],
)
def test_what_is_not_the_same_is_not_compared(entry, score, data, why):
    (one,) = numbers(entry, score, **data)
    assert one.corrected.difference is None
    assert one.corrected.why == why
    assert one.corrected.lines[-1].endswith(why)
    assert not one.compared
    assert csv_rows([one]) == []


def test_the_run_that_validation_chose_is_shown_and_the_others_are_counted():
    three = ({"run": "a"}, {"run": "b", "value": 0.99}, {"run": "c"})
    (one,) = numbers({}, *three, best="c")
    assert one.corrected.score.run == "c"
    assert one.corrected.lines[-1] == "2 more runs in the table of all runs"
    # No score on these items chooses.
    (one,) = numbers({}, *three, best="of other data")
    assert one.corrected.score.run == "a"


def test_a_page_on_own_data_alone_has_no_numbers_of_other_data():
    published = numbers({"data": "others"}, {})
    own = SimpleNamespace(rows=[{"data": "tweets"}], published=published)
    mixed = SimpleNamespace(rows=[{"data": "tweets"}, {"data": "known"}], published=published)
    measured = SimpleNamespace(rows=[{"data": "tweets"}], published=numbers({}, {}))
    assert published_for([own], {"tweets"}) == []
    assert published_for([own], {}) == published_for([mixed], {"tweets"}) == published
    assert published_for([measured], {"tweets"}) == measured.published


def test_a_run_that_knows_its_items_is_marked():
    (one,) = numbers({}, {}, seen=["minilm"])
    assert one.corrected.seen


def test_a_split_besides_the_main_one_has_an_interval_of_one_seed_alone():
    score = {"value": 0.8, "ci": [0.7, 0.9], "baseline": {"name": "majority", "value": 0.3}}
    record = {
        "data": {"split": "test", "n": 50},
        "metrics": {"accuracy": score},
        "other_splits": {"validation": {"n": 40, "metrics": {"accuracy": score}}},
    }
    run = {
        "run": "minilm",
        "protocol": "corrected",
        "data": "tweets",
        "interval_covers": "items",
        "metrics": {"accuracy": {"mean": 0.8, "ci": [0.72, 0.88], "baseline": None}},
    }
    seed = SeedResult(None, record, {}, None)
    for seeds, interval in (([seed], (0.7, 0.9)), ([seed, seed], None)):
        main, other = our_scores({"runs": [run]}, {"minilm": seeds})
        assert (main.split, main.ci, main.n, main.baseline) == ("test", (0.72, 0.88), 50, None)
        assert (other.split, other.ci, other.n) == ("validation", interval, 40)
        assert other.baseline == ("majority", 0.3)

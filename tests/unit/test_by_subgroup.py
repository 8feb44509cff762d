"""Scores by subgroup of every target: the intervals of the whole score, and the words for them."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from affectlab.audio import number_scores, refits, score_intervals
from affectlab.audio.label_set_predictions import PredictedSets
from affectlab.audio.label_set_scores import score_label_sets
from affectlab.audio.number_predictions import PredictedNumbers
from affectlab.audio.predictions import Corpus as Recordings
from affectlab.audio.predictions import Known, Predicted
from affectlab.audio.subgroup_scores import class_items, label_set_items, number_items
from affectlab.audio.subgroups import item_subgroups
from affectlab.config.models import Bootstrap
from affectlab.errors import UserError
from affectlab.evaluation import multilabel, stats
from affectlab.evaluation.by_subgroup import (
    ScoredItems,
    subgroup_lines,
    subgroup_sentences,
    subgroups_record,
)
from affectlab.evaluation.classification import Corpus, Predictions, score_split, scored_items
from affectlab.evaluation.multilabel import LabelSets, Prior
from affectlab.evaluation.regression import NumberScorer, RatedCorpus, RatedPredictions
from affectlab.report import model_cards

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import coverage_probes

BOOTSTRAP = Bootstrap(resamples=200)
IDS = tuple(f"i{number:03d}" for number in range(120))
GROUPS = [number // 3 for number in range(120)]


def classified():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 120)
    predicted = np.where(generator.random(120) < 0.7, labels, generator.integers(0, 3, 120))
    corpus = Corpus(
        ("a", "b", "c"), {}, dict(zip(IDS, GROUPS, strict=True)), 0, np.full(3, 1 / 3), {}
    )
    return Predictions(IDS, labels, predicted, None), corpus


def rated():
    generator = np.random.default_rng(1)
    true = generator.normal(size=(120, 2))
    predicted = true + generator.normal(size=(120, 2))
    corpus = RatedCorpus(("x", "y"), {}, {}, dict(zip(IDS, GROUPS, strict=True)))
    split = RatedPredictions(IDS, true, predicted, {"training_mean": np.zeros((120, 2))})
    return NumberScorer(corpus), split


def tagged():
    generator = np.random.default_rng(2)
    true = generator.random((120, 4)) < 0.3
    decided = true ^ (generator.random((120, 4)) < 0.2)
    priors = (Prior.of(true),) * 120
    return LabelSets(IDS, true, decided, decided * 0.9, np.full((120, 4), 0.5), priors)


def spoken(refit):
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 120)
    probabilities = np.clip(
        np.eye(2)[labels] * 0.4 + generator.random((3, 120, 2)) * 0.6, 0.01, 0.99
    )
    subjects = tuple(f"s{number}" for number in GROUPS)
    return Predicted(IDS, subjects, labels, probabilities, None, refit)


def spoken_numbers(refit):
    generator = np.random.default_rng(4)
    true = generator.normal(size=(120, 2))
    values = true + generator.normal(size=(3, 120, 2))
    subjects = tuple(f"s{number}" for number in GROUPS)
    return PredictedNumbers(IDS, subjects, true, values, None, refit)


def spoken_sets(refit):
    """Three repeats of label sets, as `tagged`."""
    generator = np.random.default_rng(6)
    true = generator.random((120, 4)) < 0.3
    repeats = []
    for _ in range(3):
        decided = true ^ (generator.random((120, 4)) < 0.2)
        repeats.append(LabelSets(IDS, true, decided, decided * 0.9, np.full((120, 4), 0.5), ()))
    return PredictedSets(tuple(f"s{number}" for number in GROUPS), tuple(repeats), refit)


def of_all(items: ScoredItems):
    """Value and limits of each score, of all items as one subgroup."""
    found = {}
    for name, score in items.scores.items():
        interval = score.interval(stats.group_sums(score.columns, items.groups))
        found[name] = [interval.value, interval.low, interval.high]
    return found


def stored(metrics, names):
    return {name: [metrics[name]["value"], *metrics[name]["ci"]] for name in names}


def agree(ours, whole):
    assert ours.keys() == whole.keys()
    for name, limits in whole.items():
        assert ours[name] == pytest.approx(limits, abs=1e-9), name


def test_all_items_as_one_subgroup_have_the_interval_of_the_score():
    split, corpus = classified()
    whole = score_split(split, None, corpus, BOOTSTRAP)["metrics"]
    agree(of_all(scored_items(split, corpus, 0.95)), stored(whole, ("accuracy", "macro_f1")))
    scorer, numbers = rated()
    whole = scorer.score_split(numbers, BOOTSTRAP)["metrics"]
    items = ScoredItems(IDS, GROUPS, scorer.item_scores(numbers, BOOTSTRAP))
    agree(of_all(items), stored(whole, ("ccc",)))
    sets = tagged()
    whole = multilabel.score_split(sets, GROUPS, BOOTSTRAP)["metrics"]
    items = ScoredItems(IDS, GROUPS, multilabel.item_scores(sets, 0.95))
    agree(of_all(items), stored(whole, ("macro_f1", "exact_match")))


HALVES = refits.Halves(
    {
        name: np.random.default_rng(5).normal(0.6, 0.12, (40, 2, 2))
        for name in ("uar", "accuracy", "macro_f1", "ccc", "mae", "x_ccc", "y_ccc")
    }
    | {name: np.full((40, 2, 2), 0.5) for name in ("x_mae", "y_mae")},
    40,
)


@pytest.mark.parametrize("refit", [None, refits.SharedFolds(5, 40), HALVES])
def test_all_recordings_as_one_subgroup_vary_as_the_whole_score(refit):
    one = spoken(refit)
    whole = score_intervals.score_scheme(one, ("a", "b"), BOOTSTRAP)["metrics"]
    ours = of_all(class_items(one, 2, BOOTSTRAP))
    for name in ("uar", "accuracy"):
        value, low, high = ours[name]
        assert value == pytest.approx(whole[name]["value"])
        expected = whole[name]["ci"][1] - whole[name]["ci"][0]
        assert high - low == pytest.approx(expected, rel=0.02)
    numbers = spoken_numbers(refit)
    whole = number_scores.score_numbers(numbers, ("x", "y"), BOOTSTRAP, {})["metrics"]["ccc"]
    value, low, high = of_all(number_items(numbers, ("x", "y"), BOOTSTRAP))["ccc"]
    assert value == pytest.approx(whole["value"])
    assert high - low == pytest.approx(whole["ci"][1] - whole["ci"][0], rel=0.02)


@pytest.mark.parametrize("refitted", [False, True])
def test_all_label_sets_as_one_subgroup_have_the_interval_of_the_score(refitted):
    sets = spoken_sets(None)
    subjects = np.array(sets.subjects)
    rarest = min(len(set(subjects[own])) for own in sets.true.T)
    sets = spoken_sets(refits.SharedFolds(5, rarest) if refitted else None)
    whole = score_label_sets(sets, BOOTSTRAP, {})["metrics"]
    agree(of_all(label_set_items(sets, BOOTSTRAP)), stored(whole, ("macro_f1", "exact_match")))


def test_label_sets_of_a_subgroup_have_the_scores_of_scikit_learn():
    sets = spoken_sets(None)
    of_item = {name: "xy"[place % 2] for place, name in enumerate(IDS)}
    found = subgroups_record(
        {"kind": of_item}, lambda: label_set_items(sets, BOOTSTRAP), BOOTSTRAP
    )["subgroups"]["kind"]["metrics"]
    for place, name in enumerate("xy"):
        own = slice(place, None, 2)
        pairs = [(one.true[own], one.decided[own]) for one in sets.repeats]
        expected = np.mean([f1_score(*pair, average="macro") for pair in pairs])
        assert found["macro_f1"]["scores"][name]["value"] == pytest.approx(expected)
        expected = np.mean([accuracy_score(*pair) for pair in pairs])
        assert found["exact_match"]["scores"][name]["value"] == pytest.approx(expected)


def test_refits_widen_the_intervals_of_subgroups():
    fixed, refitted = (
        of_all(class_items(spoken(one), 2, BOOTSTRAP))["uar"]
        for one in (None, refits.SharedFolds(5, 40))
    )
    # The variance counts 2.25 times.
    assert refitted[2] - refitted[1] == pytest.approx(1.5 * (fixed[2] - fixed[1]), rel=0.1)


def test_a_pooled_subject_has_the_subgroup_of_all_its_clips():
    clips = {
        name: Known(subject, "x", None)
        for name, subject in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"))
    }
    items = {subject: Known(subject, "x", None) for subject in "ab"}
    given = {"sex": {"a1": "f", "a2": "f", "b1": "f", "b2": "m"}}
    corpus = Recordings(clips, items)
    assert item_subgroups(given, corpus, "subject") == {"sex": {"a": "f", "b": None}}
    assert item_subgroups(given, corpus, "clip") == given


def recorded(of_item):
    split, corpus = classified()
    return {
        "interval": {"level": 0.95},
        **subgroups_record(of_item, lambda: scored_items(split, corpus, 0.95), BOOTSTRAP),
    }


def test_the_record_has_the_score_of_each_subgroup():
    split, _ = classified()
    of_item = {name: "xyz"[place % 3] for place, name in enumerate(IDS)} | {IDS[0]: None}
    part = recorded({"kind": of_item})["subgroups"]["kind"]
    assert part["not_stated"] == 1
    for name in "xyz":
        places = [place for place, item in enumerate(IDS) if of_item[item] == name]
        one = part["metrics"]["accuracy"]["scores"][name]
        assert one["value"] == pytest.approx(split.correct[places].mean())
        assert one["n"] == len(places)
    assert part["metrics"]["accuracy"]["largest_gap"]["pairs"] == 3


def test_without_columns_nothing_is_computed():
    def never():
        raise AssertionError

    assert subgroups_record({}, never, BOOTSTRAP) == {}


def test_an_item_without_a_line_is_an_error():
    with pytest.raises(UserError, match="no line with kind"):
        recorded({"kind": dict.fromkeys(IDS[1:], "x")})


def test_a_subgroup_of_one_item_is_scored_and_called_too_small():
    of_item = dict.fromkeys(IDS, "many") | {IDS[3]: "single"}
    record = recorded({"kind": of_item})
    sentences = subgroup_sentences(record, "kind")
    assert "Too few items for a precise score: single (n = 1)." in sentences
    assert sentences[0].startswith("By kind, the largest gap in accuracy is")
    scorer, numbers = rated()
    items = ScoredItems(IDS, GROUPS, scorer.item_scores(numbers, BOOTSTRAP))
    found = subgroups_record({"kind": of_item}, lambda: items, BOOTSTRAP)["subgroups"]["kind"]
    one = found["metrics"]["ccc"]["scores"]["single"]
    assert one["too_small"]
    assert np.isfinite([one["value"], *one["ci"]]).all()
    assert np.isfinite(found["metrics"]["ccc"]["largest_gap"]["ci"]).all()


SHARED = refits.SharedFolds(5, 40)


@pytest.mark.parametrize(
    "items",
    [
        class_items(spoken(SHARED), 2, BOOTSTRAP),
        number_items(spoken_numbers(SHARED), ("x", "y"), BOOTSTRAP),
        label_set_items(spoken_sets(SHARED), BOOTSTRAP),
    ],
    ids=["classes", "numbers", "label_sets"],
)
@pytest.mark.parametrize("single", [IDS[3], IDS[70]])
def test_a_subgroup_of_one_recording_is_scored(items, single):
    of_item = dict.fromkeys(IDS, "many") | {single: "single"}
    found = subgroups_record({"kind": of_item}, lambda: items, BOOTSTRAP)["subgroups"]["kind"]
    for part in found["metrics"].values():
        one = part["scores"]["single"]
        assert one["too_small"]
        assert np.isfinite([one["value"], *one["ci"], *part["largest_gap"]["ci"]]).all()


def test_the_most_important_score_comes_first_whatever_the_order_of_the_record():
    items = class_items(spoken(None), 2, BOOTSTRAP)
    of_item = {name: "xy"[place % 2] for place, name in enumerate(IDS)}
    record = {
        "interval": {"level": 0.95},
        **subgroups_record({"kind": of_item}, lambda: items, BOOTSTRAP),
    }
    metrics = record["subgroups"]["kind"]["metrics"]
    record["subgroups"]["kind"]["metrics"] = {name: metrics[name] for name in sorted(metrics)}
    first = "By kind, the largest gap in unweighted average recall is"
    assert subgroup_sentences(record, "kind")[0].startswith(first)
    assert "| kind | n | groups | UAR | accuracy |" in model_cards.subgroup_section(record)


def test_a_gap_lies_in_the_range_of_the_score():
    of_item = {name: name for name in IDS[:20]} | dict.fromkeys(IDS[20:])
    record = recorded({"kind": of_item})
    for part in record["subgroups"]["kind"]["metrics"].values():
        low, high = part["largest_gap"]["ci"]
        assert -1 <= low <= high <= 1
    sentences = subgroup_sentences(record, "kind")
    assert "Every subgroup has too few items for a precise score." in sentences


def test_one_subgroup_has_no_gap_and_none_stated_no_table():
    sentences = subgroup_sentences(recorded({"kind": dict.fromkeys(IDS, "x")}), "kind")
    assert sentences[0] == "All scored items are of one subgroup by kind, so there is no gap."
    record = recorded({"kind": dict.fromkeys(IDS)})
    assert record["subgroups"]["kind"] == {"not_stated": 120, "metrics": {}}
    assert subgroup_sentences(record, "kind") == [
        "For 120 items kind is not stated; the table leaves them out."
    ]
    assert model_cards.subgroup_section(record)
    assert subgroup_lines(record)


def test_the_card_shows_values_of_users_as_they_are_and_no_ids():
    of_item = {name: ("*a*|b", "c")[place % 2] for place, name in enumerate(IDS)}
    text = model_cards.subgroup_section(recorded({"my|kind": of_item}))
    assert "## Scores by subgroup" in text
    assert r"\*a\*\|b" in text
    assert r"| my\|kind | n | groups | accuracy | macro-F1 |" in text
    assert not re.search(r"i\d\d\d", text)
    lines = "\n".join(subgroup_lines(recorded({"kind": of_item})))
    assert not re.search(r"i\d\d\d", lines)


@pytest.mark.nightly
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_intervals_of_subgroups_of_recordings_cover(place, record_property):
    """Random halves of the subjects have the same true score; 200 data sets of each shape."""
    covered, covered_gap = coverage_of_halves(coverage_probes.SHAPES[place], 200)
    record_property("single", float(covered))
    record_property("largest", float(covered_gap))
    # Two and a half standard errors below 0.93.
    assert covered >= 0.89
    assert covered_gap >= 0.89


def coverage_of_halves(shape, datasets):
    """Coverage of the intervals of two random halves of the subjects, and of their gap."""
    limits, gaps = [], []
    for number in range(datasets):
        generator = np.random.default_rng([11, number])
        one = coverage_probes.predict(shape, generator)
        first = set(generator.permutation(sorted(set(one.subjects)))[::2].tolist())
        half = {
            name: "one" if who in first else "two"
            for name, who in zip(one.ids, one.subjects, strict=True)
        }
        items = class_items(one, shape.classes, BOOTSTRAP)
        found = subgroups_record({"half": half}, lambda items=items: items, BOOTSTRAP)
        part = found["subgroups"]["half"]["metrics"]["uar"]
        limits += [(each["value"], *each["ci"]) for each in part["scores"].values()]
        gaps.append(part["largest_gap"]["ci"])
    values, low, high = np.array(limits).T
    truth = values.mean()
    below, above = np.array(gaps).T
    inside = (low <= truth) & (truth <= high)
    return float(inside.mean()), float(((below <= 0) & (above >= 0)).mean())

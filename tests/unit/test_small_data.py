"""Sentences on what a score on few items, or in a foreign language, can and cannot show."""

import pytest

from affectlab.datasets.traps import find_traps, near_items, shared_items
from affectlab.evaluation.small_data import (
    few_for_correlation,
    foreign_language,
    small_sample,
)


@pytest.mark.parametrize(
    ("n", "limits", "width"),
    [(61, (0.61, 0.84), "0.23"), (1000, (0.71, 0.77), None), (20, (0.84, 1.0), "0.16")],
)
def test_a_wide_interval_is_explained(n, limits, width):
    found = small_sample(n, limits)
    if width is None:
        assert found is None
    else:
        assert found.startswith(f"With {n} items")
        assert f" {width} wide" in found


def test_few_groups_are_named_where_they_make_the_interval_wide():
    assert small_sample(104, (0.4, 1.0), groups=4).startswith("With 104 items in 4 groups the ")
    assert small_sample(20, (0.84, 1.0), groups=20).startswith("With 20 items the interval")


@pytest.mark.parametrize(
    ("data", "model", "expected"),
    [
        (["de"], ["en"], "made for ‘en’, and these data are in ‘de’"),
        (["de", "fr"], ["en", "zh"], "made for ‘en’ and ‘zh’, and these data are in ‘de’ and ‘fr’"),
        (["de", "en"], ["en"], None),
        (["en"], ["en"], None),
        (["de"], None, None),
        (None, ["en"], None),
    ],
)
def test_a_model_of_another_language_is_reported(data, model, expected):
    entry = {} if data is None else {"facts": {"languages": data}}
    found = foreign_language(entry, {} if model is None else {"languages": model})
    assert found is None if expected is None else expected in found


def test_nothing_is_said_of_a_run_without_a_model():
    assert foreign_language({"facts": {"languages": ["de"]}}, None) is None
    assert foreign_language(None, {"languages": ["en"]}) is None


# --- traps


def names(traps):
    return [trap.name for trap in traps]


def find(labels, groups, folds=None):
    return find_traps(
        labels, groups, sorted(set(labels)), folds=folds, what="clips", group_name="speaker"
    )


def test_a_class_needs_as_many_groups_as_there_are_folds():
    labels = ["a"] * 20 + ["b"] * 20
    groups = [f"s{n % 10}" for n in range(20)] + [f"s{n % 3}" for n in range(20)]
    found = find(labels, groups, folds=4)
    assert names(found) == ["class_smaller_than_folds"]
    assert found[0].sentence.startswith(
        "The class b is rare (number of clips: 20, of different groups: 3). The data have 4 parts"
    )
    assert find(labels, groups, folds=3) == []


def test_groups_that_are_not_known_do_not_count_against_a_class():
    labels = ["a"] * 20 + ["b"] * 20
    assert find(labels, [None] * 40, folds=5) == []


def test_a_name_in_two_spellings_counts_as_one_group():
    labels = ["a", "b"] * 10
    groups = ["S1", "s1", "s2", "S2 "] * 5
    found = find(labels, groups, folds=3)
    assert names(found) == [
        "class_smaller_than_folds",
        "class_smaller_than_folds",
        "name_in_two_spellings",
    ]
    assert found[-1].sentence.startswith(
        "In the column speaker, 2 names are spelled in more than one way"
    )


def test_classes_that_are_constant_per_group_are_reported_from_nine_in_ten_on():
    labels = [name for name in "abab" * 5 for _ in range(3)]
    groups = [f"s{place}" for place in range(20) for _ in range(3)]
    [found] = find(labels, groups)
    assert "In 20 of 20 groups by speaker, all clips have the same class" in found.sentence
    for place in (0, 3, 6):
        labels[place] = "b" if labels[place] == "a" else "a"
    assert find(labels, groups) == []


def test_items_in_two_splits_are_listed_by_pair():
    pairs = {("test", "train"): 3, ("validation", "train"): 0, ("test", "validation"): 1}
    [found] = shared_items(pairs, "clips")
    assert "(test and train: 3; test and validation: 1)" in found.sentence
    assert shared_items(dict.fromkeys(pairs, 0), "clips") == []


def test_near_items_are_counted():
    assert near_items(0, 0, "clips") == []
    [found] = near_items(2, 0, "clips")
    assert found.sentence.startswith("2 groups of clips read nearly the same")
    assert "scored" not in found.sentence


def test_a_wide_interval_of_a_concordance_is_explained():
    assert few_for_correlation(90, (0.8, 0.85)) is None
    assert few_for_correlation(90, (0.3, 0.55)).startswith(
        "With 90 items the interval of the concordance is 0.25 wide."
    )
    assert "90 items in 12 groups" in few_for_correlation(90, (0.3, 0.55), groups=12)

"""Dividing users' data: shares, folds, groups, and what cannot be divided."""

from collections import Counter

import pytest

from affectlab.datasets.classes import class_order, merge_spellings
from affectlab.datasets.splits import divide, joined_groups
from affectlab.errors import DataError

CLASSES = ("anger", "calm", "joy", "sadness")


def _corpus(items=306, authors=60):
    ids = [f"{number:03d}" for number in range(items)]
    labels = [CLASSES[(number + number // authors) % 4] for number in range(items)]
    groups = [number % authors for number in range(items)]
    return ids, labels, groups


def _divide(plan, items=306, authors=60, given=None):
    ids, labels, groups = _corpus(items, authors)
    return divide(ids, labels, groups, given or [None] * items, plan, "mine.csv"), labels, groups


def test_shares_are_kept_groups_whole_and_classes_even():
    division, labels, groups = _divide({"test": 0.2, "validation": 0.1})
    sizes = Counter(division.splits)
    assert abs(sizes["test"] / 306 - 0.2) < 0.03
    assert abs(sizes["validation"] / 306 - 0.1) < 0.03
    where = {}
    for group, split in zip(groups, division.splits, strict=True):
        assert where.setdefault(group, split) == split
    for name in CLASSES:
        own = sum(
            label == name and split == "test"
            for label, split in zip(labels, division.splits, strict=True)
        )
        assert abs(own / sizes["test"] - 0.25) < 0.08


def test_the_same_seed_gives_the_same_division_and_hash():
    first, again, other = (_divide({"seed": seed})[0] for seed in (0, 0, 1))
    assert first == again
    assert first.sha256 != other.sha256
    assert first.seed == 0


def test_folds_hold_every_item_once_and_groups_whole():
    division, _, groups = _divide({"folds": 5})
    assert set(division.folds) == set(range(5))
    assert max(Counter(division.folds).values()) < 1.3 * 306 / 5
    fold_of = {}
    for group, fold in zip(groups, division.folds, strict=True):
        assert fold_of.setdefault(group, fold) == fold
    # The model that is kept is chosen by the first fold.
    assert {
        split for split, fold in zip(division.splits, division.folds, strict=True) if fold == 0
    } == {"validation"}


def test_given_splits_are_kept_and_a_missing_one_is_made_of_training_items():
    given = ["test" if number % 5 == 0 else "train" for number in range(306)]
    division, _, _ = _divide({}, given=given)
    assert [split == "test" for split in division.splits] == [split == "test" for split in given]
    assert Counter(division.splits)["validation"] > 10
    whole = [("train", "validation", "test")[number % 3] for number in range(306)]
    division, _, _ = _divide({}, given=whole)
    assert (list(division.splits), division.seed) == (whole, None)


@pytest.mark.parametrize(
    ("plan", "authors", "problem"),
    [
        ({"folds": 5}, 3, "3 groups of items are too few for 5 folds"),
        ({}, 2, "2 groups of items cannot be divided"),
    ],
)
def test_too_few_groups_are_refused(plan, authors, problem):
    with pytest.raises(DataError, match=problem):
        _divide(plan, authors=authors)


def test_items_that_share_any_key_are_one_group():
    authors = ["a", None, "b", None, "b"]
    texts = [1, 1, 2, 3, 3]
    assert joined_groups(authors, texts) == [0, 0, 2, 2, 2]


def test_classes_are_sorted_numbers_by_their_value():
    assert class_order({"10", "9", "1"}, None, "x") == ("1", "9", "10")
    assert class_order({"b", "a"}, None, "x") == ("a", "b")
    assert class_order({"b"}, ["b", "a"], "x") == ("b", "a")


@pytest.mark.parametrize(
    ("found", "listed", "problem"),
    [
        ({"a"}, None, "at least two classes"),
        ({"joy", "Joy "}, None, "differ in spelling only"),
        ({"joi"}, ["joy", "fear"], "did you mean joy"),
    ],
)
def test_odd_classes_are_refused(found, listed, problem):
    with pytest.raises(DataError, match=problem):
        class_order(found, listed, "x")


def test_the_commonest_spelling_wins():
    assert merge_spellings({"joy": 3, "Joy": 5, "fear": 1}) == {
        "joy": "Joy",
        "Joy": "Joy",
        "fear": "fear",
    }

"""What is said of models that somebody else trained."""

import pytest

from affectlab.evaluation.outside_splits import known_to_others, predicted_once, splits_left_out
from affectlab.evaluation.outside_words import known_items, one_answer, outside_sentences


def record(split="test", *, without=None, trained_on=(), confusion=((5, 5), (5, 5))):
    outside = {"kind": "predictions", "trained_on": list(trained_on), "missing": [],
               "other_truths": [], "swapped_names": {}, "probabilities": True}  # fmt: skip
    return {
        "data": {"n": 20, "split": split, "classes": ["calm", "joy"]},
        "other_splits": {} if without is None else {"test_without_overlap": {"n": without}},
        "details": {"outside": outside},
        "confusion_matrix": [list(row) for row in confusion],
    }


def test_of_folds_each_item_is_predicted_once():
    items = {"validation": {"a": "joy"}, "test": {"a": "joy"}}
    assert predicted_once(items, folded=True) == {"test": {"a": "joy"}}
    assert predicted_once(items, folded=False) == items
    assert splits_left_out(predicted_once(items, folded=True)) == ["validation"]
    assert splits_left_out(items) == []


def test_the_training_split_is_looked_up_and_folds_are_not():
    listed = {"trained_on": ["a"]}
    assert known_to_others(listed, {"b"}, folded=False) == {"a", "b"}
    assert known_to_others(listed, {"b"}, folded=True) == {"a"}
    assert known_to_others({"trained_on": []}, {"b"}, folded=True) is None
    assert known_to_others({"trained_on": []}, (), folded=False) == set()


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (record(without=15), 5),
        (record(), 20),
        (record("cross-validation"), None),
        (record("cross-validation", without=18, trained_on="ab"), 2),
        (record("cross-validation", trained_on=[str(n) for n in range(20)]), 20),
        (record("predictions"), None),
        (record("cross-validation") | {"details": {}}, 20),
    ],
)
def test_known_items_are_counted_as_far_as_they_are_known(left, expected):
    assert known_items(left) == expected


@pytest.mark.parametrize(("calm", "told"), [(18, True), (17, False)])
def test_one_answer_for_nearly_all_items_is_pointed_out(calm, told):
    """Columns of the confusion matrix are predictions: 9 in 10 of one class, or fewer."""
    found = outside_sentences(record(confusion=((10, 0), (calm - 10, 20 - calm))), "texts")
    sentence = (
        f"It predicts calm for {calm} of 20 texts, so it hardly tells the classes of these data"
        " apart."
    )
    assert (sentence in found) is told
    assert one_answer({"calm": calm, "joy": 20 - calm}, 20, "texts") == (sentence if told else None)

"""Which class of the data each class of a model from elsewhere stands for."""

import numpy as np
import pytest

from affectlab.errors import UserError
from affectlab.evaluation.class_mapping import ClassMapping, mapping_sentences

KEY = "emotion.runs.theirs.pretrained.classes"


def mapping(theirs, ours, **given):
    return ClassMapping.of(theirs, ours, given, KEY)


def test_equal_names_need_no_entry():
    found = mapping(["Joy", " ANGER", "cafe\u0301"], ["anger", "caf\u00e9", "joy"])
    assert found.meaning == ("joy", "anger", "caf\u00e9")
    assert found.without_counterpart == []


def test_an_entry_comes_before_an_equal_name():
    assert mapping(["joy", "x"], ["joy", "calm"], joy="calm").meaning == ("calm", None)


def test_probabilities_of_several_add_up_and_the_rest_is_scaled():
    found = mapping(["glad", "merry", "mad", "none"], ["joy", "anger", "love"],
                    glad="joy", merry="joy", mad="anger")  # fmt: skip
    shares = np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.4, 0.1]])
    mapped = found.apply(np.log(shares))
    assert mapped.probabilities == pytest.approx(
        np.array([[0.3 / 0.6, 0.3 / 0.6, 0.0], [0.5 / 0.9, 0.4 / 0.9, 0.0]]), abs=1e-15
    )
    assert mapped.first_left_out.tolist() == [True, False]
    record = mapped.record([0, 1])
    assert record == {
        "mapped": {"glad": "joy", "merry": "joy", "mad": "anger"},
        "unmapped": {"none": pytest.approx(0.25)},
        "without_counterpart": ["love"],
        "first_choice_unmapped": 1,
        "items": 2,
    }
    assert mapped.record([1])["first_choice_unmapped"] == 0
    words = " ".join(mapping_sentences(record, "texts"))
    assert "none of the model stands for no class of these data" in words
    assert "For 1 of 2 texts the model's first choice is among them" in words
    assert "No class of the model stands for love: the recall there is 0." in words


def test_tiny_probabilities_are_scaled_too():
    found = mapping(["joy", "anger", "none"], ["joy", "anger"])
    mapped = found.apply(np.array([[-2000.0, -2001.0, 0.0]]))
    assert mapped.probabilities[0] == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.e)])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "no class of the model is one of the data"),
        ({"LABEL_7": "joy"}, "the model has no class 'LABEL_7'"),
        ({"LABEL_0": "happy"}, "the data have no class 'happy'"),
    ],
)
def test_a_mapping_that_cannot_be_lists_both_sides(given, problem):
    with pytest.raises(UserError) as error:
        mapping(["LABEL_0", "LABEL_1"], ["joy", "anger"], **given)
    sides = "classes of the model: LABEL_0, LABEL_1; of the data: joy, anger"
    assert str(error.value) == f"{KEY}: {problem}; {sides}"

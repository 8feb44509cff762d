"""Scores and training data that the card of a model from elsewhere states."""

import pytest
from their_models import CARD

from affectlab.evaluation.foreign_cards import MOST_BYTES, card_sentences, read_card


@pytest.fixture
def read(tmp_path):
    """A function: write a card, read it."""

    def run(text, data=("dair-ai/emotion",)):
        (tmp_path / "README.md").write_text(text, encoding="utf-8")
        return read_card(tmp_path, data)

    return run


def test_stated_scores_and_training_data(read):
    found = read(CARD)
    assert found["problem"] is None
    assert found["results"] == [
        {
            "metric": "Accuracy",
            "value": 0.927,
            "data": "emotion",
            "split": "test",
            "ours": "accuracy",
        },
        {"metric": "F1 Macro", "value": 0.88, "data": "emotion", "split": "test",
         "ours": "macro_f1"},
    ]  # fmt: skip
    assert found["trained_on"] == ["dair-ai/emotion"]
    record = {"metrics": {"accuracy": {"value": 0.5, "ci": [0.4, 0.625]}}}
    assert card_sentences(record, found) == [
        "Its card states Accuracy 0.927 on emotion, split test; here it is 0.500 [0.400, 0.625].",
        "Its card states F1 Macro 0.88 on emotion, split test.",
        "Whether these are the same items is not known.",
        "Its card names these data (dair-ai/emotion) as training data.",
    ]


@pytest.mark.parametrize(
    ("named", "found"),
    [("dair-ai/emotion", True), ("Emotion", True), ("somebody/emotion", False), ("emo", False)],
)
def test_the_same_training_data(read, named, found):
    assert bool(read(f"---\ndatasets: {named}\n---\ntext")["trained_on"]) is found


def test_a_metric_of_ours_needs_its_average(read):
    result = "{task: {type: a}, dataset: {name: b, type: b}, metrics: [{type: f1, value: 0.9}]}"
    card = f"---\nmodel-index:\n- name: x\n  results: [{result}]\n---\n"
    (found,) = read(card)["results"]
    assert found == {"metric": "f1", "value": 0.9, "data": "b", "split": None, "ours": None}


def test_values_that_are_no_numbers_are_left_out(read):
    result = "{task: {type: a}, dataset: {name: b, type: b}, metrics: [{type: f1, value: high}]}"
    assert read(f"---\nmodel-index:\n- name: x\n  results: [{result}]\n---\n")["results"] == []


def test_no_card_and_a_card_without_metadata(read, tmp_path):
    nothing = {"results": [], "trained_on": [], "problem": None}
    assert read_card(tmp_path, ["a/b"]) == nothing
    assert read("# A model\n") == nothing
    assert card_sentences({"metrics": {}}, nothing) == []


@pytest.mark.parametrize(
    "text",
    ["---\nmodel-index: {a: [}\n---\n", "---\n- a list\n---\n", "x" * (MOST_BYTES + 1),
     "---\nmodel-index:\n- results: 7\n---\n"],
)  # fmt: skip
def test_a_broken_card_is_reported(read, text):
    found = read(text)
    assert found["results"] == []
    assert found["problem"]
    (sentence,) = card_sentences({"metrics": {}}, found)
    assert sentence.startswith("Its card cannot be read: ")
    assert len(sentence) < 160

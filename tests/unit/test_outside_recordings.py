"""A table of predictions that somebody else made for recordings."""

import json

import numpy as np
import pytest

from affectlab.audio.outside import store
from affectlab.audio.predictions import OUTSIDE, Corpus, Known, read_predictions
from affectlab.config.models import Outside, typed
from affectlab.datasets.description import Description
from affectlab.errors import DataError

CLASSES = ("no", "yes")


def corpus_of(*splits):
    items = {
        f"c{place}": Known(f"s{place // 2}", CLASSES[place % 2], split)
        for place, split in enumerate(splits)
    }
    return Corpus(items, items)


@pytest.fixture
def stored(tmp_path):
    """A function: write a table and store it; the path of the predictions, and the record."""

    def run(text, corpus, **recipe):
        path = tmp_path / "theirs.csv"
        path.write_text(text)
        made = tmp_path / "predictions.jsonl", tmp_path / "outside.json"
        block = typed(Outside, {"path": str(path), **recipe})
        store(
            corpus,
            Description(CLASSES),
            "label",
            block,
            0,
            main="grouped",
            predictions_path=made[0],
            record_path=made[1],
        )
        return made[0], json.loads(made[1].read_text())

    return run


def test_decisions_are_one_repeat_without_a_ranking(stored):
    corpus = corpus_of(None, None, None)
    path, record = stored("id,label\nc0,yes\nc1,yes\nc2,no\n", corpus)
    found = read_predictions(path, CLASSES, corpus, OUTSIDE)[OUTSIDE]
    assert found.decisions.tolist() == [[1, 1, 0]]
    assert not found.ranked
    assert found.without({"c1"}).subjects == ("s0", "s1")
    assert record["scheme"] == OUTSIDE


def test_probabilities_are_kept(stored):
    corpus = corpus_of(None, None)
    path, _ = stored("id,no,yes\nc0,0.25,0.75\nc1,0.5,0.5\n", corpus)
    found = read_predictions(path, CLASSES, corpus, OUTSIDE)[OUTSIDE]
    assert found.ranked
    np.testing.assert_array_equal(found.probabilities, [[[0.25, 0.75], [0.5, 0.5]]])


def test_the_test_split_is_scored_where_there_is_one(stored):
    corpus = corpus_of("train", "test", "test")
    path, record = stored("id,label\nc0,no\nc1,yes\nc2,no\n", corpus)
    found = read_predictions(path, CLASSES, corpus, OUTSIDE)[OUTSIDE]
    assert found.ids == ("c1", "c2")
    assert record["training_items"] == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,label\nc0,yes\n", "no prediction for 1 of 2 items: c1"),
        (
            "id,label,no,yes\nc0,no,0.2,0.8\nc1,no,0.9,0.1\n",
            "the class is no, and yes has the highest",
        ),
    ],
)
def test_what_does_not_fit_is_refused(stored, text, problem):
    with pytest.raises(DataError, match=problem):
        stored(text, corpus_of(None, None))

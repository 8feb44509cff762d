"""Numbers, or several classes for an item, that somebody else predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from affectlab.evaluation.outside_tables import Answer, Wanted

DECISIVE = 0.5
"""An item is given the classes of at least this probability, where a table states no classes."""


def numbers_wanted(names: Sequence[str]) -> Wanted:
    """What a table of predicted numbers is to hold."""
    return Wanted(numbers=dict.fromkeys(names, math.inf))


def label_sets_wanted(classes: Sequence[str]) -> Wanted:
    """What a table of predicted label sets is to hold."""
    return Wanted(classes, several=True, independent=True)


def stored_numbers(answer: Answer) -> dict[str, Any]:
    """The numbers of an answer as a line of predictions.jsonl holds them."""
    return {"prediction": dict(answer.numbers)}


def stored_label_set(answer: Answer, classes: Sequence[str]) -> dict[str, Any]:
    """The classes of an answer as a line of predictions.jsonl holds them.

    Args:
        answer: a row of the table.
        classes: in the order of its probabilities.

    Returns:
        ``prediction``. With probabilities ``probabilities``, too. ``thresholds`` are `DECISIVE`
        where the row states no classes; else they are not known.
    """
    if answer.probabilities is None:
        return {"prediction": list(answer.classes)}
    probabilities = dict(zip(classes, answer.probabilities, strict=True))
    if answer.stated:
        return {"prediction": list(answer.classes), "probabilities": probabilities}
    return {
        "prediction": [name for name, value in probabilities.items() if value >= DECISIVE],
        "probabilities": probabilities,
        "thresholds": dict.fromkeys(classes, DECISIVE),
    }

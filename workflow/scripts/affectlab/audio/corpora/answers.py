"""What a row of a user's table states of a clip: its class, or its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from affectlab.datasets.numbers import NUMBERS, named_numbers, number_columns, number_problem


class Answer(NamedTuple):
    """What is to be predicted of a clip: ``labels`` and ``values`` of `Clip`, one of them empty."""

    labels: dict[str, str]
    values: dict[str, float]


def numbers_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the numbers by the entry of a data set; none where it has classes."""
    return number_columns(entry) if entry.get("target") == NUMBERS else ()


def number_answer(value: Any, names: Sequence[str]) -> Answer | str:
    """The numbers in the cells of a row; a text that describes the problem if one is none.

    Args:
        value: the cell, or a list with the cells of all numbers.
        names: of the numbers.
    """
    problem = number_problem(value, names)
    return Answer({}, named_numbers(value, names)) if problem is None else problem

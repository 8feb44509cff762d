"""What a row of a user's table states of a clip: its class, its classes, or its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from affectlab.datasets.label_sets import LABEL_SETS, LabelSetCells
from affectlab.datasets.numbers import NUMBERS, named_numbers, number_columns, number_problem


class Answer(NamedTuple):
    """What is to be predicted of a clip: fields of `Clip`, of which one is stated."""

    labels: dict[str, str]
    values: dict[str, float]
    classes: tuple[str, ...] | None = None


class AnswerCells(NamedTuple):
    """How the cells of a row become several classes or numbers.

    Attributes:
        columns: that hold them.
        read: from the cell, or a list with the cells of all columns where the entry lists them, to
            the answer; or to a text that describes the problem.
        what: plural name of what they hold, for messages.
    """

    columns: tuple[str, ...]
    read: Callable[[Any], Answer | str]
    what: str

    def of_row(self, row: Mapping[str, Any], *, listed: bool) -> Answer | str:
        """The answer of a row by the names of its columns; *listed* as of `has_listed_labels`."""
        cells = [row.get(name) for name in self.columns]
        return self.read(cells if listed else cells[0])


def has_listed_labels(entry: Mapping[str, Any]) -> bool:
    """Whether the entry of a data set lists columns of labels."""
    return isinstance(entry.get("columns", {}).get("label"), list)


def numbers_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the numbers by the entry of a data set; none where it has classes."""
    return number_columns(entry) if entry.get("target") == NUMBERS else ()


def answer_cells(entry: Mapping[str, Any]) -> AnswerCells | None:
    """How the rows of a data set are read by its entry; None where each states one class."""
    names = number_columns(entry)
    if entry.get("target") == NUMBERS:

        def numbers(value: Any) -> Answer | str:
            problem = number_problem(value, names)
            return Answer({}, named_numbers(value, names)) if problem is None else problem

        return AnswerCells(names, numbers, "numbers")
    if entry.get("target") == LABEL_SETS:
        cells = LabelSetCells(entry, "merge")

        def classes(value: Any) -> Answer | str:
            problem = cells.problem(value)
            return Answer({}, {}, cells.names(value)) if problem is None else problem

        return AnswerCells(names, classes, "classes")
    return None

"""The confusion matrix of a run as a table, with the items of its wrong cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.errors import DataError
from affectlab.evaluation.classification import CROSS_VALIDATION
from affectlab.evaluation.predictions import prediction_lines

SCORED = {"validation": "validation", "test": "test", CROSS_VALIDATION: "test"}
"""What was scored -> the split that its predictions carry. Audio's schemes have several each."""

SHADES = 10
"""Of cells: one for each tenth of the true class, see page.css."""

CELLS, ITEMS = 12, 5
"""How many wrong cells list their items, the fullest first, and how many items each."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How often one class was predicted as one other.

    Attributes:
        count: of items.
        share: of the items of the true class; None where there are none.
    """

    count: int
    share: float | None

    @property
    def shade(self) -> int:
        """From 0 to 9, by the share."""
        return min(int((self.share or 0.0) * SHADES), SHADES - 1)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong cell with some of its items.

    Attributes:
        true: class of the items.
        predicted: class that the run predicted.
        ids: of its first items, in the order of the predictions.
        count: of all its items.
    """

    true: str
    predicted: str
    ids: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix for the page.

    Attributes:
        title: run, data, split and number of items.
        classes: K names.
        cells: K rows of K cells; rows are true classes.
        mistakes: the fullest wrong cells with their items; empty without stored predictions.
        others: number of wrong predictions in no mistake of these.
    """

    title: str
    classes: Sequence[str]
    cells: Sequence[Sequence[Cell]]
    mistakes: Sequence[Mistake]
    others: int


def confusion_of(record: Mapping[str, Any], title: str, predictions: Path) -> Confusion:
    """Build the table of a run.

    Args:
        record: metrics.json of the run.
        title: see `Confusion`.
        predictions: predictions.jsonl of the run. No items are listed where it is not there, or
            where it predicts each item several times.

    Raises:
        DataError: the predictions are not those that metrics.json counts.
    """
    classes, counts = record["data"]["classes"], record["confusion_matrix"]
    totals = [sum(row) for row in counts]
    cells = [
        [Cell(count, count / total if total else None) for count in row]
        for row, total in zip(counts, totals, strict=True)
    ]
    wrong = {
        (true, predicted): counts[row][column]
        for row, true in enumerate(classes)
        for column, predicted in enumerate(classes)
        if row != column and counts[row][column]
    }
    mistakes: list[Mistake] = []
    scored = SCORED.get(record["data"]["split"])
    if scored is not None and predictions.exists():
        ids = _wrong_items(predictions, scored)
        if {cell: len(items) for cell, items in ids.items()} != wrong:
            problem = "the wrong predictions are not those that metrics.json counts"
            raise DataError(predictions, None, f"{problem}; evaluate the run again")
        fullest = sorted(wrong, key=lambda cell: -wrong[cell])[:CELLS]
        mistakes = [Mistake(*cell, tuple(ids[cell][:ITEMS]), wrong[cell]) for cell in fullest]
    others = sum(wrong.values()) - sum(one.count for one in mistakes)
    return Confusion(title, classes, cells, mistakes, others)


def _wrong_items(path: Path, split: str) -> dict[tuple[str, str], list[str]]:
    """True and predicted class -> ids of the items of *split*."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in prediction_lines(path):
        cell = line.text("label"), line.text("prediction")
        if line.text("split") == split and cell[0] != cell[1]:
            found.setdefault(cell, []).append(line.text("id"))
    return found

"""What a user's table has under ``label``: a class, or the votes of several annotators.

The cells of all rows are added first. Then the classes are known, and with them the label of each
row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.datasets.classes import class_order, merge_spellings, unknown_class
from affectlab.datasets.label_sets import INDICATORS, LABEL_SETS
from affectlab.datasets.look import MOST_CLASSES
from affectlab.datasets.numbers import NUMBERS, number_problem
from affectlab.datasets.texts import kind_of
from affectlab.emotion.data import Record
from affectlab.errors import DataError
from affectlab.evaluation.agreement import most_votes


class OwnLabels:
    """The labels of a table, by one annotator or by several.

    Attributes:
        annotators: columns with votes; None where there is one column with the class.
    """

    def __init__(self, entry: Mapping[str, Any], similar_names: str) -> None:
        """Prepare for the rows of a table.

        Args:
            entry: of the data set in the registry: ``columns`` and ``classes``.
            similar_names: ``refuse`` or ``merge``, see `own.own_texts`.
        """
        column = entry.get("columns", {}).get("label", "label")
        self._is_stated = "target" in entry
        self.annotators = len(column) if isinstance(column, list) and len(column) > 1 else None
        self._listed: Sequence[str] | None = entry.get("classes")
        self._merges = similar_names == "merge"
        self._cells: list[tuple[str, ...]] = []
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._spelled: Mapping[str, str] = {}
        self._classes: tuple[str, ...] = ()

    def problem(self, value: Any) -> str | None:
        """What is wrong with the cells of a row; None if nothing is.

        Args:
            value: the cell, or a list with the cells of all annotators.
        """
        if self.annotators is None:
            return self._problem_of(value)
        votes = [cell for cell in value if not _is_empty(cell)]
        if not votes:
            return "no annotator gave a label"
        return next((found for cell in votes if (found := self._problem_of(cell))), None)

    def add(self, value: Any) -> None:
        """Take the cells of a good row."""
        names = _names(value)
        # One tuple for equal votes, however many rows there are.
        self._cells.append(self._known.setdefault(names, names))

    def finish(self, directory: Path) -> tuple[str, ...]:
        """The classes in the order of their ids, when all rows are added.

        Raises:
            DataError: see `classes.class_order`; or several columns look like another target than
                the votes of annotators, or hold too many classes.
        """
        found = Counter(name for names in self._cells for name in names)
        if self.annotators is not None and self._listed is None:
            self._check_votes(found, directory)
        self._spelled = merge_spellings(found) if self._merges else {name: name for name in found}
        self._classes = class_order(set(self._spelled.values()), self._listed, directory)
        return self._classes

    def _check_votes(self, found: Collection[str], directory: Path) -> None:
        """Refuse columns of classes or numbers that lack their ``target``."""
        expected = "several columns under label are the votes of annotators"
        if not self._is_stated and (meant := _target_meant(found)):
            raise DataError(
                directory,
                None,
                f"{expected}, but all of their cells are {meant[1]}; write target: {meant[0]}, or "
                "target: class if they are votes",
            )
        if len(found) > MOST_CLASSES:
            raise DataError(
                directory,
                None,
                f"{expected}, and have {len(found)} classes; expected at most {MOST_CLASSES}. For "
                "several classes or numbers of a text write target: classes or target: numbers; "
                "for so many classes list them under classes",
            )

    def strata(self) -> list[str]:
        """The label of each row, by which it is divided."""
        label_of = {names: self._label(self._votes(names)) for names in self._known}
        return [label_of[names] for names in self._cells]

    def record(self, value: Any, **shared: Any) -> Record:
        """A record of a good row.

        Args:
            value: as of `problem`.
            shared: the other fields of the record.
        """
        votes = self._votes(_names(value))
        several = None if self.annotators is None else votes
        return Record(label=self._label(votes), votes=several, **shared)

    def _votes(self, names: Sequence[str]) -> dict[str, int]:
        counts = Counter(self._spelled[name] for name in names)
        return {name: counts[name] for name in self._classes}

    def _label(self, votes: Mapping[str, int]) -> str:
        return most_votes(votes)[0]

    def _problem_of(self, label: Any) -> str | None:
        if isinstance(label, bool) or not isinstance(label, str | int):
            return f"the label is {kind_of(label)}, expected the name or number of a class"
        if _is_empty(label):
            return "the label is empty"
        if self._listed is not None and str(label) not in self._listed:
            return unknown_class(str(label), self._listed)
        return None


def _target_meant(cells: Collection[str]) -> tuple[str, str] | None:
    """The target that cells of several columns look like, and why; None for votes."""
    if all(cell.strip().lower() in INDICATORS for cell in cells):
        return LABEL_SETS, "0 or 1"
    if number_problem(list(cells), list(cells)) is None and any("." in cell for cell in cells):
        return NUMBERS, "numbers, some with decimals"
    return None


def _names(value: Any) -> tuple[str, ...]:
    cells = value if isinstance(value, list) else [value]
    return tuple(str(cell) for cell in cells if not _is_empty(cell))


def _is_empty(cell: Any) -> bool:
    return cell is None or not str(cell).strip()

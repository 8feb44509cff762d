"""A table of predictions that somebody else made, row by row.

Whoever made it chose the names of the columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.config.models import Outside
from affectlab.datasets.tables import TableRow, read_table
from affectlab.errors import DataError
from affectlab.evaluation.predictions import SHOWN, SUM_TOLERANCE

PREDICTION_COLUMNS = ("prediction", "predicted", "label")
"""Where a predicted class may stand; in a table with two of these the last is the true class."""

CLASS_NAMES = "under predictions.classes (affectlab referee: with --classes THEIRS=OURS)"
"""Where a user says which class a name in the table means."""

PROBABILITIES = "probabilities"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a table says of an item.

    Attributes:
        place: of the row, for messages.
        id: of the item.
        split: that the row states; None where it states none.
        prediction: the class.
        probabilities: in the order of the classes; None where the table has none.
        truth: the true class as the table has it; None where it has none.
        numbers: predicted in addition to the class, by name.
    """

    place: str
    id: str
    split: str | None
    prediction: str
    probabilities: tuple[float, ...] | None
    truth: str | None
    numbers: Mapping[str, float]


def read_answers(
    path: Path,
    recipe: Outside,
    classes: Sequence[str],
    seed: int | None,
    limits: Mapping[str, float],
) -> list[Answer]:
    """Read a table of predictions.

    Args:
        path: CSV, TSV, JSON, JSON Lines, Parquet or Arrow.
        recipe: names of its columns and classes.
        classes: of the data, in the order of their ids.
        seed: the rows with this seed; None where the table has no column of seeds.
        limits: name of a number that may be predicted too -> its largest absolute value.

    Raises:
        DataError: a row is no prediction, or there is none.
    """
    id_column = recipe.columns.id
    reader: _Reader | None = None
    found: list[Answer] = []
    for row in read_table(path, [id_column]):
        if row.problem is not None:
            raise DataError(path, row.place, row.problem)
        if reader is None:
            reader = _Reader.of(path, row.values, recipe, classes, limits)
        if seed is not None and not has_seed(path, row, str(recipe.columns.seed), seed):
            continue
        found.append(reader.answer(row))
    if not found:
        seeded = "" if seed is None else f" with the seed {seed}"
        raise DataError(path, None, f"no prediction{seeded} in the table")
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """How the rows of a table are read, found out from its first row."""

    path: Path
    classes: tuple[str, ...]
    names: Mapping[str, str]
    id_column: str
    split_column: str | None
    prediction_column: str | None
    truth_column: str | None
    probability_columns: tuple[str, ...] | None
    limits: Mapping[str, float]

    @classmethod
    def of(
        cls,
        path: Path,
        first: Mapping[str, Any],
        recipe: Outside,
        classes: Sequence[str],
        limits: Mapping[str, float],
    ) -> _Reader:
        """Find the columns; see `read_answers`."""
        columns = recipe.columns
        present = [name for name in PREDICTION_COLUMNS if name in first]
        prediction = columns.prediction or (present[0] if present else None)
        truth = columns.label
        if truth is None and prediction == "prediction" and "label" in first:
            truth = "label"
        for name in (prediction, truth, columns.split, columns.seed):
            if name is not None and name not in first:
                raise DataError(
                    path, None, f"no column {name!r}; found: {listed_names(list(first))}"
                )
        of_classes = _class_columns(path, first, recipe.classes, classes)
        if prediction is None and of_classes is None and PROBABILITIES not in first:
            raise DataError(
                path,
                None,
                f"expected a column with the predicted class ({', '.join(PREDICTION_COLUMNS)}), or "
                f"one for each class ({listed_names(classes)}); found: {listed_names(list(first))}",
            )
        return cls(
            path,
            tuple(classes),
            recipe.classes,
            columns.id,
            columns.split or ("split" if "split" in first else None),
            prediction,
            truth,
            of_classes,
            {name: limit for name, limit in limits.items() if name in first},
        )

    def answer(self, row: TableRow) -> Answer:
        """What a row says.

        Raises:
            DataError: it is no prediction.
        """
        name = row.values[self.id_column]
        if name is None or not str(name).strip():
            raise self._error(row, "the id is empty")
        probabilities = self._probabilities(row)
        if self.prediction_column is not None:
            prediction = self._class(row, self.prediction_column)
        else:
            assert probabilities is not None
            prediction = self.classes[probabilities.index(max(probabilities))]
        truth = None
        if self.truth_column is not None and row.values[self.truth_column] not in (None, ""):
            truth = self._class(row, self.truth_column)
        split = None if self.split_column is None else row.values[self.split_column]
        return Answer(
            row.place,
            str(name),
            None if split in (None, "") else str(split),
            prediction,
            probabilities,
            truth,
            {name: self._number(row, name, limit) for name, limit in self.limits.items()},
        )

    def _class(self, row: TableRow, column: str) -> str:
        given = str(row.values[column])
        name = self.names.get(given, given)
        if name not in self.classes:
            raise self._error(
                row,
                f"{column}: {given[:40]!r} is none of the classes {listed_names(self.classes)}; "
                f"say which one it is {CLASS_NAMES}",
            )
        return name

    def _probabilities(self, row: TableRow) -> tuple[float, ...] | None:
        stored = self._stored(row)
        if stored is None:
            return None
        values = tuple(
            self._probability(row, name, value)
            for name, value in zip(self.classes, stored, strict=True)
        )
        total = math.fsum(values)
        if abs(total - 1) > SUM_TOLERANCE:
            raise self._error(
                row,
                f"the probabilities sum to {total:g}, expected 1; if these are logits, store their "
                "softmax",
            )
        return values

    def _stored(self, row: TableRow) -> list[Any] | None:
        """What stands for each class, in the order of the classes."""
        if self.probability_columns is not None:
            return [row.values[name] for name in self.probability_columns]
        stored = row.values.get(PROBABILITIES)
        if isinstance(stored, str) and stored.strip():
            try:
                stored = json.loads(stored)
            except ValueError as error:
                raise self._error(row, f"{PROBABILITIES}: not valid JSON") from error
        if stored in (None, ""):
            return None
        if isinstance(stored, Mapping):
            named = {self.names.get(name, name): value for name, value in stored.items()}
            if set(named) == set(self.classes) and len(named) == len(stored):
                return [named[name] for name in self.classes]
        elif isinstance(stored, list) and len(stored) == len(self.classes):
            return stored
        wanted = listed_names(self.classes)
        raise self._error(row, f"{PROBABILITIES}: expected a number for each of {wanted}")

    def _probability(self, row: TableRow, name: str, value: Any) -> float:
        number = _as_number(value)
        if not 0 <= number <= 1:
            shown = repr(value)[:24]
            raise self._error(
                row, f"probability of {name}: expected a number from 0 to 1, found {shown}"
            )
        return number

    def _number(self, row: TableRow, name: str, limit: float) -> float:
        value = row.values[name]
        number = _as_number(value)
        if not -limit <= number <= limit:
            found = repr(value)[:24]
            raise self._error(
                row, f"{name}: expected a number from {-limit:g} to {limit:g}, found {found}"
            )
        return number

    def _error(self, row: TableRow, problem: str) -> DataError:
        return DataError(self.path, row.place, problem)


def _as_number(value: Any) -> float:
    """A cell as a number; NaN where it holds none."""
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _class_columns(
    path: Path, first: Mapping[str, Any], names: Mapping[str, str], classes: Sequence[str]
) -> tuple[str, ...] | None:
    """The column of each class; None where no column is called as a class."""
    column_of = {names.get(column, column): column for column in first}
    found = [name for name in classes if name in column_of]
    if not found:
        return None
    if absent := [name for name in classes if name not in column_of]:
        problem = f"columns for some classes, and none for {listed_names(absent)}"
        raise DataError(path, None, f"{problem}; say which they are {CLASS_NAMES}")
    return tuple(column_of[name] for name in classes)


def has_seed(path: Path, row: TableRow, column: str, seed: int) -> bool:
    """Whether a row is of *seed*.

    Raises:
        DataError: its *column* of seeds holds no whole number.
    """
    value = str(row.values.get(column)).strip()
    if value.isdecimal():
        return int(value) == seed
    raise DataError(path, row.place, f"the seed is {value!r}, expected a whole number")


def listed_names(names: Sequence[str]) -> str:
    """The first names, with a mark where there are more."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")

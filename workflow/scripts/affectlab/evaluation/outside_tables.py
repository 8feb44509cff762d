"""A table of predictions that somebody else made, row by row.

Whoever made it chose the names of the columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectlab.config.models import Outside
from affectlab.datasets import label_sets
from affectlab.datasets.tables import TableRow, read_table
from affectlab.errors import DataError
from affectlab.evaluation.outside_cells import as_number, from_json, is_blank
from affectlab.evaluation.outside_names import KEY, Names, check_names
from affectlab.evaluation.predictions import ROUNDING, SHOWN, SUM_TOLERANCE

PREDICTION_COLUMNS = ("prediction", "predicted", "label")
"""Where a predicted class may stand; in a table with two of these the last is the true class."""

CLASS_NAMES = f"under {KEY}"
"""Where a user says which class a name in the table means."""

TRUTH_COLUMNS = ("label", "labels")
"""Where the true class stands beside a column ``prediction``."""

PROBABILITIES = "probabilities"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a table of predictions is to hold for each item.

    Attributes:
        classes: of the data, in the order of their ids; none where numbers are predicted.
        several: whether an item may have several classes.
        independent: whether the probabilities of several classes need not sum to 1.
        numbers: name of a number -> its largest absolute value. With classes a table may lack
            them.
        passed_over: a column, and the value of the rows that count where a table has it.
    """

    classes: Sequence[str] = ()
    several: bool = False
    independent: bool = False
    numbers: Mapping[str, float] = field(default_factory=dict)
    passed_over: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a table says of an item.

    Attributes:
        place: of the row, for messages.
        id: of the item.
        split: that the row states; None where it states none.
        classes: that are predicted: one, or any number of them where an item may have several.
        stated: whether the row states the classes. Else one class is the likeliest one, and
            several are left to whoever sets thresholds.
        probabilities: in the order of the classes; None where the table has none.
        truth: the true classes as the table has them; None where it has none.
        numbers: that are predicted, by name.
    """

    place: str
    id: str
    split: str | None
    classes: tuple[str, ...]
    stated: bool
    probabilities: tuple[float, ...] | None
    truth: tuple[str, ...] | None
    numbers: Mapping[str, float]

    @property
    def prediction(self) -> str:
        """The class of an item that has one."""
        return self.classes[0]


def read_answers(path: Path, recipe: Outside, wanted: Wanted, seed: int | None) -> list[Answer]:
    """Read a table of predictions. A row without a prediction is passed over.

    Args:
        path: CSV, TSV, JSON, JSON Lines, Parquet or Arrow.
        recipe: names of its columns and classes.
        wanted: what its rows are to hold.
        seed: the rows with this seed; None where the table has no column of seeds.

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
            reader = _Reader.of(path, row.values, recipe, wanted)
        if seed is not None and not has_seed(path, row, str(recipe.columns.seed), seed):
            continue
        if wanted.passed_over is not None:
            column, kept = wanted.passed_over
            if row.values.get(column, kept) != kept:
                continue
        if not reader.is_empty(row):
            found.append(reader.answer(row))
    if not found:
        seeded = "" if seed is None else f" with the seed {seed}"
        raise DataError(path, None, f"no prediction{seeded} in the table")
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """How the rows of a table are read, found out from its first row."""

    path: Path
    wanted: Wanted
    names: Names
    id_column: str
    split_column: str | None
    prediction_column: str | None
    truth_column: str | None
    probability_columns: tuple[str, ...] | None
    number_columns: Mapping[str, str]

    @classmethod
    def of(cls, path: Path, first: Mapping[str, Any], recipe: Outside, wanted: Wanted) -> _Reader:
        """Find the columns; see `read_answers`."""
        columns, classes = recipe.columns, wanted.classes
        names = Names(recipe.classes, [*classes, *wanted.numbers])
        check_names(names.given, names.known)
        usual = (*PREDICTION_COLUMNS, *(("labels",) if wanted.several else ()))
        present = [name for name in usual if name in first]
        prediction = columns.prediction or (present[0] if present else None)
        truth = columns.label
        if truth is None and prediction == "prediction":
            truth = next((name for name in TRUTH_COLUMNS if name in first), None)
        for name in (prediction, truth, columns.split, columns.seed):
            if name is not None and name not in first:
                raise DataError(
                    path, None, f"no column {name!r}; found: {listed_names(list(first))}"
                )
        of_classes = _class_columns(path, first, names, classes)
        if classes and prediction is None and of_classes is None and PROBABILITIES not in first:
            raise DataError(
                path,
                None,
                f"expected a column with the predicted class ({', '.join(PREDICTION_COLUMNS)}), or "
                f"one for each class ({listed_names(classes)}); found: {listed_names(list(first))}",
            )
        return cls(
            path,
            wanted,
            names,
            columns.id,
            columns.split or ("split" if "split" in first else None),
            prediction,
            truth if classes else None,
            of_classes,
            _number_columns(path, first, names, wanted, prediction),
        )

    def is_empty(self, row: TableRow) -> bool:
        """Whether every cell that may hold a prediction is empty; a label set may be."""
        if self.wanted.several and self.prediction_column is not None:
            return False
        columns = [*(self.probability_columns or ()), *self.number_columns.values(), PROBABILITIES]
        if self.prediction_column is not None:
            columns.append(self.prediction_column)
        return all(is_blank(row.values.get(column)) for column in columns)

    def answer(self, row: TableRow) -> Answer:
        """What a row says.

        Raises:
            DataError: it is no prediction.
        """
        name = row.values[self.id_column]
        if name is None or not str(name).strip():
            raise self._error(row, "the id is empty")
        probabilities = self._probabilities(row) if self.wanted.classes else None
        predicted: tuple[str, ...] = ()
        stated = bool(self.wanted.classes) and self._states_classes(row, probabilities)
        if stated:
            predicted = self._classes(row, str(self.prediction_column))
            self._check_likeliest(row, predicted, probabilities)
        elif probabilities is not None and not self.wanted.several:
            predicted = (self.wanted.classes[probabilities.index(max(probabilities))],)
        truth = None
        if self.truth_column is not None and row.values[self.truth_column] not in (None, ""):
            truth = self._classes(row, self.truth_column)
        split = None if self.split_column is None else row.values[self.split_column]
        return Answer(
            row.place,
            str(name),
            None if split in (None, "") else str(split),
            predicted,
            stated,
            probabilities,
            truth,
            self._numbers(row),
        )

    def _states_classes(self, row: TableRow, probabilities: Sequence[float] | None) -> bool:
        """Whether a row states its classes. Where it has probabilities, the cell may be empty."""
        if self.prediction_column is None:
            return False
        blank = is_blank(row.values[self.prediction_column])
        return self.wanted.several or probabilities is None or not blank

    def _check_likeliest(
        self, row: TableRow, predicted: Sequence[str], probabilities: Sequence[float] | None
    ) -> None:
        if self.wanted.several or probabilities is None:
            return
        highest = max(probabilities)
        if probabilities[self.wanted.classes.index(predicted[0])] < highest - ROUNDING:
            likeliest = self.wanted.classes[probabilities.index(highest)]
            raise self._error(
                row,
                f"{self.prediction_column}: the class is {predicted[0]}, and {likeliest} has the "
                "highest probability; remove the column, or the probabilities",
            )

    def _classes(self, row: TableRow, column: str) -> tuple[str, ...]:
        """The class in a cell, or its classes in the order of the data."""
        value = row.values[column]
        if not self.wanted.several:
            value = value[0] if isinstance(value, list) and len(value) == 1 else value
            return (self._class(row, column, value),)
        value = from_json(value)
        whole = isinstance(value, str) and self.names.meaning(value) in self.wanted.classes
        given = [value] if whole else label_sets.listed_names(value)
        found = {self._class(row, column, name) for name in given}
        return tuple(name for name in self.wanted.classes if name in found)

    def _class(self, row: TableRow, column: str, value: Any) -> str:
        given = str(value)
        name = self.names.meaning(given)
        if name not in self.wanted.classes:
            raise self._error(
                row,
                f"{column}: {given[:40]!r} is none of the classes "
                f"{listed_names(self.wanted.classes)}; say which one it is {CLASS_NAMES}",
            )
        return name

    def _probabilities(self, row: TableRow) -> tuple[float, ...] | None:
        stored = self._stored(row)
        if stored is None:
            return None
        values = tuple(
            self._probability(row, name, value)
            for name, value in zip(self.wanted.classes, stored, strict=True)
        )
        total = math.fsum(values)
        if not self.wanted.independent and abs(total - 1) > SUM_TOLERANCE:
            raise self._error(
                row,
                f"the probabilities sum to {total:g}, expected 1; if these are logits, store their "
                "softmax",
            )
        return values

    def _stored(self, row: TableRow) -> list[Any] | None:
        """What stands for each class, in the order of the classes."""
        classes = self.wanted.classes
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
            named = {self.names.meaning(name): value for name, value in stored.items()}
            if set(named) == set(classes) and len(named) == len(stored):
                return [named[name] for name in classes]
        elif isinstance(stored, list) and len(stored) == len(classes):
            return stored
        wanted = listed_names(classes)
        raise self._error(row, f"{PROBABILITIES}: expected a number for each of {wanted}")

    def _probability(self, row: TableRow, name: str, value: Any) -> float:
        number = as_number(value)
        if not 0 <= number <= 1:
            shown = repr(value)[:24]
            raise self._error(
                row, f"probability of {name}: expected a number from 0 to 1, found {shown}"
            )
        return number

    def _numbers(self, row: TableRow) -> dict[str, float]:
        """The numbers of a row: of their columns, or in an object in the column of predictions."""
        if self.wanted.classes or self.number_columns:
            given = {name: row.values[column] for name, column in self.number_columns.items()}
        else:
            stored = from_json(row.values[str(self.prediction_column)])
            if not isinstance(stored, Mapping):
                stored = {}
            named = {self.names.meaning(name): value for name, value in stored.items()}
            given = {name: named.get(name) for name in self.wanted.numbers}
        return {name: self._number(row, name, value) for name, value in given.items()}

    def _number(self, row: TableRow, name: str, value: Any) -> float:
        number, limit = as_number(value), self.wanted.numbers[name]
        if not -limit <= number <= limit or math.isinf(number):
            found = repr(value)[:24]
            expected = "a number" if math.isinf(limit) else f"a number from {-limit:g} to {limit:g}"
            raise self._error(row, f"{name}: expected {expected}, found {found}")
        return number

    def _error(self, row: TableRow, problem: str) -> DataError:
        return DataError(self.path, row.place, problem)


def _number_columns(
    path: Path,
    first: Mapping[str, Any],
    names: Names,
    wanted: Wanted,
    prediction: str | None,
) -> dict[str, str]:
    """Number -> its column.

    Where classes are predicted, those that the table has. Else all, or none where the column of
    predictions holds an object.

    Raises:
        DataError: a number has no column.
    """
    column_of = names.columns(first)
    found = {name: column_of[name] for name in wanted.numbers if name in column_of}
    absent = [name for name in wanted.numbers if name not in found]
    in_object = prediction is not None and isinstance(from_json(first[prediction]), Mapping)
    if wanted.classes or not absent or (not found and in_object):
        return found
    raise DataError(
        path,
        None,
        f"no column for {listed_names(absent)}; found: {listed_names(list(first))}; say which ones "
        f"they are {CLASS_NAMES}",
    )


def _class_columns(
    path: Path, first: Mapping[str, Any], names: Names, classes: Sequence[str]
) -> tuple[str, ...] | None:
    """The column of each class; None where no column is called as a class."""
    column_of = names.columns(first)
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

"""One check of stored predictions, for all experiments, at the moment they are read.

A score must never be computed from a prediction that no model can make: a probability that is not
a number, shares that sum to 3, an item that is missing, repeated or another than the records hold.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.errors import DataError
from affectlab.files.io import read_jsonl, write_jsonl

SUM_TOLERANCE = 1e-3
"""How far the sum of stored probabilities may lie from 1: they are rounded to a few digits."""

ROUNDING = 1e-5
"""How far a stored value may lie outside its range, for the same reason."""

SHOWN = 5
"""How many ids a message lists."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run does without, of what our own runs predict.

    Attributes:
        splits_left_out: splits that it did not predict.
        missing: items without a prediction, of the other splits.
        probabilities: whether it states probabilities.
    """

    splits_left_out: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    probabilities: bool = True


COMPLETE = Scope()
"""Of a run of our own."""


def scope_of(outside: Mapping[str, Any] | None) -> Scope:
    """The scope of a run.

    Args:
        outside: what `outside.Matched.to_dict` gave; None for a run of our own.
    """
    if outside is None:
        return COMPLETE
    return Scope(
        frozenset(outside["splits_left_out"]),
        frozenset(outside["missing"]),
        outside["probabilities"],
    )


def pool(paths: Sequence[Path | str], output: Path | str) -> None:
    """Write the predictions of all folds of a cross-validation as one table.

    Raises:
        DataError: a file cannot be read.
    """
    write_jsonl(output, (row for path in paths for row in read_jsonl(path)), sealed=True)


def check_scope(
    path: Path | str,
    found: Mapping[str, Collection[str]],
    expected: Mapping[str, Collection[str]],
    scope: Scope,
) -> None:
    """Check that the predicted items are exactly those that a run of this scope has.

    Args:
        path: of the predictions.
        found: split -> ids that were predicted.
        expected: split -> ids that the records hold.
        scope: of the run.

    Raises:
        DataError: an item is missing or is not in the records.
    """
    for split, items in found.items():
        if split in scope.splits_left_out:
            check_items(path, f"the split {split}", items, ())
            continue
        wanted = [name for name in expected[split] if name in items or name not in scope.missing]
        check_items(path, f"the split {split}", items, wanted)


@dataclass(frozen=True, slots=True)
class Line:
    """One stored prediction, and where it is.

    Attributes:
        path: of the file.
        place: in the file, as ``record 3``.
        values: by name of the field.
    """

    path: Path
    place: str
    values: Mapping[str, Any]

    def error(self, problem: str) -> DataError:
        """What to raise about this prediction."""
        return DataError(self.path, self.place, problem)

    def text(self, name: str) -> str:
        """The text in the field *name*.

        Raises:
            DataError: it is missing, empty or no text.
        """
        value = self._value(name)
        if not isinstance(value, str) or not value:
            raise self.error(f"{name}: expected a text, found {_shown(value)}")
        return value

    def one_of(self, name: str, known: Collection[str]) -> str:
        """The text in the field *name*, which is one of *known*.

        Raises:
            DataError: it is none of them.
        """
        value = self.text(name)
        if value not in known:
            raise self.error(f"{name}: expected one of {_listed(known)}, found {value!r}")
        return value

    def count(self, name: str) -> int:
        """The whole number in the field *name*, not below 0.

        Raises:
            DataError: it is missing or no such number.
        """
        value = self._value(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(f"{name}: expected a whole number from 0, found {_shown(value)}")
        return value

    def flag(self, name: str) -> bool:
        """The value of the field *name*, true or false.

        Raises:
            DataError: it is missing or neither.
        """
        value = self._value(name)
        if not isinstance(value, bool):
            raise self.error(f"{name}: expected true or false, found {_shown(value)}")
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """The finite number in the field *name*, from *low* to *high*.

        Raises:
            DataError: it is missing, no number, not finite or out of range.
        """
        return self._number(name, self._value(name), low, high)

    def numbers(self, name: str, names: Sequence[str]) -> list[float]:
        """The finite numbers in the field *name*, an object, in the order of *names*.

        Raises:
            DataError: there is not exactly one for each name, or one is not finite.
        """
        stored = self._value(name)
        if not isinstance(stored, Mapping) or set(stored) != set(names):
            raise self.error(f"{name}: expected a number for each of {_listed(names)}")
        return [self._number(f"{name} of {one}", stored[one], -math.inf, math.inf) for one in names]

    def shares(self, name: str, names: Sequence[str]) -> list[float]:
        """The numbers from 0 to 1 in the field *name*, an object, in the order of *names*.

        Raises:
            DataError: there is not exactly one for each name, or one is out of range.
        """
        stored = self._value(name)
        if not isinstance(stored, Mapping) or set(stored) != set(names):
            raise self.error(f"{name}: expected a number for each of {_listed(names)}")
        return [self._number(f"{name} of {one}", stored[one], 0.0, 1.0) for one in names]

    def names(self, name: str, known: Collection[str]) -> list[str]:
        """The list of different texts in the field *name*, each one of *known*.

        Raises:
            DataError: it is missing, no such list, or has a text that is none of them.
        """
        value = self._value(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(f"{name}: expected a list of texts, found {_shown(value)}")
        if unknown := [one for one in value if one not in known]:
            raise self.error(f"{name}: expected some of {_listed(known)}, found {unknown[0]!r}")
        if len(set(value)) < len(value):
            raise self.error(f"{name}: expected different texts")
        return list(value)

    def distribution(self, name: str, classes: Sequence[str]) -> list[float]:
        """The probabilities in the field *name*, in the order of *classes*.

        They are stored as an object by class, or as a list in the order of the classes.

        Raises:
            DataError: there is not exactly one for each class, one is no number from 0 to 1, or
                they do not sum to 1.
        """
        stored = self._value(name)
        if isinstance(stored, Mapping) and set(stored) == set(classes):
            values = [stored[label] for label in classes]
        elif isinstance(stored, list) and len(stored) == len(classes):
            values = stored
        else:
            raise self.error(f"{name}: expected a number for each of {_listed(classes)}")
        numbers = [
            self._number(f"{name} of {label}", value, 0.0, 1.0)
            for label, value in zip(classes, values, strict=True)
        ]
        total = math.fsum(numbers)
        if abs(total - 1.0) > SUM_TOLERANCE:
            raise self.error(
                f"the {name} are no distribution: expected a sum of 1, found {total:g}"
            )
        return numbers

    def same(self, name: str, expected: str) -> str:
        """The text in the field *name*, which must be that of the records.

        Raises:
            DataError: it is another.
        """
        value = self.text(name)
        if value != expected:
            problem = f"the {name} {value!r} is not that of the records, which is {expected!r}"
            raise self.error(problem)
        return value

    def _value(self, name: str) -> Any:
        if name not in self.values:
            raise self.error(f"no {name}")
        return self.values[name]

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{name}: expected a number, found {_shown(value)}")
        # A float holds no integer of hundreds of digits.
        if not abs(value) <= sys.float_info.max:
            raise self.error(f"{name}: expected a finite number, found {_shown(value)}")
        if not low - ROUNDING <= value <= high + ROUNDING:
            raise self.error(f"{name}: expected {_range(low, high)}, found {_shown(value)}")
        return float(value)


def prediction_lines(path: Path | str) -> Iterator[Line]:
    """Yield the predictions of a JSON Lines file.

    Raises:
        DataError: a line is not a JSON object.
    """
    for number, values in enumerate(read_jsonl(path), start=1):
        yield Line(Path(path), f"record {number}", values)


def check_items(
    path: Path | str, what: str, found: Collection[str], expected: Collection[str]
) -> None:
    """Check that the predicted items are exactly the expected ones.

    Args:
        path: of the predictions.
        what: which items these are, as ``the split test``.
        found: ids that were predicted.
        expected: ids that the records hold.

    Raises:
        DataError: an item is missing or is not in the records.
    """
    known = set(expected)
    if extra := sorted(set(found) - known):
        raise DataError(path, None, f"{_listed(extra)}: no item of {what} of the records")
    if missing := sorted(known - set(found)):
        problem = f"no prediction for {len(missing)} items of {what}: {_listed(missing)}"
        raise DataError(path, None, problem)


def finite_rows(
    path: Path | str, name: str, places: Sequence[str], rows: Sequence[Any], width: int | None
) -> npt.NDArray[np.float64]:
    """Vectors of equal length without a value that is not finite, float64 ``[n, width]``.

    Args:
        path: of the predictions.
        name: of their column.
        places: where each row is in the file.
        rows: a list of numbers each.
        width: how many; None for those of the first row.

    Raises:
        DataError: a row is no such vector.
    """
    for place, row in zip(places, rows, strict=True):
        size = len(row) if isinstance(row, list) else None
        width = size if width is None else width
        if size is None or size != width or not set(map(type, row)) <= {int, float}:
            problem = f"{name}: expected {width or 'a list of'} numbers, found {_shown(row)}"
            raise DataError(path, place, problem)
    try:
        values = np.array(rows, dtype=np.float64)
    except OverflowError as error:
        raise DataError(path, None, f"{name}: expected finite numbers") from error
    if len(bad := np.flatnonzero(~np.isfinite(values).all(axis=1))):
        raise DataError(path, places[bad[0]], f"{name}: expected finite numbers")
    return values


def _range(low: float, high: float) -> str:
    if math.isinf(high):
        return f"{low:g} or more"
    return f"{high:g} or less" if math.isinf(low) else f"{low:g} to {high:g}"


def _shown(value: object) -> str:
    """A value in a message; only its kind where it is long."""
    text = repr(value)
    return text if len(text) <= 40 else type(value).__name__


def _listed(names: Collection[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")

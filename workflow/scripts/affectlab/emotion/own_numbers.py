"""What a user's table has under ``label`` where numbers are to be predicted."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.datasets.texts import kind_of
from affectlab.emotion.ratings import Rating

STRATA = 5
"""Bins of equal size of the first number, by which the items are divided."""


class OwnNumbers:
    """The numbers of a table, one column each.

    Attributes:
        annotators: None: each number is one value.
    """

    annotators = None

    def __init__(self, entry: Mapping[str, Any]) -> None:
        """Prepare for the rows of a table.

        Args:
            entry: of the data set in the registry, with the ``columns``.
        """
        column = entry.get("columns", {}).get("label", "label")
        self._names = tuple(column) if isinstance(column, list) else (str(column),)
        self._first = array("d")

    def problem(self, value: Any) -> str | None:
        """What is wrong with the cells of a row; None if nothing is.

        Args:
            value: the cell, or a list with the cells of all numbers.
        """
        for name, cell in zip(self._names, _cells(value), strict=True):
            if cell is None or not str(cell).strip():
                return f"{name} is empty"
            if _number(cell) is None:
                shown = f" {cell!r}" if isinstance(cell, str) and len(cell) <= 24 else ""
                return f"{name} is {kind_of(cell)}{shown}, expected a finite number"
        return None

    def add(self, value: Any) -> None:
        """Take the cells of a good row."""
        number = _number(_cells(value)[0])
        assert number is not None
        self._first.append(number)

    def finish(self, directory: Path) -> tuple[str, ...]:
        """The names of the numbers, in the order of the columns."""
        return self._names

    def strata(self) -> list[str]:
        """The bin of each row: quantiles of its first number."""
        import numpy as np

        values = np.frombuffer(self._first, dtype=np.float64)
        edges = np.quantile(values, np.arange(1, STRATA) / STRATA)
        return [str(place) for place in np.searchsorted(edges, values, side="left")]

    def record(self, value: Any, **shared: Any) -> Rating:
        """A record of a good row.

        Args:
            value: as of `problem`.
            shared: the other fields of the record.
        """
        numbers = [float(_number(cell) or 0.0) for cell in _cells(value)]
        return Rating(values=dict(zip(self._names, numbers, strict=True)), **shared)


def _cells(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _number(cell: Any) -> float | None:
    """A cell as a finite number; None if it is none."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    try:
        number = float(cell)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None

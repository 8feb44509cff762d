"""Numbers of items, such as valence and arousal, in the columns of a user's table."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from affectlab.datasets.texts import kind_of
from affectlab.files.io import round_significant

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NUMBERS: Final = "numbers"
"""The target of data with numbers, see `Description.target`."""

STRATA = 5
"""Bins of equal size of the first number, by which the items are divided."""


def number_columns(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the numbers, which are their columns, by the entry of a data set."""
    column = entry.get("columns", {}).get("label", "label")
    return tuple(column) if isinstance(column, list) else (str(column),)


def number_problem(value: Any, names: Sequence[str]) -> str | None:
    """What is wrong with the cells of a row; None if nothing is.

    Args:
        value: the cell, or a list with the cells of all numbers.
        names: of the numbers.
    """
    for name, cell in zip(names, _cells(value), strict=True):
        if cell is None or not str(cell).strip():
            return f"{name} is empty"
        if _number(cell) is None:
            shown = f" {cell!r}" if isinstance(cell, str) and len(cell) <= 24 else ""
            comma = isinstance(cell, str) and _number(cell.replace(",", ".", 1)) is not None
            point = " with a decimal point instead of the comma" if comma else ""
            return f"{name} is {kind_of(cell)}{shown}, expected a finite number{point}"
    return None


def named_numbers(value: Any, names: Sequence[str]) -> dict[str, float]:
    """The numbers of a row without a problem, by their names; arguments as of `number_problem`.

    Raises:
        ValueError: a cell is no finite number.
    """
    found = {name: _number(cell) for name, cell in zip(names, _cells(value), strict=True)}
    numbers = {name: number for name, number in found.items() if number is not None}
    if len(numbers) < len(found):
        raise ValueError("a cell is no finite number")
    return numbers


def quantile_bins(values: Sequence[float] | npt.NDArray[np.float64]) -> list[int]:
    """The bin of each value, from 0: one of `STRATA` between quantiles."""
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    edges = np.quantile(numbers, np.arange(1, STRATA) / STRATA)
    return [int(place) for place in np.searchsorted(edges, numbers, side="left")]


def describe_numbers(
    values: npt.NDArray[np.float64], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Mean, standard deviation (``sd``) and range (``min``, ``max``) of each number, by its name.

    Args:
        values: ``[n, D]``.
        names: of the numbers.
    """
    return {
        name: {
            "mean": round_significant(float(column.mean())),
            "sd": round_significant(float(column.std())),
            "min": float(column.min()),
            "max": float(column.max()),
        }
        for name, column in zip(names, values.T, strict=True)
    }


def constant_numbers(values: npt.NDArray[np.float64], names: Sequence[str], what: str) -> list[str]:
    """Report numbers that are the same for all items, so that nothing can be learnt.

    Args:
        values: ``[n, D]``.
        names: of the numbers.
        what: plural name of the items, such as texts.
    """
    spread = values.max(axis=0) - values.min(axis=0)
    return [
        f"the number {name} is the same for all {what}"
        for name, width in zip(names, spread, strict=True)
        if width == 0
    ]


def is_finite_number(value: Any) -> bool:
    """Whether *value* is a number of JSON that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


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

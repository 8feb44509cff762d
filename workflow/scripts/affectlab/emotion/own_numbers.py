"""What a user's table has under ``label`` where numbers are to be predicted."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.datasets.numbers import (
    named_numbers,
    number_columns,
    number_problem,
    quantile_bins,
)
from affectlab.emotion.ratings import Rating


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
        self._names = number_columns(entry)
        self._first = array("d")

    def problem(self, value: Any) -> str | None:
        """What is wrong with the cells of a row; see `number_problem`."""
        return number_problem(value, self._names)

    def add(self, value: Any) -> None:
        """Take the cells of a good row."""
        self._first.append(named_numbers(value, self._names)[self._names[0]])

    def finish(self, directory: Path) -> tuple[str, ...]:
        """The names of the numbers, in the order of the columns."""
        return self._names

    def strata(self) -> list[str]:
        """The bin of each row: quantiles of its first number."""
        return [str(place) for place in quantile_bins(self._first)]

    def record(self, value: Any, **shared: Any) -> Rating:
        """A record of a good row.

        Args:
            value: the cell, or a list with the cells of all numbers.
            shared: the other fields of the record.
        """
        return Rating(values=named_numbers(value, self._names), **shared)

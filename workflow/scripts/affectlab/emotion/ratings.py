"""Texts with numbers, such as valence and arousal, instead of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from affectlab.datasets.description import Description
from affectlab.datasets.numbers import NUMBERS, is_finite_number
from affectlab.emotion.data import Divided, fold_problem, read_described, without_none

if TYPE_CHECKING:
    import numpy as np

_REQUIRED = {"id": str, "text": str, "values": dict, "split": str}
_OPTIONAL = {"group": str, "fold": int}


@dataclass(frozen=True, slots=True)
class Rating:
    """One text with its numbers.

    Attributes:
        id: as the data give it, else its place.
        text: as it stands in the data.
        values: name of a number -> the number, in the order of the description.
        split: train, validation or test.
        group: such as its author, whose texts stay together; None if not known.
        fold: of the cross-validation; None without one.
    """

    id: str
    text: str
    values: Mapping[str, float]
    split: str
    group: str | None = None
    fold: int | None = None

    @property
    def answer(self) -> tuple[float, ...]:
        """Its numbers."""
        return tuple(self.values.values())

    @property
    def truth(self) -> dict[str, Any]:
        """Its numbers, as a line of predictions.jsonl has them."""
        return {"values": dict(self.values)}

    def in_split(self, split: str) -> Self:
        """The same rating in another split."""
        return replace(self, split=split)

    def to_dict(self) -> dict[str, Any]:
        """A line of the table; what is not known is left out."""
        return without_none(asdict(self))


@dataclass(frozen=True, slots=True)
class Ratings(Divided[Rating]):
    """A converted data set with numbers."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers, in their order."""
        return self.description.classes

    def values_of(self, records: Sequence[Rating]) -> np.ndarray:
        """The numbers of *records*, float64 (n, numbers)."""
        import numpy as np

        rows = [[record.values[name] for name in self.names] for record in records]
        return np.array(rows, dtype=np.float64).reshape(len(records), len(self.names))


def read_ratings(
    records_path: Path | str, description_path: Path | str, fold: int | None = None
) -> Ratings:
    """Read what `convert` wrote; with a *fold*, the data as `Divided.for_fold` gives them.

    Raises:
        DataError: a file is missing, the data have no numbers, a line is no record of the
            described data, or repeats an id.
    """
    description, rows = read_described(records_path, description_path, NUMBERS, _problem)
    data = Ratings(description, [Rating(**row) for row in rows])
    return data if fold is None else data.for_fold(fold)


def _problem(row: Mapping[str, Any], description: Description) -> str | None:
    """What is wrong with a line of the table."""
    if not set(row) >= set(_REQUIRED) or not set(row) <= set(_REQUIRED) | set(_OPTIONAL):
        return "expected the fields id, text, values and split"
    kinds = _REQUIRED | _OPTIONAL
    if wrong := [name for name in row if type(row[name]) is not kinds[name]]:
        return f"{wrong[0]}: expected {kinds[wrong[0]].__name__}"
    values = row["values"]
    if tuple(values) != description.classes or not all(map(is_finite_number, values.values())):
        return f"expected a finite number for each of {', '.join(description.classes)}"
    return fold_problem(row, description)

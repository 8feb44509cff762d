"""Texts with any number of classes each, instead of one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from affectlab.datasets.classes import unknown_class
from affectlab.datasets.description import Description
from affectlab.emotion.data import Divided, fold_problem, read_described, without_none

if TYPE_CHECKING:
    import numpy as np

CLASSES_TARGET: Final = "classes"
"""The target of such data, see `Description.target`."""

_REQUIRED = {"id": str, "text": str, "labels": list, "split": str}
_OPTIONAL = {"group": str, "fold": int}


@dataclass(frozen=True, slots=True)
class MultilabelRecord:
    """One text with its classes.

    Attributes:
        id: as the data give it, else its place.
        text: as it stands in the data.
        labels: names of its classes in the order of the description; may be empty.
        split: train, validation or test.
        group: such as its author, whose texts stay together; None if not known.
        fold: of the cross-validation; None without one.
    """

    id: str
    text: str
    labels: tuple[str, ...]
    split: str
    group: str | None = None
    fold: int | None = None

    @property
    def answer(self) -> tuple[str, ...]:
        """Its classes."""
        return self.labels

    @property
    def truth(self) -> dict[str, Any]:
        """Its classes, as a line of predictions.jsonl has them."""
        return {"labels": list(self.labels)}

    def in_split(self, split: str) -> Self:
        """The same record in another split."""
        return replace(self, split=split)

    def to_dict(self) -> dict[str, Any]:
        """A line of the table; what is not known is left out."""
        return without_none(asdict(self))


@dataclass(frozen=True, slots=True)
class MultilabelData(Divided[MultilabelRecord]):
    """A converted data set whose texts have any number of classes."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        return self.description.classes

    def labels_of(self, records: Sequence[MultilabelRecord]) -> np.ndarray:
        """Which classes each of *records* has, booleans (n, classes)."""
        from affectlab.evaluation.multilabel_predictions import indicators

        return indicators([record.labels for record in records], self.names)

    def labels_in(self, split: str) -> np.ndarray:
        """The same of the records of a split."""
        return self.labels_of(self.of_split(split))


def read_multilabel(
    records_path: Path | str, description_path: Path | str, fold: int | None = None
) -> MultilabelData:
    """Read what `convert` wrote; with a *fold*, the data as `Divided.for_fold` gives them.

    Raises:
        DataError: a file is missing, the texts have no label sets, a line is no record of the
            described data, or repeats an id.
    """
    description, rows = read_described(records_path, description_path, CLASSES_TARGET, _problem)
    records = [MultilabelRecord(**{**row, "labels": tuple(row["labels"])}) for row in rows]
    data = MultilabelData(description, records)
    return data if fold is None else data.for_fold(fold)


def _problem(row: Mapping[str, Any], description: Description) -> str | None:
    """What is wrong with a line of the table."""
    if not set(row) >= set(_REQUIRED) or not set(row) <= set(_REQUIRED) | set(_OPTIONAL):
        return "expected the fields id, text, labels and split"
    kinds = _REQUIRED | _OPTIONAL
    if wrong := [name for name in row if type(row[name]) is not kinds[name]]:
        return f"{wrong[0]}: expected {kinds[wrong[0]].__name__}"
    labels = row["labels"]
    if not all(isinstance(label, str) for label in labels):
        return "labels: expected names of classes"
    if unknown := [label for label in labels if label not in description.classes]:
        return unknown_class(unknown[0], description.classes)
    if labels != [name for name in description.classes if name in labels]:
        return "labels: expected different classes in their order"
    return fold_problem(row, description)

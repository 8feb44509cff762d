"""The tidy table of labelled texts that a conversion writes, and the description beside it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from affectlab.datasets.classes import unknown_class
from affectlab.datasets.description import Description, Target, read_description
from affectlab.datasets.splits import SPLITS
from affectlab.errors import DataError, UserError
from affectlab.evaluation.agreement import most_votes, shares_of_votes
from affectlab.files.io import read_jsonl

if TYPE_CHECKING:
    import numpy as np

CLASSES = ("sadness", "joy", "love", "anger", "fear", "surprise")
"""Class names of the published corpus; the position is the id that it uses."""

_REQUIRED = {"id", "text", "label", "split"}
_OPTIONAL = {"group": str, "fold": int, "votes": dict}


class Item(Protocol):
    """One text of a data set, whatever is to be predicted of it."""

    @property
    def id(self) -> str:
        """Of the published corpus its split and 1-based line; else as the data give it."""

    @property
    def text(self) -> str:
        """As it stands in the data."""

    @property
    def split(self) -> str:
        """One of train, validation and test."""

    @property
    def group(self) -> str | None:
        """Such as its author, whose texts stay together; None if not known."""

    @property
    def fold(self) -> int | None:
        """Of the cross-validation; None without one."""

    @property
    def answer(self) -> Hashable:
        """What is to be predicted; equal for items that agree."""

    @property
    def truth(self) -> dict[str, Any]:
        """The same, as a line of predictions.jsonl has it."""

    def in_split(self, split: str) -> Self:
        """The same item in another split."""


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled text.

    Attributes:
        id: of the published corpus its split and 1-based line; else as the data give it.
        text: as it stands in the data.
        label: name of its class; of several annotators the one with the most votes.
        split: train, validation or test.
        group: such as its author, whose texts stay together; None if not known.
        fold: of the cross-validation; None without one.
        votes: class -> annotators who chose it, all classes in their order; None where each item
            has one label.
    """

    id: str
    text: str
    label: str
    split: str
    group: str | None = None
    fold: int | None = None
    votes: Mapping[str, int] | None = None

    @property
    def answer(self) -> str:
        """Its label."""
        return self.label

    @property
    def truth(self) -> dict[str, Any]:
        """Its label, as a line of predictions.jsonl has it."""
        return {"label": self.label}

    def in_split(self, split: str) -> Self:
        """The same record in another split."""
        return replace(self, split=split)

    def to_dict(self) -> dict[str, Any]:
        """A line of the table; what is not known is left out."""
        return without_none(asdict(self))


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are known."""
    return {name: value for name, value in values.items() if value is not None}


ItemT = TypeVar("ItemT", bound=Item)


@dataclass(frozen=True, slots=True)
class Divided(Generic[ItemT]):
    """A converted data set, divided into splits or folds."""

    description: Description
    records: list[ItemT]

    def of_split(self, split: str) -> list[ItemT]:
        """The records of *split*, in their order."""
        return [record for record in self.records if record.split == split]

    def by_split(self) -> dict[str, list[ItemT]]:
        """Split -> its records; splits without records are left out."""
        return {split: own for split in SPLITS if (own := self.of_split(split))}

    def for_fold(self, fold: int) -> Self:
        """The data as *fold* of the cross-validation sees them.

        The fold is the test split, the next one the validation split; the rest is trained on.
        """
        count = self.description.folds
        assert count is not None

        def split(record: ItemT) -> str:
            if record.fold == fold:
                return "test"
            return "validation" if record.fold == (fold + 1) % count else "train"

        return replace(self, records=[record.in_split(split(record)) for record in self.records])


def needed(data: Divided[Any], what: Path | str) -> dict[str, list[Any]]:
    """The records to train on and to choose by: split -> its records.

    Args:
        data: a converted data set.
        what: holds the data, for messages.

    Raises:
        UserError: a split has no records.
    """
    by_split = {split: data.of_split(split) for split in ("train", "validation")}
    for split, members in by_split.items():
        if not members:
            raise UserError(f"{what}: no records in the {split} split")
    return by_split


@dataclass(frozen=True, slots=True)
class Data(Divided[Record]):
    """A converted data set with classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        return self.description.classes

    def labels_of(self, records: Sequence[Record]) -> np.ndarray:
        """Class ids, int64 (n,)."""
        import numpy as np

        return np.array([self.classes.index(record.label) for record in records], dtype=np.int64)

    def labels_in(self, split: str) -> np.ndarray:
        """The same of the records of a split."""
        return self.labels_of(self.of_split(split))

    def shares_of(self, records: Sequence[Record]) -> np.ndarray:
        """Share of each class among the votes for each record, float64 (n, classes).

        A record without votes has all of its label.
        """
        import numpy as np

        votes = [record.votes or {record.label: 1} for record in records]
        rows = [shares_of_votes(one, self.classes) for one in votes]
        return np.array(rows, dtype=np.float64).reshape(len(records), len(self.classes))


def read_data(
    records_path: Path | str, description_path: Path | str, fold: int | None = None
) -> Data:
    """Read what `convert` wrote; with a *fold*, the data as `Data.for_fold` gives them.

    Raises:
        DataError: a file is missing, the data have no classes, a line is no record of the
            described data, or repeats an id.
    """
    description, rows = read_described(records_path, description_path, "class", _problem)
    data = Data(description, [Record(**row) for row in rows])
    return data if fold is None else data.for_fold(fold)


KINDS: Mapping[Target, str] = {
    "class": "one class for each text",
    "classes": "several classes for each text",
    "numbers": "numbers",
}
"""What data of a target have, for messages."""


def read_described(
    records_path: Path | str,
    description_path: Path | str,
    target: Target,
    problem_of: Callable[[Mapping[str, Any], Description], str | None],
) -> tuple[Description, Iterator[dict[str, Any]]]:
    """Read a description, and the lines of its table of records.

    Args:
        records_path: of the table.
        description_path: description.json next to it.
        target: that the data must have.
        problem_of: what is wrong with a line of the described data; None if nothing is.

    Raises:
        DataError: a file is missing, the data have another target, a line is wrong, or repeats
            an id.
    """
    description = read_description(description_path)
    if description.target != target:
        problem = f"expected data with {KINDS[target]}, found the target {description.target}"
        raise DataError(description_path, None, problem)
    return description, _rows(records_path, lambda row: problem_of(row, description))


def _rows(
    path: Path | str, problem_of: Callable[[Mapping[str, Any]], str | None]
) -> Iterator[dict[str, Any]]:
    """The lines of a table of records, checked."""
    seen: set[str] = set()
    for number, row in enumerate(read_jsonl(path), start=1):
        place = f"record {number}"
        if problem := problem_of(row):
            raise DataError(path, place, problem)
        if row["id"] in seen:
            raise DataError(path, place, f"the id {row['id']} occurs a second time")
        seen.add(row["id"])
        yield row


def fold_problem(row: Mapping[str, Any], description: Description) -> str | None:
    """What is wrong with split and fold of a line of the table."""
    if row["split"] not in SPLITS:
        return f"unknown split, expected one of {', '.join(SPLITS)}"
    if (description.folds is None) != ("fold" not in row):
        return "expected a fold in every record of a cross-validation, and in no other"
    return None


def _problem(row: Mapping[str, Any], description: Description) -> str | None:
    """What is wrong with a line of the table."""
    if not set(row) >= _REQUIRED or not set(row) <= _REQUIRED | set(_OPTIONAL):
        return "expected the fields id, text, label and split"
    if not all(isinstance(row[name], str) for name in _REQUIRED):
        return "expected every field to be a string"
    if not all(type(row[name]) is kind for name, kind in _OPTIONAL.items() if name in row):
        return "expected a group that is a string, a fold that is a number, and votes by class"
    if row["label"] not in description.classes:
        return unknown_class(row["label"], description.classes)
    if "votes" in row and not _are_votes(row["votes"], row["label"], description.classes):
        return "expected a number of votes for each class, and most of them for the label"
    return fold_problem(row, description)


def _are_votes(votes: Mapping[str, Any], label: str, classes: Sequence[str]) -> bool:
    counts = votes.values()
    if tuple(votes) != tuple(classes) or not all(type(one) is int and one >= 0 for one in counts):
        return False
    return any(counts) and label in most_votes(votes)

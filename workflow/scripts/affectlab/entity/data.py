"""The tidy table of texts that a conversion writes, with the soft labels of things in them."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from affectlab.datasets.description import Description, read_description
from affectlab.datasets.splits import SPLITS
from affectlab.entity.labels import label_problem
from affectlab.errors import DataError
from affectlab.files.io import read_jsonl

Span = tuple[int, int] | None
"""Character offsets of a span, or None for the whole text."""

_REQUIRED = {"id", "text", "split", "targets"}
_OPTIONAL = {"group": str, "fold": int}
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Target:
    """A thing with a label: a span of the text, or the whole text if *start* is None.

    Attributes:
        id: unique in the data set.
        start: offset of the span's first character in Unicode code points.
        end: offset after its last character.
        label: soft label as the raw data has it, over the classes of the data set.
        intensity: as the raw data has it; 1 where it has none.
    """

    id: str
    start: int | None
    end: int | None
    label: tuple[float, ...]
    intensity: float

    @property
    def span(self) -> Span:
        """Start and end, or None for the whole text."""
        return None if self.start is None or self.end is None else (self.start, self.end)


@dataclass(frozen=True, slots=True)
class Record:
    """A text of one split, with everything in it that has a label.

    Attributes:
        id: unique in the data set.
        text: as it stands in the data.
        split: train, validation or test.
        targets: at least one.
        group: such as its author, whose texts stay together; None if not known.
        fold: of the cross-validation; None without one.
    """

    id: str
    text: str
    split: str
    targets: tuple[Target, ...]
    group: str | None = None
    fold: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """A line of the table; a group or fold that is not known is left out."""
        line = asdict(self)
        return {name: value for name, value in line.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Data:
    """A converted data set."""

    description: Description
    records: list[Record]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the values of a label."""
        return self.description.classes

    def of_split(self, split: str) -> list[Record]:
        """The records of *split*, in their order."""
        return of_split(self.records, split)

    def for_fold(self, fold: int) -> Data:
        """The data as *fold* of the cross-validation sees them.

        The fold is the test split, the next one the validation split; the rest is trained on.
        """
        count = self.description.folds
        assert count is not None

        def split(record: Record) -> str:
            if record.fold == fold:
                return "test"
            return "validation" if record.fold == (fold + 1) % count else "train"

        return replace(
            self, records=[replace(record, split=split(record)) for record in self.records]
        )


def read_data(
    records_path: Path | str, description_path: Path | str, fold: int | None = None
) -> Data:
    """Read what `convert` wrote; with a *fold*, the data as `Data.for_fold` gives them.

    Raises:
        DataError: a file is missing, or a line is no record of the described data.
    """
    description = read_description(description_path)
    records = read_records(records_path, description.classes)
    for number, record in enumerate(records, start=1):
        if (description.folds is None) != (record.fold is None):
            problem = "expected a fold in every record of a cross-validation, and in no other"
            raise DataError(records_path, f"record {number}", problem)
    data = Data(description, records)
    return data if fold is None else data.for_fold(fold)


def read_records(path: Path | str, classes: Sequence[str]) -> list[Record]:
    """Read the table that `convert` wrote, with labels over *classes*.

    Raises:
        DataError: the file is missing, or a line is not such a record.
    """
    records = []
    for number, row in enumerate(read_jsonl(path), start=1):
        if problem := _stored_problem(row, classes):
            raise DataError(path, f"record {number}", problem)
        targets = tuple(
            Target(**{**target, "label": tuple(target["label"])}) for target in row["targets"]
        )
        records.append(Record(**{**row, "targets": targets}))
    return records


def _stored_problem(row: Mapping[str, Any], classes: Sequence[str]) -> str | None:
    """What is wrong with a line of the table that `convert` wrote."""
    if not set(row) >= _REQUIRED or not set(row) <= _REQUIRED | set(_OPTIONAL):
        return "expected the fields id, text, split and targets"
    if not all(type(row[name]) is kind for name, kind in _OPTIONAL.items() if name in row):
        return "expected a group that is a string and a fold that is a whole number"
    if not all(isinstance(row[name], str) for name in ("id", "text", "split")):
        return "id, text and split: expected strings"
    if row["split"] not in SPLITS:
        return f"unknown split, expected one of {', '.join(SPLITS)}"
    if not isinstance(row["targets"], list) or not row["targets"]:
        return "targets: expected a list with at least one"
    for place, target in enumerate(row["targets"], start=1):
        if not isinstance(target, dict) or set(target) != set(Target.__dataclass_fields__):
            return f"target {place}: expected the fields {', '.join(Target.__dataclass_fields__)}"
        if not isinstance(target["id"], str):
            return f"target {place}: id: expected a string"
        start, end = target["start"], target["end"]
        if (start, end) != (None, None) and (
            type(start) is not int
            or type(end) is not int
            or not 0 <= start < end <= len(row["text"])
        ):
            return f"target {place}: expected the start and end of a span of the text, or null"
        intensity = target["intensity"]
        if not isinstance(intensity, int | float) or not -_LARGEST <= intensity <= _LARGEST:
            return f"target {place}: intensity: expected a finite number"
        if problem := label_problem(target["label"], classes):
            return f"target {place}: {problem}"
    return None


def of_split(records: Iterable[Record], split: str) -> list[Record]:
    """The records of one split."""
    return [record for record in records if record.split == split]


def targets_of(records: Iterable[Record]) -> list[Target]:
    """All targets, text by text."""
    return [target for record in records for target in record.targets]


def stage_subset(records: Sequence[Record], entities: int | None, seed: int) -> list[Record]:
    """The first *entities* targets of the records in an order drawn from *seed*.

    A smaller subset is part of a larger one of the same seed; None takes all. The last text
    keeps only as many targets as are wanted.
    """
    if entities is None:
        return list(records)
    order = list(records)
    random.Random(seed).shuffle(order)
    chosen: list[Record] = []
    missing = entities
    for record in order:
        if missing == 0:
            break
        kept = record.targets[:missing]
        chosen.append(replace(record, targets=kept))
        missing -= len(kept)
    return chosen

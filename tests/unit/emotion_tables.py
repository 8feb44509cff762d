"""Converted emotion corpora for the unit tests."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from affectlab.datasets.description import Description
from affectlab.emotion.convert import Outputs, convert
from affectlab.emotion.data import CLASSES, Data, Record, read_data

ENTRY = {"layout": "emotion"}
"""Of the published corpus in the registry."""


def outputs_in(folder: Path) -> Outputs:
    """Where a conversion into *folder* writes."""
    return Outputs(
        folder / "records.jsonl", folder / "quarantine.jsonl", folder / "description.json"
    )


def converted(raw: Path, folder: Path, entry: dict[str, Any] = ENTRY, **options: Any) -> Outputs:
    """Convert *raw* into *folder*; *options* as of `convert`."""
    outputs = outputs_in(folder)
    convert(raw, outputs, entry, **options)
    return outputs


def data_in(folder: Path) -> Data:
    """The data that `converted` wrote into *folder*."""
    outputs = outputs_in(folder)
    return read_data(outputs.records, outputs.description)


def data_of(
    records: Iterable[Record], classes: tuple[str, ...] = CLASSES, folds: int | None = None
) -> Data:
    """Records with the description that a conversion would write."""
    return Data(Description(classes, folds=folds), list(records))


def described(folder: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """The path of a description of *classes*, written into *folder*."""
    path = folder / "description.json"
    Description(classes).write(path)
    return path

"""The tidy table of labelled texts that a conversion writes."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from affectlab.errors import DataError
from affectlab.files.io import read_jsonl

CLASSES = ("sadness", "joy", "love", "anger", "fear", "surprise")
"""Class names; the position is the id that the corpus uses."""

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled text; *id* is its split and its 1-based line or record number."""

    id: str
    text: str
    label: str
    split: str


def read_records(path: Path | str) -> list[Record]:
    """Read the table that `convert` wrote.

    Raises:
        DataError: the file is missing, or a line is not such a record or repeats an id.
    """
    records: list[Record] = []
    seen: set[str] = set()
    for number, row in enumerate(read_jsonl(path), start=1):
        place = f"record {number}"
        if set(row) != {"id", "text", "label", "split"}:
            raise DataError(path, place, "expected the fields id, text, label and split")
        if not all(isinstance(value, str) for value in row.values()):
            raise DataError(path, place, "expected every field to be a string")
        if row["label"] not in CLASSES:
            raise DataError(path, place, unknown_label(row["label"]))
        if row["split"] not in SPLITS:
            raise DataError(path, place, f"unknown split, expected one of {', '.join(SPLITS)}")
        if row["id"] in seen:
            raise DataError(path, place, f"the id {row['id']} occurs a second time")
        seen.add(row["id"])
        records.append(Record(**row))
    return records


def unknown_label(label: str) -> str:
    """Describe a label that is none, and the nearest; a long one may be a text and is not shown."""
    shown = f" {label!r}" if len(label) <= 24 else ""
    near = difflib.get_close_matches(label.strip().lower(), CLASSES, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"unknown label{shown}, expected one of {', '.join(CLASSES)}{meant}"

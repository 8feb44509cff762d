"""Records of the tone experiment: reading the raw table, and reading the records again."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from affectlab.assets.manifest import manifest_directory
from affectlab.errors import DataError
from affectlab.files.io import read_jsonl, write_json, write_jsonl

CLASSES = ("friendly", "hostile")
SPLITS = ("train", "validation", "test")


class Record(NamedTuple):
    """One text with its label."""

    id: str
    split: str
    text: str
    label: str


def convert(*, manifest_path: Path, records_path: Path, audit_path: Path) -> None:
    """Convert ``tone.csv`` of a data set into records, and count them.

    Raises:
        DataError: a row has no text, or a label or split that is not known.
    """
    records = list(_rows(manifest_directory(manifest_path) / "tone.csv"))
    write_jsonl(records_path, (record._asdict() for record in records), sealed=True)
    counts = {
        split: Counter(one.label for one in records if one.split == split) for split in SPLITS
    }
    write_json(audit_path, {"counts": counts, "expected": []}, sealed=True)


def _rows(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            for column, known in (("label", CLASSES), ("split", SPLITS)):
                if row[column] not in known:
                    problem = f"{column}: expected one of {', '.join(known)}, found {row[column]!r}"
                    raise DataError(path, f"line {number}", problem)
            yield Record(f"line{number}", row["split"], row["text"], row["label"])


def read_records(path: Path | str) -> list[Record]:
    """Read the records of a data set."""
    rows: Iterator[dict[str, Any]] = read_jsonl(path)
    return [Record(row["id"], row["split"], row["text"], row["label"]) for row in rows]

"""Rows of raw files: text, CSV, JSON Lines and Parquet, checked for what their form tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectlab.datasets import tables
from affectlab.datasets.lines import UNDECODED, check_kind, not_utf8, raw_lines
from affectlab.datasets.separators import other_separator
from affectlab.emotion.data import CLASSES
from affectlab.errors import DataError, UserError

COLUMNS = ("text", "label")


@dataclass(frozen=True, slots=True)
class Row:
    """One place of a file: the values of the columns, or what is wrong with it.

    ``order`` is the order of the class names in which a label that is a number is read.
    """

    number: int
    place: str
    values: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    order: tuple[str, ...] = CLASSES


def read_semicolon(path: Path) -> Iterator[Row]:
    """Read ``text;label`` lines."""
    for number, line in raw_lines(path):
        place = f"line {number}"
        fields = line.split(";")
        if not line.strip():
            continue
        if UNDECODED.search(line):
            yield Row(number, place, problem=not_utf8(line))
        elif len(fields) != 2:
            other = other_separator(line, 2, ";")
            problem = f"expected 2 fields (text;label), found {len(fields)}{other}"
            yield Row(number, place, problem=problem)
        else:
            yield Row(number, place, {"text": fields[0], "label": _id_or_name(fields[1])})


def _id_or_name(label: str) -> str | int:
    """A label of a text file, which has no types, as what it reads as."""
    return int(label) if re.fullmatch(r"[0-9]{1,9}", label) else label


def read_json_lines(path: Path) -> Iterator[Row]:
    """Read objects with ``text`` and ``label``, one a line."""
    for row in tables.read_json_lines(path, COLUMNS):
        yield Row(row.number, row.place, row.values, row.problem)


def read_csv(path: Path) -> Iterator[Row]:
    """Read a table with the columns ``text`` and ``label``."""
    for row in tables.read_csv(path, COLUMNS, ","):
        values = row.values
        if row.problem is None:
            values = {**values, "label": _id_or_name(values["label"])}
        yield Row(row.number, row.place, values, row.problem)


def read_parquet(path: Path) -> Iterator[Row]:
    """Read a Parquet file with the columns ``text`` and ``label``."""
    check_kind(path, compressed=False)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path}: reading Parquet needs the package pyarrow") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            tables.check_columns(path, names, COLUMNS)
            class_names = _class_names_inside(path, file.schema_arrow.metadata or {})
            number = 0
            columns = ("text", "label", "label_text", "id")
            wanted = [name for name in columns if name in names]
            for batch in file.iter_batches(columns=wanted):
                for values in _rows_of(batch):
                    number += 1
                    if values is None:
                        problem = "expected UTF-8, found other bytes"
                        yield Row(number, f"record {number}", problem=problem)
                        continue
                    order = tuple(class_names) if class_names else CLASSES
                    yield Row(number, f"record {number}", values, order=order)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            path, None, "not a readable Parquet file; it is cut off or corrupt, get it again"
        ) from error


def _rows_of(batch: Any) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch of Parquet; None for one with text that is not UTF-8."""
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        if batch.num_rows == 1:
            yield None
            return
        for place in range(batch.num_rows):
            yield from _rows_of(batch.slice(place, 1))
        return
    yield from rows


def _class_names_inside(path: Path, metadata: dict[bytes, bytes]) -> list[str] | None:
    """The class names, in the order of their ids, that the `datasets` library stores in a file.

    Raises:
        DataError: the names are not those of this corpus.
    """
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names = features["label"]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    # Whatever the names are, each is compared; a list may hold what cannot be sorted.
    same = isinstance(names, list) and len(names) == len(CLASSES)
    if not same or not all(name in names for name in CLASSES):
        raise DataError(path, None, f"expected the classes {', '.join(CLASSES)}, found others")
    return list(names)

"""Rows of raw files: text, CSV, JSON Lines and Parquet, checked for what their form tells."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any

from affectlab.datasets.separators import other_separator, wrong_separator
from affectlab.datasets.texts import kind_of
from affectlab.emotion.data import CLASSES
from affectlab.errors import DataError, UserError
from affectlab.files.text import bounded_lines

UNDECODED = re.compile("[\udc80-\udcff]")


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


def not_utf8(text: str) -> str:
    """Report the first byte that `surrogateescape` could not decode."""
    found = UNDECODED.search(text)
    assert found is not None
    return f"expected UTF-8, found byte 0x{ord(found.group()) - 0xDC00:02x}"


def read_semicolon(path: Path) -> Iterator[Row]:
    """Read ``text;label`` lines."""
    for number, line in _lines(path):
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
    for number, line in _lines(path):
        place = f"line {number}"
        if not line.strip():
            continue
        if UNDECODED.search(line):
            yield Row(number, place, problem=not_utf8(line))
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            yield Row(number, place, problem=f"not valid JSON: {error.msg}")
            continue
        except (ValueError, RecursionError):  # thousands of digits, or of brackets
            yield Row(number, place, problem="not valid JSON: a number or nesting out of bounds")
            continue
        if not isinstance(values, dict):
            problem = f'expected an object {{"text", "label"}}, found {kind_of(values)}'
            yield Row(number, place, problem=problem)
        elif missing := [name for name in ("text", "label") if name not in values]:
            yield Row(number, place, problem=f"missing field {' and '.join(missing)}")
        else:
            yield Row(number, place, values)


def read_csv(path: Path) -> Iterator[Row]:
    """Read a table with the columns ``text`` and ``label``."""
    lines = (f"{line}\n" for _, line in _lines(path))
    first = next(lines, "")
    if other := wrong_separator(first.split(","), ["text", "label"]):
        raise DataError(path, "line 1", other)
    reader = csv.reader(chain([first] if first else [], lines), strict=True)
    start = 1
    try:
        header = next(reader, None)
        if header is None:
            return
        _check_columns(path, header)
        number = 0
        start = reader.line_num + 1
        for fields in reader:
            place, start = f"line {start}", reader.line_num + 1
            if not fields:
                continue
            number += 1
            if len(fields) != len(header):
                problem = f"expected {len(header)} fields, as in the header, found {len(fields)}"
                yield Row(number, place, problem=problem)
                continue
            values: dict[str, Any] = dict(zip(header, fields, strict=True))
            values["label"] = _id_or_name(values["label"])
            yield Row(number, place, values)
    except csv.Error as error:
        # Where its record begins: an open quote is noticed at the end of the file.
        raise DataError(path, f"line {start}", f"not valid CSV: {error}") from error


def read_parquet(path: Path) -> Iterator[Row]:
    """Read a Parquet file with the columns ``text`` and ``label``."""
    _check_kind(path, compressed=False)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"{path}: reading Parquet needs the package pyarrow") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_columns(path, names)
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


def _check_columns(path: Path, columns: list[str]) -> None:
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise DataError(path, None, f"the column {' and '.join(doubled)} occurs more than once")
    missing = [name for name in ("text", "label") if name not in columns]
    if missing:
        found = ", ".join(name[:40] for name in columns[:10])
        raise DataError(path, None, f"missing column {' and '.join(missing)}; found: {found}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and yield the lines of a UTF-8 file without their ends.

    A byte order mark is dropped. Bytes that are not UTF-8 come as lone surrogates, so that one
    bad line is one bad record.
    """
    number = 0
    with _open_binary(path) as stream:
        try:
            for number, line in enumerate(bounded_lines(stream, path), start=1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                text = line.decode("utf-8", errors="surrogateescape")
                yield number, text.removesuffix("\n").removesuffix("\r")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(
                path,
                f"after line {number}",
                "the gzip data is cut off or corrupt, get the file again",
            ) from error


@contextmanager
def _open_binary(path: Path) -> Iterator[IO[bytes]]:
    compressed = path.name.endswith(".gz")
    _check_kind(path, compressed)
    if compressed:
        with gzip.open(path, "rb") as unpacked:
            yield unpacked  # type: ignore[misc]
    else:
        with path.open("rb") as plain:
            yield plain


def _check_kind(path: Path, compressed: bool) -> None:
    """Tell from the first bytes that a file is something else than its name says."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    is_gzip = head.startswith(b"\x1f\x8b")
    if not head:
        problem = "the file is empty"
    elif start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        problem = "this is a web page saved under the name of the data; download it again"
    elif start.startswith(b"version https://git-lfs"):
        problem = "this is a Git LFS pointer, not the data; fetch it with git lfs pull"
    elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = "the text is UTF-16, expected UTF-8"
    elif is_gzip and not compressed:
        problem = "the file is gzip-compressed; end its name in .gz or unpack it"
    elif compressed and not is_gzip:
        problem = "the name ends in .gz but the file is not gzip-compressed"
    else:
        return
    raise DataError(path, None, problem)

"""Items of a command: from its command line, a file or a pipe."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import IO, TypeVar

from affectlab.errors import DataError, UserError
from affectlab.files.text import is_encodable

T = TypeVar("T")

TABLES = {".csv": ",", ".tsv": "\t"}
"""Ending of a table -> what separates its columns."""

JSON_LINES = (".jsonl", ".ndjson")

_UNDECODED = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is not UTF-8."""


@dataclass(frozen=True, slots=True)
class Item:
    """An input: a text, or the path of a file; with its id, where it has one."""

    value: str
    identity: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadInput:
    """An input that cannot be used: its source and place, and what is wrong with it."""

    place: str
    problem: str
    identity: Mapping[str, str | int] = field(default_factory=dict)


def read_items(options: argparse.Namespace, *, paths: bool = False) -> Iterator[Item | BadInput]:
    """Yield the items to work on one by one, so that a pipe may stay open for ever.

    A table is known by its ending. Other files, and standard input, are JSON Lines where their
    ending says so or a column is named, else lines of text. A blank item, one that is not UTF-8
    or a row that cannot be read is yielded as a `BadInput` in its place. Blank lines at the end
    of lines of text are left out.

    Args:
        options: of a command with `add_input_options`.
        paths: whether items are paths, whose names may be any bytes.

    Raises:
        DataError: the file cannot be read, is empty, or has no such column.
    """
    for item in _raw_items(options):
        problem = _problem(item.value, paths=paths) if isinstance(item, _Raw) else None
        if isinstance(item, BadInput):
            yield item
        elif problem is not None:
            yield BadInput(item.place, problem, item.identity)
        else:
            yield Item(item.value, item.identity)


@dataclass(frozen=True, slots=True)
class _Raw:
    """An item as it was found, with its place."""

    value: str
    place: str
    identity: Mapping[str, str | int] = field(default_factory=dict)


def _raw_items(options: argparse.Namespace) -> Iterator[_Raw | BadInput]:
    if options.file is not None:
        with _opened(options.file) as stream:
            found = False
            for item in _of_stream(stream, options, str(options.file), options.file.suffix.lower()):
                found = True
                yield item
        if not found:
            raise DataError(options.file, None, "the file is empty")
    elif options.items == ["-"]:
        if sys.stdin is None:
            raise UserError("standard input is closed")
        if isinstance(sys.stdin, io.TextIOWrapper):
            # UTF-8 whatever the locale, and a bad byte is found in its own line.
            sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        yield from _of_stream(sys.stdin, options, "standard input", "")
    else:
        what = options.default_column
        for number, value in enumerate(options.items, start=1):
            yield _Raw(value, f"{what} {number}")


def _of_stream(
    stream: IO[str], options: argparse.Namespace, source: str, suffix: str
) -> Iterator[_Raw | BadInput]:
    column = options.column or options.default_column
    if suffix in TABLES:
        yield from _rows(stream, source, TABLES[suffix], column, options.id)
    elif suffix in JSON_LINES or options.column or options.id:
        yield from _json_lines(stream, source, column, options.id)
    else:
        for number, line in enumerate(_lines(stream), start=1):
            yield _Raw(line, f"{source}, line {number}")


def _rows(
    stream: IO[str], source: str, separator: str, column: str, identifier: str | None
) -> Iterator[_Raw | BadInput]:
    """The rows of a table with a header.

    Raises:
        DataError: the header lacks a column.
    """
    header: list[str] | None = None
    blank: list[BadInput] = []
    for place, row in _places(stream, source, separator):
        if isinstance(row, str):
            yield BadInput(place, row)
        elif not row:
            blank.append(BadInput(place, "is empty"))
        elif header is None:
            header = row
            for name in (column, identifier):
                if name is not None and header.count(name) != 1:
                    many = "one column" if name in header else "a column"
                    problem = f"expected {many} {name!r}, found {', '.join(header)[:200]}"
                    raise DataError(source, place.rpartition(", ")[2], problem)
        else:
            yield from blank
            blank = []
            if len(row) != len(header):
                yield BadInput(place, f"expected {len(header)} cells, found {len(row)}")
                continue
            cells = dict(zip(header, row, strict=True))
            if identifier is not None and not is_encodable(cells[identifier]):
                yield BadInput(place, f"{identifier}: is not UTF-8")
                continue
            yield _Raw(
                cells[column], place, {} if identifier is None else {"id": cells[identifier]}
            )


def _places(stream: IO[str], source: str, separator: str) -> Iterator[tuple[str, list[str] | str]]:
    """The place of each row of a table with its cells, or with what is wrong with it."""
    reader = csv.reader(_without_mark(stream), delimiter=separator, strict=True)
    while True:
        try:
            row: list[str] | str = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = f"not a row of a table: {error}"
        yield f"{source}, line {reader.line_num}", row


def _json_lines(
    stream: IO[str], source: str, column: str, identifier: str | None
) -> Iterator[_Raw | BadInput]:
    for number, line in enumerate(_lines(stream), start=1):
        place = f"{source}, line {number}"
        if not line:
            yield BadInput(place, "is empty")
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadInput(place, f"expected JSON: {error}")
            continue
        if not isinstance(record, dict):
            yield BadInput(place, "expected a JSON object")
            continue
        identity: dict[str, str | int] = {}
        if identifier is not None:
            known = record.get(identifier)
            if not isinstance(known, str | int) or not _is_printable(known):
                yield BadInput(place, f"{identifier}: expected a text or a whole number")
                continue
            identity["id"] = known
        value = record.get(column)
        if isinstance(value, str):
            yield _Raw(value, place, identity)
        else:
            yield BadInput(place, f"{column}: expected a text", identity)


def _is_printable(value: str | int) -> bool:
    return isinstance(value, int) or is_encodable(value)


def _problem(value: str, *, paths: bool) -> str | None:
    """What is wrong with an item; None if it can be used."""
    if not value.strip():
        return "is empty"
    if paths:
        return "holds a NUL character" if "\0" in value else None
    if undecoded := _UNDECODED.search(value):
        return f"expected UTF-8, found byte 0x{ord(undecoded.group()) - 0xDC00:02x}"
    return None if is_encodable(value) else "holds half a surrogate pair, expected valid Unicode"


def runs_of_items(items: Iterable[Item | BadInput]) -> Iterator[list[Item] | BadInput]:
    """Join neighbouring items to lists, and yield each bad input between them."""
    for is_good, group in groupby(items, key=lambda item: isinstance(item, Item)):
        members = list(group)
        if is_good:
            yield [item for item in members if isinstance(item, Item)]
        else:
            yield from (item for item in members if isinstance(item, BadInput))


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """Open a file of items; any failure to read it is a `DataError`."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
            yield stream
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file") from error
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error


def _without_mark(stream: Iterable[str]) -> Iterator[str]:
    """The lines of a stream, the first one without the mark that some editors put there."""
    for number, line in enumerate(stream):
        yield line.removeprefix("\ufeff") if number == 0 else line


def _lines(stream: Iterable[str]) -> Iterator[str]:
    """The lines of a stream without their ends, blank ones at its end left out."""
    blank = 0
    for line in _without_mark(stream):
        text = line.rstrip("\r\n")
        if not text.strip():
            blank += 1
            continue
        yield from [""] * blank
        blank = 0
        yield text


def batched(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Lists of up to *size* items, in order."""
    while batch := list(islice(items, size)):
        yield batch

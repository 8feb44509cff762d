"""Rows of tables: CSV, TSV, JSON, JSON Lines, Parquet, Arrow, Excel, and data saved to disk.

CSV, TSV and JSON Lines have a scanner of their own: an error names the line, and a label called
``NA`` stays a label. The package `datasets` reads Arrow and what its `save_to_disk` wrote, and the
types of the columns of Parquet.
One row is held at a time, or one batch of them; only JSON and Excel are read as a whole.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from affectlab.assets.streams import Stream, parquet_stream, undecoded
from affectlab.datasets.lines import UNDECODED, check_kind, not_utf8, raw_lines
from affectlab.datasets.separators import wrong_separator
from affectlab.datasets.texts import kind_of
from affectlab.errors import DataError, UserError, reading

LARGEST_WHOLE = 500_000_000
"""Bytes of a JSON or Excel file, which is read as a whole; use JSON Lines or Parquet for more."""

TEXT_ENDINGS = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json")
"""Of tables that are text files."""

ROWS_AT_A_TIME = 100
"""Rows of a Parquet file that are held at once; each may hold an image."""

MARKER = "dataset_info.json"
"""What a folder of `datasets.Dataset.save_to_disk` holds."""

SPLITS_MARKER = "dataset_dict.json"
"""The same of a `DatasetDict`, with a folder for each split."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One place of a table: the values of the columns, or what is wrong with it.

    Attributes:
        number: of the row, from 1.
        place: of the row, for messages.
        values: column -> value; of CSV and TSV all are texts.
        problem: what is wrong; None if nothing is.
    """

    number: int
    place: str
    values: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None


def read_table(path: Path, required: Collection[str]) -> Iterator[TableRow]:
    """Yield the rows of a table.

    Args:
        path: file, or folder of data saved to disk.
        required: columns that the table must have.

    Raises:
        DataError: the table as a whole cannot be read, or lacks a column.
        UserError: no reader knows its ending.
    """
    return reader_of(path)(path, required)


Reader = Callable[[Path, Collection[str]], Iterator[TableRow]]


def reader_of(path: Path) -> Reader:
    """The function that reads a table, by its name.

    Raises:
        UserError: no reader knows its ending.
    """
    if path.is_dir():
        return _saved_to_disk
    name = path.name.lower().removesuffix(".gz")
    for endings, reader in _READERS.items():
        if name.endswith(endings):
            return reader
    known = " ".join(ending for endings in _READERS for ending in endings)
    raise UserError(f"{path}: no table; expected a name that ends in one of {known}")


def is_table(path: Path) -> bool:
    """Whether `read_table` can read what is called so."""
    if path.is_dir():
        return (path / MARKER).is_file()
    return path.name.lower().removesuffix(".gz").endswith(tuple(chain(*_READERS)))


def is_text_table(path: Path) -> bool:
    """Whether a table is a text file: CSV, TSV, JSON or JSON Lines."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(TEXT_ENDINGS) and path.is_file()


def read_csv(
    path: Path, required: Collection[str], separator: str | None = None
) -> Iterator[TableRow]:
    """Yield the rows of a table with a header.

    Args:
        path: of the file, plain or gzip-compressed.
        required: columns that it must have.
        separator: of its fields; None: a comma, or what the header shows instead of it.

    Raises:
        DataError: it is no such table, or lacks a column.
    """
    lines = (f"{line}\n" for _, line in raw_lines(path))
    first = next(lines, "")
    used = separator or _separator_of(first, required)
    cells = {cell.strip().strip('"') for cell in first.split(used)}
    other = wrong_separator(first.split(used), list(required), used)
    if other and not set(required) <= cells:
        raise DataError(path, "line 1", other)
    reader = csv.reader(chain([first] if first else [], lines), strict=True, delimiter=used)
    start = 1
    try:
        header = next(reader, None)
        if header is None:
            return
        check_columns(path, [name for name in header if name.strip()], required)
        number = 0
        start = reader.line_num + 1
        for fields in reader:
            place, start = f"line {start}", reader.line_num + 1
            if not fields:
                continue
            number += 1
            yield _csv_row(number, place, header, fields)
    except csv.Error as error:
        # Where its record begins: an open quote is noticed at the end of the file.
        raise DataError(path, f"line {start}", f"not valid CSV: {error}") from error


def _separator_of(header: str, required: Collection[str]) -> str:
    """A semicolon or tab where the header is split by it and not by commas; else a comma."""
    names = set(required)
    for separator in (",", ";", "\t"):
        cells = {cell.strip().strip('"') for cell in header.rstrip("\n").split(separator)}
        if names and names <= cells:
            return separator
    counts = {separator: header.count(separator) for separator in (",", ";", "\t")}
    return max(counts, key=lambda separator: counts[separator]) if any(counts.values()) else ","


def _csv_row(number: int, place: str, header: Sequence[str], fields: Sequence[str]) -> TableRow:
    if len(fields) != len(header):
        problem = f"expected {len(header)} fields, as in the header, found {len(fields)}"
        return TableRow(number, place, problem=problem)
    for value in fields:
        if UNDECODED.search(value):
            return TableRow(number, place, problem=not_utf8(value))
    if all(name.strip() for name in header):
        return TableRow(number, place, dict(zip(header, fields, strict=True)))
    # Spreadsheets write empty columns at the end. A value there hints at a comma without quotes.
    last = max((at for at, name in enumerate(header, start=1) if name.strip()), default=0)
    if any(value.strip() for value in fields[last:]):
        problem = "a value in a column without a name; quote a field that holds the separator"
        return TableRow(number, place, problem=problem)
    pairs = zip(header, fields, strict=True)
    return TableRow(number, place, {name: value for name, value in pairs if name.strip()})


def _read_tsv(path: Path, required: Collection[str]) -> Iterator[TableRow]:
    return read_csv(path, required, "\t")


def read_json_lines(path: Path, required: Collection[str]) -> Iterator[TableRow]:
    """Yield the objects of a file that has one a line; empty lines are passed over.

    Args:
        path: of the file, plain or gzip-compressed.
        required: keys that each object must have.

    Raises:
        DataError: the file as a whole cannot be read.
    """
    for number, line in raw_lines(path):
        if line.strip():
            yield _json_row(number, f"line {number}", line, required)


def _json_row(number: int, place: str, line: str, required: Collection[str]) -> TableRow:
    if UNDECODED.search(line):
        return TableRow(number, place, problem=not_utf8(line))
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        return TableRow(number, place, problem=f"not valid JSON: {error.msg}")
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        problem = "not valid JSON: a number or nesting out of bounds"
        return TableRow(number, place, problem=problem)
    return _object_row(number, place, values, required)


def _object_row(number: int, place: str, values: Any, required: Collection[str]) -> TableRow:
    if not isinstance(values, dict):
        keys = f" {{{', '.join(required)}}}" if required else ""
        problem = f"expected an object{keys}, found {kind_of(values)}"
        return TableRow(number, place, problem=problem)
    if missing := [name for name in required if name not in values]:
        return TableRow(number, place, problem=f"missing field {' and '.join(missing)}")
    return TableRow(number, place, values)


def _read_json(path: Path, required: Collection[str]) -> Iterator[TableRow]:
    """A list of objects; or JSON Lines under the ending of JSON."""
    _check_size(path)
    first = next((line.lstrip() for _, line in raw_lines(path) if line.strip()), "")
    if not first.startswith("["):
        yield from read_json_lines(path, required)
        return
    with reading(path, "a list of JSON objects"):
        content = json.loads("\n".join(line for _, line in raw_lines(path)))
    for number, values in enumerate(content, start=1):
        yield _object_row(number, f"record {number}", values, required)


def _check_size(path: Path) -> None:
    if path.stat().st_size > LARGEST_WHOLE:
        problem = f"larger than {LARGEST_WHOLE // 1_000_000} MB; save it as JSON Lines or Parquet"
        raise DataError(path, None, problem)


def _read_excel(path: Path, required: Collection[str]) -> Iterator[TableRow]:
    """The first sheet, by pandas; every cell as a text, and an empty one as an empty text."""
    _check_size(path)
    try:
        import openpyxl  # noqa: F401
        import pandas as pd
    except ImportError as error:
        problem = "reading Excel needs the package openpyxl; install it, or save the table as CSV"
        raise UserError(f"{path}: {problem}") from error
    with reading(path, "an Excel table"):
        frame = pd.read_excel(path, dtype=str, keep_default_na=False)
    check_columns(path, list(frame.columns), required)
    for number, values in enumerate(frame.to_dict("records"), start=1):
        row = {str(name): value for name, value in values.items()}
        yield TableRow(number, f"row {number + 1}", row)


def _read_parquet(path: Path, required: Collection[str]) -> Iterator[TableRow]:
    check_kind(path, compressed=False)
    with reading(path, "a Parquet file"):
        stream = parquet_stream([path], ROWS_AT_A_TIME)
    yield from _stream_rows(path, stream, required)


def _read_arrow(path: Path, required: Collection[str]) -> Iterator[TableRow]:
    from datasets import load_dataset

    with reading(path, "an Arrow file"):
        # Streamed, so that nothing is cached and memory stays flat.
        table = load_dataset("arrow", data_files=str(path), split="train", streaming=True)
        stream = undecoded(table)
    yield from _stream_rows(path, stream, required)


def _saved_to_disk(path: Path, required: Collection[str]) -> Iterator[TableRow]:
    from datasets import load_from_disk

    with reading(path, "a data set saved to disk"):
        # Mapped into memory, not read into it.
        stream = undecoded(load_from_disk(str(path), keep_in_memory=False))
    yield from _stream_rows(path, stream, required)


def _stream_rows(path: Path, stream: Stream, required: Collection[str]) -> Iterator[TableRow]:
    """The rows of a stream, ids of classes as their names."""
    if stream.features:
        check_columns(path, list(stream.features), required)
    names_of = stream.names()
    rows = iter(stream.rows)
    number = 0
    while True:
        number += 1
        try:
            with reading(path, "a whole table; get it again if it is cut off"):
                values = next(rows, None)
        except DataError as error:
            raise DataError(path, f"record {number}", error.problem) from error
        if values is None:
            return
        yield TableRow(number, f"record {number}", _named(values, names_of))


def _named(
    values: Mapping[str, Any], names_of: Mapping[str, Callable[[int], str]]
) -> dict[str, Any]:
    named = dict(values)
    for column, name_of in names_of.items():
        # -1 is the package's sign of a missing label.
        if isinstance(named[column], int):
            named[column] = name_of(named[column]) if named[column] >= 0 else None
    return named


def check_columns(path: Path, columns: Sequence[str], required: Collection[str]) -> None:
    """Refuse a table that lacks a column or has one twice.

    Raises:
        DataError: it does.
    """
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise DataError(path, None, f"the column {' and '.join(doubled)} occurs more than once")
    missing = [name for name in required if name not in columns]
    if missing:
        found = ", ".join(str(name)[:40] for name in columns[:10])
        raise DataError(path, None, f"missing column {' and '.join(missing)}; found: {found}")


_READERS: dict[tuple[str, ...], Reader] = {
    (".csv",): read_csv,
    (".tsv", ".tab"): _read_tsv,
    (".jsonl", ".ndjson"): read_json_lines,
    (".json",): _read_json,
    (".parquet",): _read_parquet,
    (".arrow", ".feather"): _read_arrow,
    (".xlsx", ".xls"): _read_excel,
}

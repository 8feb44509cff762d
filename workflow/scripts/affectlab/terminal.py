"""What the commands of all experiments share: options, items from anywhere, and their output."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import IO, Any, TypeVar

from affectlab.errors import DataError, UserError
from affectlab.files.io import atomic_path, check_target
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


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, ``--device`` and ``--precision`` to *parser*."""
    parser.add_argument(
        "--model", required=True, type=Path, help="model directory, e.g. results/.../model"
    )
    parser.add_argument("--device", help="PyTorch device; a GPU if there is one")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "auto"),
        help="of matrix products; auto is bf16 where that is faster (default: as evaluated)",
    )


def add_input_options(
    parser: argparse.ArgumentParser,
    metavar: str,
    what: str,
    column: str = "text",
    *,
    ids: bool = True,
) -> None:
    """Add the items, ``--file``, ``--column`` and ``--id`` to *parser*; see `read_items`.

    Args:
        parser: of a command.
        metavar: of an item.
        what: what items are, in the plural.
        column: that has the items by default.
        ids: whether the output can hold what identifies an item.
    """
    parser.add_argument(
        "items", nargs="*", metavar=metavar, help=f"{what}; `-` reads standard input"
    )
    parser.add_argument(
        "--file", type=Path, help=f"UTF-8 file of {what}: lines, a CSV table or JSON Lines"
    )
    parser.add_argument(
        "--column", help=f"column of the file that holds the {what} (default {column})"
    )
    if ids:
        parser.add_argument("--id", help="column of the file that identifies an item in the output")
    parser.set_defaults(default_column=column, id=None)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--output`` and ``--format`` to *parser*; see `Output`."""
    parser.add_argument("--output", type=Path, help="file to write; standard output by default")
    parser.add_argument(
        "--format", choices=("jsonl", "csv"), default="jsonl", help="of the output (default jsonl)"
    )


def check_options(options: argparse.Namespace, what: str) -> None:
    """Refuse options that contradict each other, and an output that cannot be written.

    Args:
        options: of a command with `add_input_options`.
        what: what an item is called, in the plural.

    Raises:
        UserError: no items or two sources of them; a column of what has none; the output is the
            input, or cannot be written.
    """
    if bool(options.items) == bool(options.file):
        raise UserError(f"give either {what} (`-` for stdin) or --file")
    named = [f"--{name}" for name in ("column", "id") if getattr(options, name) is not None]
    if named and options.items and options.items != ["-"]:
        raise UserError(f"{named[0]}: the {what} of a command line have no columns")
    output = getattr(options, "output", None)
    if output is None:
        return
    check_target(output)
    # Through a link to the file that it means: the finished file takes the place of another.
    options.output = output.resolve()
    if options.file is not None and options.output == options.file.resolve():
        raise UserError(f"{output}: holds the {what}; name another file for the output")


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


class Failures:
    """Inputs that a command could not use: each is reported at once, all are counted."""

    def __init__(self) -> None:
        self.count = 0

    def report(self, place: str, problem: str) -> None:
        """Print *problem* to standard error."""
        self.count += 1
        print(f"affectlab: {place}: {problem}", file=sys.stderr, flush=True)

    def status(self, what: str) -> int:
        """The exit status of the command: 1 if anything failed, then the count is printed.

        Args:
            what: what an input is, in the plural.
        """
        if self.count:
            print(f"affectlab: {self.count} {what} could not be read", file=sys.stderr)
        return 1 if self.count else 0


class Output(Failures):
    """Predictions as lines of JSON or rows of a table; see `open_output`.

    Attributes:
        full: whether each line has all keys, as the columns of a table need.
    """

    def __init__(self, stream: IO[str], kind: str) -> None:
        super().__init__()
        self.full = kind == "csv"
        self._stream = stream
        self._columns: list[str] | None = None
        self._early: list[dict[str, Any]] = []

    def write(self, line: Mapping[str, Any]) -> None:
        """Write one prediction; of a table, the first one decides the columns."""
        if not self.full:
            print(json.dumps(line, ensure_ascii=False), file=self._stream, flush=True)
            return
        row = dict(_cells(line))
        if self._columns is None:
            self._begin([*row, *(name for name in ("input", "error") if name not in row)])
        self._print(row)

    def fail(self, place: str, problem: str, **identity: Any) -> None:
        """Report an input that cannot be used, and write a line with the key ``error``.

        So outputs never shift against inputs.

        Args:
            place: for standard error.
            problem: what is wrong.
            identity: of the input, such as its file.
        """
        self.report(place, problem)
        self.write_partial({**identity, "error": problem})

    def write_partial(self, line: Mapping[str, Any]) -> None:
        """Write a line without a prediction; in a table, its other cells are empty."""
        if self.full and self._columns is None:
            self._early.append(dict(line))
        else:
            self.write(line)

    def finish(self) -> None:
        """Write what waits for the columns of a table."""
        if self.full and self._columns is None and self._early:
            self._begin(list(dict.fromkeys(name for line in self._early for name in line)))

    def _begin(self, columns: list[str]) -> None:
        self._columns = columns
        self._print(dict(zip(columns, columns, strict=True)))
        for line in self._early:
            self._print(line)

    def _print(self, row: Mapping[str, Any]) -> None:
        writer = csv.DictWriter(self._stream, self._columns or [], lineterminator="\n")
        writer.writerow(row)
        self._stream.flush()


def _cells(line: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The cells of a row: keys below others are joined by dots, lists are JSON."""
    for key, value in line.items():
        if isinstance(value, Mapping):
            yield from _cells(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", json.dumps(value, ensure_ascii=False)
        else:
            yield f"{prefix}{key}", value


@contextmanager
def open_output(options: argparse.Namespace) -> Iterator[Output]:
    """The output of a command with `add_output_options`; a file appears when it is complete."""
    if options.output is None:
        output = Output(sys.stdout, options.format)
        yield output
        output.finish()
        return
    with (
        atomic_path(options.output) as temporary,
        # A byte of a file's name that is not UTF-8 stays what it is.
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        output = Output(stream, options.format)
        yield output
        output.finish()


def predict_texts(
    options: argparse.Namespace,
    predict: Callable[[list[str], int], list[Any]],
    line: Callable[[str, Any, bool], Mapping[str, Any]],
) -> int:
    """Predict the texts of a command in batches, and write a line for each.

    Args:
        options: of a command with all options of this module and ``batch_size``.
        predict: from texts, and the number of the first, to their results.
        line: from a text, its result, and whether all keys are wanted, to a line of output.

    Returns:
        The exit status.
    """
    first = 1
    with open_output(options) as output:
        for batch in batched(read_items(options), options.batch_size):
            for part in runs_of_items(batch):
                if isinstance(part, BadInput):
                    place = part.identity or {"input": part.place}
                    output.fail(part.place, part.problem, **place)
                    first += 1
                    continue
                with warnings_as_lines():
                    results = predict([item.value for item in part], first)
                first += len(part)
                for item, result in zip(part, results, strict=True):
                    output.write({**item.identity, **line(item.value, result, output.full)})
    return output.status("texts")


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Every warning as one line for a user, who has no use for a place in the program."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"affectlab: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield

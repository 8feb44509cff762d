"""The output of a command: lines of JSON or rows of a table, and what failed."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from affectlab.files.io import atomic_path


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

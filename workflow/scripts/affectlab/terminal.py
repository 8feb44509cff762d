"""What the commands of all experiments share: arguments, and texts from anywhere."""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import IO, Any, TypeVar

from affectlab.errors import DataError

Item = TypeVar("Item")

_UNDECODED = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is not UTF-8."""


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` and ``--precision``, of the networks that judge texts, to *parser*."""
    parser.add_argument("--device", help="PyTorch device; a GPU if there is one")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "auto"),
        default="fp32",
        help="of matrix products; auto is bf16 where that is faster (default fp32, as evaluated)",
    )


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Every warning as one line for a user, who has no use for a place in the program."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"affectlab: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


@dataclass(frozen=True, slots=True)
class BadInput:
    """An input that cannot be used: its source and place, and what is wrong with it."""

    place: str
    problem: str


class Failures:
    """Inputs that a command could not use: each is reported at once, all are counted."""

    def __init__(self) -> None:
        self.count = 0

    def report(self, place: str, problem: str, **identity: Any) -> None:
        """Print *problem* to standard error.

        With an *identity* of the input, such as its file, a line of output is printed, too: it
        holds the identity and the key ``error``. So outputs never shift against inputs.
        """
        self.count += 1
        print(f"affectlab: {place}: {problem}", file=sys.stderr, flush=True)
        if identity:
            print(json.dumps({**identity, "error": problem}, ensure_ascii=False), flush=True)

    def status(self, what: str) -> int:
        """The exit status of the command: 1 if anything failed, then the count is printed.

        Args:
            what: what an input is, in the plural.
        """
        if self.count:
            print(f"affectlab: {self.count} {what} could not be read", file=sys.stderr)
        return 1 if self.count else 0


def read_texts(texts: Sequence[str], file: Path | None) -> Iterator[str | BadInput]:
    """Yield the texts to work on one by one, so that a pipe may stay open for ever.

    A line that is blank or not UTF-8 is yielded as a `BadInput` in its place. Blank lines at the
    end of a file or a pipe are left out.

    Args:
        texts: the texts themselves, or a single ``-``: the lines of standard input.
        file: UTF-8 file with one text a line, instead of *texts*.

    Raises:
        DataError: the file cannot be read, or is empty.
    """
    if file is not None:
        with _opened(file) as stream:
            found = False
            for item in _checked(_lines(stream), str(file)):
                found = True
                yield item
        if not found:
            raise DataError(file, None, "the file is empty")
    elif list(texts) == ["-"]:
        if isinstance(sys.stdin, io.TextIOWrapper):
            # UTF-8 whatever the locale, and a bad byte is found in its own line.
            sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        yield from _checked(_lines(sys.stdin), "standard input")
    else:
        yield from _checked(texts, None)


def runs_of_texts(items: Iterable[str | BadInput]) -> Iterator[list[str] | BadInput]:
    """Join neighbouring texts to lists, and yield each bad input between them."""
    for is_text, group in groupby(items, key=lambda item: isinstance(item, str)):
        members = list(group)
        if is_text:
            yield [item for item in members if isinstance(item, str)]
        else:
            yield from (item for item in members if isinstance(item, BadInput))


def _checked(lines: Iterable[str], source: str | None) -> Iterator[str | BadInput]:
    """Replace what is no text; without a *source* the lines are texts of the command line."""
    for number, line in enumerate(lines, start=1):
        place = f"text {number}" if source is None else f"{source}, line {number}"
        if not line.strip():
            yield BadInput(place, "is empty")
        elif undecoded := _UNDECODED.search(line):
            byte = ord(undecoded.group()) - 0xDC00
            yield BadInput(place, f"expected UTF-8, found byte 0x{byte:02x}")
        else:
            yield line


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """Open a file of texts; any failure to read it is a `DataError`."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as stream:
            yield stream
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file") from error
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error


def _lines(stream: Iterable[str]) -> Iterator[str]:
    """The lines of a stream without their ends, blank ones at its end left out."""
    blank = 0
    for number, line in enumerate(stream):
        text = line.rstrip("\r\n")
        if number == 0:
            text = text.removeprefix("\ufeff")
        if not text.strip():
            blank += 1
            continue
        yield from [""] * blank
        blank = 0
        yield text


def batched(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to *size* items, in order."""
    while batch := list(islice(items, size)):
        yield batch

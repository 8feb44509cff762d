"""What the commands of all experiments share: arguments, and texts from anywhere."""

from __future__ import annotations

import argparse
import io
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from affectlab.core.errors import DataError, UserError
from affectlab.core.io import read_text

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


def read_texts(texts: Sequence[str], file: Path | None) -> Iterator[str]:
    """The texts to work on, one by one, so that a pipe may go on for ever.

    A file and the texts of a command line are looked through before the first one is given out;
    blank lines at the end of a file or a pipe are passed over.

    Args:
        texts: the texts themselves, or a single ``-``: the lines of standard input.
        file: UTF-8 file with one text a line, instead of *texts*.

    Raises:
        UserError: a line is empty or not UTF-8; names its source and number.
        DataError: the file cannot be read, or is empty.
    """
    if file is not None:
        lines = read_text(file).split("\n")
        while lines and not lines[-1].strip():
            lines.pop()
        if not lines:
            raise DataError(file, None, "the file is empty")
        yield from list(_checked(lines, str(file)))
    elif list(texts) == ["-"]:
        yield from _checked(_standard_input(), "standard input")
    else:
        yield from list(_checked(texts, "text"))


def _checked(lines: Iterable[str], source: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise UserError(f"{source}, line {number}: is empty")
        if undecoded := _UNDECODED.search(line):
            byte = ord(undecoded.group()) - 0xDC00
            raise UserError(f"{source}, line {number}: expected UTF-8, found byte 0x{byte:02x}")
        yield line


def _standard_input() -> Iterator[str]:
    """The lines of standard input, blank ones at its end left out."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        # UTF-8 whatever the locale, and a bad byte is found in its own line.
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    blank = 0
    for number, line in enumerate(sys.stdin):
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

"""What the commands of all experiments share: arguments, and texts from anywhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from affectlab.core.errors import UserError
from affectlab.core.io import is_encodable, read_text

Item = TypeVar("Item")


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def read_texts(texts: Sequence[str], file: Path | None) -> Iterator[str]:
    """The texts to work on, one by one, so that a pipe may go on for ever.

    Args:
        texts: the texts themselves, or a single ``-``: the lines of standard input.
        file: UTF-8 file with one text a line, instead of *texts*.

    Raises:
        UserError: a line is empty or not UTF-8; names its source and number.
        DataError: the file cannot be read.
    """
    if file is not None:
        lines: Iterable[str] = read_text(file).rstrip("\n").split("\n")
        source = str(file)
    elif list(texts) == ["-"]:
        lines, source = (line.rstrip("\r\n") for line in sys.stdin), "standard input"
    else:
        lines, source = texts, "text"
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                raise UserError(f"{source}, line {number}: is empty")
            # Bytes of arguments and pipes that are not UTF-8 come as lone surrogates.
            if not is_encodable(line):
                raise UserError(f"{source}, line {number}: is not valid UTF-8")
            yield line
    except UnicodeDecodeError as error:
        # Standard input is decoded in blocks, so the line is only known to come later.
        raise UserError(f"{source}, after line {number}: is not valid UTF-8") from error


def batched(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Lists of up to *size* items, in order."""
    while batch := list(islice(items, size)):
        yield batch

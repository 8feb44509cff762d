"""Reading text files, as a whole or line by line, with clear errors."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

from affectlab.errors import DataError
from affectlab.files.integrity import check_bytes, check_file

LONGEST_LINE = 10_000_000
"""Characters (or bytes) of a line in a file of records."""

_UNDECODED = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is not UTF-8."""

Line = TypeVar("Line", str, bytes)


def read_lines(path: Path | str) -> Iterator[tuple[int, str]]:
    """Number and yield the lines of a UTF-8 file without their ends, holding one at a time.

    As in `read_text`, a byte order mark is dropped and any line end counts.

    Raises:
        DataError: the file cannot be read, a byte is not UTF-8, or a line is longer than
            `LONGEST_LINE`; names the line.
    """
    check_file(path)
    with open_to_read(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape")
        for number, line in enumerate(bounded_lines(text, path), start=1):
            if undecoded := _UNDECODED.search(line):
                byte = ord(undecoded.group()) - 0xDC00
                raise DataError(path, f"line {number}", f"expected UTF-8, found byte 0x{byte:02x}")
            yield number, line.removesuffix("\n")


def bounded_lines(stream: IO[Line], path: Path | str) -> Iterator[Line]:
    """Yield the lines of a stream with their ends; no more of one is read than `LONGEST_LINE`.

    A line of compressed zeros would else fill the memory before anything looks at it.

    Args:
        stream: of text or of bytes.
        path: where it comes from, for the message.

    Raises:
        DataError: a line is longer; names it.
    """
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            problem = f"longer than {LONGEST_LINE // 1_000_000} million characters"
            raise DataError(path, f"line {number}", problem)
        yield line


def open_to_read(path: Path | str) -> IO[bytes]:
    """Open a file for reading bytes.

    Raises:
        DataError: there is none, or it may not be read.
    """
    try:
        return Path(path).open("rb")
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file") from error
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error


def read_text(path: Path | str) -> str:
    """Read a UTF-8 file (a byte order mark is dropped, line ends become ``\\n``).

    Raises:
        DataError: the file does not exist, cannot be read, is not what was written (see
            `files.integrity`), or a byte is not UTF-8; names the line.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file") from error
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error
    check_bytes(path, data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"expected UTF-8, found byte 0x{data[error.start]:02x}"
        raise DataError(path, f"line {line}", problem) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_encodable(text: str) -> bool:
    """Tell whether UTF-8 can hold *text*: it has no place for half a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)

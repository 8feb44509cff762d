"""Lines of text files of a data set: plain or gzip-compressed, checked by their first bytes."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from affectlab.errors import DataError
from affectlab.files.text import bounded_lines, open_to_read

UNDECODED = re.compile("[\udc80-\udcff]")
"""What a byte that is not UTF-8 becomes."""


def not_utf8(text: str) -> str:
    """Report the first byte that `surrogateescape` could not decode."""
    found = UNDECODED.search(text)
    assert found is not None
    return f"expected UTF-8, found byte 0x{ord(found.group()) - 0xDC00:02x}"


def check_utf8(path: Path) -> None:
    """Reject a text file with a line that is not UTF-8.

    Raises:
        DataError: there is such a line, or the file cannot be read.
    """
    for number, line in raw_lines(path):
        if UNDECODED.search(line):
            problem = f"{not_utf8(line)}; the text looks like Windows-1252, save it as UTF-8"
            raise DataError(path, f"line {number}", problem)


def raw_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and yield the lines of a UTF-8 file without their ends.

    A byte order mark is dropped. Bytes that are not UTF-8 come as lone surrogates, so that one
    bad line is one bad record.

    Raises:
        DataError: the file is not what its name says, cut off, or a line is too long.
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
    check_kind(path, compressed)
    if compressed:
        with gzip.open(path, "rb") as unpacked:
            yield unpacked  # type: ignore[misc]
    else:
        with path.open("rb") as plain:
            yield plain


def check_kind(path: Path, compressed: bool) -> None:
    """Tell from the first bytes that a file is something else than its name says.

    Args:
        path: of the file.
        compressed: whether it should be gzip-compressed.

    Raises:
        DataError: it cannot be read, is empty, or of another kind.
    """
    with open_to_read(path) as stream:
        head = stream.read(512)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    is_gzip = head.startswith(b"\x1f\x8b")
    if not head:
        problem = "the file is empty"
    elif start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        problem = "this is a web page saved under the name of the data; download it again"
    elif start.startswith(b"version https://git-lfs"):
        problem = "this is a Git LFS pointer, not the data; fetch it with git lfs pull"
    elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem = "the text is UTF-16, expected UTF-8; save it as UTF-8 (in Excel: CSV UTF-8)"
    elif is_gzip and not compressed:
        problem = "the file is gzip-compressed; end its name in .gz or unpack it"
    elif compressed and not is_gzip:
        problem = "the name ends in .gz but the file is not gzip-compressed"
    else:
        return
    raise DataError(path, None, problem)

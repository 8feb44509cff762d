"""Lines of raw text files with their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from affectlab.datasets.lines import raw_lines
from affectlab.errors import DataError


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each line that is not blank.

    Raises:
        DataError: the file holds none, or see `lines.raw_lines`.
    """
    found = False
    for number, line in raw_lines(path):
        if line.strip():
            found = True
            yield f"line {number}", line
    if not found:
        raise DataError(path, None, "the file holds no records")

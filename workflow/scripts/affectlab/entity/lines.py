"""Lines of raw text files with their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from affectlab.errors import DataError
from affectlab.files.text import read_lines

_WEB_PAGE = re.compile(r"\s*+<(?:!doctype|html|head|\?xml)", re.IGNORECASE)


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each line that is not blank.

    Raises:
        DataError: the file holds none, or it is a web page.
    """
    found = False
    for number, line in read_lines(path):
        if not line.strip():
            continue
        if not found and _WEB_PAGE.match(line):
            raise DataError(path, None, "this is a web page saved under the name of the data")
        found = True
        yield f"line {number}", line
    if not found:
        raise DataError(path, None, "the file holds no records")

"""Tables of faces: lines of CSV files, their columns, and valence and arousal in them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from affectlab.datasets.separators import wrong_separator
from affectlab.errors import DataError
from affectlab.face.faces import SHOWN
from affectlab.files.text import bounded_lines


def affect_of(cells: Mapping[str, str], name: str) -> float:
    """Return the valence or arousal of a row.

    Raises:
        ValueError: no number of -1 to 1.
    """
    try:
        value = float(cells[name])
    except (TypeError, ValueError):
        value = math.nan
    if not -1 <= value <= 1:
        # A row that ends before has no cell here.
        shown = cells[name] and cells[name][:SHOWN]
        raise ValueError(f"{name} {shown!r}: expected a number of -1 to 1")
    return value


def require_columns(header: Sequence[str], required: list[str], path: Path) -> None:
    """Raise `DataError` if the *header* of a table lacks one of the *required* columns."""
    missing = [name for name in required if name not in header]
    if missing:
        problem = f"no column {', '.join(missing)}; expected {', '.join(required)}"
        raise DataError(path, "line 1", wrong_separator(header, required) or problem)


@contextmanager
def table_lines(raw: IO[bytes], path: Path) -> Iterator[Iterator[str]]:
    """Read *raw* as lines of UTF-8 text."""
    with table_errors(path), io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield bounded_lines(text, path)


@contextmanager
def table_errors(path: Path) -> Iterator[None]:
    """Turn what is no CSV in UTF-8 into a `DataError` that reports *path*."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(path, None, f"expected UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise DataError(path, None, f"not a CSV: {error}; is a quote left open?") from error

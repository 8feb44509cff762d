"""The history of a training run as a table: written by every trainer, read by the plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.errors import DataError
from affectlab.evaluation.stats import Array
from affectlab.files.io import sealed_writer
from affectlab.files.text import read_text

COLUMNS = ("step", "epoch", "split", "loss")


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write history rows as CSV: step, epoch, split, loss, then every other column by name."""
    first = ["step", "epoch", "split", "loss"]
    columns = first + sorted({name for row in history for name in row} - set(first))
    with sealed_writer(path) as stream:
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def read_history(
    path: Path | str, names: Sequence[str] = COLUMNS, optional: Sequence[str] = ()
) -> dict[str, dict[str, Array]]:
    """Read history.csv: for each split the columns *names*, NaN where a cell is empty.

    Columns of *optional* are read where the file has them.

    Raises:
        DataError: a column is missing or a cell is no number.
    """
    reader = csv.DictReader(io.StringIO(read_text(path)))
    missing = [name for name in names if name not in (reader.fieldnames or [])]
    if missing:
        raise DataError(path, "line 1", f"expected the columns {', '.join(missing)}")
    columns: dict[str, dict[str, list[float]]] = {}
    extra = [name for name in optional if name in (reader.fieldnames or [])]
    numbers = [name for name in (*names, *extra) if name != "split"]
    for row in reader:
        split = columns.setdefault(row["split"], {name: [] for name in numbers})
        for name in numbers:
            try:
                split[name].append(float(row[name]) if row[name] != "" else float("nan"))
            except (TypeError, ValueError) as error:
                place = f"line {reader.line_num}"
                raise DataError(path, place, f"{name}: expected a number") from error
    return {
        split: {name: np.array(values) for name, values in rows.items()}
        for split, rows in columns.items()
    }

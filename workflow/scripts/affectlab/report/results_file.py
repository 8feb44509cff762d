"""The table of results that a run left, as typed rows; other programs get the same rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from affectlab.errors import DataError, UserError
from affectlab.files.text import read_text
from affectlab.report.data_notes import DIFFERS, GENERATED
from affectlab.report.results import COLUMNS, results_csv

MARKS = (GENERATED, DIFFERS)
"""Of data sets."""

ALWAYS = ("kind", "experiment", "run", "data", "metric")
"""Columns without empty cells."""

OF_RUNS = ("n", "seeds")
"""Columns without empty cells in the rows of runs, which are all but the published ones."""


def read_results(folder: Path | str) -> list[dict[str, Any]]:
    """The rows of a results folder's ``tables/results.csv``, see `results.COLUMNS`.

    Returns:
        Numbers as numbers, ``seeds`` as a list, and None where a cell is empty.

    Raises:
        DataError: there is no table; or it lacks a column, or a cell is not what it should be.
    """
    table = Path(folder) / "tables" / "results.csv"
    rows = []
    for place, row in _rows_of(table):
        try:
            rows.append(_typed(row))
        except ValueError as error:
            raise DataError(table, place, str(error)) from error
    return rows


def chosen(
    rows: Sequence[Mapping[str, Any]], experiment: str | None, *, headline: bool
) -> list[Mapping[str, Any]]:
    """The rows of one experiment, or its headline scores alone.

    Raises:
        UserError: there is nothing of this experiment.
    """
    known = sorted({row["experiment"] for row in rows})
    if experiment is not None and experiment not in known:
        raise UserError(f"--experiment {experiment}: there are results of {', '.join(known)}")
    return [
        row
        for row in rows
        if experiment in (None, row["experiment"]) and (row["headline"] or not headline)
    ]


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """A list of objects."""
    return json.dumps(rows, indent=2, ensure_ascii=False)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same columns as the table of the results folder."""
    joined = ({**row, "seeds": " ".join(map(str, row["seeds"] or ()))} for row in rows)
    return results_csv(joined).removesuffix("\n")


def _rows_of(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of results.csv and its place in the file.

    Raises:
        DataError: the table lacks a column, or a row has more or fewer cells than the first.
    """
    reader = csv.DictReader(io.StringIO(read_text(table)), strict=True)
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise DataError(table, "line 1", f"expected a column {missing[0]}")
        for row in reader:
            place = f"line {reader.line_num}"
            if None in row or None in row.values():
                raise DataError(table, place, f"expected {len(reader.fieldnames or [])} cells")
            yield place, row
    except csv.Error as error:
        raise DataError(table, f"line {reader.line_num}", str(error)) from error


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    """The values of a row.

    Raises:
        ValueError: a cell is not what it should be.
    """
    found = {name: _TYPES[name](row[name]) for name in COLUMNS}
    needed = (*ALWAYS, *(() if found["kind"] == "published" else OF_RUNS))
    if empty := [name for name in needed if found[name] is None]:
        raise ValueError(f"{empty[0]}: expected a value, found ''")
    if found["baseline"] is not None and found["baseline_value"] is None:
        raise ValueError("baseline_value: expected a number, found ''")
    return found


def _number(cell: str) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        raise ValueError(f"expected a number, found {cell[:50]!r}") from None


def _value(cell: str) -> float:
    number = _number(cell)
    if number is None:
        raise ValueError("expected a number, found ''")
    return number


def _whole(cell: str) -> int | None:
    try:
        return int(cell) if cell else None
    except ValueError:
        raise ValueError(f"expected a whole number, found {cell[:50]!r}") from None


def _seeds(cell: str) -> list[int] | None:
    return [seed for seed in map(_whole, cell.split()) if seed is not None] or None


def _truth(cell: str) -> bool | None:
    known = {"True": True, "False": False, "": None}
    if cell not in known:
        raise ValueError(f"expected True or False, found {cell[:50]!r}")
    return known[cell]


def _mark(cell: str) -> str | None:
    if cell and cell not in MARKS:
        raise ValueError(f"data_note: expected {' or '.join(MARKS)}, found {cell[:50]!r}")
    return cell or None


def _text(cell: str) -> str | None:
    return cell or None


_TYPES: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        **dict.fromkeys(COLUMNS, _text),
        **dict.fromkeys(("sd", "ci_low", "ci_high", "baseline_value"), _number),
        **dict.fromkeys(("n", "groups"), _whole),
        **dict.fromkeys(("below_baseline", "headline", "verified"), _truth),
        "value": _value,
        "seeds": _seeds,
        "data_note": _mark,
    }
)
"""Column -> what reads a cell of it."""

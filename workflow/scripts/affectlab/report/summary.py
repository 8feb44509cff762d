"""The results of a run in a few lines of text, for the end of a terminal session."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from affectlab.errors import DataError
from affectlab.files.text import read_text
from affectlab.report.data_notes import DIFFERS, GENERATED
from affectlab.report.results import COLUMNS

BELOW = "below baseline"
"""The mark of a score that is worse than its trivial baseline."""

MEANING = {
    GENERATED: (
        "Generated data",
        "The scores show that the workflow runs. They show nothing about people.",
    ),
    DIFFERS: (
        "Data that differ from their registry entry",
        "The scores cannot be compared with those on the published data. The report lists the"
        " differences.",
    ),
}
"""What each mark of a data set means, for the lines below the table."""


def summarise(results: Path | str) -> str:
    """A short table of a results folder, and where its report is.

    Args:
        results: the folder, with ``tables/results.csv`` and ``report/index.html``.

    Raises:
        DataError: there is no table; or it lacks a column, or a cell is not what it should be.
    """
    folder = Path(results)
    table = folder / "tables" / "results.csv"
    header = (
        *("experiment", "run", "data", "n", "seeds", "metric", "value", "interval", "baseline"),
        "note",
    )
    rows: list[tuple[str, ...]] = [header]
    marked: dict[str, dict[str, None]] = {}
    for place, row in _rows_of(table):
        if row["kind"] != "ours" or row["headline"] != "True":
            continue
        try:
            rows.append(_cells(row))
        except ValueError as error:
            raise DataError(table, place, str(error)) from error
        if row["data_note"]:
            marked.setdefault(row["data_note"], {})[row["data"]] = None
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = [
        f"{MEANING[mark][0]}: {', '.join(data)}. {MEANING[mark][1]}"
        for mark, data in marked.items()
    ]
    notes.append("Intervals cover other items; those with * cover other items and other seeds.")
    return "\n".join(
        [*lines, "", *notes, f"Report: {(folder / 'report' / 'index.html').resolve()}"]
    )


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


def _cells(row: Mapping[str, str]) -> tuple[str, ...]:
    """The line of one score.

    Raises:
        ValueError: a cell is no number, or no mark of `MEANING`.
    """
    limits = [row["ci_low"], row["ci_high"]]
    interval = f"[{', '.join(_short(limit) for limit in limits)}]" if all(limits) else ""
    if interval and row["interval_covers"] == "items and seeds":
        interval += "*"
    baseline = row["baseline"] and f"{_short(row['baseline_value'])} ({row['baseline']})"
    mark = row["data_note"]
    if mark and mark not in MEANING:
        raise ValueError(f"data_note: expected {' or '.join(MEANING)}, found {mark[:50]!r}")
    below = BELOW if row["below_baseline"] == "True" else ""
    return (
        *(row["experiment"], row["run"], row["data"], row["n"], str(len(row["seeds"].split()))),
        *(row["metric"], _short(row["value"]), interval, baseline),
        "; ".join(filter(None, (below, mark))),
    )


def _short(number: str) -> str:
    try:
        return f"{float(number):.3f}"
    except ValueError:
        raise ValueError(f"expected a number, found {number[:50]!r}") from None

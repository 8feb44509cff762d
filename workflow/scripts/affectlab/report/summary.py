"""The results of a run in a few lines of text, for the end of a terminal session."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from affectlab.core.errors import DataError
from affectlab.core.io import read_text


def summarise(results: Path | str) -> str:
    """A short table of a results folder, and where its report is.

    Args:
        results: the folder, with ``tables/results.csv`` and ``report/index.html``.

    Raises:
        DataError: there is no table; or it lacks a column.
    """
    folder = Path(results)
    table = folder / "tables" / "results.csv"
    header = ("experiment", "run", "data", "n", "seeds", "metric", "value", "interval", "baseline")
    rows = [header]
    try:
        for row in csv.DictReader(io.StringIO(read_text(table))):
            if row["kind"] == "ours" and row["headline"] == "True":
                limits = [row["ci_low"], row["ci_high"]]
                interval = (
                    f"[{', '.join(_short(limit) for limit in limits)}]" if all(limits) else ""
                )
                if interval and row["interval_covers"] == "items and seeds":
                    interval += "*"
                baseline = (
                    row["baseline"] and f"{_short(row['baseline_value'])} ({row['baseline']})"
                )
                rows.append(
                    (
                        *(row["wing"], row["run"], row["data"], row["n"]),
                        str(len(row["seeds"].split())),
                        row["metric"],
                        _short(row["value"]),
                        interval,
                        baseline,
                    )
                )
    except KeyError as error:
        raise DataError(table, "line 1", f"expected a column {error.args[0]}") from error
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    note = "Intervals cover other items; those with * cover other items and other seeds."
    return "\n".join([*lines, "", note, f"Report: {(folder / 'report' / 'index.html').resolve()}"])


def _short(number: str) -> str:
    return f"{float(number):.3f}"

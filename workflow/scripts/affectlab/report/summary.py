"""The results of a run in a few lines of text, for the end of a terminal session."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from affectlab.core.errors import DataError
from affectlab.core.io import read_text

METRICS = ("accuracy", "macro_f1")


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
            if row["kind"] == "ours" and row["metric"] in METRICS:
                interval = f"[{float(row['ci_low']):.3f}, {float(row['ci_high']):.3f}]"
                rows.append(
                    (
                        *(row["wing"], row["run"], row["data"], row["n"]),
                        str(len(row["seeds"].split())),
                        row["metric"],
                        f"{float(row['value']):.3f}",
                        interval,
                        f"{float(row['baseline_value']):.3f} ({row['baseline']})",
                    )
                )
    except KeyError as error:
        raise DataError(table, "line 1", f"expected a column {error.args[0]}") from error
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", f"Report: {(folder / 'report' / 'index.html').resolve()}"])

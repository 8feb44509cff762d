"""The results of a run in a few lines of text, for the end of a terminal session."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from affectlab.core.errors import DataError
from affectlab.core.io import read_text
from affectlab.report.data_notes import DIFFERS, GENERATED

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
        DataError: there is no table; or it lacks a column.
    """
    folder = Path(results)
    table = folder / "tables" / "results.csv"
    header = (
        *("experiment", "run", "data", "n", "seeds", "metric", "value", "interval", "baseline"),
        "note",
    )
    rows = [header]
    marked: dict[str, dict[str, None]] = {}
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
                mark = row["data_note"]
                if mark:
                    marked.setdefault(mark, {})[row["data"]] = None
                below = BELOW if row["below_baseline"] == "True" else ""
                rows.append(
                    (
                        *(row["wing"], row["run"], row["data"], row["n"]),
                        str(len(row["seeds"].split())),
                        row["metric"],
                        _short(row["value"]),
                        interval,
                        baseline,
                        "; ".join(filter(None, (below, mark))),
                    )
                )
    except KeyError as error:
        raise DataError(table, "line 1", f"expected a column {error.args[0]}") from error
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


def _short(number: str) -> str:
    return f"{float(number):.3f}"

"""The results of a run as a short table for a terminal or for a page of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.report.data_notes import DIFFERS, GENERATED
from affectlab.report.display import baseline_name, limits, number, score_name

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

HEADER = (
    *("experiment", "run", "data", "n", "seeds", "score", "value", "interval", "baseline"),
    "note",
)
"""Columns of the tables for readers."""

DISPENSABLE = ("seeds", "data", "n", "experiment", "baseline", "interval")
"""Columns that a narrow terminal goes without, the first of them first."""

GAP = "  "


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of our scores, for a README or an issue."""
    lines = [HEADER, ("---",) * len(HEADER), *(_cells(row) for row in rows if _is_ours(row))]
    escaped = ((cell.replace("|", "\\|") for cell in line) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def summarise(
    folder: Path | str, rows: Sequence[Mapping[str, Any]], width: int | None = None
) -> str:
    """The main score of each run, what kind of data it is of, and what to do next.

    Args:
        folder: with ``report/index.html``.
        rows: of `results_file.read_results`.
        width: characters of a line; None for as many as it needs.
    """
    main: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        if _is_ours(row) and row["headline"]:
            main.setdefault((row["experiment"], row["run"]), row)
    marked: dict[str, dict[str, None]] = {}
    for row in main.values():
        if row["data_note"]:
            marked.setdefault(row["data_note"], {})[row["data"]] = None
    notes = [
        f"{MEANING[mark][0]}: {', '.join(data)}. {MEANING[mark][1]}"
        for mark, data in marked.items()
    ]
    notes.append("Intervals cover other items; those with * cover other items and other seeds.")
    table = _table([_cells(row) for row in main.values()], width)
    return "\n".join([*table, "", *notes, "", *_next_steps(Path(folder), main)])


def _table(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The lines of a table that fits *width*, if leaving out columns makes it."""
    columns = list(range(len(HEADER)))
    lines = [HEADER, *rows]
    sizes = [max(len(line[column]) for line in lines) for column in columns]
    for name in DISPENSABLE:
        if width is None or sum(sizes[one] + len(GAP) for one in columns) - len(GAP) <= width:
            break
        columns.remove(HEADER.index(name))
    return [GAP.join(line[one].ljust(sizes[one]) for one in columns).rstrip() for line in lines]


def _next_steps(folder: Path, runs: Iterable[tuple[str, str]]) -> list[str]:
    """Where the report is, how to try a model, and how to use own data."""
    steps = [f"Report: {(folder / 'report' / 'index.html').resolve()}"]
    folders = (folder / name / run for name, run in runs if name == "emotion")
    models = (model for run in folders for model in sorted(run.glob("seed*/model")))
    if model := next(models, None):
        steps.append(f'Try a model: affectlab predict emotion --model {model} "I am so glad"')
    steps.append("Use your own data: affectlab init EXPERIMENT FILE_OR_FOLDER > mine.yaml")
    return steps


def _is_ours(row: Mapping[str, Any]) -> bool:
    return bool(row["kind"] == "ours")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The line of one score."""
    interval = ""
    if row["ci_low"] is not None and row["ci_high"] is not None:
        interval = limits((row["ci_low"], row["ci_high"]))
        interval += "*" if row["interval_covers"] == "items and seeds" else ""
    baseline = ""
    if row["baseline"]:
        name = baseline_name(row["baseline"], row["experiment"])
        baseline = f"{number(row['baseline_value'])} ({name})"
    below = BELOW if row["below_baseline"] else ""
    return (
        *(row["experiment"], row["run"], row["data"], str(row["n"]), str(len(row["seeds"]))),
        *(score_name(row["metric"]), number(row["value"]), interval, baseline),
        "; ".join(filter(None, (below, row["data_note"]))),
    )

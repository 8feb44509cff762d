"""Simulate the coverage of all intervals and the errors of all tests, and print them as a table.

    .venv/bin/python benchmarks/coverage.py [--datasets N] [--seed N] [--only PART]

PART is `scores` (intervals of one run), `comparison` (seeds and pairs of runs), `probes`
(cross-validated probes of classes) or `numbers` (those of numbers). The default of 2,000 data sets
takes some minutes for each part. The Monte Carlo error is the standard error of the coverage, or of
the share of rejections.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from coverage_rows import ErrorRow, IntervalRow

PARTS = ("scores", "comparison", "probes", "numbers")
"""Each is a module coverage_PART with a function rows(datasets, seed)."""

INTERVAL_HEADER = (
    "| score | setting | data sets | coverage | misses below | misses above | mean width"
    " | of the reference |\n|---|---|---|---|---|---|---|---|"
)
ERROR_HEADER = "| test | setting | data sets | error rate or power |\n|---|---|---|---|"


def main(arguments: list[str] | None = None) -> None:
    """Run the parts that were asked for and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=int, default=2000, help="data sets of each setting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    options = parser.parse_args(arguments)
    parts = PARTS if options.only is None else (options.only,)
    print_tables(simulated(parts, options.datasets, options.seed))


def simulated(parts: Iterable[str], datasets: int, seed: int) -> Iterator[IntervalRow | ErrorRow]:
    """Yield the rows of all parts."""
    for part in parts:
        yield from importlib.import_module(f"coverage_{part}").rows(datasets, seed)


def print_tables(rows: Iterable[IntervalRow | ErrorRow]) -> None:
    """Print intervals as they come, then tests."""
    errors = []
    print(INTERVAL_HEADER)
    for row in rows:
        if isinstance(row, ErrorRow):
            errors.append(row)
        else:
            print(interval_line(row), flush=True)
    if errors:
        print("\n" + ERROR_HEADER)
        for error in errors:
            print(error_line(error))


def interval_line(row: IntervalRow) -> str:
    """One row of the table of intervals."""
    ratio = "" if row.reference is None else f"{row.width / row.reference:.2f}"
    return (
        f"| {row.score} | {row.setting} | {row.datasets} | {row.coverage:.3f} ±"
        f" {row.monte_carlo_error:.3f} | {row.below:.3f} | {row.above:.3f} | {row.width:.3f} |"
        f" {ratio} |"
    )


def error_line(row: ErrorRow) -> str:
    """One row of the table of tests."""
    kind = "error rate" if row.is_null else "power"
    return (
        f"| {row.test} | {row.setting} | {row.datasets} | {kind} {row.rejected:.3f} ±"
        f" {row.monte_carlo_error:.3f} |"
    )


if __name__ == "__main__":
    main()

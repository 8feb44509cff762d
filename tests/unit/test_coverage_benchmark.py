"""The table that benchmarks/coverage.py prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_table_has_intervals_first_and_then_tests(
    on_path: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import coverage_scores
    from coverage_rows import ErrorRow, IntervalRow

    module_name = "coverage"
    # The measuring tool of the same name may be installed.
    monkeypatch.delitem(sys.modules, module_name, raising=False)
    import coverage

    def rows(datasets: int, seed: int) -> Iterator[IntervalRow | ErrorRow]:
        yield ErrorRow("sign test", f"seed {seed}", datasets, 0.5, True)
        yield IntervalRow("share", "n = 5", datasets, 0.5, 0.2, 0.3, 0.4, 0.2)
        yield ErrorRow("sign test", "effect 1", datasets, 0.9, False)

    monkeypatch.setattr(coverage_scores, "rows", rows)
    coverage.main(["--datasets", "100", "--seed", "3", "--only", "scores"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:3] == ["| share | n = 5 | 100 | 0.500 ± 0.050 | 0.200 | 0.300 | 0.400 | 2.00 |"]
    assert lines[-2:] == [
        "| sign test | seed 3 | 100 | error rate 0.500 ± 0.050 |",
        "| sign test | effect 1 | 100 | power 0.900 ± 0.030 |",
    ]


def test_shares_are_simulated_at_all_sizes(on_path: None) -> None:
    import coverage_scores
    import numpy as np

    rows = list(coverage_scores.shares(20, np.random.default_rng(0)))
    assert len(rows) == len(coverage_scores.SHARE_SIZES) * len(coverage_scores.SHARES)
    assert all(row.width == pytest.approx(row.reference) for row in rows)

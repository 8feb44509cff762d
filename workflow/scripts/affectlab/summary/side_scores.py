"""Scores of a run that other jobs computed: the marks of a judge, and scores by further models.

Each of these jobs stores its scores in the form of `metrics.json`. The evaluation of the run merges
them, so that one file holds all scores of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.errors import reading
from affectlab.evaluation import stats
from affectlab.evaluation.intervals import mean_interval
from affectlab.evaluation.records import metric
from affectlab.files.io import read_json

HIGHEST_MARK = 5

BOUNDS = {
    "judge_score": (0.0, float(HIGHEST_MARK)),
    "bertscore": (-1.0, 1.0),
    "entailed_sentences": (0.0, 1.0),
}
"""Lowest and highest value of each score: a mean of marks, a mean of cosines, a share."""


def side_metric(
    name: str, rows: npt.ArrayLike, groups: Sequence[str], level: float
) -> dict[str, Any]:
    """Return one score as `metrics.json` holds it.

    Args:
        name: of the score, one of `BOUNDS`.
        rows: ``[n, 2]``; sum and weight of each case. The score is the ratio of their totals.
        groups: group of each case.
        level: of the interval, such as 0.95.
    """
    table = stats.group_sums(np.array(rows, dtype=float), groups)
    interval = mean_interval(table, level, BOUNDS[name])
    return metric(interval.value, "higher", (interval.low, interval.high))


def read_side_metrics(*paths: Path | str | None) -> dict[str, Any]:
    """Read the scores in judge.json and neural.json; a path is None where there are none.

    Raises:
        DataError: a file is corrupt.
    """
    found: dict[str, Any] = {}
    for path in paths:
        if path is not None:
            record = read_json(path)
            with reading(path, "an object with the key metrics"):
                found |= record["metrics"]
    return found


def read_judge(
    path: Path | str | None,
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Read how the score in judge.json came about, and what it cost; None without a judge.

    Raises:
        DataError: the file is corrupt.
    """
    if path is None:
        return None, None
    record = read_json(path)
    with reading(path, "an object with the keys judge and usage"):
        return record["judge"], record["usage"]

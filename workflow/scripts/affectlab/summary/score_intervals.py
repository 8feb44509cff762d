"""Values of scores over all cases, with intervals and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affectlab.evaluation import intervals, stats
from affectlab.evaluation.comparison import Resamples, Trials, difference
from affectlab.summary.scores import Score

COMPARED = ("rouge1", "rouge2", "rouge_l", "bleu", "chrf")
"""Scores whose paired differences between runs are reported, and that `TRIVIAL` have too."""

COUNTED = (
    "valid_output",
    "failed",
    "repetition",
    "unsupported_numbers",
    "unsupported_names",
)
"""Scores that are ratios of counts."""

MEANS = ("rouge1", "rouge2", "rouge_l", "chrf")
"""Scores that are means of one value for each case."""


def value_of(score: Score, groups: Sequence[str]) -> float:
    """The score of all cases together; summed as its interval is, to the last bit."""
    return float(score.statistic(stats.group_sums(score.columns, groups).sum(axis=0)))


def interval_of(
    name: str, score: Score, groups: Sequence[str], bootstrap: Mapping[str, Any]
) -> stats.Interval:
    """The score *name* of all cases together, with its interval."""
    table = stats.group_sums(score.columns, groups)
    if name in COUNTED:
        return intervals.share_interval(table, bootstrap["level"])
    if name in MEANS:
        return intervals.mean_interval(table, bootstrap["level"])
    replicates = intervals.replicates_of(
        score.statistic, table, bootstrap["resamples"], bootstrap["seed"]
    )
    return intervals.resampled_interval(
        value_of(score, groups), replicates, len(table), bootstrap["level"]
    )


def differences(
    ours: Mapping[str, Score],
    theirs: Mapping[str, Score],
    groups: Sequence[str],
    bootstrap: Mapping[str, Any],
) -> dict[str, Any]:
    """Return paired differences (ours minus theirs) of `COMPARED`, with intervals over cases.

    They are of the two models that wrote these answers, and say nothing of other seeds.
    """
    resamples = Resamples(groups, bootstrap["resamples"], bootstrap["seed"])
    found = {}
    for name in COMPARED:
        first, second = (trials_of([scores[name]], groups, resamples) for scores in (ours, theirs))
        one = difference(
            first,
            second,
            groups=len(set(groups)),
            level=bootstrap["level"],
            over_seeds=False,
        )
        found[name] = {
            "value": one.value,
            "ci": None if one.limits is None else list(one.limits),
        }
    return found


def trials_of(scores: Sequence[Score], groups: Sequence[str], resamples: Resamples) -> Trials:
    """One score of several models, with its replicates."""
    tables = [stats.group_sums(score.columns, groups) for score in scores]
    statistic = scores[0].statistic
    return Trials(
        np.array([value_of(score, groups) for score in scores]),
        np.array([resamples.of_sums(statistic, table) for table in tables]),
    )

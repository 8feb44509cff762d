"""Values of scores over all cases, with intervals and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.config.models import Bootstrap
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.comparison import Resamples, Score, difference

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


def interval_of(name: str, score: Score, bootstrap: Bootstrap) -> stats.Interval:
    """The score *name* of all cases together, with its interval."""
    if name in COUNTED:
        return intervals.share_interval(score.table, bootstrap.level)
    if name in MEANS:
        return intervals.mean_interval(score.table, bootstrap.level)
    replicates = intervals.replicates_of(
        score.statistic, score.table, bootstrap.resamples, bootstrap.seed
    )
    return intervals.resampled_interval(score.value, replicates, len(score.table), bootstrap.level)


def differences(
    ours: Mapping[str, Score],
    theirs: Mapping[str, Score],
    groups: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Return paired differences (ours minus theirs) of `COMPARED`, with intervals over cases.

    They are of the two models that wrote these answers, and say nothing of other seeds.
    """
    resamples = Resamples(groups, bootstrap.resamples, bootstrap.seed)
    found = {}
    for name in COMPARED:
        first, second = (resamples.trials([scores[name]]) for scores in (ours, theirs))
        found[name] = difference(
            first,
            second,
            groups=len(set(groups)),
            level=bootstrap.level,
            over_seeds=False,
        ).as_record()
    return found

"""The scores of any of the cases of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from affectlab.evaluation.by_subgroup import ItemScore, ScoredItems
from affectlab.evaluation.intervals import mean_interval
from affectlab.summary.cases import Case
from affectlab.summary.scores import Answer, all_scores

SCORES = ("rouge_l", "chrf")
"""Scores that subgroups have: means of one value for each case."""


def case_items(cases: Sequence[Case], answers: Sequence[Answer], level: float) -> ScoredItems:
    """The cases with the scores of `SCORES`, with intervals at *level*.

    Args:
        cases: what was to be summarised.
        answers: one a case, in the same order.
        level: of the intervals.
    """
    # Sums of groups are sorted by the name of the group: so each case is a row, in its order.
    alone = [replace(case, group=f"{place:09}") for place, case in enumerate(cases)]
    found = all_scores(alone, answers)
    return ScoredItems(
        [case.id for case in cases],
        [case.group for case in cases],
        {
            name: ItemScore(
                found[name].table,
                found[name].statistic,
                lambda sums: mean_interval(sums, level),
            )
            for name in SCORES
        },
    )

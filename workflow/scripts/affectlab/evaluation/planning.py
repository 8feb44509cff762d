"""What given items can show, before anything is trained.

A plan has three parts: the width of the interval that a score of an assumed value gets, the
smallest difference between two runs that the paired comparison detects with `POWER`, and how many
items an interval of a wanted width needs. The intervals are those of
`affectlab.evaluation.intervals`, computed from simulated predictions
(`affectlab.evaluation.planned_scores`). The difference is tested as
`affectlab.evaluation.comparison` tests two trained models: Student's t over groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from affectlab.errors import UserError
from affectlab.evaluation.planned_scores import Decisions, PlannedScore, Test, is_grouped
from affectlab.evaluation.stats import Integers

LEVEL = 0.95
"""Of the planned intervals and tests."""

POWER = 0.8
"""Probability with which the smallest difference is detected."""

CORRELATION = 0.5
"""Assumed correlation of the errors of two runs, where their agreement is not given."""

WORST, BEST = 1.0, 0.0
"""Correlation of the items of one group: one outcome for all of them, or independent outcomes."""

LARGEST_SIMULATED = 100_000
"""Items above which a wanted width is extrapolated: the width goes with one over their root."""

MOST_STEPS = 10
"""Of the search for a difference or for a number of items."""

CLOSE = 0.01
"""Relative error at which such a search ends."""

SEED = 0

TEST_SPLIT, ALL_FOLDS = "the test split", "all folds of the cross-validation"
"""Where items are scored."""

RIGHT_TOGETHER = "share of items on which two runs are both right or both wrong:"
FOUND_TOGETHER = "share of the classes of items that two runs both find or both miss:"
CORRELATED = "correlation of the errors of two runs:"
"""What agreement means, by kind of score."""


@dataclass(frozen=True)
class Question:
    """One score that can be planned.

    Attributes:
        name: of the score.
        title: of the score in a sentence.
        score: what simulates it.
        expected: the value that is assumed without any other wish.
        why: where this value comes from, in words.
        agreement: what `PlannedScore.agreement` of this score is, in words.
    """

    name: str
    title: str
    score: PlannedScore
    expected: float
    why: str
    agreement: str = RIGHT_TOGETHER


@dataclass(frozen=True)
class Plannable:
    """Items that runs are scored on together, with the scores that can be planned.

    Attributes:
        what: plural of an item, such as ``texts``.
        where: ``the test split``, or ``all folds``.
        questions: the main score first.
        task: of the items, where a data set has several.
    """

    what: str
    where: str
    questions: Sequence[Question]
    task: str = ""


class Outlook(NamedTuple):
    """What is expected at one correlation within groups.

    Attributes:
        within: correlation of the items of one group.
        design_effect: variance of a mean over that of as many independent items.
        low: mean lower limit of the interval.
        high: mean upper limit.
        smallest_difference: that is detected with `POWER`; None if none is.
        needed: items for the wanted width; None if no width is wanted.
    """

    within: float
    design_effect: float
    low: float
    high: float
    smallest_difference: float | None
    needed: int | None

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low


@dataclass(frozen=True)
class Plan:
    """The plan of one score.

    Attributes:
        question: the score.
        items: n.
        groups: how many.
        expected: the value that is assumed.
        agree: assumed agreement of two runs, see `PlannedScore.agreement`.
        width: that is wanted; None: none.
        outlooks: by falling correlation within groups; one where no two items are of one group.
    """

    question: Question
    items: int
    groups: int
    expected: float
    agree: float
    width: float | None
    outlooks: Sequence[Outlook]


def make_plan(
    question: Question,
    *,
    expected: float | None = None,
    agree: float | None = None,
    within: float | None = None,
    width: float | None = None,
) -> Plan:
    """Plan one score.

    Args:
        question: the score.
        expected: the value to assume; None: that of the question.
        agree: agreement of two runs; None: from errors with the correlation `CORRELATION`.
        within: correlation of the items of one group; None: both `WORST` and `BEST`.
        width: of an interval that is wanted.

    Raises:
        UserError: a value is out of bounds, or two such runs cannot agree so seldom.
    """
    score = question.score
    value = question.expected if expected is None else expected
    _check(score, value, agree, within, width)
    agreed = score.agreement(value, CORRELATION) if agree is None else agree
    known = (WORST, BEST) if within is None else (within,)
    if not is_grouped(score.groups):
        known = (BEST,)
    return Plan(
        question,
        len(score.groups),
        int(score.groups.max()) + 1,
        value,
        agreed,
        width,
        [_outlook(score, value, agreed, one, width) for one in known],
    )


def design_effect(groups: Integers, within: float) -> float:
    """Variance of a mean over that of independent items, for groups ``[n]`` numbered from 0."""
    sizes = np.bincount(groups)
    return 1 + (float((sizes**2).sum()) / len(groups) - 1) * within


def _check(
    score: PlannedScore,
    expected: float,
    agree: float | None,
    within: float | None,
    width: float | None,
) -> None:
    """Reject what no data can have."""
    low, high = score.bounds
    if not low < expected < high:
        raise UserError(f"score {expected:g}: expected a value between {low:g} and {high:g}")
    if within is not None and not 0 <= within <= 1:
        raise UserError(f"correlation {within:g}: expected a value from 0 to 1")
    if width is not None and not 0 < width < high - low:
        raise UserError(f"width {width:g}: expected a value between 0 and {high - low:g}")
    least = score.least_agreement(expected)
    if agree is not None and not least <= agree < 1:
        raise UserError(
            f"agreement {agree:g}: expected a value from {least:.3g} to 1; two runs with a score"
            f" of {expected:g} cannot agree less"
        )


def _outlook(
    score: PlannedScore, expected: float, agree: float, within: float, width: float | None
) -> Outlook:
    limits = score.limits(expected, within, LEVEL, SEED)
    low, high = float(limits.low), float(limits.high)
    return Outlook(
        within,
        design_effect(score.groups, within),
        low,
        high,
        _smallest_difference(score, expected, agree, within),
        None if width is None else _needed(score, expected, within, high - low, width),
    )


def _smallest_difference(
    score: PlannedScore, expected: float, agree: float, within: float
) -> float | None:
    """The loss of score against *expected* that is detected with `POWER`.

    None if not even a run without any skill differs clearly. The loss of quality is moved until the
    mean difference is what the test needs.
    """
    if int(score.groups.max()) == 0:
        return None
    quality, test = score.quality(expected), Test(LEVEL, POWER)
    loss = quality / 10
    for _ in range(MOST_STEPS):
        drawn = score.detection(quality, loss, agree, within, test, SEED)
        if abs(drawn.mean - drawn.needed) < CLOSE * drawn.needed:
            return drawn.mean
        if loss == quality and drawn.mean < drawn.needed:
            return None
        loss = min(loss * drawn.needed / max(drawn.mean, drawn.needed / 10), quality)
    return drawn.mean


def _needed(
    score: PlannedScore, expected: float, within: float, width: float, wanted: float
) -> int:
    """How many items give an interval of the *wanted* width, in groups like the present ones."""
    items = len(score.groups)
    for _ in range(MOST_STEPS):
        items = max(2, round(items * (width / wanted) ** 2))
        if items > LARGEST_SIMULATED or abs(width / wanted - 1) < CLOSE:
            break
        limits = score.resized(items, SEED).limits(expected, within, LEVEL, SEED)
        width = float(limits.high - limits.low)
    return items


def questions_of(
    parts: Sequence[Plannable], score: str | None
) -> list[tuple[Plannable, Sequence[Question]]]:
    """The questions of each part, or those of one *score*.

    Raises:
        UserError: there is nothing to plan, or no such score.
    """
    known = list(dict.fromkeys(one.name for part in parts for one in part.questions))
    if not known:
        raise UserError("nothing to plan: no items are scored, or all are of one class")
    if score is not None and score not in known:
        raise UserError(f"--score {score}: expected one of {', '.join(known)}")
    found = [(part, [one for one in part.questions if score in (None, one.name)]) for part in parts]
    return [(part, asked) for part, asked in found if asked]


def decision_questions(
    labels: Integers, groups: Sequence[Any], classes: Sequence[str], titles: Mapping[str, str]
) -> list[Question]:
    """The questions of scores of the confusion matrix.

    The assumed value is the middle between the strongest constant decision and 1.

    Args:
        labels: ``[n]`` class ids of the scored items.
        groups: ``[n]``, the group of each item.
        classes: names of the classes.
        titles: score as of `intervals.confusion_limits` -> its title, the main one first.

    Returns:
        A question for each score; none where all items are of one class.
    """
    # Classes without items have no recall; answers are simulated among the others.
    present, ids = np.unique(labels, return_inverse=True)
    if len(present) < 2:
        return []
    codes = group_codes(groups)
    found = []
    for name, title in titles.items():
        score = Decisions(name, ids, codes, len(present))
        best, value = score.strongest_constant()
        why = f"the middle between always {classes[present[best]]!r} ({value:.2f}) and 1"
        found.append(Question(name, title, score, (1 + value) / 2, why))
    return found


def group_codes(groups: Sequence[Any]) -> Integers:
    """Number groups from 0, int64 ``[n]``."""
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)

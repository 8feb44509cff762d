"""Simulated predictions for a score that is planned before anything is trained.

Each class here stands for one score on given items. It draws predictions of an assumed quality and
computes from them what `affectlab.evaluation.intervals` and `affectlab.evaluation.comparison` will
see: the interval of the score, and the spread of the difference of two runs.

Items of one group are correlated. An item copies the outcome of its group with probability
``sqrt(within)``, so that the outcomes of two items of a group have the correlation *within*. For
equal groups of m items the variance of a mean is then ``1 + (m - 1) * within`` times that of
independent items (the design effect; Kish, Survey Sampling, 1965, section 5.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol, Self

import numpy as np

from affectlab.evaluation import intervals, stats
from affectlab.evaluation.intervals import Limits
from affectlab.evaluation.stats import Floats, Integers

CELLS = 2_000_000
"""Numbers that are drawn at once (16 MB)."""

MOST_INTERVALS = 400
"""Simulated data sets whose interval is computed."""

LEAST_INTERVALS = 20
"""The same where a data set is large, because the widths then hardly differ."""

INTERVAL_CELLS = 5_000_000
"""Cells of tables of groups from which intervals are computed, in all data sets together."""


MOST_TESTS, LEAST_TESTS, TEST_CELLS = 2000, 200, 3_000_000
"""Simulated tests: as many as have so many items together, within these limits."""


class Detection(NamedTuple):
    """The difference of two runs on simulated data sets.

    Attributes:
        mean: of the difference.
        needed: the mean at which the test would detect the difference with the wanted power, if
            its distribution about the mean stayed as it is.
    """

    mean: float
    needed: float


class Test(NamedTuple):
    """A two-sided test of a difference, and the power that is wanted.

    Attributes:
        level: 1 minus the size of the test.
        power: wanted probability of detecting a difference.
    """

    level: float
    power: float

    def detection(self, differences: Floats, errors: Floats, groups: int) -> Detection:
        """What simulated differences and their standard errors ``[draws]`` come to.

        A difference is detected if it is above its standard error times the quantile of Student's
        t for as many *groups*, as in `affectlab.evaluation.comparison.difference`.
        """
        from scipy.stats import t

        threshold = float(t.ppf((1 + self.level) / 2, groups - 1))
        mean = float(differences.mean())
        margins = differences - mean - threshold * errors
        return Detection(mean, -float(np.quantile(margins, 1 - self.power)))


class PlannedScore(Protocol):
    """One score on given items."""

    @property
    def groups(self) -> Integers:
        """``[n]``, the group of each item, from 0."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest score that can be assumed."""

    def quality(self, expected: float) -> float:
        """The parameter of the simulation at which the score is *expected*."""

    def least_agreement(self, expected: float) -> float:
        """The smallest agreement that two runs with this score can have."""

    def agreement(self, expected: float, correlation: float) -> float:
        """The agreement of two runs with this score whose errors have a correlation."""

    def limits(self, expected: float, within: float, level: float, seed: int) -> Limits:
        """Mean limits of the interval over simulated data sets."""

    def detection(
        self, quality: float, loss: float, agree: float, within: float, test: Test, seed: int
    ) -> Detection:
        """The difference of a run of *quality* and one whose quality is lower by *loss*."""

    def resized(self, items: int, seed: int) -> Self:
        """The same score on *items* items, in groups like the present ones."""


@dataclass(frozen=True)
class Decisions:
    """A score of the confusion matrix. All classes have the same recall.

    Wrong decisions fall on the other classes by their shares.

    Attributes:
        score: as of `intervals.confusion_limits`.
        labels: ``[n]`` class ids.
        groups: ``[n]``, from 0.
        classes: K.
    """

    score: str
    labels: Integers
    groups: Integers
    classes: int

    @property
    def bounds(self) -> tuple[float, float]:
        """Scores between never right and always right."""
        return 0.0, 1.0

    def quality(self, expected: float) -> float:
        """The recall of each class at which the score is *expected*."""
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self._value(middle) < expected else (low, middle)
        return (low + high) / 2

    def strongest_constant(self) -> tuple[int, float]:
        """The class that is best predicted for all items, and the score of that."""
        counts = np.bincount(self.labels, minlength=self.classes)
        matrices = np.zeros((self.classes, self.classes, self.classes))
        for place in range(self.classes):
            matrices[place, :, place] = counts
        values = self._scores(matrices)
        best = int(values.argmax())
        return best, float(values[best])

    def least_agreement(self, expected: float) -> float:
        """Two runs that are seldom wrong must often be right together."""
        recall = self.quality(expected)
        return 1 - 2 * min(recall, 1 - recall)

    def agreement(self, expected: float, correlation: float) -> float:
        """Share of items on which both runs are right or both are wrong."""
        recall = self.quality(expected)
        return 1 - 2 * recall * (1 - recall) * (1 - correlation)

    def limits(self, expected: float, within: float, level: float, seed: int) -> Limits:
        """Mean limits of `intervals.confusion_limits`."""
        recall, generator = self.quality(expected), np.random.default_rng(seed)
        known, codes = self._counted()
        size = int(codes.max()) + 1
        table = size * known**2
        found = []
        for count in chunks(intervals_of(table), max(table, len(codes))):
            right = shared(generator, count, self.groups, within) < recall
            matrices = self._confusions(self._decided(right, generator), codes, size)
            found.append(intervals.confusion_limits(self.score, matrices, level)[1])
        return Limits(*(np.concatenate(side).mean() for side in zip(*found, strict=True)))

    def detection(
        self, quality: float, loss: float, agree: float, within: float, test: Test, seed: int
    ) -> Detection:
        """Both runs right, one of them, or none: an item has one of these four outcomes."""
        second = max(quality - loss, 0.0)
        # With a larger difference two runs cannot agree as often.
        apart = min(max(1 - agree, quality - second), quality + second, 2 - quality - second)
        both, only_first = (quality + second - apart) / 2, (apart + quality - second) / 2
        generator, size = np.random.default_rng(seed), int(self.groups.max()) + 1
        found, errors = [], []
        for count in chunks(tests_of(len(self.groups)), max(len(self.groups), self.classes**2)):
            drawn = shared(generator, count, self.groups, within)
            theirs = (drawn < both) | ((drawn >= both + only_first) & (drawn < both + apart))
            first, influence = self._influences(drawn < both + only_first, generator)
            other, its_influence = self._influences(theirs, generator)
            found.append(first - other)
            errors.append(standard_errors(influence - its_influence, self.groups, size))
        return test.detection(np.concatenate(found), np.concatenate(errors), size)

    def variance_of_mean(self, within: float) -> float:
        """Variance of the accuracy or the mean recall where that of the outcome of an item is 1."""
        weights = 1 / np.full(len(self.labels), len(self.labels))
        if self.score == "balanced_accuracy":
            counts = np.bincount(self.labels, minlength=self.classes)
            weights = 1 / ((counts > 0).sum() * counts[self.labels])
        alike = float((np.bincount(self.groups, weights) ** 2).sum())
        return (1 - within) * float((weights**2).sum()) + within * alike

    def _influences(
        self, right: stats.Array, generator: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Scores ``[R]`` of decisions, and the influence of each item on them ``[R, n]``.

        All scores are means of ratios of counts, so the influence is that of ratios.
        """
        if self.score == "accuracy":
            value = right.mean(axis=1)
            return value, (right - value[:, None]) / right.shape[1]
        decided = self._decided(right, generator)
        one = np.zeros(len(self.groups), np.int64)
        matrices = self._confusions(decided, one, 1)[:, 0]
        scores = stats.class_scores(matrices)
        values = self._scores(matrices)
        rows = np.arange(len(right))[:, None]
        if self.score == "balanced_accuracy":
            present = (scores.support > 0).sum(axis=1, keepdims=True)
            shares = scores.recall[:, self.labels]
            return values, (right - shares) / (scores.support[:, self.labels] * present)
        counts = np.maximum(scores.support + scores.predicted, 1)
        present = (scores.support + scores.predicted > 0).sum(axis=1, keepdims=True)
        each = scores.f1 / counts
        influence = 2 * right / counts[:, self.labels] - each[:, self.labels] - each[rows, decided]
        return values, influence / present

    def resized(self, items: int, seed: int) -> Self:
        """Whole groups are repeated in a random order; the last one may be cut."""
        places, groups = repeated_groups(self.groups, items, seed)
        return replace(self, labels=self.labels[places], groups=groups)

    @cached_property
    def _wrong(self) -> Floats:
        """``[K, K]``, cumulated shares of the other classes, for wrong decisions of each class."""
        shares = np.bincount(self.labels, minlength=self.classes) + 1 / self.classes
        table = np.tile(shares, (self.classes, 1)) * (1 - np.eye(self.classes))
        return np.asarray(np.cumsum(table / table.sum(axis=1, keepdims=True), axis=1))

    def _value(self, recall: float) -> float:
        """The score of the expected confusion matrix."""
        counts = np.bincount(self.labels, minlength=self.classes)
        wrong = np.diff(self._wrong, axis=1, prepend=0.0)
        matrix = counts[:, None] * (recall * np.eye(self.classes) + (1 - recall) * wrong)
        return float(self._scores(matrix[None])[0])

    def _counted(self) -> tuple[int, Integers]:
        """Size of a confusion matrix, and the group of each item in its tables."""
        return (2 if self.score == "accuracy" else self.classes), self.groups

    def _decided(self, right: stats.Array, generator: np.random.Generator) -> Integers:
        """Decisions ``[R, n]``: the label where *right*. The accuracy needs no wrong class."""
        if self.score == "accuracy":
            return np.where(right, 0, 1)
        decided = np.broadcast_to(self.labels, right.shape).copy()
        for label in np.unique(self.labels):
            rows, columns = np.nonzero(~right & (self.labels == label))
            drawn = np.searchsorted(self._wrong[label], generator.random(len(rows)), side="right")
            decided[rows, columns] = np.minimum(drawn, self.classes - 1)
        return decided

    def _confusions(self, decided: Integers, codes: Integers, size: int) -> Floats:
        """Confusion matrices ``[R, size, K, K]`` of groups *codes*."""
        known = self._counted()[0]
        labels = np.zeros_like(self.labels) if self.score == "accuracy" else self.labels
        rows = np.arange(len(decided))[:, None] * size + codes
        cells = (rows * known + labels) * known + decided
        counts = np.bincount(cells.ravel(), minlength=len(decided) * size * known**2)
        return counts.reshape(len(decided), size, known, known).astype(np.float64)

    def _scores(self, matrices: Floats) -> Floats:
        """Scores ``[R]`` of confusion matrices ``[R, K, K]``."""
        scores = {
            "accuracy": stats.accuracy,
            "macro_f1": stats.macro_f1,
            "balanced_accuracy": stats.balanced_accuracy,
        }
        return scores[self.score](matrices)


def shared(generator: np.random.Generator, count: int, groups: Integers, within: float) -> Floats:
    """Uniform numbers ``[count, n]`` that items copy from their group; see the module."""
    own = generator.random((count, len(groups)))
    if not is_grouped(groups) or within == 0:
        return own
    common = generator.random((count, int(groups.max()) + 1))[:, groups]
    return np.where(generator.random(own.shape) < within**0.5, common, own)


def is_grouped(groups: Integers) -> bool:
    """Whether any two items are of one group."""
    return int(groups.max()) + 1 < len(groups)


def standard_errors(influences: Floats, groups: Integers, size: int) -> Floats:
    """Standard errors ``[R]`` of sums of influences ``[R, n]`` over *size* groups."""
    if is_grouped(groups):
        rows = np.arange(len(influences))[:, None] * size + groups
        sums = np.bincount(rows.ravel(), influences.ravel(), minlength=len(influences) * size)
        influences = sums.reshape(len(influences), size).astype(np.float64)
    return np.asarray(np.sqrt((influences**2).sum(axis=1) * size / max(size - 1, 1)))


def tests_of(items: int) -> int:
    """How many tests to simulate on so many items."""
    return int(np.clip(TEST_CELLS // items, LEAST_TESTS, MOST_TESTS))


def intervals_of(cells: int) -> int:
    """How many data sets to compute intervals for; a table of one has so many *cells*."""
    return int(np.clip(INTERVAL_CELLS // cells, LEAST_INTERVALS, MOST_INTERVALS))


def chunks(draws: int, cells: int) -> list[int]:
    """Numbers of data sets to draw at once, *draws* in all; one of them needs so many *cells*."""
    size = max(1, CELLS // cells)
    return [min(size, draws - start) for start in range(0, draws, size)]


def repeated_groups(groups: Integers, items: int, seed: int) -> tuple[Integers, Integers]:
    """Fill *items* places with whole groups, each taken again before any is taken twice more.

    Args:
        groups: ``[n]``, from 0.
        items: how many places.
        seed: of the order of the groups.

    Returns:
        The items in these places and the new group of each, both ``[items]``.
    """
    generator = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    places: list[Integers] = []
    filled = 0
    while filled < items:
        for group in generator.permutation(len(members)):
            places.append(members[group][: items - filled])
            filled += len(places[-1])
            if filled == items:
                break
    codes = np.repeat(np.arange(len(places)), [len(one) for one in places])
    return np.concatenate(places), codes

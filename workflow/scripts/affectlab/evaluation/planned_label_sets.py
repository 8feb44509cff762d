"""Simulated label sets for a macro-F1 that is planned before anything is trained.

See `affectlab.evaluation.planned_scores`. Here an item has any number of L classes, and the
decisions on its classes are independent of each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from affectlab.evaluation import intervals
from affectlab.evaluation.intervals import Limits
from affectlab.evaluation.planned_scores import (
    Detection,
    Test,
    chunks,
    intervals_of,
    repeated_groups,
    shared,
    standard_errors,
    tests_of,
)
from affectlab.evaluation.stats import Array, Floats, Integers


@dataclass(frozen=True)
class LabelSetF1:
    """The macro-F1 of label sets.

    All classes have the same recall, and each is predicted as often as it occurs, as far as that
    is possible. Then the F1 of a class is its recall.

    Attributes:
        true: ``[n, L]``, whether an item has a class.
        groups: ``[n]``, from 0.
    """

    true: Array
    groups: Integers

    @property
    def bounds(self) -> tuple[float, float]:
        """Scores between never right and always right."""
        return 0.0, 1.0

    def all_classes(self) -> float:
        """The score of predicting all classes for each item."""
        support = self.true.sum(axis=0)
        support = support[support > 0]
        return float((2 * support / (support + len(self.true))).mean())

    def quality(self, expected: float) -> float:
        """The recall of each class at which the score is *expected*."""
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self._value(middle) < expected else (low, middle)
        return (low + high) / 2

    def least_agreement(self, expected: float) -> float:
        """Two runs that are seldom wrong must often be right together."""
        recall = self.quality(expected)
        return 1 - 2 * min(recall, 1 - recall)

    def agreement(self, expected: float, correlation: float) -> float:
        """Share of the classes of items that both runs find, or both miss."""
        recall = self.quality(expected)
        return 1 - 2 * recall * (1 - recall) * (1 - correlation)

    def limits(self, expected: float, within: float, level: float, seed: int) -> Limits:
        """Mean limits of `intervals.share_limits`."""
        recall, generator = self.quality(expected), np.random.default_rng(seed)
        found = []
        for count in chunks(intervals_of(self.true.size), self.true.size):
            decided = self._drawn(generator, count, within) < self._rates(recall)
            hits, unions = (
                self._group_sums(part) for part in (self.true & decided, self.true | decided)
            )
            counted = unions.any(axis=1)
            found.append(intervals.share_limits(hits, unions, level, counted=counted, f1=True)[1])
        return Limits(*(np.concatenate(side).mean() for side in zip(*found, strict=True)))

    def standard_error(self, expected: float, within: float, seed: int) -> float:
        """The mean standard error over groups, as of a bootstrap of one run's predictions."""
        recall, generator = self.quality(expected), np.random.default_rng(seed)
        size, errors = int(self.groups.max()) + 1, []
        for count in chunks(intervals_of(self.true.size), self.true.size):
            decided = self._drawn(generator, count, within) < self._rates(recall)
            errors.append(standard_errors(self._influences(decided)[1], self.groups, size))
        return float(np.concatenate(errors).mean())

    def detection(
        self, quality: float, loss: float, agree: float, within: float, test: Test, seed: int
    ) -> Detection:
        """Both runs predict a class, one of them, or none."""
        second = max(quality - loss, 0.0)
        first_rates, other_rates = self._rates(quality), self._rates(second)
        spread = 2 * quality * (1 - quality)
        correlation = 1 - (1 - agree) / spread if spread > 0 else 1.0
        both = first_rates * other_rates + correlation * np.sqrt(
            first_rates * (1 - first_rates) * other_rates * (1 - other_rates)
        )
        # With a larger difference two runs cannot agree as often.
        both = np.clip(
            both,
            np.maximum(first_rates + other_rates - 1, 0.0),
            np.minimum(first_rates, other_rates),
        )
        generator, size = np.random.default_rng(seed), int(self.groups.max()) + 1
        found, errors = [], []
        for count in chunks(tests_of(self.true.size), self.true.size):
            drawn = self._drawn(generator, count, within)
            theirs = (drawn < both) | (
                (drawn >= first_rates) & (drawn < first_rates + other_rates - both)
            )
            first, influence = self._influences(drawn < first_rates)
            other, its_influence = self._influences(theirs)
            found.append(first - other)
            errors.append(standard_errors(influence - its_influence, self.groups, size))
        return test.detection(np.concatenate(found), np.concatenate(errors), size)

    def resized(self, items: int, seed: int) -> Self:
        """Whole groups are repeated in a random order; the last one may be cut."""
        places, groups = repeated_groups(self.groups, items, seed)
        return replace(self, true=self.true[places], groups=groups)

    @cached_property
    def _cells(self) -> Integers:
        """``[n * L]``, numbers of what is correlated, from 0.

        It is one class of the items of a group that have it, or of those that lack it: who finds a
        class in one item of a group need not invent it in another.
        """
        count = self.true.shape[1]
        codes = (self.groups[:, None] * count + np.arange(count)) * 2 + self.true
        return np.asarray(np.unique(codes.ravel(), return_inverse=True)[1])

    @cached_property
    def _order(self) -> tuple[Integers, Integers]:
        """The items sorted by group, and where each group starts."""
        order = np.argsort(self.groups, kind="stable")
        sizes = np.bincount(self.groups)
        return order, np.r_[0, np.cumsum(sizes)[:-1]]

    def _rates(self, recall: float) -> Floats:
        """``[n, L]``, how probably each class is predicted for each item."""
        items, support = len(self.true), self.true.sum(axis=0)
        wrong = np.minimum((1 - recall) * support / np.maximum(items - support, 1), 1.0)
        return np.where(self.true, recall, wrong)

    def _value(self, recall: float) -> float:
        """The score of the expected counts."""
        rates, support = self._rates(recall), self.true.sum(axis=0)
        hits, predicted = (rates * self.true).sum(axis=0), rates.sum(axis=0)
        occurring = support > 0
        return float((2 * hits[occurring] / (support + predicted)[occurring]).mean())

    def _drawn(self, generator: np.random.Generator, count: int, within: float) -> Floats:
        """Uniform numbers ``[count, n, L]``."""
        drawn = shared(generator, count, self._cells, within)
        return drawn.reshape(count, *self.true.shape)

    def _group_sums(self, cells: Array) -> Floats:
        """Sums ``[R, G, L]`` over the items of each group, of ``[R, n, L]``."""
        order, starts = self._order
        return np.asarray(np.add.reduceat(cells[:, order].astype(np.float64), starts, axis=1))

    def _influences(self, decided: Array) -> tuple[Floats, Floats]:
        """Scores ``[R]`` of decisions, and the influence of each item on them ``[R, n]``."""
        support, predicted = self.true.sum(axis=0), decided.sum(axis=1)
        right = self.true & decided
        counts = np.maximum(support + predicted, 1)
        f1 = 2 * right.sum(axis=1) / counts
        present = (support + predicted > 0).sum(axis=1)
        parts = 2 * right - f1[:, None] * (self.true * 1.0 + decided)
        influence = (parts / counts[:, None]).sum(axis=2) / present[:, None]
        return np.asarray(f1.sum(axis=1) / present), np.asarray(influence)

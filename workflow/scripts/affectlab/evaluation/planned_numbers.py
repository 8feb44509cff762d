"""Simulated scores of numbers and of values from 0 to 1; see `planned_scores`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from affectlab.evaluation import intervals
from affectlab.evaluation.intervals import Limits
from affectlab.evaluation.planned_scores import (
    MOST_INTERVALS,
    Detection,
    Test,
    chunks,
    intervals_of,
    is_grouped,
    repeated_groups,
    shared,
    standard_errors,
    tests_of,
)
from affectlab.evaluation.stats import Floats, Integers

MOST_DRAWS = 500
"""Simulated data sets of numbers, which are drawn one by one."""

SMALLEST_GAP = 1e-6
"""Means and variances are at least this far from their limits."""


@dataclass(frozen=True)
class Concordance:
    """The mean concordance of numbers; predictions are as spread as the truth.

    Items are drawn with replacement in whole groups, as new items would be. The errors of the
    numbers of one item are drawn independently.

    Attributes:
        values: ``[n, D]``, the true numbers.
        groups: ``[n]``, from 0.
    """

    values: Floats
    groups: Integers

    @property
    def bounds(self) -> tuple[float, float]:
        """Concordances of predictions that are no worse than unrelated ones."""
        return 0.0, 1.0

    def quality(self, expected: float) -> float:
        """The correlation of predictions and truth, which is the concordance here."""
        return expected

    def least_agreement(self, expected: float) -> float:
        """The errors of two runs may have any correlation."""
        del expected
        return -1.0

    def agreement(self, expected: float, correlation: float) -> float:
        """The correlation of the errors of two runs."""
        del expected
        return correlation

    def limits(self, expected: float, within: float, level: float, seed: int) -> Limits:
        """Limits of `intervals.correlation_interval`, simulated data sets as its resamples."""
        drawn, errors = self._simulated((expected,), 1.0, within, MOST_INTERVALS, seed)
        # Standard errors over few or unequal groups are smaller than the spread of the score.
        drawn = expected + (drawn[:, 0] - drawn.mean()) * (errors.mean() / drawn.std())
        found = intervals.correlation_interval(
            expected,
            drawn,
            items=len(self.groups),
            groups=int(self.groups.max()) + 1,
            level=level,
            ranks=False,
        )
        return Limits(np.asarray(found.low), np.asarray(found.high))

    def detection(
        self, quality: float, loss: float, agree: float, within: float, test: Test, seed: int
    ) -> Detection:
        """The difference of two runs on the same simulated items."""
        size, draws = int(self.groups.max()) + 1, min(MOST_DRAWS, tests_of(len(self.groups)))
        drawn, errors = self._simulated((quality, quality - loss), agree, within, draws, seed)
        return test.detection(drawn[:, 0] - drawn[:, 1], errors, size)

    def resized(self, items: int, seed: int) -> Self:
        """Whole groups are repeated in a random order; the last one may be cut."""
        places, groups = repeated_groups(self.groups, items, seed)
        return replace(self, values=self.values[places], groups=groups)

    def _simulated(
        self, runs: tuple[float, ...], agree: float, within: float, draws: int, seed: int
    ) -> tuple[Floats, Floats]:
        """Concordances of simulated data sets ``[draws, runs]``.

        The errors of two runs have the correlation *agree*. The second result holds the standard
        errors ``[draws]`` of the difference of two runs, those of one run of its concordance.
        """
        generator = np.random.default_rng(seed)
        order = np.argsort(self.groups, kind="stable")
        members = np.split(order, np.cumsum(np.bincount(self.groups))[:-1])
        sizes = np.array([len(own) for own in members])
        centred, spread = self.values - self.values.mean(axis=0), self.values.std(axis=0)
        found, errors = np.empty((draws, len(runs))), np.empty(draws)
        for draw in range(draws):
            chosen = generator.integers(len(members), size=len(members))
            true = centred[np.concatenate([members[group] for group in chosen])]
            codes = np.repeat(np.arange(len(chosen)), sizes[chosen])
            error, influence = self._errors(generator, codes, within), np.zeros(len(codes))
            for place, quality in enumerate(runs):
                if place:
                    other = self._errors(generator, codes, within)
                    error = agree * error + (1 - agree**2) ** 0.5 * other
                predicted = quality * true + (1 - quality**2) ** 0.5 * spread * error
                found[draw, place], own = _concordance(predicted, true)
                influence = own - influence
            errors[draw] = standard_errors(influence[None], codes, len(chosen))[0]
        return found, errors

    def _errors(self, generator: np.random.Generator, codes: Integers, within: float) -> Floats:
        """Standard normal errors ``[n, D]`` with the correlation *within* in groups."""
        shape = (len(codes), self.values.shape[1])
        common = generator.standard_normal((int(codes[-1]) + 1, shape[1]))[codes]
        own = generator.standard_normal(shape)
        return np.asarray(within**0.5 * common + (1 - within) ** 0.5 * own)


@dataclass(frozen=True)
class Mean:
    """The mean of one value from 0 to 1 for each item, such as ROUGE.

    Values follow a beta distribution. Its concentration is that of *values*, which some baseline
    reached on the same items.

    Attributes:
        values: ``[n]``.
        groups: ``[n]``, from 0.
    """

    values: Floats
    groups: Integers

    @property
    def bounds(self) -> tuple[float, float]:
        """Means of values from 0 to 1."""
        return 0.0, 1.0

    def quality(self, expected: float) -> float:
        """The mean itself."""
        return expected

    def least_agreement(self, expected: float) -> float:
        """The values of two runs may be independent."""
        del expected
        return 0.0

    def agreement(self, expected: float, correlation: float) -> float:
        """The correlation of the values that two runs reach."""
        del expected
        return correlation

    def limits(self, expected: float, within: float, level: float, seed: int) -> Limits:
        """Mean limits of `intervals.mean_limits`."""
        generator, counts = np.random.default_rng(seed), np.bincount(self.groups)
        found = []
        for count in chunks(intervals_of(len(self.groups)), len(self.groups)):
            values = self._drawn(generator, count, expected, within)
            rows = np.arange(count)[:, None] * len(counts) + self.groups
            sums = np.bincount(rows.ravel(), values.ravel(), minlength=count * len(counts))
            found.append(intervals.mean_limits(sums.reshape(count, -1), counts, level)[1])
        return Limits(*(np.concatenate(side).mean() for side in zip(*found, strict=True)))

    def detection(
        self, quality: float, loss: float, agree: float, within: float, test: Test, seed: int
    ) -> Detection:
        """An item of the second run has the value of the first with probability *agree*."""
        generator, size = np.random.default_rng(seed), int(self.groups.max()) + 1
        found, errors = [], []
        for count in chunks(tests_of(len(self.groups)), len(self.groups)):
            first, other = (self._drawn(generator, count, quality, within) for _ in range(2))
            same = shared(generator, count, self.groups, within) < agree
            apart = first - np.where(same, first, other) + loss
            mean = apart.mean(axis=1, keepdims=True)
            found.append(mean[:, 0])
            errors.append(standard_errors((apart - mean) / len(self.groups), self.groups, size))
        return test.detection(np.concatenate(found), np.concatenate(errors), size)

    def resized(self, items: int, seed: int) -> Self:
        """Whole groups are repeated in a random order; the last one may be cut."""
        places, groups = repeated_groups(self.groups, items, seed)
        return replace(self, values=self.values[places], groups=groups)

    @property
    def spread(self) -> float:
        """Standard deviation of the values."""
        return float(self.values.std())

    @cached_property
    def _concentration(self) -> float:
        """Sum of the parameters of the beta distribution with mean and variance of the values."""
        mean = min(max(float(self.values.mean()), SMALLEST_GAP), 1 - SMALLEST_GAP)
        variance = max(float(self.values.var()), SMALLEST_GAP)
        return max(mean * (1 - mean) / variance - 1, SMALLEST_GAP)

    def _drawn(
        self, generator: np.random.Generator, count: int, mean: float, within: float
    ) -> Floats:
        """Values ``[count, n]``."""
        shape = mean * self._concentration, (1 - mean) * self._concentration
        own = generator.beta(*shape, (count, len(self.groups)))
        if not is_grouped(self.groups) or within == 0:
            return own
        common = generator.beta(*shape, (count, int(self.groups.max()) + 1))[:, self.groups]
        return np.where(generator.random(own.shape) < within**0.5, common, own)


def _concordance(predicted: Floats, true: Floats) -> tuple[float, Floats]:
    """The mean concordance of ``[n, D]``, and the influence ``[n]`` of each item on it."""
    x, y = predicted - predicted.mean(axis=0), true - true.mean(axis=0)
    shift = predicted.mean(axis=0) - true.mean(axis=0)
    above, below = 2 * (x * y).mean(axis=0), (x**2 + y**2).mean(axis=0) + shift**2
    value = above / below
    numerator = 2 * x * y - above
    denominator = x**2 + y**2 + 2 * shift * (x - y) - (below - shift**2)
    influence = (numerator - value * denominator) / below / len(x)
    return float(value.mean()), influence.mean(axis=1)

"""Intervals of cross-validated scores: how far a score moves when the probe is fitted again.

A bootstrap of fixed predictions leaves out that the folds share their training items, so that
other subjects would have given another probe. No unbiased estimate of the variance can be had
from one cross-validation (Bengio and Grandvalet 2004, jmlr.org/papers/v5/grandvalet04a.html).
Here the whole cross-validation is repeated on both halves of the subjects, for many random
halves: the two halves share nothing, so their difference shows the variance at half the size
(the "conservative Z" of Nadeau and Bengio 2003, doi 10.1023/A:1024068626366). The variance at
the full size is taken as half of it, as in subsampling (Politis, Romano and Wolf 1999).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from affectlab.evaluation import stats

REFITTED = 2.25
"""How often the variance over subjects counts in a pair of cross-validated probes.

The folds share most of their training subjects, so the scores of different test folds are not
independent. Nadeau and Bengio (Machine Learning 52 (2003) 239, doi 10.1023/A:1024068626366) add
test over training size to the 1 over the number J of folds: the variance counts 1 + J / (J - 1)
times, 2.25 for five folds.
"""

DRAWS = 40
"""Random halves of the subjects."""

LEAST_FREEDOM = 4.0
"""Degrees of freedom below which Student's t would give limits beyond any score."""

SMALLEST_VARIANCE = 1e-18
"""Of replicates that differ by rounding alone."""

FOLDINGS = 2
"""Cross-validations of each half, with other folds."""


class Spread(NamedTuple):
    """The variance of a score over data sets, and the degrees of freedom of that estimate."""

    variance: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Halves:
    """Scores of cross-validations on halves of the subjects.

    Attributes:
        scores: name -> ``[draws, 2 halves, FOLDINGS]``.
        rarest: number of subjects of the class that has the fewest, in the whole data set.
    """

    scores: Mapping[str, stats.Floats]
    rarest: int

    def spread(self, name: str, known: float, repeats: int) -> Spread:
        """Estimate the variance of a score over data sets of the full size.

        The product of the differences under two foldings is free of the noise of the folds, which
        is added for the number of *repeats* that were averaged.

        Args:
            name: of the score.
            known: variance that the bootstrap of fixed predictions shows: the least there can be.
            repeats: cross-validations that the score is the mean of.
        """
        scores = np.asarray(self.scores[name], dtype=np.float64)
        differences = scores[:, 0] - scores[:, 1]
        products = differences[:, 0] * differences[:, 1]
        of_folds = float(scores.var(axis=2, ddof=1).mean())
        at_half = max(float(products.mean()) / 2, 0.0) + of_folds / repeats
        return Spread(max(at_half / 2, known), _freedom(products, self.rarest))

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Halves:
        """Read what `record` wrote."""
        scores, rarest = record["scores"], record["rarest"]
        if not isinstance(scores, Mapping) or not isinstance(rarest, int):
            raise ValueError("no scores of halves")
        return cls({name: np.asarray(values) for name, values in scores.items()}, rarest)

    def record(self) -> dict[str, object]:
        """Return the scores as JSON data."""
        scores = {name: np.asarray(values).tolist() for name, values in self.scores.items()}
        return {"scores": scores, "rarest": self.rarest}


@dataclass(frozen=True, slots=True)
class SharedFolds:
    """What is left where no halves of the subjects are cross-validated.

    They are too few for it, or items have several classes, whose thresholds each half would need.

    The corrected variance of Nadeau and Bengio (2003, section 3): between the scores of two folds
    there is the correlation of their test share, so that the variance of the mean over K folds
    is ``1 + K / (K - 1)`` times that of independent ones. It is wide where there is signal.

    Attributes:
        folds: K.
        rarest: number of subjects of the class that has the fewest.
    """

    folds: int
    rarest: int

    def spread(self, name: str, known: float, repeats: int) -> Spread:
        """Estimate the variance of a score over data sets; arguments as of `Halves.spread`."""
        del name, repeats
        corrected = known * (1 + self.folds / (self.folds - 1))
        return Spread(corrected, float(max(self.rarest - 1, LEAST_FREEDOM)))


@dataclass(frozen=True, slots=True)
class Stretched:
    """The refits of some of the items, which stretch a variance as those of all items do.

    Attributes:
        whole: variance with refits over that of fixed predictions, of all items; and the degrees
            of freedom.
        rarest: number of subjects of the class that has the fewest, of these items.
    """

    whole: Spread
    rarest: int

    def spread(self, name: str, known: float, repeats: int) -> Spread:
        """Estimate the variance of a score over data sets; arguments as of `Halves.spread`."""
        del name, repeats
        freedom = min(self.whole.freedom, self.rarest - 1)
        return Spread(known * self.whole.variance, max(freedom, LEAST_FREEDOM))


Refits = Halves | SharedFolds | Stretched


def relative_spread(refits: Refits | None, name: str, known: float, repeats: int) -> Spread | None:
    """The spread of a score of all items, in units of the variance of fixed predictions.

    Args:
        refits: None without a cross-validation, as is the result.
        name: of the score.
        known: variance of fixed predictions.
        repeats: cross-validations that the score is the mean of.
    """
    if refits is None:
        return None
    # Where all resamples agree, no refit is needed to tell that this is too narrow.
    spread = refits.spread(name, max(known, SMALLEST_VARIANCE), repeats)
    if known <= SMALLEST_VARIANCE:
        return Spread(1.0, spread.freedom)
    return Spread(spread.variance / known, spread.freedom)


def _freedom(products: stats.Floats, rarest: int) -> float:
    """Degrees of freedom of a mean of *products*: those of the draws, and of the subjects.

    Satterthwaite: twice the squared mean over its variance. The subjects of the rarest class
    decide, since they are the fewest that a recall is the mean of.
    """
    mean = float(products.mean())
    noise = float(products.var(ddof=1)) / len(products)
    of_draws = 2 * mean**2 / noise if noise > 0 and mean > 0 else math.inf
    return max(1 / (1 / of_draws + 1 / max(rarest - 1, 1)), LEAST_FREEDOM)


def rarest_class(labels: stats.Integers, subjects: Sequence[object] | stats.Array) -> int:
    """Return the number of subjects of the class that has the fewest, of those that occur."""
    pairs = set(zip(np.asarray(subjects).tolist(), labels.tolist(), strict=True))
    counts = np.bincount([label for _, label in pairs])
    return int(counts[counts > 0].min())


def stretched(
    value: float, replicates: stats.Floats, spread: Spread | None, level: float, units: float
) -> stats.Floats:
    """Stretch bootstrap replicates of fixed predictions to the variance that refits show.

    Each replicate keeps its rank, so that scores of the same resamples stay comparable; their
    distribution becomes normal about *value*, scaled so that the percentiles of *level* are
    those of Student's t.

    Args:
        value: the score.
        replicates: ``[R]``, of the bootstrap over subjects.
        spread: of refits; None leaves the replicates as they are.
        level: of the interval that the replicates serve.
        units: independent units behind the score, for replicates that do not vary.

    Returns:
        ``[R]`` within 0..1. Where *replicates* are all equal, they are spread as the exact limit
        of a share without exceptions.
    """
    from scipy.stats import norm, t

    if float(np.var(replicates)) <= SMALLEST_VARIANCE:
        return _without_exceptions(value, len(replicates), units)
    if spread is None:
        return replicates
    tail = (1 + level) / 2
    student = float(t.ppf(tail, spread.freedom) / norm.ppf(tail))
    ranks = np.empty(len(replicates))
    ranks[np.argsort(replicates, kind="stable")] = np.arange(len(replicates)) + 0.5
    normal = norm.ppf(ranks / len(replicates))
    return np.asarray(np.clip(value + normal * student * math.sqrt(spread.variance), 0.0, 1.0))


def _without_exceptions(value: float, count: int, units: float) -> stats.Floats:
    """Draws whose quantile q lies as far off as the exact limit ``1 - q^(1 / units)``.

    A share of 0 or 1 has one side; any other value gets both.
    """
    ranks = (np.arange(count) + 0.5) / count
    if value in (0.0, 1.0):
        reach = 1 - ranks ** (1 / units)
        return np.asarray(reach if value == 0.0 else 1 - reach)
    sides = np.where(ranks < 0.5, -1.0, 1.0)
    reach = 1 - (2 * np.minimum(ranks, 1 - ranks)) ** (1 / units)
    return np.asarray(np.clip(value + sides * reach, 0.0, 1.0))


def limits(
    value: float, replicates: Sequence[float] | stats.Floats, level: float
) -> tuple[float, float]:
    """Percentile interval of *replicates*, widened to hold *value*."""
    found = stats.percentile_interval(value, np.asarray(replicates), level)
    return min(found.low, value), max(found.high, value)

"""Intervals of the scores of one run: one method for each kind of score.

All methods respect groups: items of one group, such as clips of one speaker, are not independent.
No interval has a width of 0, and each contains its estimate. `docs/statistics.md` lists the methods
with their sources and their simulated coverage (`benchmarks/coverage.py`).

* Shares, and ratios of counts: the exact interval (Clopper and Pearson 1934) at the effective
  sample size of the groups (Korn and Graubard 1998).
* Averages over classes: the same, for a weighted sum of shares (after Fay and Feuer 1997).
* Means of values from 0 to 1, and other scores from 0 to 1: the same limits, at the effective
  sample size that the variance between groups, or between resamples of groups, implies.
* Means of values without an upper limit, such as a loss: gamma limits (Fay and Feuer 1997).
* Correlations: Fisher's z, with the variance of resamples of groups.
* Calibration errors: `affectlab.evaluation.calibration`.

Clopper and Pearson, Biometrika 26 (1934) 404, doi 10.1093/biomet/26.4.404. Korn and Graubard,
Survey Methodology 24 (1998) 193. Fay and Feuer, Statistics in Medicine 16 (1997) 791.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from affectlab.evaluation.stats import Array, Floats, Interval, resample_sums

POOLED_ITEMS = 1.0
"""Items that each class borrows from all classes, for the variance of its own share."""

LARGEST_SAMPLE = 1e8
"""Effective sample sizes above this only cost accuracy of the beta quantiles."""

ROUNDING = 1e-9
"""Deviations of a group below this are rounding."""


class Limits(NamedTuple):
    """Lower and upper limits, each of the same shape ``[...]``."""

    low: Floats
    high: Floats


def share_interval(table: Array, level: float) -> Interval:
    """Interval of a share, from counts of each group.

    Args:
        table: ``[G, 2]``, how many items of each group have the property (or the sum of their
            shares), and how many items the group has. Groups without items do not count.
        level: of the interval, such as 0.95.

    Returns:
        The share of all items and its limits; 0, 0 and 1 without any item.
    """
    value, limits = share_limits(table[:, :1], table[:, 1:], level)
    return Interval(float(value), float(limits.low), float(limits.high))


def f1_interval(table: Array, level: float) -> Interval:
    """Interval of a pooled F1, from counts of each group.

    F1 is 2 J / (1 + J), where J is the share of hits among the pairs of item and class that are
    true, or predicted, or both.

    Args:
        table: ``[G, 2]``, how many pairs of each group are both true and predicted, and how many
            are true, or predicted, or both.
        level: of the interval.
    """
    return Interval(*(_f1_of_jaccard(limit) for limit in share_interval(table, level)))


def share_limits(
    hits: Array,
    totals: Array,
    level: float,
    *,
    counted: Any = None,
    f1: bool = False,
) -> tuple[Floats, Limits]:
    """Limits of an average of shares over classes, for many data sets at once.

    Each class has one share, such as its recall: hits among totals. The variance of the average is
    that of a weighted sum of binomial shares, at each class's effective sample size (Korn and
    Graubard), with the correlation between classes that the groups show. For the variance, each
    class borrows `POOLED_ITEMS` items from all classes, so that a class without errors among few
    items does not count as known. The limits are those of a beta distribution with this variance
    and with one more failure, or success, of the class whose items weigh most (Fay and Feuer's
    limits for weighted sums of Poisson counts, for bounded sums). For a single share they are
    Clopper and Pearson's.

    Args:
        hits: ``[..., G, K]``, of each group and class.
        totals: ``[..., G, K]``. With *f1*, unions: items of the class or predicted as such.
        level: of the interval.
        counted: ``[..., K]``, the classes that the average runs over; those without totals count
            as 0. None: all classes with totals.
        f1: whether the average is of F1 = 2 J / (1 + J), with J the share.

    Returns:
        The average ``[...]`` and its limits.
    """
    hits, totals = np.asarray(hits, np.float64), np.asarray(totals, np.float64)
    items, successes = totals.sum(axis=-2), hits.sum(axis=-2)
    known = items > 0
    classes = (known if counted is None else np.asarray(counted, bool)).sum(axis=-1)
    share = np.divide(successes, items, out=np.zeros_like(items), where=known)
    pooled = (successes.sum(axis=-1) + 0.5) / (items.sum(axis=-1) + 1)
    smooth = (successes + POOLED_ITEMS * pooled[..., None]) / (items + POOLED_ITEMS)
    transform = _f1_of_jaccard if f1 else _unchanged
    slope = known * (2 / (1 + smooth) ** 2 if f1 else 1.0)
    effective = np.where(known, _effective_sizes(hits, totals, share), 1.0)
    deviation = slope * np.sqrt(smooth * (1 - smooth) / effective)
    residuals = hits - share[..., None, :] * totals
    variance = _of_correlated(deviation, residuals)
    # Where all items agree, the design effect is assumed rather than estimated.
    estimated = (np.abs(residuals) > ROUNDING).any(axis=(-2, -1))
    variance = np.where(estimated, variance * _few_groups(totals, level), variance)
    some = known.any(axis=-1)
    variance = np.where(some, variance, 1.0)
    # One more success counts in one class. With F1, one more error counts in two.
    steps = np.sort(slope / effective, axis=-1)
    gain = steps[..., -1]
    loss = gain + steps[..., -2] if f1 and steps.shape[-1] > 1 else gain
    present = np.maximum(known.sum(axis=-1), 1)
    average = (known * transform(share)).sum(axis=-1) / present
    expected = (known * transform(smooth)).sum(axis=-1) / present
    bias = 0.0
    if f1:
        curvature = -2 / (1 + smooth) ** 3
        bias = (known * curvature * smooth * (1 - smooth) / effective).sum(axis=-1) / present
    inside = np.clip(average - bias, 0.0, 1.0)
    inside = np.where((average <= 0) | (average >= 1), average, inside)
    size = np.where(some, expected * (1 - expected) * present**2 / variance, 1.0)
    limits = _beta_limits(
        inside,
        size,
        level,
        loss=np.maximum(1.0, size * loss / present),
        gain=np.maximum(1.0, size * gain / present),
    )
    # Classes that count as 0 by convention lower the average, and its limits alike.
    part = known.sum(axis=-1) / np.maximum(classes, 1)
    value = part * average
    return value, Limits(
        np.where(some, np.minimum(part * limits.low, value), 0.0),
        np.where(some, np.maximum(part * limits.high, value), 1.0),
    )


def confusion_interval(score: str, table: Array, level: float) -> Interval:
    """Interval of a score of single-label decisions, from confusion matrices of groups.

    Args:
        score: ``accuracy``, ``micro_f1``, ``macro_f1``, ``macro_precision``, ``macro_recall`` or
            ``balanced_accuracy``, as the functions of `affectlab.evaluation.stats`.
        table: ``[G, K * K]``, sums of `stats.confusion_columns` of each group.
        level: of the interval.

    Raises:
        ValueError: the score is none of these.
    """
    size = round(np.shape(table)[-1] ** 0.5)
    matrices = np.asarray(table, np.float64).reshape(-1, size, size)
    value, limits = confusion_limits(score, matrices, level)
    return Interval(float(value), float(limits.low), float(limits.high))


def confusion_limits(score: str, matrices: Array, level: float) -> tuple[Floats, Limits]:
    """`confusion_interval` of many data sets: matrices ``[..., G, K, K]`` to limits ``[...]``."""
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    support, predicted = matrices.sum(axis=-1), matrices.sum(axis=-2)
    if score in ("accuracy", "micro_f1"):
        return share_limits(
            hits.sum(axis=-1, keepdims=True), support.sum(axis=-1, keepdims=True), level
        )
    occurring = (support + predicted).sum(axis=-2) > 0
    if score == "macro_f1":
        return share_limits(hits, support + predicted - hits, level, counted=occurring, f1=True)
    if score == "macro_precision":
        return share_limits(hits, predicted, level, counted=occurring)
    if score == "macro_recall":
        return share_limits(hits, support, level, counted=occurring)
    if score == "balanced_accuracy":
        return share_limits(hits, support, level)
    raise ValueError(f"no interval of the score {score!r}")


def mean_interval(table: Array, level: float, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Interval of the mean of bounded values, such as ROUGE, from sums of each group.

    Args:
        table: ``[G, 2]``, sum of the values of each group, and how many items the group has.
        level: of the interval.
        bounds: the lowest and the highest value that an item can have.
    """
    lowest, span = bounds[0], bounds[1] - bounds[0]
    sums, counts = table[:, 0], table[:, 1]
    value, limits = mean_limits((sums - lowest * counts) / span, counts, level)
    return Interval(*(lowest + span * float(one) for one in (value, limits.low, limits.high)))


def mean_limits(sums: Array, counts: Array, level: float) -> tuple[Floats, Limits]:
    """`mean_interval` of many data sets: ``[..., G]`` to limits ``[...]``."""
    mean, variance, largest, size = _mean_moments(sums, counts, level)
    agree = variance == 0
    effective = np.where(agree, size, mean * (1 - mean) / np.where(agree, 1.0, variance))
    # One more item could deviate as far as any of those observed.
    step = np.where(agree, 1.0, np.maximum(1.0, effective * largest))
    return mean, _beta_limits(np.clip(mean, 0.0, 1.0), effective, level, loss=step, gain=step)


def positive_mean_interval(table: Array, level: float, scale: float) -> Interval:
    """Interval of the mean of values from 0 without an upper limit, such as a loss.

    Args:
        table: ``[G, 2]``, sum of the values of each group, and how many items the group has.
        level: of the interval.
        scale: a value that an item without skill would have. It gives the interval a width where
            all items agree.
    """
    value, limits = positive_mean_limits(table[:, 0], table[:, 1], level, scale)
    return Interval(float(value), float(limits.low), float(limits.high))


def positive_mean_limits(
    sums: Array, counts: Array, level: float, scale: float
) -> tuple[Floats, Limits]:
    """`positive_mean_interval` of many data sets: ``[..., G]`` to limits ``[...]``."""
    from scipy.stats import gamma

    mean, variance, largest, size = _mean_moments(sums, counts, level)
    agree = variance == 0
    step = np.where(agree, max(scale, ROUNDING) / size, largest)
    variance = np.where(agree, step * np.maximum(mean, step), variance)
    tail = (1 - level) / 2
    unit = variance / np.maximum(mean, step)
    shape = mean / unit
    low = np.where(mean > 0, gamma.ppf(tail, np.maximum(shape, ROUNDING)) * unit, 0.0)
    high = gamma.ppf(1 - tail, shape + np.maximum(1.0, step / unit)) * unit
    return mean, Limits(np.minimum(low, mean), np.maximum(high, mean))


def resampled_interval(value: float, replicates: Array, groups: int, level: float) -> Interval:
    """Interval of a score from 0 to 1 that is no mean, such as BLEU, from its resamples.

    Beta limits at the effective sample size that the variance of the resamples implies. Where all
    resamples agree, each group counts as one item.

    Args:
        value: the score.
        replicates: ``[resamples]``, scores of resampled groups, without NaN.
        groups: how many groups were resampled.
        level: of the interval.
    """
    variance = _replicate_variance(replicates, groups, level)
    inside = min(max(value, 0.0), 1.0)
    effective = float(groups)
    if variance > 0 and 0 < inside < 1:
        effective = inside * (1 - inside) / variance
    low, high = _beta_limits(np.asarray(inside), np.asarray(effective), level)
    return Interval(value, min(value, float(low)), max(value, float(high)))


def correlation_interval(
    value: float, replicates: Array, *, items: int, groups: int, level: float, ranks: bool
) -> Interval:
    """Interval of a correlation or of a concordance, by Fisher's z and resampled groups.

    The standard error is that of z over the resamples. For ranks it is at least that of
    independent items, ``sqrt((1 + r^2 / 2) / (n - 3))`` (Bonett and Wright, Psychometrika 65
    (2000) 23, doi 10.1007/BF02294183). Where all resamples agree, the correlation counts as at
    most ``1 - 1 / groups``, with the standard error of Fisher's z.

    Args:
        value: from -1 to 1.
        replicates: ``[resamples]``, values of resampled groups, without NaN.
        items: how many items there are.
        groups: how many groups were resampled.
        level: of the interval.
        ranks: whether it is a rank correlation.
    """
    # A perfect order of n items is one half of an exchange of neighbours away from the next.
    nearest = 1 - 6 / max(items**3 - items, 12) if ranks else 1 - ROUNDING
    drawn = np.arctanh(np.clip(np.asarray(replicates, np.float64), -nearest, nearest))
    error = _replicate_variance(drawn, groups, level) ** 0.5
    if ranks:
        error = max(error, ((1 + value**2 / 2) / max(items - 3, 1)) ** 0.5)
    elif error == 0:
        nearest = 1 - 1 / max(groups, 2)
        error = 1 / max(groups - 3, 1) ** 0.5
    centre = np.arctanh(np.clip(value, -nearest, nearest))
    reach = _normal_quantile(level) * error
    low, high = float(np.tanh(centre - reach)), float(np.tanh(centre + reach))
    return Interval(value, min(value, low), max(value, high))


def explained_variance_interval(
    value: float, replicates: Array, groups: int, level: float
) -> Interval:
    """Interval of a share of explained variance (R squared), which is at most 1.

    Student's t for the logarithm of the unexplained share, with the variance of the resamples.
    Where nothing is unexplained, an unseen share of groups may be without any explanation. Where
    all resamples agree, the logarithm has the variance ``2 / groups`` of normal errors.

    Args:
        value: at most 1.
        replicates: ``[resamples]``, values of resampled groups, without NaN.
        groups: how many groups were resampled.
        level: of the interval.
    """
    unseen = 1 - ((1 - level) / 2) ** (1 / groups)
    rest = 1 - value
    if rest <= ROUNDING:
        return Interval(value, value - unseen, max(value, 1.0))
    drawn = np.log(np.maximum(1 - np.asarray(replicates, np.float64), ROUNDING))
    variance = _replicate_variance(drawn, groups, level)
    reach = _normal_quantile(level) * (variance if variance > 0 else 2 / groups) ** 0.5
    return Interval(value, 1 - rest * float(np.exp(reach)), 1 - rest * float(np.exp(-reach)))


def shrunk_effect(effect: Any, agreeing: Any, rarer: Any) -> Floats:
    """Design effect that is safe where few groups have the rarer outcome.

    Where all items have one outcome, nothing is known of the correlation within groups, and each
    group counts as one item. The first groups with the rarer outcome tell little of it. The weights
    ``k^2 : 1`` were chosen by simulation.

    Args:
        effect: as estimated, at least 1.
        agreeing: the effect if all items of a group agree.
        rarer: how many groups have the rarer outcome (k).
    """
    weight = np.asarray(rarer, np.float64) ** 2
    return np.asarray((weight * effect + agreeing) / (weight + 1))


def replicates_of(
    statistic: Callable[[Array], Array], table: Array, resamples: int, seed: int
) -> Floats:
    """Return a function of sums for resampled groups, ``[resamples]``, without NaN.

    Args:
        statistic: from sums ``[..., D]`` to scores ``[...]``.
        table: ``[G, D]``, sums of each group.
        resamples: how many resamples.
        seed: of the generator.
    """
    drawn = np.asarray(statistic(resample_sums(table, resamples, seed)), np.float64)
    return drawn[~np.isnan(drawn)]


def _effective_sizes(hits: Floats, totals: Floats, share: Floats) -> Floats:
    """Effective number of items ``[..., K]`` of each class, from ``[..., G, K]``.

    The design effect is the variance of the share between groups over that of independent items,
    at least 1; see `shrunk_effect`.
    """
    items = totals.sum(axis=-2)
    groups = (totals > 0).sum(axis=-2)
    agreeing = (totals**2).sum(axis=-2) / np.maximum(items, 1)
    between = ((hits - share[..., None, :] * totals) ** 2).sum(axis=-2)
    between *= groups / np.maximum(groups - 1, 1)
    independent = share * (1 - share) * items**2 / np.maximum(items - 1, 1)
    effect = np.divide(between, independent, out=np.ones_like(items), where=independent > 0)
    rarer = np.minimum(
        ((hits > 0) & (totals > 0)).sum(axis=-2), ((hits < totals) & (totals > 0)).sum(axis=-2)
    )
    effect = shrunk_effect(np.maximum(effect, 1.0), agreeing, rarer)
    return np.asarray(items / np.maximum(effect, 1.0))


def _of_correlated(deviation: Floats, residuals: Floats) -> Floats:
    """Variance of a sum of classes ``[...]`` with the correlation that the groups show.

    Args:
        deviation: ``[..., K]``, standard deviation of each class.
        residuals: ``[..., G, K]``, deviations of the groups.
    """
    alone = (deviation**2).sum(axis=-1)
    if deviation.shape[-1] == 1:
        return np.asarray(alone)
    product = np.swapaxes(residuals, -1, -2) @ residuals
    norm = np.sqrt(np.diagonal(product, axis1=-2, axis2=-1))
    scaled = np.divide(deviation, norm, out=np.zeros_like(norm), where=norm > ROUNDING)
    together = (scaled[..., None, :] @ product @ scaled[..., :, None])[..., 0, 0]
    # A class whose groups do not differ has no residual, but it has a deviation.
    together += np.where(norm > ROUNDING, 0.0, deviation**2).sum(axis=-1)
    return np.asarray(np.maximum(alone, together))


def _few_groups(totals: Floats, level: float) -> Floats:
    """Factor of the variance for its estimation from few groups, 1 for independent items."""
    groups = (totals.sum(axis=-1) > 0).sum(axis=-1)
    items = totals.max(axis=-1).sum(axis=-1)
    return np.asarray((_t_quantile(level, groups - 1) / _t_quantile(level, items - 1)) ** 2)


def _mean_moments(
    sums: Array, counts: Array, level: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, variance of it (0 if all agree), largest share of a group in it, and group number.

    The last is an effective number: groups of unequal size count less.
    """
    sums, counts = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    items = counts.sum(axis=-1)
    mean = sums.sum(axis=-1) / items
    deviations = (sums - mean[..., None] * counts) / items[..., None]
    groups = (counts > 0).sum(axis=-1)
    largest = np.abs(deviations).max(axis=-1)
    variance = (deviations**2).sum(axis=-1) * groups / np.maximum(groups - 1, 1)
    variance *= (_t_quantile(level, groups - 1) / _normal_quantile(level)) ** 2
    size = items**2 / (counts**2).sum(axis=-1)
    agree = largest * size <= ROUNDING * np.maximum(1.0, np.abs(mean))
    return mean, np.where(agree, 0.0, variance), largest, size


def _replicate_variance(replicates: Array, groups: int, level: float) -> float:
    """Variance of a score from its resamples, for normal quantiles; 0 if they agree."""
    drawn = np.asarray(replicates, np.float64)
    if len(drawn) < 2 or np.ptp(drawn) <= ROUNDING * max(1.0, float(np.abs(drawn).max())):
        return 0.0
    # The bootstrap divides by G where an unbiased variance divides by G - 1.
    unbiased = float(np.var(drawn, ddof=1)) * groups / max(groups - 1, 1)
    few = _t_quantile(level, np.asarray(groups - 1)) / _normal_quantile(level)
    return unbiased * float(few) ** 2


def _beta_limits(
    value: Floats, size: Floats, level: float, *, loss: Any = 1.0, gain: Any = 1.0
) -> Limits:
    """Clopper and Pearson's limits for *size* items.

    One more item without success counts *loss* times, one with success *gain* times.
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    size = np.minimum(size, LARGEST_SAMPLE)
    hits, misses = value * size, (1 - value) * size
    least = np.finfo(np.float64).tiny
    low = np.where(hits > 0, beta.ppf(tail, np.maximum(hits, least), misses + loss), 0.0)
    high = np.where(misses > 0, beta.ppf(1 - tail, hits + gain, np.maximum(misses, least)), 1.0)
    return Limits(np.minimum(low, value), np.maximum(high, value))


def _f1_of_jaccard(share: Any) -> Any:
    return 2 * share / (1 + share)


def _unchanged(share: Any) -> Any:
    return share


def _t_quantile(level: float, freedom: Any) -> Floats:
    from scipy.stats import t

    return np.asarray(t.ppf((1 + level) / 2, np.maximum(freedom, 1)))


def _normal_quantile(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))

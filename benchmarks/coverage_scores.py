"""Coverage of the intervals of one run: shares, class averages, means, correlations, calibration.

The truth of a simulation is known. An average over classes is compared with the average of the true
shares of the classes that a sample has, since it runs over these. The reference width is that of
the exact interval for shares, at the true effective sample size where items are correlated, and
otherwise 2 * 1.96 standard deviations of the score over the data sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from coverage_rows import IntervalRow
from scipy.stats import beta, rankdata

from affectlab.entity.embedding_scores import aurc
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.calibration import calibration_error

LEVEL = 0.95
RESAMPLES = 300

SHARE_SIZES = (12, 20, 36, 50, 200, 2000)
SHARES = (0.01, 0.03, 0.1, 0.5, 0.9, 0.97, 0.99)
GROUPED = ((6, 2), (12, 10), (24, 16), (50, 4), (200, 10))
"""Groups, and items of each."""

CLASS_SETTINGS = ((7, 36, None), (7, 200, 0.015), (7, 2000, 0.015), (28, 200, None))
"""Classes, items, and share of the rarest class (None: all are equally common)."""


def rows(datasets: int, seed: int) -> Iterator[IntervalRow]:
    """Simulate every kind of score.

    Args:
        datasets: simulated data sets of each setting.
        seed: of the simulations.
    """
    generator = np.random.default_rng(seed)
    yield from shares(datasets, generator)
    yield from grouped_shares(datasets, generator)
    yield from class_averages(datasets, generator)
    yield from grouped_recall(datasets, generator)
    yield from means(datasets, generator)
    yield from losses(datasets, generator)
    yield from correlations(datasets, generator)
    yield from calibration(datasets, generator)


def shares(datasets: int, generator: np.random.Generator) -> Iterator[IntervalRow]:
    """Shares of independent items."""
    for n in SHARE_SIZES:
        for share in SHARES:
            kinds, places = np.unique(generator.binomial(n, share, datasets), return_inverse=True)
            hits = (np.arange(n) < kinds[:, None])[..., None] * 1.0
            _, limits = intervals.share_limits(hits, np.ones_like(hits), LEVEL)
            exact = _exact(kinds / n, np.full(len(kinds), float(n)))
            yield _row(
                "share",
                f"n = {n}, p = {share}",
                share,
                limits.low[places],
                limits.high[places],
                float(np.mean((exact[1] - exact[0])[places])),
            )


def grouped_shares(datasets: int, generator: np.random.Generator) -> Iterator[IntervalRow]:
    """Shares of items that are correlated within groups (beta-binomial)."""
    for groups, items in GROUPED:
        for correlation in (0.0, 0.2, 0.7):
            for share in (0.5, 0.9, 0.97, 0.99):
                rates: Any = share
                if correlation:
                    rest = (1 - correlation) / correlation
                    rates = generator.beta(share * rest, (1 - share) * rest, (datasets, groups, 1))
                hits = generator.binomial(items, rates, (datasets, groups, 1)).astype(float)
                value, limits = intervals.share_limits(hits, np.full_like(hits, items), LEVEL)
                size = groups * items / (1 + (items - 1) * correlation)
                exact = _exact(value, np.full(datasets, size))
                yield _row(
                    "share, grouped",
                    f"{groups} x {items}, correlation {correlation}, p = {share}",
                    share,
                    *limits,
                    float(np.mean(exact[1] - exact[0])),
                )


def class_averages(datasets: int, generator: np.random.Generator) -> Iterator[IntervalRow]:
    """Averages over classes; one class may be rare and recognised half as often."""
    for classes, n, rare in CLASS_SETTINGS:
        for recall in (0.5, 0.95):
            cells = confusion_shares(classes, recall, rare)
            draws = generator.multinomial(n, cells.ravel(), datasets)
            draws = draws.reshape(-1, classes, classes)
            for score in ("macro_f1", "balanced_accuracy"):
                found = np.array([_class_average(score, draw, cells) for draw in draws])
                value, low, high, truth = found.T
                rarest = "" if rare is None else f", rarest {rare}"
                yield _row(
                    score,
                    f"n = {n}, {classes} classes{rarest}, recall {recall}",
                    truth,
                    low,
                    high,
                    _normal_width(value - truth),
                )


def confusion_shares(classes: int, recall: float, rare: float | None) -> stats.Floats:
    """Shares of the cells of a confusion matrix, ``[classes, classes]``."""
    priors, recalls = np.full(classes, 1 / classes), np.full(classes, recall)
    if rare is not None:
        priors = np.append(np.full(classes - 1, (1 - rare) / (classes - 1)), rare)
        recalls[-1] = recall / 2
    wrong = (1 - recalls[:, None]) / (classes - 1) * (1 - np.eye(classes))
    return np.asarray(priors[:, None] * (wrong + np.diag(recalls)))


def _class_average(
    score: str, draw: stats.Integers, cells: stats.Floats
) -> tuple[float, float, float, float]:
    """Value, limits and truth of a sample, given by its confusion matrix."""
    classes = len(draw)
    items = np.repeat(np.eye(classes * classes), draw.ravel(), axis=0)
    value, limits = intervals.confusion_limits(score, items.reshape(-1, classes, classes), LEVEL)
    support, predicted = draw.sum(axis=1) > 0, draw.sum(axis=0) > 0
    hits, true, called = np.diag(cells), cells.sum(axis=1), cells.sum(axis=0)
    if score == "balanced_accuracy":
        truth = (hits / true)[support].mean()
    else:
        truth = (2 * hits / (true + called))[support | predicted].mean()
    return float(value), float(limits.low), float(limits.high), float(truth)


def grouped_recall(datasets: int, generator: np.random.Generator) -> Iterator[IntervalRow]:
    """Unweighted average recall of 24 speakers with two clips of each of eight classes."""
    for recall in (0.5, 0.9):
        rates = generator.beta(2 * recall, 2 * (1 - recall), (datasets, 24, 1))
        hits = generator.binomial(2, rates, (datasets, 24, 8)).astype(float)
        value, limits = intervals.share_limits(hits, np.full_like(hits, 2), LEVEL)
        yield _row(
            "balanced_accuracy, grouped",
            f"24 speakers x 16 clips, 8 classes, recall {recall}",
            recall,
            *limits,
            _normal_width(value),
        )


def means(datasets: int, generator: np.random.Generator) -> Iterator[IntervalRow]:
    """Means of values from 0 to 1, as ROUGE of each case."""
    for name, (a, b) in {
        "ROUGE-1": (6.0, 9.0),
        "ROUGE-2, skewed": (0.5, 5.0),
        "near 1": (40.0, 1.0),
    }.items():
        for n in (12, 20, 50, 200):
            values = generator.beta(a, b, (datasets, n))
            value, limits = intervals.mean_limits(values, np.ones_like(values), LEVEL)
            yield _row("mean", f"n = {n}, {name}", a / (a + b), *limits, _normal_width(value))


def losses(datasets: int, generator: np.random.Generator) -> Iterator[IntervalRow]:
    """Means of values without an upper limit, as log loss or absolute errors."""
    for n in (20, 50, 200, 2000):
        for name, values, truth in (
            ("absolute error", np.abs(generator.normal(size=(datasets, n))), (2 / np.pi) ** 0.5),
            ("log loss", _log_losses(generator, (datasets, n)), 0.8 * 0.2 + 0.2 * 2),
        ):
            value, limits = intervals.positive_mean_limits(values, np.ones_like(values), LEVEL, 1.0)
            yield _row(name, f"n = {n}", truth, *limits, _normal_width(value))


def _log_losses(generator: np.random.Generator, shape: tuple[int, int]) -> stats.Floats:
    """Four in five items are right with a small loss."""
    size = generator.exponential(1, shape)
    return np.where(generator.random(shape) < 0.8, 0.2 * size, 1 + size)


def correlations(datasets: int, generator: np.random.Generator) -> Iterator[IntervalRow]:
    """Rank correlation, concordance, explained variance and risk-coverage area."""
    for correlation in (0.0, 0.6):
        truths: dict[str, float] = {
            "Spearman": 6 / np.pi * np.arcsin(correlation / 2),
            "concordance": correlation,
            # The prediction is the noisy copy itself, not its conditional mean.
            "R squared": 1 - 2 * (1 - correlation),
        }
        for n in (36, 200):
            found = {name: np.empty((datasets, 3)) for name in truths}
            for place in range(datasets):
                for name, one in _of_pairs(generator, n, correlation).items():
                    found[name][place] = one
            for name, truth in truths.items():
                value, low, high = found[name].T
                yield _row(
                    name,
                    f"n = {n}, r = {correlation}",
                    truth,
                    low,
                    high,
                    _normal_width(value),
                )
    truth = float(np.mean([_risk_coverage(generator, 20_000)[0] for _ in range(20)]))
    rows = np.array([_risk_coverage(generator, 200) for _ in range(datasets)])
    yield _row("aurc", "n = 200", truth, rows[:, 1], rows[:, 2], _normal_width(rows[:, 0]))


def _of_pairs(
    generator: np.random.Generator, n: int, correlation: float
) -> dict[str, stats.Interval]:
    """Scores of n predictions that correlate so with the truth."""
    x, y = generator.normal(size=(2, n))
    x = correlation * y + (1 - correlation**2) ** 0.5 * x
    drawn = generator.integers(n, size=(RESAMPLES, n))
    ranks = [rankdata(one[drawn], axis=1) for one in (x, y)]
    ranks = [one - one.mean(axis=1, keepdims=True) for one in ranks]
    norms = [np.sqrt((one**2).sum(axis=1)) for one in ranks]
    resampled = (ranks[0] * ranks[1]).sum(axis=1) / (norms[0] * norms[1])
    spearman = float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
    table = stats.pair_columns(x, y)
    sums, resampled_sums = table.sum(axis=0), table[drawn].sum(axis=1)
    shape = {"items": n, "groups": n, "level": LEVEL}
    return {
        "Spearman": intervals.correlation_interval(spearman, resampled, **shape, ranks=True),
        "concordance": intervals.correlation_interval(
            float(stats.concordance(sums)),
            stats.concordance(resampled_sums),
            **shape,
            ranks=False,
        ),
        "R squared": intervals.explained_variance_interval(
            float(stats.r_squared(sums)), stats.r_squared(resampled_sums), n, LEVEL
        ),
    }


def _risk_coverage(generator: np.random.Generator, n: int) -> stats.Interval:
    """Area of n items; the surest are right more often."""
    confidence = generator.random(n)
    right = generator.random(n) < 0.6 + 0.4 * confidence
    value = aurc(confidence, right)
    if n > 1000:
        return stats.Interval(value, value, value)
    drawn = generator.integers(n, size=(RESAMPLES // 2, n))
    resampled = np.array([aurc(confidence[one], right[one]) for one in drawn])
    return intervals.resampled_interval(value, resampled, n, LEVEL)


def calibration(datasets: int, generator: np.random.Generator) -> Iterator[IntervalRow]:
    """Expected calibration error of a calibrated and of overconfident models, 15 bins."""
    shapes: dict[str, Callable[[int], stats.Floats]] = {
        "sure": lambda n: 1 - 0.5 * generator.beta(1, 8, n),
        "unsure": lambda n: 0.15 + 0.85 * generator.beta(2, 2, n),
    }
    for name, draw in shapes.items():
        for n in (50, 200, 2000):
            for gap in (0.0, 0.1):
                confidence = draw(400_000)
                truth = _plug_in(confidence, np.maximum(confidence - gap, 0.0))
                found, plug_in = np.empty((datasets, 2)), np.empty(datasets)
                for place in range(datasets):
                    confidence = draw(n)
                    right = generator.random(n) < confidence - gap
                    columns = stats.reliability_columns(confidence, right, 15)
                    error = calibration_error(columns, np.arange(n), level=LEVEL, seed=place)
                    found[place] = error.low, error.high
                    plug_in[place] = error.plug_in
                yield _row(
                    "calibration error",
                    f"n = {n}, {name}, error {round(truth, 3)}",
                    truth,
                    *found.T,
                    _normal_width(plug_in),
                )


def _plug_in(confidence: stats.Floats, right: stats.Floats) -> float:
    columns = stats.reliability_columns(confidence, right, 15)
    return float(stats.expected_calibration_error(columns.sum(axis=0)))


def _exact(share: stats.Floats, size: stats.Floats) -> tuple[stats.Floats, stats.Floats]:
    """Clopper and Pearson's limits."""
    tail, hits = (1 - LEVEL) / 2, share * size
    low = beta.ppf(tail, np.maximum(hits, 1e-300), size - hits + 1)
    high = beta.ppf(1 - tail, hits + 1, np.maximum(size - hits, 1e-300))
    return np.where(share > 0, low, 0.0), np.where(share < 1, high, 1.0)


def _normal_width(values: stats.Floats) -> float:
    return 2 * 1.96 * float(np.std(values))


def _row(
    score: str,
    setting: str,
    truth: float | stats.Floats,
    low: stats.Floats,
    high: stats.Floats,
    reference: float,
) -> IntervalRow:
    # The truth is stated to fewer digits than a limit of exactly it.
    below, above = np.mean(high < truth - 1e-12), np.mean(low > np.asarray(truth) + 1e-12)
    return IntervalRow(
        score,
        setting,
        len(low),
        float(1 - below - above),
        float(below),
        float(above),
        float(np.mean(high - low)),
        reference,
    )

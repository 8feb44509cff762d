"""Scores of classifiers and how sure we may be of them.

Conventions, the same everywhere:

* A confusion matrix has the true classes as rows and the predicted ones as columns. The
  functions of a confusion matrix take ``[..., K, K]`` and return ``[...]``, so that thousands
  of resampled matrices are scored at once.
* 0 / 0 is 0 for the precision, recall and F1 of a single class. A macro average runs over the
  classes that occur in the labels or in the predictions, as scikit-learn's does when it is
  given no list of labels; a class that occurs in neither is left out rather than counted as 0.
* Empty input is a `ValueError`: there is no score of nothing.
* Items of one group (here, the same text) are resampled together, because they are not
  independent. The intervals of one run are in `affectlab.evaluation.intervals`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SMALLEST_PROBABILITY = 1e-30
"""Stands for a probability of 0, whose logarithm does not exist."""

TEMPERATURE_RANGE = (0.05, 20.0)
"""Where `fit_temperature` searches; on data without an error the best temperature is 0."""

RESAMPLED_CELLS = 8_000_000
"""How many counts `resample_sums` holds at once (64 MB)."""


class Interval(NamedTuple):
    """A number with the limits of its interval."""

    value: float
    low: float
    high: float


class ClassScores(NamedTuple):
    """Scores of every class, each an array ``[..., K]``."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Floats
    predicted: Floats


class McNemar(NamedTuple):
    """The test of two classifiers on the same items.

    ``only_first`` items are right with the first classifier alone, ``only_second`` with the
    second alone.
    """

    only_first: int
    only_second: int
    exact_p: float
    chi2: float
    chi2_p: float


class Reliability(NamedTuple):
    """Per bin of confidence: its edges ``[bins + 1]``, and the rest ``[bins]``.

    ``accuracy`` and ``confidence`` are NaN where a bin is empty.
    """

    edges: Floats
    counts: Integers
    accuracy: Floats
    confidence: Floats


def confusion_matrix(labels: Array, predictions: Array, classes: int) -> Integers:
    """Count the pairs of true and predicted class.

    Args:
        labels: ``[n]``, class ids from 0.
        predictions: ``[n]``, class ids from 0.
        classes: how many classes there are.

    Returns:
        ``[classes, classes]``, rows are true classes.

    Raises:
        ValueError: nothing was given, the lengths differ, or an id is out of range.
    """
    cells = np.bincount(_cells(labels, predictions, classes), minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def class_scores(confusion: Array) -> ClassScores:
    """Precision, recall and F1 of each class; 0 / 0 is 0."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    support = confusion.sum(axis=-1).astype(np.float64)
    predicted = confusion.sum(axis=-2).astype(np.float64)
    return ClassScores(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + predicted),
        support=support,
        predicted=predicted,
    )


def accuracy(confusion: Array) -> Floats:
    """The share of items whose predicted class is the true one."""
    hits = np.trace(confusion, axis1=-2, axis2=-1)
    return np.asarray(hits / confusion.sum(axis=(-2, -1)), dtype=np.float64)


def micro_f1(confusion: Array) -> Floats:
    """F1 of the pooled decisions; with one label an item it equals the accuracy."""
    scores = class_scores(confusion)
    hits = np.trace(confusion, axis1=-2, axis2=-1)
    return np.asarray(
        2 * hits / (scores.support.sum(-1) + scores.predicted.sum(-1)), dtype=np.float64
    )


def macro_f1(confusion: Array) -> Floats:
    """Mean F1 of the classes that occur."""
    scores = class_scores(confusion)
    return _mean_of_occurring(scores.f1, scores)


def macro_precision(confusion: Array) -> Floats:
    """Mean precision of the classes that occur."""
    scores = class_scores(confusion)
    return _mean_of_occurring(scores.precision, scores)


def macro_recall(confusion: Array) -> Floats:
    """Mean recall of the classes that occur, in the labels or the predictions."""
    scores = class_scores(confusion)
    return _mean_of_occurring(scores.recall, scores)


def balanced_accuracy(confusion: Array) -> Floats:
    """Mean recall of the classes that occur in the labels (unweighted average recall).

    Other than in `macro_recall`, a class that is only predicted does not count as one more of
    recall 0. As `sklearn.metrics.balanced_accuracy_score`.
    """
    scores = class_scores(confusion)
    occurring = scores.support > 0
    if not occurring.any(axis=-1).all():
        raise ValueError("a confusion matrix without items")
    recalls = (scores.recall * occurring).sum(-1) / occurring.sum(-1)
    return np.asarray(recalls, dtype=np.float64)


def log_loss_items(probabilities: Array, labels: Array) -> Floats:
    """Negative log-likelihood of each item, in nats.

    Args:
        probabilities: ``[n, K]``, each row sums to 1.
        labels: ``[n]``, class ids.
    """
    _check_probabilities(probabilities, labels)
    chosen = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.maximum(chosen, SMALLEST_PROBABILITY))


def reliability(confidence: Array, correct: Array, bins: int = 15) -> Reliability:
    """Accuracy and mean confidence in bins of equal width.

    Args:
        confidence: ``[n]``, the probability of the predicted class, in 0..1.
        correct: ``[n]``, whether the prediction is right.
        bins: how many; bin ``m`` is the interval ``((m - 1) / bins, m / bins]``.
    """
    return reliability_of_sums(reliability_columns(confidence, correct, bins).sum(axis=0))


def reliability_of_sums(sums: Array) -> Reliability:
    """The diagram from the sums over items, ``[3 * bins]``, of `reliability_columns`."""
    counts, hits, confidences = sums.reshape(3, -1)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=np.linspace(0.0, 1.0, len(counts) + 1),
            counts=counts.astype(np.int64),
            accuracy=hits / counts,
            confidence=confidences / counts,
        )


def reliability_columns(confidence: Array, correct: Array, bins: int) -> Floats:
    """What each item adds to the bins: ``[n, 3 * bins]``, its count, hit and confidence.

    The sums of these columns are all that `expected_calibration_error` needs, so they can be
    resampled by `resample_sums`.
    """
    if len(confidence) == 0:
        raise ValueError("no items")
    if len(confidence) != len(correct):
        raise ValueError(f"{len(confidence)} confidences for {len(correct)} items")
    if np.min(confidence) < 0 or np.max(confidence) > 1 + 1e-6:
        raise ValueError("a confidence lies outside 0..1")
    place = np.clip(np.ceil(np.asarray(confidence) * bins).astype(np.int64) - 1, 0, bins - 1)
    columns = np.zeros((len(confidence), 3, bins))
    items = np.arange(len(confidence))
    columns[items, 0, place] = 1.0
    columns[items, 1, place] = correct
    columns[items, 2, place] = confidence
    return columns.reshape(len(confidence), 3 * bins)


def expected_calibration_error(sums: Array) -> Floats:
    """Mean gap between confidence and accuracy, weighted by the items in each bin.

    ``ECE = sum_m |B_m| / n * |accuracy(B_m) - confidence(B_m)|`` over bins of equal width:
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.

    Args:
        sums: ``[..., 3 * bins]``, sums over items of `reliability_columns`.
    """
    counts, hits, confidences = np.moveaxis(
        np.asarray(sums).reshape(*np.shape(sums)[:-1], 3, -1), -2, 0
    )
    return np.asarray(np.abs(hits - confidences).sum(-1) / counts.sum(-1), dtype=np.float64)


def apply_temperature(probabilities: Array, temperature: float) -> Floats:
    """Soften (T > 1) or sharpen (T < 1) probabilities ``[n, K]`` by one temperature.

    It is the softmax of the logits over T. The logarithm of a probability is its logit up to a
    constant of the row, which the softmax cancels, so stored probabilities serve.

    Raises:
        ValueError: the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"a temperature is positive, not {temperature}")
    scaled = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY)) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    powers = np.exp(scaled)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def fit_temperature(probabilities: Array, labels: Array) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al. 2017, section 4.2).

    Fit it on the validation split, never on the split that is reported.

    Args:
        probabilities: ``[n, K]``.
        labels: ``[n]``, class ids.

    Returns:
        T within `TEMPERATURE_RANGE`; the lower end when every item is classified rightly.
    """
    from scipy.optimize import minimize_scalar

    _check_probabilities(probabilities, labels)

    def loss(log_temperature: float) -> float:
        softened = apply_temperature(probabilities, float(np.exp(log_temperature)))
        return float(log_loss_items(softened, labels).mean())

    found = minimize_scalar(
        loss, bounds=tuple(np.log(TEMPERATURE_RANGE)), method="bounded", options={"xatol": 1e-8}
    )
    return float(np.exp(found.x))


def group_sums(columns: Array, groups: Sequence[Any] | Array) -> Floats:
    """Add up the rows of *columns* ``[n, D]`` that share a group: ``[G, D]``.

    Groups come in sorted order, so the result does not depend on the order of the items
    beyond rounding.
    """
    if len(columns) == 0:
        raise ValueError("no items")
    if len(columns) != len(groups):
        raise ValueError(f"{len(groups)} groups for {len(columns)} items")
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    table = np.zeros((len(names), np.shape(columns)[1]))
    np.add.at(table, codes, columns)
    return table


def confusion_columns(labels: Array, predictions: Array, classes: int) -> Floats:
    """What each item adds to the confusion matrix: ``[n, classes ** 2]``, one cell is 1."""
    columns = np.zeros((len(labels), classes * classes))
    columns[np.arange(len(labels)), _cells(labels, predictions, classes)] = 1.0
    return columns


def pair_columns(predicted: Array, true: Array) -> Floats:
    """What each item adds to the sums that `concordance`, `r_squared` and `mean_error` need.

    Args:
        predicted: ``[n]``.
        true: ``[n]``.

    Returns:
        ``[n, 7]``: 1, prediction, truth, their squares, their product, the absolute error.
    """
    x, y = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if len(x) == 0:
        raise ValueError("no items")
    if x.shape != y.shape:
        raise ValueError(f"{len(x)} predictions for {len(y)} values")
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y, np.abs(x - y)], axis=1)


def concordance(sums: Array) -> Floats:
    """Lin's concordance correlation coefficient from sums of `pair_columns` ``[..., 7]``.

    ``2 cov / (var_x + var_y + (mean_x - mean_y)^2)`` with variances over n: Lin, Biometrics 45
    (1989) 255, doi 10.2307/2532051. 0 where either is constant.
    """
    n, x, y, xx, yy, xy, _ = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    varying = (_beyond_rounding(xx - x**2 / n, xx, n) > 0) & (
        _beyond_rounding(yy - y**2 / n, yy, n) > 0
    )
    twice_covariance = np.where(varying, 2 * (xy / n - x * y / n**2), 0.0)
    spread = _beyond_rounding(xx / n + yy / n - 2 * x * y / n**2, (xx + yy) / n, n)
    return _ratio(twice_covariance, spread)


def r_squared(sums: Array) -> Floats:
    """Share of the variance that is explained, from sums of `pair_columns` ``[..., 7]``.

    1 minus squared errors over squared deviations from the mean of the same items; 0 where the
    truth is constant.
    """
    n, _, y, xx, yy, xy, _ = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
    squared_deviations = _beyond_rounding(yy - y**2 / n, yy, n)
    explained = np.asarray(squared_deviations - (xx - 2 * xy + yy))
    return _ratio(explained, squared_deviations)


def mean_error(sums: Array) -> Floats:
    """Mean absolute error from sums of `pair_columns` ``[..., 7]``."""
    sums = np.asarray(sums, np.float64)
    return np.asarray(sums[..., 6] / sums[..., 0])


def resample_sums(table: Array, resamples: int, seed: int) -> Floats:
    """Draw groups with replacement and add up their rows: ``[resamples, D]``.

    A score that is a function of sums over items (accuracy, F1, calibration error,
    log-likelihood) needs nothing but these sums. Groups with equal rows are interchangeable:
    how often each kind of row is drawn follows a multinomial law, so the items of a confusion
    matrix cost as many draws as it has cells, however many items there are.

    Args:
        table: ``[G, D]``, sums of each group (`group_sums`).
        resamples: how many times G groups are drawn.
        seed: of the generator; equal seeds draw equal groups for tables with equal rows.
    """
    if len(table) == 0:
        raise ValueError("no groups")
    if resamples < 1:
        raise ValueError(f"at least one resample is needed, not {resamples}")
    kinds, counts = np.unique(np.asarray(table, dtype=np.float64), axis=0, return_counts=True)
    generator = np.random.default_rng(seed)
    chunk = max(1, RESAMPLED_CELLS // len(kinds))
    parts = []
    for start in range(0, resamples, chunk):
        drawn = generator.multinomial(
            len(table), counts / len(table), size=min(chunk, resamples - start)
        )
        parts.append(drawn.astype(np.float64) @ kinds)
    return np.concatenate(parts)


def percentile_interval(value: float, replicates: Array, level: float) -> Interval:
    """The interval that leaves ``(1 - level) / 2`` of the replicates on either side."""
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not {level}")
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def resampled_items(groups: Sequence[Any] | Array, resamples: int, seed: int) -> Iterator[Integers]:
    """Draw groups with replacement and yield the items of each resample.

    For scores that are no function of sums, such as a rank correlation; many scores of one
    resample can then be computed together.

    Args:
        groups: ``[n]``; items of one group are drawn together.
        resamples: how many resamples.
        seed: equal seeds draw equal groups.

    Raises:
        ValueError: there are no items.
    """
    if len(groups) == 0:
        raise ValueError("no items")
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = generator.integers(len(members), size=len(members))
        yield np.concatenate([members[group] for group in drawn])


def mcnemar(first_correct: Array, second_correct: Array) -> McNemar:
    """McNemar's test that two classifiers err equally often, on the same items.

    The exact p value is two-sided binomial on the items where exactly one is right; the chi
    square has Edwards's continuity correction, which never takes the statistic below 0.

    Args:
        first_correct: ``[n]`` booleans.
        second_correct: ``[n]`` booleans.
    """
    from scipy.stats import binomtest, chi2

    first, second = np.asarray(first_correct, bool), np.asarray(second_correct, bool)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} items")
    if first.size == 0:
        raise ValueError("no items")
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(~first & second))
    discordant = only_first + only_second
    if discordant == 0:
        return McNemar(0, 0, exact_p=1.0, chi2=0.0, chi2_p=1.0)
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / discordant
    return McNemar(
        only_first,
        only_second,
        exact_p=float(binomtest(only_first, discordant, 0.5).pvalue),
        chi2=statistic,
        chi2_p=float(chi2.sf(statistic, 1)),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for several tests by Holm's step-down method, in the given order."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _beyond_rounding(difference: Floats, of_sums: Floats, n: Floats) -> Floats:
    """*difference* of sums of *n* terms, 0 where it is no more than the rounding of *of_sums*."""
    noise = n * np.finfo(np.float64).eps * of_sums
    return np.asarray(np.where(difference <= noise, 0.0, difference))


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _mean_of_occurring(values: Floats, scores: ClassScores) -> Floats:
    occurring = scores.support + scores.predicted > 0
    if not occurring.any(axis=-1).all():
        raise ValueError("a confusion matrix without items")
    return np.asarray((values * occurring).sum(-1) / occurring.sum(-1), dtype=np.float64)


def _cells(labels: Array, predictions: Array, classes: int) -> Integers:
    """The cell of a confusion matrix, counted along its rows, that each item falls into."""
    if len(labels) == 0:
        raise ValueError("no items")
    if len(labels) != len(predictions):
        raise ValueError(f"{len(predictions)} predictions for {len(labels)} labels")
    for what, ids in (("label", labels), ("prediction", predictions)):
        if np.min(ids) < 0 or np.max(ids) >= classes:
            raise ValueError(f"a {what} lies outside 0..{classes - 1}")
    # Narrow integers, such as the codes of a category in pandas, cannot hold the product.
    return np.asarray(labels, np.int64) * classes + np.asarray(predictions, np.int64)


def _check_probabilities(probabilities: Array, labels: Array) -> None:
    if len(labels) == 0:
        raise ValueError("no items")
    if np.ndim(probabilities) != 2 or len(probabilities) != len(labels):
        raise ValueError(
            f"probabilities of shape {np.shape(probabilities)} for {len(labels)} labels"
        )

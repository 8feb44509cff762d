"""Scores of out-of-fold probabilities, for many weightings of the same items at once.

A bootstrap resample is a weighting: an item that is drawn twice has the weight 2. All functions
take weights ``[R, n]`` and return ``[R]``, NaN where a score does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.evaluation import stats
from affectlab.evaluation.small_data import few_for_correlation, small_sample
from affectlab.evaluation.stats import Floats, Integers

DECISIONS: dict[str, Callable[[stats.Array], Floats]] = {
    "uar": stats.balanced_accuracy,
    "accuracy": stats.accuracy,
    "macro_f1": stats.macro_f1,
}
"""Scores of the confusion matrix. The unweighted average recall is the balanced accuracy."""

HEADLINE = ("uar", "accuracy")
"""Scores that are compared between runs, and shown where there is room for few."""


NUMBER_HEADLINE = ("ccc", "mae")
"""The same of runs that predict numbers."""


LABEL_SET_HEADLINE = ("macro_f1", "exact_match")
"""The same of runs that predict several classes for each item."""


def predicts_label_sets(data: Mapping[str, Any]) -> bool:
    """Whether a run predicts several classes for each item, by the ``data`` of its metrics."""
    return data.get("target") == LABEL_SETS


def headline_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The headline scores of a run, the first one first, by the ``data`` of its metrics."""
    if predicts_label_sets(data):
        return LABEL_SET_HEADLINE
    return NUMBER_HEADLINE if "numbers" in data else HEADLINE


def uar(labels: Integers, predicted: Integers, classes: int) -> float:
    """Unweighted average recall: the mean over the classes that occur in *labels*."""
    return float(stats.balanced_accuracy(stats.confusion_matrix(labels, predicted, classes)))


def few_items(n: int, groups: int, limits: Sequence[float], headline: str) -> str | None:
    """What a headline score on *n* items of so many subjects cannot show; see `small_sample`."""
    if headline == "ccc":
        return few_for_correlation(n, limits, groups=groups)
    name = "the macro F1" if headline == "macro_f1" else "the unweighted average recall"
    return small_sample(n, limits, groups=groups, score=name)


def weighted_scores(
    labels: Integers, probabilities: Floats, weights: Floats, classes: int
) -> dict[str, Floats]:
    """Return every score of one cross-validation.

    Args:
        labels: ``[n]`` class ids.
        probabilities: ``[n, K]``, out of fold.
        weights: ``[R, n]``, not negative.
        classes: K.

    Returns:
        ``uar``, ``accuracy``, ``macro_f1`` and ``auc``, with two classes ``pr_auc``: each ``[R]``.
    """
    decisions = probabilities.argmax(axis=1)
    columns = stats.confusion_columns(labels, decisions, classes)
    matrices = (weights @ columns).reshape(-1, classes, classes)
    found = {name: score(matrices) for name, score in DECISIONS.items()}
    return found | areas(labels, probabilities, weights)


def unweighted_scores(labels: Integers, probabilities: Floats, classes: int) -> dict[str, float]:
    """Return the scores of `weighted_scores` with each item once."""
    found = weighted_scores(labels, probabilities, np.ones((1, len(labels))), classes)
    return {name: float(values[0]) for name, values in found.items()}


def confusion_scores(labels: Integers, decisions: Integers, classes: int) -> dict[str, float]:
    """Return the scores of `DECISIONS` for class ids ``[n]`` that were predicted."""
    confusion = stats.confusion_matrix(labels, decisions, classes)
    return {name: float(score(confusion)) for name, score in DECISIONS.items()}


def areas(labels: Integers, probabilities: Floats, weights: Floats) -> dict[str, Floats]:
    """Return ``auc`` and, with two classes, ``pr_auc``; arguments as of `weighted_scores`."""
    found = {"auc": mean_roc_area(labels, probabilities, weights)}
    if probabilities.shape[1] == 2:
        found["pr_auc"] = average_precision(labels == 1, probabilities[:, 1], weights)
    return found


def mean_roc_area(labels: Integers, probabilities: Floats, weights: Floats) -> Floats:
    """Area under the ROC curve; of several classes the mean of each against the rest.

    The mean is over the classes that occur in *labels*.
    """
    places = [1] if probabilities.shape[1] == 2 else np.unique(labels).tolist()
    areas = [roc_area(labels == place, probabilities[:, place], weights) for place in places]
    return np.asarray(np.mean(areas, axis=0))


def roc_area(positive: stats.Array, scores: Floats, weights: Floats) -> Floats:
    """Area under the ROC curve (ties count half); NaN if a side has no weight.

    Args:
        positive: ``[n]`` booleans.
        scores: ``[n]``, higher for positive items.
        weights: ``[R, n]``.
    """
    ours, others = _sums_by_score(positive, scores, weights)
    below = np.cumsum(others, axis=1) - others
    pairs = ours.sum(axis=1) * others.sum(axis=1)
    return _ratio((ours * (below + others / 2)).sum(axis=1), pairs)


def average_precision(positive: stats.Array, scores: Floats, weights: Floats) -> Floats:
    """Area under the precision-recall curve, as `sklearn.metrics.average_precision_score`.

    NaN if no positive item has weight. Arguments as in `roc_area`.
    """
    ours, others = _sums_by_score(positive, -scores, weights)
    hits = np.cumsum(ours, axis=1)
    named = hits + np.cumsum(others, axis=1)
    precision = np.divide(hits, named, out=np.zeros_like(hits), where=named > 0)
    return _ratio((ours * precision).sum(axis=1), hits[:, -1])


def _sums_by_score(positive: stats.Array, scores: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Weights of positive and of other items at each distinct score, in rising order."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    ordered = weights[:, order]
    is_positive = np.asarray(positive, dtype=np.float64)[order]
    ours = np.add.reduceat(ordered * is_positive, starts, axis=1)
    return ours, np.add.reduceat(ordered * (1 - is_positive), starts, axis=1)


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)

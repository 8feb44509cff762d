"""Whether the names of classes are swapped in predictions that somebody else made.

A model that is right about most items looks useless if its classes are in another order. The sign
of it: under some renaming of the predicted classes many more items are right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from affectlab.evaluation import stats
from affectlab.evaluation.intervals import confusion_interval

ERROR_RATE = 0.01
"""How often names that are right are called swapped, at most."""


RENAMED = {"accuracy": "accuracy", "macro_f1": "macro_f1", "uar": "balanced_accuracy"}
"""Scores after a renaming -> the function of `stats`."""


def swapped_record(
    labels: stats.Integers,
    predicted: stats.Integers,
    groups: Sequence[int],
    classes: Sequence[str],
    level: float,
) -> dict[str, Any]:
    """Swapped names of classes, and the scores without the swap, as metrics.json has them.

    Args:
        labels: ``[n]`` true class ids.
        predicted: ``[n]`` predicted class ids.
        groups: ``[n]``, the group of each item.
        classes: names, by id.
        level: of the intervals.

    Returns:
        ``swapped_names``, a predicted class -> the class that it seems to stand for. Where it is
        not empty, ``renamed`` has ``value`` and ``ci`` of each of `RENAMED`.
    """
    size = len(classes)
    found = swapped_names(labels, predicted, groups, size)
    if not found:
        return {"swapped_names": {}}
    meant = np.array([found.get(k, k) for k in range(size)])
    columns = stats.confusion_columns(labels, meant[predicted], size)
    table = stats.group_sums(columns, groups)
    renamed = {}
    for name, function in RENAMED.items():
        one = confusion_interval(function, table, level)
        renamed[name] = {"value": one.value, "ci": [one.low, one.high]}
    named = {classes[given]: classes[right] for given, right in found.items()}
    return {"swapped_names": named, "renamed": renamed}


def swapped_names(
    labels: stats.Integers, predicted: stats.Integers, groups: Sequence[int], size: int
) -> dict[int, int]:
    """The renaming of predicted classes under which significantly more items are right.

    It is the one under which most items are right (`scipy.optimize.linear_sum_assignment`). Two
    sign tests must agree: the groups of items vote for it against the names as they are, and
    against always the commonest class. As it was chosen after looking, the first p value is
    multiplied by twice the number of renamings of its kind: of two classes, or of any number. The
    second test spares a model that answers always the same.

    Args:
        labels: ``[n]`` true class ids.
        predicted: ``[n]`` predicted class ids.
        groups: ``[n]``, the group of each item.
        size: number of classes.

    Returns:
        Predicted class -> the class that it seems to stand for, of those that differ; empty if the
        names seem right.
    """
    from scipy.optimize import linear_sum_assignment

    cells = stats.confusion_matrix(labels, predicted, size)
    truths, given = linear_sum_assignment(cells, maximize=True)
    meant = np.empty(size, dtype=np.int64)
    meant[given] = truths
    renamed = meant[predicted] == labels
    moved = int((meant != np.arange(size)).sum())
    # In logarithms: the number of renamings of 200 classes has no float.
    renamings = math.log(size * (size - 1)) if moved == 2 else math.log(2) + math.lgamma(size + 1)
    if _log_p(renamed, predicted == labels, groups) + renamings > math.log(ERROR_RATE):
        return {}
    commonest = labels == np.bincount(labels, minlength=size).argmax()
    if _log_p(renamed, commonest, groups) > math.log(ERROR_RATE):
        return {}
    occurring = set(np.unique(predicted).tolist())
    return {k: int(meant[k]) for k in range(size) if meant[k] != k and k in occurring}


def _log_p(right: stats.Array, other: stats.Array, groups: Sequence[int]) -> float:
    """Logarithm of the p value of a sign test: more groups have more items of *right*."""
    from scipy.stats import binom

    gains = np.asarray(right, float) - np.asarray(other, float)
    votes = np.sign(stats.group_sums(gains[:, None], groups)[:, 0])
    decided = int((votes != 0).sum())
    return float(binom.logsf(int((votes > 0).sum()) - 1, decided, 0.5)) if decided else 0.0

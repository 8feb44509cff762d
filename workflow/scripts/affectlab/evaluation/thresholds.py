"""A threshold for each class, where items may have any number of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from affectlab.evaluation import stats

DEFAULT_THRESHOLD = 0.5
"""Of a class that no validation item has."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which probability on an item is given each class.

    Attributes:
        values: float64 ``[L]``, from 0 to 1.
        chosen: ``[L]``, whether a threshold was chosen; the others are `DEFAULT_THRESHOLD`,
            because no validation item has their class.
    """

    values: stats.Floats
    chosen: stats.Array

    def decide(self, probabilities: stats.Array) -> stats.Array:
        """The classes of each item, booleans ``[n, L]``, from probabilities ``[n, L]``."""
        return np.asarray(probabilities) >= self.values


def choose_thresholds(true: stats.Array, probabilities: stats.Array) -> Thresholds:
    """Choose the threshold of each class that maximises its F1 on these items.

    The candidates lie in the middle between two neighbouring probabilities. Of equally good ones
    the nearest to 0.5 is taken, and of two equally near ones the lower.

    Args:
        true: ``[n, L]`` of the validation items, whether each has each class.
        probabilities: ``[n, L]``, predicted for the same items.

    Raises:
        ValueError: there are no items, or the shapes differ.
    """
    true, probabilities = np.asarray(true, bool), np.asarray(probabilities, np.float64)
    check_shapes(true, probabilities)
    chosen = np.asarray(true.any(axis=0))
    values = [
        _best_threshold(true[:, k], probabilities[:, k]) if chosen[k] else DEFAULT_THRESHOLD
        for k in range(true.shape[1])
    ]
    return Thresholds(np.array(values, dtype=np.float64), chosen)


def _best_threshold(true: stats.Array, probabilities: stats.Floats) -> float:
    order = np.argsort(-probabilities, kind="stable")
    falling = probabilities[order]
    last = np.flatnonzero(np.diff(falling, append=-1.0))
    hits = np.cumsum(true[order])[last]
    f1 = 2 * hits / (last + 1 + true.sum())
    below = np.append(falling[last][1:], 0.0)
    candidates = (falling[last] + below) / 2
    # Nothing lies below a threshold of 0, and rounding must not move it onto the value below.
    candidates = np.where(candidates > below, candidates, falling[last])
    best = candidates[f1 == f1.max()]
    return float(min(best, key=lambda one: (abs(one - DEFAULT_THRESHOLD), one)))


def check_shapes(true: stats.Array, other: stats.Array) -> None:
    """See that two tables have one shape ``[n, L]`` and at least one item.

    Raises:
        ValueError: they have not.
    """
    if true.ndim != 2 or true.shape != np.shape(other):
        raise ValueError(f"expected two tables of one shape, found {true.shape}, {np.shape(other)}")
    if len(true) == 0:
        raise ValueError("no items")

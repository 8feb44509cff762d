"""Standardised L2 logistic regression along a whole path of C, at a fraction of the usual cost.

The answer is that of ``make_pipeline(StandardScaler(), LogisticRegression(C=...))`` for every C.
Three things make it fast where features outnumber items, as embeddings do:

* the weights of an L2 fit lie in the span of the items, so a fold is rotated once into the
  eigenbasis of its items (at most n coordinates) and every C, label set and restart reuses it;
* in that basis the curvature is nearly diagonal, so a diagonally scaled L-BFGS needs few steps;
* each value of C starts where the weights of the two before it point to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.evaluation.stats import Floats, Integers

MEMORY = 12
"""Pairs of steps and gradient changes that L-BFGS remembers."""

MAX_STEPS = 500
TOLERANCE = 3e-6
"""Of the largest gradient entry, per item: the scale of scikit-learn's own criterion."""

SUFFICIENT_DECREASE = 1e-4
RANK_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Basis:
    """Items standardised and rotated so that their coordinates are uncorrelated.

    Attributes:
        mean: of each feature, ``[d]``.
        scale: standard deviation of each feature, 1 where it is 0, ``[d]``.
        coordinates: of the items, ``[n, r]``, r at most min(n, d).
        curvature: sum of squares of each coordinate, ``[r]``.
        anchors: the standardised items ``[n, d]`` where there are more features than items, so
            that new items are held against them instead of against r directions; else None.
        rotation: from products with the anchors (or from features) to coordinates, ``[n or d, r]``.
    """

    mean: Floats
    scale: Floats
    coordinates: Floats
    curvature: Floats
    anchors: Floats | None
    rotation: Floats

    def transform(self, features: npt.ArrayLike) -> Floats:
        """Coordinates ``[m, r]`` of other items ``[m, d]``."""
        standard = (np.asarray(features, dtype=np.float64) - self.mean) / self.scale
        if self.anchors is not None:
            standard = standard @ self.anchors.T
        return np.asarray(standard @ self.rotation)

    def in_features(self, coefficients: Floats) -> Floats:
        """Coefficients ``[r, K]`` of coordinates as those of standardised features, ``[d, K]``."""
        rotated = self.rotation @ coefficients
        return np.asarray(rotated if self.anchors is None else self.anchors.T @ rotated)


@dataclass(frozen=True, slots=True)
class Weights:
    """A fitted linear model in the coordinates of a `Basis`: ``[r, K]`` and ``[K]``."""

    coefficients: Floats
    intercepts: Floats

    def logits(self, coordinates: Floats) -> Floats:
        """Linear outputs ``[m, K]`` of items with the given coordinates ``[m, r]``."""
        return np.asarray(coordinates @ self.coefficients + self.intercepts)

    def probabilities(self, coordinates: Floats) -> Floats:
        """Class probabilities ``[m, K]`` of items with the given coordinates ``[m, r]``."""
        return softmax(self.logits(coordinates))


def softmax(scores: Floats) -> Floats:
    """Softmax over the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def rotate(features: npt.ArrayLike) -> Basis:
    """Standardise items ``[n, d]`` as `StandardScaler` does, and rotate them.

    Raises:
        ValueError: there are no items, or a feature is not finite.
    """
    items = np.asarray(features, dtype=np.float64)
    if items.ndim != 2 or len(items) == 0:
        raise ValueError(f"expected items and features, found the shape {items.shape}")
    if not np.isfinite(items).all():
        raise ValueError("a feature is not finite")
    mean = items.mean(axis=0)
    scale = items.std(axis=0)
    # A constant feature differs from its mean by rounding alone.
    scale[scale <= 1e-12 * np.maximum(1.0, np.abs(mean))] = 1.0
    standard = (items - mean) / scale
    count, width = standard.shape
    if width <= count:
        values, vectors = np.linalg.eigh(standard.T @ standard)
    else:
        values, vectors = np.linalg.eigh(standard @ standard.T)
    kept = values > RANK_TOLERANCE * max(values[-1], 1.0) * max(count, width)
    values, vectors = values[kept], vectors[:, kept]
    if width <= count:
        return Basis(mean, scale, standard @ vectors, values, None, vectors)
    lengths = np.sqrt(values)
    return Basis(mean, scale, vectors * lengths, values, standard, vectors / lengths)


def balanced_weights(labels: Integers, classes: int) -> Floats:
    """Item weights that give every class that occurs the same total, as ``balanced`` does."""
    counts = np.bincount(labels, minlength=classes)
    present = np.count_nonzero(counts)
    return np.asarray(len(labels) / (present * counts[labels]), dtype=np.float64)


def fit_path(
    basis: Basis, labels: Integers, classes: int, strengths: Sequence[float]
) -> list[Weights]:
    """Fit a class-balanced classifier for each C.

    Two classes are fitted as scikit-learn fits them, by one logistic function: the softmax of
    two classes whose penalty counts half.

    Args:
        basis: of the items, from `rotate`.
        labels: ``[n]``, class ids below *classes*.
        classes: K; a class without items gets a probability near 0.
        strengths: values of C, in rising order.

    Returns:
        The weights for each C, in the order given.

    Raises:
        ValueError: fewer than two classes occur, or the values of C do not rise.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("a classifier needs items of at least two classes")
    if min(strengths) <= 0 or any(low >= high for low, high in pairwise(strengths)):
        raise ValueError("the values of C must be positive and rise")
    weights = balanced_weights(labels, classes)
    targets = np.zeros((len(labels), classes))
    targets[np.arange(len(labels)), labels] = 1.0
    share = weights @ targets / weights.sum()
    start = np.zeros((basis.coordinates.shape[1] + 1, classes))
    # The intercepts of a classifier that knows nothing but how common each class is.
    start[-1] = np.log(np.maximum(share, 1e-6))
    fitted: list[Floats] = []
    steps = np.diff(np.log(strengths))
    for place, strength in enumerate(strengths):
        penalty = (2.0 if classes == 2 else 1.0) / strength
        if place > 1:
            # The weights move smoothly with log C: a further step like the last one.
            ratio = steps[place - 1] / steps[place - 2]
            start = fitted[-1] + ratio * (fitted[-1] - fitted[-2])
        start = _minimise(basis, targets, weights, penalty, start)
        fitted.append(start)
    return [Weights(parameters[:-1], parameters[-1]) for parameters in fitted]


def ridge_path(basis: Basis, values: Floats, strengths: Sequence[float]) -> list[Weights]:
    """Fit a ridge regression for each C, at once for all numbers.

    The answer is that of ``make_pipeline(StandardScaler(), Ridge(alpha=1 / C))``. In the basis the
    squares of different coordinates do not mix, so each coefficient has a closed form.

    Args:
        basis: of the items, from `rotate`.
        values: ``[n, D]``.
        strengths: values of C.

    Returns:
        The weights for each C, in the order given.
    """
    mean = values.mean(axis=0)
    products = basis.coordinates.T @ (values - mean)
    return [
        Weights(products / (basis.curvature + 1 / strength)[:, None], mean)
        for strength in strengths
    ]


def fit_and_predict(
    known: npt.NDArray[Any],
    labels: Integers,
    classes: int,
    strength: float,
    asked: npt.NDArray[Any],
) -> Floats:
    """Fit to items ``[n, d]`` with one C, predict others ``[m, d]``: probabilities ``[m, K]``."""
    basis = rotate(known)
    weights = fit_path(basis, labels, classes, [strength])[0]
    return weights.probabilities(basis.transform(asked))


def _minimise(
    basis: Basis, targets: Floats, weights: Floats, penalty: float, start: Floats
) -> Floats:
    """Minimise weighted cross-entropy plus ``penalty / 2 * |coefficients|^2`` by scaled L-BFGS."""
    items = np.column_stack([basis.coordinates, np.ones(len(targets))])
    ridge = np.full((items.shape[1], 1), penalty)
    ridge[-1] = 0.0
    tolerance = TOLERANCE * weights.sum()

    def evaluate(point: Floats) -> tuple[float, Floats]:
        scores = items @ point
        scores -= scores.max(axis=1, keepdims=True)
        powers = np.exp(scores)
        totals = powers.sum(axis=1, keepdims=True)
        loss = weights @ (np.log(totals[:, 0]) - (scores * targets).sum(axis=1))
        residual = (powers / totals - targets) * weights[:, None]
        decayed = ridge * point
        return float(loss + 0.5 * (decayed * point).sum()), items.T @ residual + decayed

    value, gradient = evaluate(start)
    shares = softmax(items @ start)
    spread = float((weights[:, None] * shares * (1 - shares)).mean())
    sums = np.append(basis.curvature, float(len(items)))[:, None]
    scaling = 1.0 / (ridge + spread * sums + 1e-12)
    point, steps = start, _Memory(scaling)
    for _ in range(MAX_STEPS):
        if np.abs(gradient).max() <= tolerance:
            break
        direction = steps.direction(gradient)
        slope = float(np.vdot(direction, gradient))
        step = 1.0
        while True:
            candidate = point + step * direction
            new_value, new_gradient = evaluate(candidate)
            if new_value <= value + SUFFICIENT_DECREASE * step * slope:
                break
            step *= 0.5
            if step < 1e-10:
                # Rounding hides any further descent.
                return point
        steps.add(candidate - point, new_gradient - gradient)
        point, value, gradient = candidate, new_value, new_gradient
    return point


class _Memory:
    """The inverse curvature that L-BFGS has seen, on top of a diagonal first guess."""

    def __init__(self, scaling: Floats) -> None:
        self._scaling = scaling
        self._pairs: list[tuple[Floats, Floats, float]] = []

    def add(self, step: Floats, change: Floats) -> None:
        product = float(np.vdot(step, change))
        if product > 0:
            self._pairs = [*self._pairs[-(MEMORY - 1) :], (step, change, 1.0 / product)]

    def direction(self, gradient: Floats) -> Floats:
        """Two-loop recursion: Nocedal and Wright, Numerical Optimization, algorithm 7.4."""
        result = gradient.copy()
        factors = []
        for step, change, inverse in reversed(self._pairs):
            factor = inverse * float(np.vdot(step, result))
            result -= factor * change
            factors.append(factor)
        result *= self._scaling
        for (step, change, inverse), factor in zip(self._pairs, reversed(factors), strict=True):
            result += (factor - inverse * float(np.vdot(change, result))) * step
        return -result

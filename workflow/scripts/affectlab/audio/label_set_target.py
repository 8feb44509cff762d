"""Several classes for each item: a linear probe tells each class from all items without it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affectlab.audio import solver
from affectlab.audio.folds import Fold, stratified_folds
from affectlab.audio.targets import Priors, Tuned, rounded_numbers
from affectlab.evaluation import multilabel, stats
from affectlab.evaluation.conditions import permute
from affectlab.evaluation.multilabel import Prior
from affectlab.evaluation.stats import Floats, Integers
from affectlab.evaluation.thresholds import choose_thresholds

THRESHOLDS = "class_thresholds"
"""Of a probe and of a choice of the inner folds: class -> threshold."""

SHARES, COMMONEST = "class_shares", "commonest_set"
"""Fields of predictions.jsonl, see `Prior`."""


@dataclass(frozen=True, slots=True)
class LabelSetTarget:
    """Any number of L classes for each item.

    Attributes:
        labels: booleans ``[n, L]``.
        names: of the classes.
    """

    labels: stats.Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def named(self) -> str:
        """What the names of the outputs are."""
        return "classes"

    @property
    def depends_on_strength(self) -> bool:
        """False: a weaker probe ranks items alike."""
        return False

    @property
    def width(self) -> int:
        """Outputs for each item."""
        return len(self.names)

    def part(self, places: Integers) -> LabelSetTarget:
        """The target of some of the items."""
        return LabelSetTarget(self.labels[places], self.names)

    def make_folds(self, groups: Integers | None, folds: int, seed: int) -> list[Fold]:
        """See `Target.make_folds`; the rarest classes of the items are spread evenly.

        As the first step of iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD
        2011, doi 10.1007/978-3-642-23808-6_10), which divides the rarest class first.
        """
        return stratified_folds(self._rarest(), groups, folds, seed)

    def most_folds(self, groups: Integers) -> int:
        """See `Target.most_folds`."""
        return len(np.unique(groups))

    def units(self, groups: Integers) -> int:
        """The number of groups with the class that has the fewest, of those that occur."""
        counts = [len(np.unique(groups[own])) for own in self.labels.T if own.any()]
        return min(counts, default=0)

    def fit_path(self, basis: solver.Basis, strengths: Sequence[float]) -> list[solver.Weights]:
        """Fit a class-balanced logistic regression of each class against the rest, for each C.

        A class that no item has, or all have, gets no weights: its probability is constant.
        """
        paths = [_one_against_rest(basis, own, strengths) for own in self.labels.T]
        return [
            solver.Weights(
                np.stack([coefficients for coefficients, _ in each], axis=1),
                np.array([intercept for _, intercept in each]),
            )
            for each in zip(*paths, strict=True)
        ]

    def fixed_outputs(self, basis: solver.Basis, strength: float, coordinates: Floats) -> Floats:
        """Probabilities ``[m, L]`` of others."""
        return self.outputs(self.fit_path(basis, [strength])[0], coordinates)

    def outputs(self, weights: solver.Weights, coordinates: Floats) -> Floats:
        """The probability of each class, ``[m, L]``."""
        return sigmoid(weights.logits(coordinates))

    def blend(self, found: Sequence[Floats]) -> Floats:
        """The logistic function of the mean logits of all views."""
        smallest = np.finfo(np.float64).tiny
        odds = [np.maximum(one, smallest) / np.maximum(1 - one, smallest) for one in found]
        return sigmoid(np.mean(np.log(odds), axis=0))

    def inner_score(self, outputs: Floats, folds: Sequence[Fold]) -> float:
        """The mean average precision of all folds pooled.

        It needs no thresholds, which would be fitted to the same outputs.
        """
        return self.whole_score(outputs)

    def whole_score(self, outputs: Floats) -> float:
        """The mean average precision; 0 where no item has a class."""
        if not self.labels.any():
            return 0.0
        precisions = multilabel.average_precisions(self.labels, outputs)
        return float(multilabel.mean_average_precision(precisions))

    def scores(self, outputs: Floats) -> dict[str, float]:
        """The mean average precision, which needs no thresholds."""
        return {"mean_average_precision": self.whole_score(outputs)}

    def tune(self, outputs: Floats) -> Tuned:
        """The threshold of each class, see `choose_thresholds`."""
        found = choose_thresholds(self.labels, outputs).values.tolist()
        return {THRESHOLDS: dict(zip(self.names, found, strict=True))}

    def calibrated(self, outputs: Floats, tuned: Tuned) -> Floats | None:
        """None: thresholds are of the probabilities as they are."""
        return None

    def priors(self, count: int) -> Priors:
        """The share of each class and the most frequent label set, each ``[count, L]``."""
        prior = Prior.of(self.labels)
        return {
            SHARES: np.tile(prior.shares, (count, 1)),
            COMMONEST: np.tile(prior.commonest.astype(np.float64), (count, 1)),
        }

    def thresholds(self, tuned: Tuned, count: int) -> Floats | None:
        """The threshold of each class, ``[count, L]``."""
        return np.tile([float(tuned[THRESHOLDS][name]) for name in self.names], (count, 1))

    def permuted(self, groups: Integers, generator: np.random.Generator) -> LabelSetTarget:
        """The target with the label sets permuted, the classes of an item together."""
        _, first, codes = np.unique(self.labels, axis=0, return_index=True, return_inverse=True)
        moved = permute(codes.ravel().astype(np.int64), groups, generator)
        return LabelSetTarget(self.labels[first[moved]], self.names)

    def truth(self, place: int, names: Sequence[str]) -> dict[str, Any]:
        """The classes of an item."""
        return {"labels": _named(self.labels[place], names)}

    def stored(
        self, outputs: Floats, thresholds: Floats | None, names: Sequence[str]
    ) -> dict[str, Any]:
        """The predicted classes of an item, its probabilities and thresholds."""
        if thresholds is None:
            raise ValueError("label sets are decided by thresholds")
        return {
            "prediction": _named(outputs >= thresholds, names),
            "probabilities": rounded_numbers(outputs, names),
            "thresholds": rounded_numbers(thresholds, names),
        }

    def _rarest(self) -> Integers:
        """The rarest class of each item, ``[n]``; L for an item without any."""
        counts = self.labels.sum(axis=0)
        ranked = np.where(self.labels, counts, len(self) + 1)
        return np.where(self.labels.any(axis=1), ranked.argmin(axis=1), self.width).astype(np.int64)


def sigmoid(logits: Floats) -> Floats:
    """The logistic function."""
    from scipy.special import expit

    return np.asarray(expit(logits), dtype=np.float64)


def _named(own: stats.Array, names: Sequence[str]) -> list[str]:
    return [name for name, has in zip(names, own, strict=True) if has]


def _one_against_rest(
    basis: solver.Basis, own: stats.Array, strengths: Sequence[float]
) -> list[tuple[Floats, float]]:
    """Coefficients ``[r]`` and intercept of one class, for each C."""
    positive, count = int(own.sum()), len(own)
    if positive in (0, count):
        # Half an item with the class, and half an item without it: the log odds stay finite.
        odds = math.log((positive + 0.5) / (count - positive + 0.5))
        return [(np.zeros(basis.coordinates.shape[1]), odds)] * len(strengths)
    return [
        (
            weights.coefficients[:, 1] - weights.coefficients[:, 0],
            float(weights.intercepts[1] - weights.intercepts[0]),
        )
        for weights in solver.fit_path(basis, own.astype(np.int64), 2, strengths)
    ]

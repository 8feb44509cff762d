"""What a probe learns of items: one class each, or numbers such as valence.

Several classes for each item are in `affectlab.audio.label_set_target`.

The cross-validation is the same for every target. A target knows how folds are stratified, how a
linear probe is fitted, and what its outputs are worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from affectlab.audio import solver
from affectlab.audio.folds import Fold, make_folds, number_folds
from affectlab.audio.refits import rarest_class
from affectlab.audio.scores import uar, unweighted_scores
from affectlab.evaluation import regression, stats
from affectlab.evaluation.conditions import permute
from affectlab.evaluation.regression import TRAINING_MEAN
from affectlab.evaluation.stats import Floats, Integers
from affectlab.files.io import round_significant

Tuned = Mapping[str, Any]
"""What the inner folds fitted to the outputs, such as a temperature."""

Priors = dict[str, Floats]
"""Field of a line of predictions.jsonl -> what training items tell of others, ``[m, width]``."""


class Target(Protocol):
    """What is to be predicted of n items."""

    def __len__(self) -> int: ...

    @property
    def named(self) -> str:
        """What the names of the outputs are: ``classes`` or ``numbers``."""
        ...

    @property
    def depends_on_strength(self) -> bool:
        """Whether the spread of the scores depends on C, so that no C can stand for all."""
        ...

    @property
    def width(self) -> int:
        """Outputs for each item."""
        ...

    def part(self, places: Integers) -> Self:
        """The target of some of the items."""
        ...

    def make_folds(self, groups: Integers | None, folds: int, seed: int) -> list[Fold]:
        """Make folds with every group on one side, or random ones if *groups* is None.

        Raises:
            UserError: there are too few groups or items.
        """
        ...

    def most_folds(self, groups: Integers) -> int:
        """The largest number of folds that `make_folds` makes."""
        ...

    def units(self, groups: Integers) -> int:
        """The number of groups that a score depends on most."""
        ...

    def fit_path(self, basis: solver.Basis, strengths: Sequence[float]) -> list[solver.Weights]:
        """Fit a linear probe to all items for each C, in rising order."""
        ...

    def fixed_outputs(self, basis: solver.Basis, strength: float, coordinates: Floats) -> Floats:
        """Fit to all items with one C, whatever their labels; outputs ``[m, width]`` of others."""
        ...

    def outputs(self, weights: solver.Weights, coordinates: Floats) -> Floats:
        """Outputs ``[m, width]`` of a fitted probe for coordinates ``[m, r]``."""
        ...

    def blend(self, found: Sequence[Floats]) -> Floats:
        """One output ``[m, width]`` of those of several views."""
        ...

    def inner_score(self, outputs: Floats, folds: Sequence[Fold]) -> float:
        """How good out-of-fold outputs ``[n, width]`` are; chooses C and view."""
        ...

    def whole_score(self, outputs: Floats) -> float:
        """The score of the permutation test, of outputs ``[n, width]``."""
        ...

    def scores(self, outputs: Floats) -> dict[str, float]:
        """All scores of outputs ``[n, width]`` whose intervals need refits."""
        ...

    def tune(self, outputs: Floats) -> Tuned:
        """Fit to out-of-fold outputs ``[n, width]`` what a use of outputs needs."""
        ...

    def calibrated(self, outputs: Floats, tuned: Tuned) -> Floats | None:
        """The outputs ``[m, width]`` with *tuned* applied; None where there is no such thing."""
        ...

    def priors(self, count: int) -> Priors:
        """What the items tell of *count* others without their features, by its name.

        Each is ``[count, width]``. Trivial baselines need it.
        """
        ...

    def thresholds(self, tuned: Tuned, count: int) -> Floats | None:
        """The thresholds of decisions, ``[count, width]``; None where decisions need none."""
        ...

    def permuted(self, groups: Integers, generator: np.random.Generator) -> Self:
        """The target with its labels permuted, see `conditions.permute`."""
        ...

    def truth(self, place: int, names: Sequence[str]) -> dict[str, Any]:
        """The true label of an item as predictions.jsonl holds it; *names* are of the outputs."""
        ...

    def stored(
        self, outputs: Floats, thresholds: Floats | None, names: Sequence[str]
    ) -> dict[str, Any]:
        """The outputs ``[width]`` of an item as predictions.jsonl holds them.

        Args:
            outputs: of the item.
            thresholds: of the item, ``[width]``, where it has them.
            names: of the outputs.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClassTarget:
    """One of K classes for each item.

    Attributes:
        labels: ``[n]`` class ids.
        classes: K.
    """

    labels: Integers
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def named(self) -> str:
        """What the names of the outputs are."""
        return "classes"

    @property
    def depends_on_strength(self) -> bool:
        """False: a weaker probe decides alike."""
        return False

    @property
    def width(self) -> int:
        """Outputs for each item."""
        return self.classes

    def part(self, places: Integers) -> ClassTarget:
        """The target of some of the items."""
        return ClassTarget(self.labels[places], self.classes)

    def make_folds(self, groups: Integers | None, folds: int, seed: int) -> list[Fold]:
        """See `Target.make_folds`; the classes are spread evenly."""
        return make_folds(self.labels, groups, folds, seed)

    def most_folds(self, groups: Integers) -> int:
        """See `Target.most_folds`."""
        most = np.bincount(self.labels).max() if len(self) else 0
        return int(min(len(np.unique(groups)), most))

    def units(self, groups: Integers) -> int:
        """The number of groups with the class that has the fewest."""
        return rarest_class(self.labels, groups)

    def fit_path(self, basis: solver.Basis, strengths: Sequence[float]) -> list[solver.Weights]:
        """Fit a class-balanced logistic regression for each C."""
        return solver.fit_path(basis, self.labels, self.classes, strengths)

    def fixed_outputs(self, basis: solver.Basis, strength: float, coordinates: Floats) -> Floats:
        """Probabilities ``[m, K]`` of others; where there is one class, it has them all."""
        if len(np.unique(self.labels)) == 1:
            return np.tile(np.eye(self.classes)[self.labels[0]], (len(coordinates), 1))
        return self.outputs(self.fit_path(basis, [strength])[0], coordinates)

    def outputs(self, weights: solver.Weights, coordinates: Floats) -> Floats:
        """Probabilities ``[m, K]``."""
        return weights.probabilities(coordinates)

    def blend(self, found: Sequence[Floats]) -> Floats:
        """The softmax of the mean logits of all views."""
        smallest = np.finfo(np.float64).tiny
        logarithms = [np.log(np.maximum(values, smallest)) for values in found]
        return solver.softmax(np.mean(logarithms, axis=0))

    def inner_score(self, outputs: Floats, folds: Sequence[Fold]) -> float:
        """The mean UAR over the folds, as in scikit-learn's GridSearchCV."""
        recalls = [
            uar(self.labels[test], outputs[test].argmax(axis=1), self.classes) for _, test in folds
        ]
        return float(np.mean(recalls))

    def whole_score(self, outputs: Floats) -> float:
        """The UAR."""
        return uar(self.labels, outputs.argmax(axis=1), self.classes)

    def scores(self, outputs: Floats) -> dict[str, float]:
        """See `unweighted_scores`."""
        return unweighted_scores(self.labels, outputs, self.classes)

    def tune(self, outputs: Floats) -> Tuned:
        """The temperature of the probabilities."""
        return {"temperature": stats.fit_temperature(outputs, self.labels)}

    def calibrated(self, outputs: Floats, tuned: Tuned) -> Floats | None:
        """Probabilities ``[m, K]`` at the temperature."""
        return stats.apply_temperature(outputs, tuned["temperature"])

    def priors(self, count: int) -> Priors:
        """Nothing: the baseline is the commonest class."""
        return {}

    def thresholds(self, tuned: Tuned, count: int) -> Floats | None:
        """None: the likeliest class is decided for."""
        return None

    def permuted(self, groups: Integers, generator: np.random.Generator) -> ClassTarget:
        """The target with its labels permuted."""
        return ClassTarget(permute(self.labels, groups, generator), self.classes)

    def truth(self, place: int, names: Sequence[str]) -> dict[str, Any]:
        """The class of an item."""
        return {"label": names[self.labels[place]]}

    def stored(
        self, outputs: Floats, thresholds: Floats | None, names: Sequence[str]
    ) -> dict[str, Any]:
        """The probabilities of an item; it has no thresholds."""
        return {"probabilities": [round_significant(value, 6) for value in outputs]}


@dataclass(frozen=True, slots=True)
class NumberTarget:
    """D numbers for each item, predicted by ridge regression.

    Attributes:
        values: ``[n, D]``, in units of the data.
        names: of the numbers.
    """

    values: Floats
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def named(self) -> str:
        """What the names of the outputs are."""
        return "numbers"

    @property
    def depends_on_strength(self) -> bool:
        """True: a strong penalty shrinks the predictions, and so the concordance and its spread."""
        return True

    @property
    def width(self) -> int:
        """Outputs for each item."""
        return len(self.names)

    def part(self, places: Integers) -> NumberTarget:
        """The target of some of the items."""
        return NumberTarget(self.values[places], self.names)

    def make_folds(self, groups: Integers | None, folds: int, seed: int) -> list[Fold]:
        """See `Target.make_folds`; bins of the first number are spread evenly."""
        return number_folds(self.values[:, 0], groups, folds, seed)

    def most_folds(self, groups: Integers) -> int:
        """See `Target.most_folds`."""
        return len(np.unique(groups))

    def units(self, groups: Integers) -> int:
        """The number of groups."""
        return len(np.unique(groups))

    def fit_path(self, basis: solver.Basis, strengths: Sequence[float]) -> list[solver.Weights]:
        """Fit a ridge regression with the penalty 1 / C for each C."""
        return solver.ridge_path(basis, self.values, strengths)

    def fixed_outputs(self, basis: solver.Basis, strength: float, coordinates: Floats) -> Floats:
        """Numbers ``[m, D]`` of others."""
        return self.outputs(self.fit_path(basis, [strength])[0], coordinates)

    def outputs(self, weights: solver.Weights, coordinates: Floats) -> Floats:
        """Numbers ``[m, D]``."""
        return weights.logits(coordinates)

    def blend(self, found: Sequence[Floats]) -> Floats:
        """The mean of what all views predict."""
        return np.asarray(np.mean(list(found), axis=0))

    def inner_score(self, outputs: Floats, folds: Sequence[Fold]) -> float:
        """The mean concordance of the numbers, of all folds pooled.

        The concordance of a single small fold is too noisy. It does not depend on units, so that
        it is that of standardised numbers as well.
        """
        return self.whole_score(outputs)

    def whole_score(self, outputs: Floats) -> float:
        """The mean concordance of the numbers."""
        pairs = zip(outputs.T, self.values.T, strict=True)
        sums = [stats.pair_columns(ours, true).sum(axis=0) for ours, true in pairs]
        return float(stats.concordance(np.array(sums)).mean())

    def scores(self, outputs: Floats) -> dict[str, float]:
        """See `regression.scores`."""
        together = [0] * len(self)
        found = regression.scores(self.values, outputs, together, self.names)
        return {name: score.value for name, score in found.items()}

    def tune(self, outputs: Floats) -> Tuned:
        """Nothing: numbers are used as they are."""
        return {}

    def calibrated(self, outputs: Floats, tuned: Tuned) -> Floats | None:
        """None: numbers are used as they are."""
        return None

    def priors(self, count: int) -> Priors:
        """The mean of each number, ``[count, D]``: the trivial baseline."""
        return {TRAINING_MEAN: np.tile(self.values.mean(axis=0), (count, 1))}

    def thresholds(self, tuned: Tuned, count: int) -> Floats | None:
        """None: numbers are used as they are."""
        return None

    def permuted(self, groups: Integers, generator: np.random.Generator) -> NumberTarget:
        """The target with the items' numbers permuted, all of an item together."""
        _, first, codes = np.unique(self.values, axis=0, return_index=True, return_inverse=True)
        moved = permute(codes.ravel().astype(np.int64), groups, generator)
        return NumberTarget(self.values[first[moved]], self.names)

    def truth(self, place: int, names: Sequence[str]) -> dict[str, Any]:
        """The numbers of an item, by their names."""
        return {"values": dict(zip(names, self.values[place].tolist(), strict=True))}

    def stored(
        self, outputs: Floats, thresholds: Floats | None, names: Sequence[str]
    ) -> dict[str, Any]:
        """The predicted numbers of an item, by their names; it has no thresholds."""
        return {"prediction": rounded_numbers(outputs, names)}


def rounded_numbers(values: Floats, names: Sequence[str]) -> dict[str, float]:
    """Numbers ``[D]`` by their names, as they are stored."""
    return {name: round_significant(float(one)) for name, one in zip(names, values, strict=True)}

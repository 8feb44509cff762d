"""Coverage of the intervals of cross-validated probes, and errors and power of "above majority".

Data sets are drawn from a known distribution. The truth is the mean score of the procedure over
them. The reference is the interval between the 2.5 % and 97.5 % points of its distribution.
Probes have few dimensions and a fixed C, and are fitted for all folds at once by Newton's method.
Scores and intervals are those of the workflow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from coverage_rows import ErrorRow, IntervalRow

from affectlab.audio.predictions import Predicted
from affectlab.audio.refits import DRAWS, FOLDINGS, Halves, limits, rarest_class
from affectlab.audio.score_intervals import decision_scores, ranking_scores
from affectlab.audio.scores import unweighted_scores
from affectlab.audio.solver import softmax
from affectlab.config.models import Bootstrap

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FOLDS, REPEATS = 5, 10
RESAMPLES = 200
LEVEL = 0.95
NEWTON_STEPS = 7
LOGITS_PER_UNIT = 10.0
"""From the answers of least squares, which lie about 0 and 1, to logits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of data set.

    Attributes:
        subjects: number of subjects.
        clips: number of clips of each subject.
        classes: number of classes. With two, the class belongs to the subject.
        positive: share of the second class where the class belongs to the subject.
        effect: distance of the class means, in standard deviations of a clip.
        voice: standard deviation of the part that the clips of a subject share.
        dimensions: number of dimensions of a vector.
        strength: C of the probe.
    """

    subjects: int
    clips: int
    classes: int
    positive: float
    effect: float
    voice: float
    dimensions: int
    strength: float

    @property
    def setting(self) -> str:
        """The shape in a few words."""
        size = f"{self.subjects} subjects x {self.clips} x {self.classes} classes"
        if self.classes == 2:
            size = f"{self.subjects} subjects, {self.positive:.1%} positive"
        return f"{size}, effect {self.effect:g}"


SHAPES = [
    Shape(162, 1, 2, 0.185, 0.0, 0.0, 8, 0.1),
    Shape(162, 1, 2, 0.185, 1.2, 0.0, 8, 0.1),
    Shape(24, 16, 8, 0.0, 0.0, 0.7, 8, 0.01),
    Shape(24, 16, 8, 0.0, 1.0, 0.7, 8, 0.01),
]


def rows(datasets: int, seed: int) -> Iterator[IntervalRow | ErrorRow]:
    """Simulate *datasets* data sets of each shape.

    Args:
        datasets: how many.
        seed: of all of them.
    """
    for place, shape in enumerate(SHAPES):
        found = [
            simulate(shape, np.random.default_rng([seed, place, number]))
            for number in range(datasets)
        ]
        yield from _rows(shape, found)


def _rows(
    shape: Shape, found: list[dict[str, tuple[float, float, float]]]
) -> Iterator[IntervalRow | ErrorRow]:
    for name in found[0]:
        values, low, high = np.array([one[name] for one in found]).T
        truth = float(values.mean())
        first, last = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        below, above = float((high < truth).mean()), float((low > truth).mean())
        yield IntervalRow(
            f"cross-validated {name}",
            shape.setting,
            len(found),
            1 - below - above,
            below,
            above,
            float((high - low).mean()),
            float(last - first),
        )
    _, low, _ = np.array([one["uar"] for one in found]).T
    yield ErrorRow(
        "interval of the UAR above majority",
        shape.setting,
        len(found),
        float((low > 1 / shape.classes).mean()),
        shape.effect == 0,
    )


def simulate(shape: Shape, generator: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """Draw one data set, cross-validate it: name -> value and limits of each score."""
    predicted = predict(shape, generator)
    bootstrap = Bootstrap(resamples=RESAMPLES, level=LEVEL, seed=int(generator.integers(2**31)))
    scores = decision_scores(predicted, shape.classes, bootstrap)
    scores |= ranking_scores(predicted, bootstrap)
    return {
        name: (score.value, *limits(score.value, score.replicates, LEVEL))
        for name, score in scores.items()
    }


def predict(shape: Shape, generator: np.random.Generator) -> Predicted:
    """Draw one data set, cross-validate it and the halves of its subjects."""
    features, labels, subjects = draw(shape, generator)
    everyone = np.arange(shape.subjects)
    whole = cross_validate(shape, features, labels, subjects, [everyone] * REPEATS, generator)
    pairs = [np.array_split(generator.permutation(everyone), 2) for _ in range(DRAWS)]
    parts = [part for pair in pairs for part in pair for _ in range(FOLDINGS)]
    split = cross_validate(shape, features, labels, subjects, parts, generator)
    scored = []
    for probabilities in split:
        inside = ~np.isnan(probabilities[:, 0])
        scored.append(unweighted_scores(labels[inside], probabilities[inside], shape.classes))
    halves = Halves(
        {
            name: np.array([one[name] for one in scored]).reshape(DRAWS, 2, FOLDINGS)
            for name in scored[0]
        },
        rarest_class(labels, subjects),
    )
    ids = tuple(f"{number:04d}" for number in range(len(labels)))
    names = tuple(f"{number:04d}" for number in subjects)
    return Predicted(ids, names, labels, whole, None, halves)


def draw(shape: Shape, generator: np.random.Generator) -> tuple[Floats, Integers, Integers]:
    """Draw vectors ``[n, d]``, labels and subjects ``[n]``."""
    subjects = np.repeat(np.arange(shape.subjects), shape.clips)
    if shape.classes == 2:
        labels = (generator.random(shape.subjects) < shape.positive).astype(np.int64)[subjects]
    else:
        labels = np.tile(np.arange(shape.clips) % shape.classes, shape.subjects)
    means = shape.effect * np.eye(shape.classes, shape.dimensions)
    if shape.classes == 2:
        means -= means[0]
        means[1] *= 0.5**0.5
    voices = shape.voice * generator.standard_normal((shape.subjects, shape.dimensions))
    noise = generator.standard_normal((len(labels), shape.dimensions))
    return means[labels] + voices[subjects] + noise, labels, subjects


def cross_validate(
    shape: Shape,
    features: Floats,
    labels: Integers,
    subjects: Integers,
    parts: list[Integers],
    generator: np.random.Generator,
) -> Floats:
    """Cross-validate on each part of the subjects: ``[parts, n, K]``, NaN outside of it."""
    fold = np.full((len(parts), shape.subjects), -1)
    for row, part in enumerate(parts):
        # Shuffled, then sorted by class where it is one of the subject: stratified folds.
        order = generator.permutation(part)
        if shape.classes == 2:
            order = order[np.argsort(labels[order], kind="stable")]
        fold[row, order] = (np.arange(len(order)) + generator.integers(FOLDS)) % FOLDS
    folds = fold[:, subjects]
    training = np.stack([(folds >= 0) & (folds != k) for k in range(FOLDS)], axis=1)
    flat = training.reshape(-1, len(labels)).astype(np.float64)
    answers = fit_and_predict(features, labels, flat, shape.classes, shape.strength)
    answers = answers.reshape(len(parts), FOLDS, len(labels), shape.classes)
    found = np.full((len(parts), len(labels), shape.classes), np.nan)
    for k in range(FOLDS):
        tested = folds == k
        found[tested] = answers[:, k][tested]
    return found


def fit_and_predict(
    features: Floats, labels: Integers, training: Floats, classes: int, strength: float
) -> Floats:
    """Probabilities ``[B, n, K]`` of B standardised linear probes with an L2 penalty.

    Two classes: class-balanced logistic regression. More: least squares, which is solved at once.

    Args:
        features: ``[n, d]``.
        labels: ``[n]``.
        training: ``[B, n]``, 1 for items of the training part.
        classes: K.
        strength: C.
    """
    counts = training.sum(axis=1, keepdims=True)
    mean = training @ features / counts
    scale = np.sqrt(np.maximum(training @ features**2 / counts - mean**2, 1e-12))
    standard = (features[None] - mean[:, None]) / scale[:, None]
    items = np.concatenate([standard, np.ones((*standard.shape[:2], 1))], axis=2)
    ridge = np.eye(items.shape[2]) / strength
    ridge[-1, -1] = 1e-9
    if classes > 2:
        weighted = (items * training[:, :, None]).transpose(0, 2, 1)
        answers = items @ np.linalg.solve(
            weighted @ items + ridge, weighted @ np.eye(classes)[labels]
        )
        return softmax(LOGITS_PER_UNIT * answers)
    ours = training @ labels.astype(np.float64)[:, None]
    weights = training * np.where(
        labels == 1, counts / (2 * ours), counts / (2 * counts - 2 * ours)
    )
    shares = _newton(items, labels.astype(np.float64), weights, ridge)
    return np.stack([1 - shares, shares], axis=2)


def _newton(items: Floats, target: Floats, weights: Floats, ridge: Floats) -> Floats:
    """Probability of the target for all items, ``[B, n]``."""
    beta = np.zeros((len(items), items.shape[2]))
    for step in range(NEWTON_STEPS + 1):
        shares = 1 / (1 + np.exp(-np.matmul(items, beta[:, :, None])[:, :, 0]))
        if step == NEWTON_STEPS:
            break
        slope = np.matmul((weights * (shares - target))[:, None], items)[:, 0] + beta @ ridge
        curved = items * (weights * shares * (1 - shares))[:, :, None]
        curvature = np.matmul(curved.transpose(0, 2, 1), items) + ridge
        beta = beta - np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
    return np.asarray(shares)


def main() -> None:
    """Print the rows of 1,000 data sets."""
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, seed=0):
        print(row, f"+- {row.monte_carlo_error:.4f}", flush=True)


if __name__ == "__main__":
    main()

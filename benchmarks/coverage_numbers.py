"""Coverage of the intervals of cross-validated probes of numbers, by simulation.

Data sets are drawn from a known distribution. The truth is the mean score of the procedure over
them. The reference is the interval between the 2.5 % and 97.5 % points of its distribution. Probes
have few dimensions and a fixed C, and are fitted for all folds at once. Scores and intervals are
those of the workflow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))

from coverage_rows import IntervalRow

from affectlab.audio.number_predictions import PredictedNumbers
from affectlab.audio.number_scores import score_numbers
from affectlab.audio.refits import DRAWS, FOLDINGS, Halves
from affectlab.audio.targets import NumberTarget
from affectlab.config.models import Bootstrap

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NAMES = ("valence", "arousal")
FOLDS, REPEATS = 5, 10
RESAMPLES = 200
LEVEL = 0.95
STRENGTH = 0.1
DIMENSIONS = 8
SCORES = ("ccc", "mae", "valence_ccc")


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of data set.

    Attributes:
        subjects: number of subjects.
        clips: number of clips of each subject.
        effect: effect of the numbers on a vector, in standard deviations of a clip.
        level: standard deviation of the part that the numbers of a subject share. That of
            a clip is 1.
        voice: standard deviation of the part that the vectors of a subject share.
    """

    subjects: int
    clips: int
    effect: float
    level: float
    voice: float

    @property
    def setting(self) -> str:
        """The shape in a few words."""
        shared = f", level of a subject {self.level:g}" if self.level else ""
        return f"{self.subjects} subjects x {self.clips}, effect {self.effect:g}{shared}"


SHAPES = [
    Shape(12, 6, 1.0, 0.0, 0.7),
    Shape(24, 8, 0.0, 0.0, 0.7),
    Shape(24, 8, 1.0, 0.0, 0.7),
    Shape(24, 8, 1.0, 1.0, 0.7),
    Shape(120, 1, 1.0, 0.0, 0.0),
]


def rows(datasets: int, seed: int) -> Iterator[IntervalRow]:
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
        for name in SCORES:
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


def simulate(shape: Shape, generator: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """Draw one data set, cross-validate it: name -> value and limits of each score."""
    view, values, subjects = draw(shape, generator)
    everyone = np.arange(shape.subjects)
    whole = cross_validate(shape, view, values, subjects, [everyone] * REPEATS, generator)
    pairs = [np.array_split(generator.permutation(everyone), 2) for _ in range(DRAWS)]
    parts = [part for pair in pairs for part in pair for _ in range(FOLDINGS)]
    scored = []
    for predicted in cross_validate(shape, view, values, subjects, parts, generator):
        inside = ~np.isnan(predicted[:, 0])
        scored.append(NumberTarget(values[inside], NAMES).scores(predicted[inside]))
    halves = Halves(
        {
            name: np.array([one[name] for one in scored]).reshape(DRAWS, 2, FOLDINGS)
            for name in scored[0]
        },
        shape.subjects,
    )
    ids = tuple(f"{number:04d}" for number in range(len(subjects)))
    names = tuple(f"{number:04d}" for number in subjects)
    predicted = PredictedNumbers(ids, names, values, whole, None, halves)
    bootstrap = Bootstrap(resamples=RESAMPLES, level=LEVEL, seed=int(generator.integers(2**31)))
    metrics = score_numbers(predicted, NAMES, bootstrap, {})["metrics"]
    return {name: (metrics[name]["value"], *metrics[name]["ci"]) for name in SCORES}


def draw(shape: Shape, generator: np.random.Generator) -> tuple[Floats, Floats, Integers]:
    """Draw vectors ``[n, d]``, numbers ``[n, D]`` and subjects ``[n]``."""
    subjects = np.repeat(np.arange(shape.subjects), shape.clips)
    count, numbers = len(subjects), len(NAMES)
    levels = shape.level * generator.standard_normal((shape.subjects, numbers))
    values = levels[subjects] + generator.standard_normal((count, numbers))
    voices = shape.voice * generator.standard_normal((shape.subjects, DIMENSIONS))
    noise = generator.standard_normal((count, DIMENSIONS))
    view = shape.effect * values @ np.eye(numbers, DIMENSIONS) + voices[subjects] + noise
    return view, values, subjects


def cross_validate(
    shape: Shape,
    view: Floats,
    values: Floats,
    subjects: Integers,
    parts: list[Integers],
    generator: np.random.Generator,
) -> Floats:
    """Cross-validate on each part of the subjects: ``[parts, n, D]``, NaN outside of it."""
    fold = np.full((len(parts), shape.subjects), -1)
    for row, part in enumerate(parts):
        order = generator.permutation(part)
        fold[row, order] = np.arange(len(order)) % FOLDS
    folds = fold[:, subjects]
    training = np.stack([(folds >= 0) & (folds != k) for k in range(FOLDS)], axis=1)
    flat = training.reshape(-1, len(subjects)).astype(np.float64)
    answers = fit_and_predict(view, values, flat)
    answers = answers.reshape(len(parts), FOLDS, len(subjects), len(NAMES))
    found = np.full((len(parts), len(subjects), len(NAMES)), np.nan)
    for k in range(FOLDS):
        tested = folds == k
        found[tested] = answers[:, k][tested]
    return found


def fit_and_predict(view: Floats, values: Floats, training: Floats) -> Floats:
    """Numbers ``[B, n, D]`` of B standardised ridge regressions.

    Args:
        view: ``[n, d]``.
        values: ``[n, D]``.
        training: ``[B, n]``, 1 for items of the training part.
    """
    counts = training.sum(axis=1, keepdims=True)
    mean = training @ view / counts
    scale = np.sqrt(np.maximum(training @ view**2 / counts - mean**2, 1e-12))
    standard = (view[None] - mean[:, None]) / scale[:, None]
    level = (training @ values / counts)[:, None]
    weighted = (standard * training[:, :, None]).transpose(0, 2, 1)
    ridge = np.eye(view.shape[1]) / STRENGTH
    return (
        standard @ np.linalg.solve(weighted @ standard + ridge, weighted @ (values - level)) + level
    )


def main() -> None:
    """Print the rows of 1,000 data sets."""
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, seed=0):
        print(row, f"+- {row.monte_carlo_error:.4f}", flush=True)


if __name__ == "__main__":
    main()

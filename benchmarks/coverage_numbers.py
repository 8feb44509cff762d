"""Coverage of the intervals of cross-validated probes of numbers, by simulation.

Data sets are drawn from a known distribution. The truth is the mean score of the procedure over
them; the reference is the interval between the 2.5 % and 97.5 % points of its distribution. Probes
have few dimensions and a fixed C; folds, halves, scores and intervals are those of the workflow.
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

from affectlab.audio import solver
from affectlab.audio.halves import draw_halves, score_halves
from affectlab.audio.number_predictions import PredictedNumbers
from affectlab.audio.number_scores import score_numbers
from affectlab.audio.settings import Probe
from affectlab.audio.targets import NumberTarget
from affectlab.config.models import Bootstrap

Floats = npt.NDArray[np.float64]

NAMES = ("valence", "arousal")
REPEATS = 10
RESAMPLES = 200
LEVEL = 0.95
STRENGTH = 0.01
DIMENSIONS = 8
SCORES = ("ccc", "mae", "valence_ccc")
SETTINGS = Probe(outer_folds=5, inner_folds=5, permutation_strength=STRENGTH)


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of data set.

    Attributes:
        subjects: how many.
        clips: of each subject.
        effect: of the numbers on a vector, in standard deviations of a clip.
        level: standard deviation of what the numbers of a subject share; that of a clip is 1.
        voice: standard deviation of what the vectors of a subject share.
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
    view, target, groups = draw(shape, generator)
    seeds = generator.integers(2**31, size=REPEATS)
    values = np.array([cross_validate(view, target, groups, int(seed)) for seed in seeds])
    halves = draw_halves(target, groups, SETTINGS, int(generator.integers(2**31)))
    assert halves is not None
    names = tuple(f"{number:04d}" for number in groups)
    predicted = PredictedNumbers(
        tuple(f"{number:04d}" for number in range(len(groups))),
        names,
        target.values,
        values,
        None,
        score_halves(view, target, halves, target.units(groups), SETTINGS),
    )
    bootstrap = Bootstrap(resamples=RESAMPLES, level=LEVEL, seed=int(generator.integers(2**31)))
    metrics = score_numbers(predicted, NAMES, bootstrap, {})["metrics"]
    return {name: (metrics[name]["value"], *metrics[name]["ci"]) for name in SCORES}


def draw(
    shape: Shape, generator: np.random.Generator
) -> tuple[Floats, NumberTarget, npt.NDArray[np.int64]]:
    """Draw vectors ``[n, d]``, numbers and subjects ``[n]``."""
    groups = np.repeat(np.arange(shape.subjects), shape.clips)
    count, numbers = len(groups), len(NAMES)
    levels = shape.level * generator.standard_normal((shape.subjects, numbers))
    values = levels[groups] + generator.standard_normal((count, numbers))
    voices = shape.voice * generator.standard_normal((shape.subjects, DIMENSIONS))
    noise = generator.standard_normal((count, DIMENSIONS))
    view = shape.effect * values @ np.eye(numbers, DIMENSIONS) + voices[groups] + noise
    return view, NumberTarget(values, NAMES), groups


def cross_validate(
    view: Floats, target: NumberTarget, groups: npt.NDArray[np.int64], seed: int
) -> Floats:
    """Predict every item without its subject: ``[n, D]``."""
    found = np.zeros(target.values.shape)
    for train, test in target.make_folds(groups, SETTINGS.outer_folds, seed):
        basis = solver.rotate(view[train])
        found[test] = target.part(train).fixed_outputs(basis, STRENGTH, basis.transform(view[test]))
    return found


def main() -> None:
    """Print the rows of 1,000 data sets."""
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, seed=0):
        print(row, f"+- {row.monte_carlo_error:.4f}", flush=True)


if __name__ == "__main__":
    main()

"""Comparisons of runs: how often they cover the truth, and how often they call runs different.

    python benchmarks/coverage_comparison.py [--datasets 1000] [--seed 0]

Models are simulated as right or wrong about items. Items are easy or hard for all models alike,
seeds are lucky or unlucky, and each model has noise of its own on each item. The oracle of the
intervals over seeds knows the variance between data sets that stems from the items, and the
distribution of the studentised mean. It estimates the spread between seeds from the same few seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from coverage_rows import ErrorRow, IntervalRow
from scipy.stats import beta, norm

from affectlab.evaluation import comparison
from affectlab.evaluation.comparison import RECIPES, Difference, Resamples, Run, Trials, difference
from affectlab.evaluation.stats import Array, Floats

LEVEL = 0.95
RESAMPLES = 300
ACCURACY = 0.85

SHARED = 0.7
"""Share of the variance of an item's difficulty that all models have in common."""

FOLDS, REPEATS, SUBJECTS, FEATURES = 5, 3, 162, 8
"""Of the simulated cross-validation, as EATD-Corpus in its number of subjects."""


class Setting(NamedTuple):
    """Items, standard deviation of the accuracy over seeds, and seeds of each run."""

    items: int
    seed_sd: float
    seeds: tuple[int, ...]

    def __str__(self) -> str:
        seeds = " and ".join("none matters" if k == 0 else str(k) for k in self.seeds)
        return f"n = {self.items}, seed sd {self.seed_sd}, seeds: {seeds}"


class Simulator:
    """Draws models that are right or wrong about items.

    Args:
        setting: of the data sets. A run with 0 seeds is one that no seed changes.
        seed: of the generator.
    """

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting = setting
        self.generator = np.random.default_rng([seed, setting.items, *setting.seeds])
        self.draws = Resamples(range(setting.items), RESAMPLES, seed)

    def shares(self, accuracy: float, seeds: int) -> Floats:
        """Accuracies ``[k]`` that the models of a recipe would have on all items there are."""
        if seeds == 0:
            return np.array([accuracy])
        return np.asarray(
            accuracy + self.setting.seed_sd * self.generator.standard_normal(seeds)
        ).clip(0.01, 0.99)

    def correct(self, shares: Sequence[Floats]) -> list[Array]:
        """For each run ``[k, n]``, whether each model is right about each item."""
        items = self.setting.items
        easy = np.sqrt(SHARED) * self.generator.standard_normal(items)
        return [
            easy + np.sqrt(1 - SHARED) * self.generator.standard_normal((len(share), items))
            < norm.ppf(share)[:, None]
            for share in shares
        ]

    def run(self, name: str, correct: Array, *, seedless: bool) -> Run:
        """A run whose models are right where *correct* ``[k, n]`` is true."""
        hits = correct.sum(axis=1)
        items = correct.shape[1]
        tail = (1 - LEVEL) / 2
        lows = np.nan_to_num(beta.ppf(tail, hits, items - hits + 1), nan=0.0)
        highs = np.nan_to_num(beta.ppf(1 - tail, hits + 1, items - hits), nan=1.0)
        records = [
            _record(name, seed, value, limits, items)
            for seed, (value, limits) in enumerate(
                zip(hits / items, zip(lows, highs, strict=True), strict=True)
            )
        ]
        replicates = self.draws.sums(correct.T.astype(float)).T / items
        trials = {"accuracy": Trials(hits / items, replicates)}
        return Run(records, "made", trials, {"accuracy": (0.0, 1.0)}, seedless=seedless)


def rows(datasets: int, seed: int) -> Iterator[IntervalRow | ErrorRow]:
    """Simulate every setting and yield what was measured.

    Args:
        datasets: how many data sets for each setting.
        seed: of the generators.
    """
    for items, seed_sd, seeds in product((200, 2000), (0.003, 0.01, 0.05), (3, 5)):
        yield _over_seeds(Setting(items, seed_sd, (seeds,)), datasets, seed)
    for items in (50, 200, 2000):
        yield _of_models(items, datasets, seed)
    nulls = ((1, 1), (1, 5), (2, 2), (3, 3), (3, 5), (5, 5), (0, 3), (0, 5), (0, 0))
    for items, seed_sd, two in product((200, 2000), (0.01, 0.03), nulls):
        if two != (0, 0) or seed_sd == 0.01:
            yield _clear(Setting(items, seed_sd, two), 0.0, datasets, seed)
    for setting, effect in (
        (Setting(2000, 0.01, (3, 3)), 0.05),
        (Setting(2000, 0.01, (5, 5)), 0.03),
        (Setting(2000, 0.01, (0, 3)), 0.05),
        (Setting(2000, 0.01, (0, 0)), 0.03),
        (Setting(200, 0.01, (5, 5)), 0.10),
    ):
        yield _clear(setting, effect, datasets, seed)
    yield _probes(0.0, datasets, seed)
    yield _probes(0.8, datasets, seed)


def _over_seeds(setting: Setting, datasets: int, seed: int) -> IntervalRow:
    """The interval of a mean over three or more seeds."""
    simulator = Simulator(setting, seed)
    (seeds,) = setting.seeds
    means, spreads, limits = np.empty(datasets), np.empty(datasets), np.empty((datasets, 2))
    for place in range(datasets):
        (correct,) = simulator.correct([simulator.shares(ACCURACY, seeds)])
        run = simulator.run("run", correct, seedless=False)
        entry = comparison.summarise(run, LEVEL)["metrics"]["accuracy"]
        means[place], spreads[place], limits[place] = entry["mean"], entry["sd"], entry["ci"]
    between = spreads**2 / seeds
    of_items = max(float(means.var(ddof=1) - between.mean()), 0.0)
    errors = np.sqrt(of_items + between)
    quantile = np.quantile(np.abs(means - ACCURACY) / errors, LEVEL)
    return _interval_row(
        "mean over seeds", str(setting), limits, ACCURACY, 2 * quantile * float(errors.mean())
    )


def _of_models(items: int, datasets: int, seed: int) -> IntervalRow:
    """The difference of two trained models on other items."""
    shares = [np.array([0.90]), np.array([0.87])]
    simulator = Simulator(Setting(items, 0.0, (1, 1)), seed)
    limits, values = np.empty((datasets, 2)), np.empty(datasets)
    for place in range(datasets):
        first, second = (
            simulator.run("run", correct, seedless=False).trials["accuracy"]
            for correct in simulator.correct(shares)
        )
        found = difference(first, second, groups=items, level=LEVEL, over_seeds=False)
        limits[place], values[place] = _known(found), found.value
    oracle = 2 * float(norm.ppf((1 + LEVEL) / 2)) * float(values.std(ddof=1))
    return _interval_row("two trained models", f"n = {items}", limits, 0.03, oracle)


def _clear(setting: Setting, effect: float, datasets: int, seed: int) -> ErrorRow:
    """How often two recipes are called clearly different."""
    simulator = Simulator(setting, seed)
    clear = 0
    for _ in range(datasets):
        shares = [
            simulator.shares(accuracy, seeds)
            for accuracy, seeds in zip((ACCURACY, ACCURACY - effect), setting.seeds, strict=True)
        ]
        runs = [
            simulator.run(name, correct, seedless=seeds == 0)
            for name, correct, seeds in zip(
                "ab", simulator.correct(shares), setting.seeds, strict=True
            )
        ]
        (pair,) = comparison.pairs(runs, ["accuracy"], LEVEL)
        clear += pair["compares"] == RECIPES and pair["differences"]["accuracy"]["significant"]
    what = str(setting) if effect == 0 else f"{setting}, effect {effect:g}"
    return ErrorRow("a clear difference", what, datasets, clear / datasets, effect == 0)


def _probes(signal: float, datasets: int, seed: int) -> ErrorRow:
    """Two cross-validated probes on embeddings of the same quality, and of other noise.

    The probe is the nearest class mean; two classes, one item a subject.
    """
    from affectlab.audio.compare import REFITTED

    generator = np.random.default_rng([seed, int(10 * signal)])
    draws = Resamples(range(SUBJECTS), RESAMPLES, seed)
    labels = np.arange(SUBJECTS) % 2
    clear = 0
    for _ in range(datasets):
        found = []
        for _run in range(2):
            features = generator.standard_normal((SUBJECTS, FEATURES))
            features[labels == 1, 0] += signal
            correct = np.array(
                [_cross_validated(features, labels, generator) for _ in range(REPEATS)]
            )
            replicates = draws.sums(correct.T.astype(float)).T / SUBJECTS
            found.append(Trials(correct.mean(axis=1), replicates))
        one = difference(
            *found, groups=SUBJECTS, level=LEVEL, over_seeds=True, refit_factor=REFITTED
        )
        clear += one.p is not None and one.p < 1 - LEVEL
    what = f"{SUBJECTS} subjects, {FOLDS} folds, {REPEATS} repeats, signal {signal:g}"
    return ErrorRow("cross-validated probes", what, datasets, clear / datasets, is_null=True)


def _cross_validated(features: Array, labels: Array, generator: np.random.Generator) -> Array:
    """``[n]``, whether each item is right when it is held out."""
    folds = generator.permutation(np.arange(len(labels)) % FOLDS)
    correct = np.empty(len(labels), dtype=bool)
    for fold in range(FOLDS):
        train, test = folds != fold, folds == fold
        centres = np.stack([features[train & (labels == k)].mean(axis=0) for k in (0, 1)])
        distances = ((features[test][:, None] - centres) ** 2).sum(axis=2)
        correct[test] = distances.argmin(axis=1) == labels[test]
    return correct


def _interval_row(
    score: str, setting: str, limits: Floats, truth: float, reference: float
) -> IntervalRow:
    low, high = limits.T
    return IntervalRow(
        score=score,
        setting=setting,
        datasets=len(limits),
        coverage=float(np.mean((low <= truth) & (truth <= high))),
        below=float(np.mean(high < truth)),
        above=float(np.mean(low > truth)),
        width=float(np.mean(high - low)),
        reference=reference,
    )


def _known(found: Difference) -> tuple[float, float]:
    if found.limits is None:
        raise ValueError("a simulated difference without an interval")
    return found.limits


def _record(
    name: str, seed: int, value: float, limits: tuple[float, float], items: int
) -> dict[str, object]:
    score = {"value": value, "ci": limits, "direction": "higher", "baseline": None}
    return {
        "run": name,
        "protocol": "corrected",
        "method": "made",
        "seed": seed,
        "model": {"name": "made"},
        "data": {"name": "made", "split": "test", "n": items, "groups": items},
        "metrics": {"accuracy": score},
    }


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for row in rows(arguments.datasets, arguments.seed):
        error = f"{row.monte_carlo_error:.3f}"
        if isinstance(row, IntervalRow):
            ratio = (
                "" if row.reference is None else f"  width/oracle {row.width / row.reference:.2f}"
            )
            print(
                f"{row.score}, {row.setting}: coverage {row.coverage:.3f} ± {error}, below"
                f" {row.below:.3f}, above {row.above:.3f}, width {row.width:.4f}{ratio}",
                flush=True,
            )
        else:
            what = "error rate" if row.is_null else "power"
            print(f"{row.test}, {row.setting}: {what} {row.rejected:.3f} ± {error}", flush=True)


if __name__ == "__main__":
    main()

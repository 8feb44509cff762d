"""Compare runs: summaries over seeds, and pairs of runs on the same items.

All experiments use this module. A run is a recipe that was trained with one or more seeds; each
trained model has scored the same items. Two statements are possible about two runs:

* about **these trained models** on new items: the difference of their scores, with the variance
  from resampling groups of items for both together, and McNemar's test for two named models;
* about **the two recipes**, over new seeds and new items. It needs the spread between seeds, so at
  least `SEEDS_NEEDED` seeds of each recipe. One model is enough where no seed matters.

Over seeds, the model is a two-way layout with random items and random seeds. The variance of a mean
over k seeds is the variance that all seeds share because they score the same items, plus the
variance between seeds over k. The shared part is the mean covariance of the seeds' bootstrap
replicates. The variance between seeds contains the noise that a seed and an item share, so it is
counted once. The degrees of freedom follow Satterthwaite (Biometrics Bulletin 2 (1946) 110, doi
10.2307/3002019) and Welch (Biometrika 34 (1947) 28, doi 10.1093/biomet/34.1-2.28).

Satterthwaite's degrees of freedom take the estimated variances as the true ones. With three seeds
the variance between seeds is often far too small by chance, and then the interval is, too. In the
degrees of freedom the variance of k seeds therefore counts 1 + `CAUTION` / (k - 1) times. Simulated
coverage: `benchmarks/coverage_comparison.py`.

The limits of a summary keep the asymmetry of the intervals of the single models: the distance to
each limit takes the place of a standard error times a quantile (Zou and Donner, Statistics in
Medicine 27 (2008) 1693, doi 10.1002/sim.3095).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.evaluation import stats
from affectlab.evaluation.records import Direction, summary_metric

SEEDS_NEEDED = 3
"""Seeds from which an interval or a test says something of new seeds.

The interval from two seeds that covers the truth is about five times as wide as it would be with a
known spread between seeds.
"""

CAUTION = 1.4
"""How much more the variance between seeds counts in the degrees of freedom, times their number.

Chosen by simulation with three seeds of normal scores. The coverage is 0.934 or more for any share
of the seeds in the variance (without: 0.921), and the width 1.24 times that of the oracle or less.
"""

METHOD = (
    "items: of the single runs; from three seeds on: Student's t for items and seeds; differences:"
    " paired bootstrap over groups, Student's t"
)
"""How the intervals of comparison.json come about."""

RECIPES: Literal["recipes"] = "recipes"
TRAINED_MODELS: Literal["trained models"] = "trained models"

ROUNDING = 1e-24
"""A variance below this is 0 but for rounding."""

CHUNK = 4_000_000
"""How many counts of resamples become floating-point numbers at once (32 MB)."""


class Score(NamedTuple):
    """A score that is a function of sums over groups of items.

    Attributes:
        direction: which values are better.
        table: ``[G, D]``, sums of each group (`stats.group_sums`).
        statistic: from sums ``[..., D]`` to scores ``[...]``.
    """

    direction: Direction
    table: stats.Floats
    statistic: Callable[[stats.Array], stats.Array]

    @property
    def value(self) -> float:
        """The score of all items together."""
        return float(self.statistic(self.table.sum(axis=0)))


class Trials(NamedTuple):
    """One score of several trained models on the same items.

    Attributes:
        values: ``[k]``, the score of each model.
        replicates: ``[k, resamples]``, the same score of each resample of groups, the same groups
            for all models. NaN where the score does not exist.
    """

    values: stats.Floats
    replicates: stats.Floats

    @property
    def mean(self) -> float:
        """Mean score of the models."""
        return float(np.mean(self.values))


class Difference(NamedTuple):
    """A difference of two scores with its interval; ``p`` is two-sided, against 0.

    Limits and p are None where too few groups or resamples have the score.
    """

    value: float
    limits: tuple[float, float] | None
    p: float | None

    def as_record(self) -> dict[str, Any]:
        """Return value and interval as the records hold them."""
        return {"value": self.value, "ci": None if self.limits is None else list(self.limits)}


class Resamples:
    """Draws of groups with replacement, the same for every score and every model of some items.

    Args:
        groups: ``[n]``, the group of each item; items of one group are drawn together.
        resamples: how many draws.
        seed: of the generator.

    Raises:
        ValueError: there are no items, or no resamples.
    """

    def __init__(self, groups: Sequence[Any] | stats.Array, resamples: int, seed: int) -> None:
        size = len(np.unique(np.asarray(groups)))
        if size == 0:
            raise ValueError("no items")
        if resamples < 1:
            raise ValueError(f"at least one resample is needed, not {resamples}")
        generator = np.random.default_rng(seed)
        self._counts = np.empty((resamples, size), dtype=np.int32)
        for row in self._counts:
            row[:] = np.bincount(generator.integers(size, size=size), minlength=size)

    def trials(self, scores: Sequence[Score]) -> Trials:
        """Return one score of several models, with its replicates on these draws.

        Args:
            scores: of each model; their tables have the groups of these draws.
        """
        replicates = [score.statistic(self.sums(score.table)) for score in scores]
        return Trials(
            np.array([score.value for score in scores]), np.array(replicates, dtype=np.float64)
        )

    def sums(self, table: stats.Array) -> stats.Floats:
        """Return the sums ``[resamples, D]`` of the rows of *table* ``[G, D]`` over each draw."""
        rows = max(1, CHUNK // len(table))
        parts = [
            self._counts[start : start + rows].astype(np.float64) @ table
            for start in range(0, len(self._counts), rows)
        ]
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe and the models that were trained by it.

    Attributes:
        records: metrics.json of each seed, in the order of the configuration.
        items: what identifies the scored items; runs with equal ones are compared.
        trials: score -> its values, one for each seed. Scores without replicates are left out.
        bounds: lowest and highest value of each score; of the others minus and plus infinity.
        seedless: whether the method has no random part, so that one model is the recipe.
        correct: ``[n]`` for each seed, whether each item is right; None without single labels.
        repeats: score -> its values for each random part of the recipe, if there are more of them
            than seeds, such as the repeats of a cross-validation; None: the seeds are all.
        refit_factor: how often the variance over items counts in a pair. It is 1 for a model that
            was trained once, and more where each item is scored by models of other training data.
    """

    records: Sequence[Mapping[str, Any]]
    items: Any
    trials: Mapping[str, Trials]
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    seedless: bool = False
    correct: Sequence[stats.Array] | None = None
    repeats: Mapping[str, Trials] | None = None
    refit_factor: float = 1.0

    @property
    def name(self) -> str:
        """Name of the run."""
        return str(self.records[0]["run"])

    @property
    def seeds(self) -> list[int]:
        """Seeds of its models."""
        return [record["seed"] for record in self.records]

    @property
    def paired(self) -> Mapping[str, Trials]:
        """What pairs are made of."""
        return self.trials if self.repeats is None else self.repeats

    def tells_of_recipe(self, score: str) -> bool:
        """Whether the trials of *score* say something of other seeds."""
        return self.seedless or len(self.paired[score].values) >= SEEDS_NEEDED


def difference(
    first: Trials,
    second: Trials,
    *,
    groups: int,
    level: float,
    over_seeds: bool,
    refit_factor: float = 1.0,
) -> Difference:
    """Estimate the difference of two means, *first* minus *second*, on the same items.

    Args:
        first: scores of some models, and their replicates on common resamples.
        second: of the others.
        groups: how many groups are resampled.
        level: of the interval, such as 0.95.
        over_seeds: whether the interval also covers new seeds. A side with a single model then
            counts as one that no seed changes.
        refit_factor: see `Run.refit_factor`.
    """
    value = first.mean - second.mean
    drawn = first.replicates.mean(axis=0) - second.replicates.mean(axis=0)
    known = drawn[~np.isnan(drawn)]
    if groups < 2 or 2 * len(known) < len(drawn):
        return Difference(value, None, None)
    of_items = float(np.var(known, ddof=1))
    of_seeds = []
    if over_seeds:
        for side in (first, second):
            if len(side.values) > 1:
                of_seeds.append(_Part.of(side.values))
                of_items -= _noise_of_mean(side)
    # The bootstrap divides by G where an unbiased variance divides by G - 1.
    of_items = max(of_items, 0.0) * refit_factor * groups / (groups - 1)
    if of_items + sum(part.variance for part in of_seeds) < ROUNDING:
        # The models agree everywhere, on these items: one more of each kind of disagreement
        # (Bonett and Price, J. Educ. Behav. Stat. 37 (2012) 479, doi 10.3102/1076998611411915).
        of_items = 2 / (groups + 2) ** 2
    error, freedom = _welch_satterthwaite(_Part(of_items, groups - 1), of_seeds)
    reach = _t_quantile(level, freedom) * error
    return Difference(value, (value - reach, value + reach), _two_sided(value / error, freedom))


def summarise(run: Run, level: float) -> dict[str, Any]:
    """Return one run over its seeds, as comparison.json holds it.

    Every score that all seeds have gets its mean, its standard deviation, and an interval. Below
    `SEEDS_NEEDED` seeds the interval covers new items alone.

    Args:
        run: the run.
        level: of the intervals.
    """
    first = run.records[0]
    metrics = {}
    for name, entry in first["metrics"].items():
        if any(name not in record["metrics"] for record in run.records):
            continue
        entries = [record["metrics"][name] for record in run.records]
        values = np.array([one["value"] for one in entries])
        # A baseline may depend on the trained model or on the items of a seed: its mean, then.
        baseline = entry["baseline"] and {
            "name": entry["baseline"]["name"],
            "value": float(np.mean([one["baseline"]["value"] for one in entries])),
        }
        metrics[name] = summary_metric(
            float(values.mean()),
            float(values.std(ddof=1)) if len(values) > 1 else None,
            _limits(run, name, values, [one["ci"] for one in entries], level),
            entry["direction"],
            baseline,
        )
    return {
        **{name: first[name] for name in ("run", "protocol", "method")},
        "model": first["model"]["name"],
        "data": first["data"]["name"],
        **{name: first["data"][name] for name in ("split", "n", "groups")},
        "seeds": run.seeds,
        "seedless": run.seedless,
        "interval_covers": "items and seeds" if _covers_seeds(run) else "items",
        "metrics": metrics,
    }


def pairs(runs: Iterable[Run], compared: Sequence[str], level: float) -> list[dict[str, Any]]:
    """Compare all runs on the same items two by two, as comparison.json holds it.

    The p values of one score, and those of McNemar's test, are adjusted by Holm's method for all
    pairs on the same items.

    Args:
        runs: the runs.
        compared: names of the scores whose differences are wanted.
        level: of the intervals; a difference is significant if its adjusted p is below 1 - level.
    """
    families: dict[Any, list[dict[str, Any]]] = {}
    found = []
    for first, second in combinations(runs, 2):
        if first.items != second.items or any(
            name not in run.paired for name in compared for run in (first, second)
        ):
            continue
        pair = _pair(first, second, compared, level)
        found.append(pair)
        families.setdefault(first.items, []).append(pair)
    for family in families.values():
        for name in compared:
            _adjust([pair["differences"][name] for pair in family], "p")
            for pair in family:
                entry = pair["differences"][name]
                adjusted = entry["holm_p"]
                entry["significant"] = adjusted is not None and adjusted < 1 - level
        _adjust([pair["mcnemar"] for pair in family if "mcnemar" in pair], "exact_p")
    return found


def comparison_record(
    experiment: str,
    runs: Sequence[Run],
    *,
    baseline: str | None,
    headline: Sequence[str],
    compared: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Return what comparison.json holds.

    Args:
        experiment: name of the experiment.
        runs: the runs, in the order wanted.
        baseline: name of the run that the others are compared with.
        headline: scores that are shown where there is room for few.
        compared: scores whose differences between runs are wanted.
        bootstrap: of the intervals.
    """
    level = bootstrap.level
    return {
        "experiment": experiment,
        "baseline": baseline,
        "headline": list(headline),
        "interval": {"method": METHOD, **bootstrap.model_dump()},
        "runs": [summarise(run, level) for run in runs],
        "pairs": pairs(runs, compared, level),
    }


def joined_records(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join the records of runs on different targets, which have no items in common.

    Args:
        records: of `comparison_record`, at least one; of the same experiment and intervals.
    """
    parts = {
        key: [one for record in records for one in record[key]]
        for key in ("headline", "runs", "pairs")
    }
    return {**records[0], **parts}


class _Part(NamedTuple):
    """A variance and its degrees of freedom."""

    variance: float
    freedom: float

    @classmethod
    def of(cls, values: stats.Floats) -> _Part:
        """The variance of the mean of *values*."""
        return cls(float(np.var(values, ddof=1)) / len(values), len(values) - 1)


def _pair(first: Run, second: Run, compared: Sequence[str], level: float) -> dict[str, Any]:
    recipes = all(run.tells_of_recipe(name) for name in compared for run in (first, second))
    data = first.records[0]["data"]
    differences: dict[str, dict[str, Any]] = {}
    for name in compared:
        found = difference(
            first.paired[name],
            second.paired[name],
            groups=data["groups"],
            level=level,
            over_seeds=recipes,
            refit_factor=max(first.refit_factor, second.refit_factor),
        )
        differences[name] = found.as_record() | {"p": found.p}
    pair = {
        "first": {"run": first.name, "seeds": first.seeds},
        "second": {"run": second.name, "seeds": second.seeds},
        "data": data["name"],
        "n": data["n"],
        "compares": RECIPES if recipes else TRAINED_MODELS,
        "differences": differences,
    }
    if first.correct is not None and second.correct is not None:
        test = stats.mcnemar(first.correct[0], second.correct[0])
        pair["mcnemar"] = {
            "first_seed": first.seeds[0],
            "second_seed": second.seeds[0],
            **test._asdict(),
        }
    return pair


def _adjust(entries: Sequence[dict[str, Any]], key: str) -> None:
    """Set ``holm_p`` of each of *entries* from its p value *key*; those without one have none."""
    known = [entry for entry in entries if entry[key] is not None]
    for entry in entries:
        entry["holm_p"] = None
    for entry, adjusted in zip(known, stats.holm([one[key] for one in known]), strict=True):
        entry["holm_p"] = adjusted


def _covers_seeds(run: Run) -> bool:
    return len(run.records) >= SEEDS_NEEDED and not run.seedless


def _limits(
    run: Run,
    name: str,
    values: stats.Floats,
    intervals: Sequence[Sequence[float] | None],
    level: float,
) -> tuple[float, float] | None:
    """The interval of a mean over seeds from the *intervals* of the single models."""
    known = [interval for interval in intervals if interval is not None]
    if len(known) < len(intervals):
        return None
    mean = float(values.mean())
    low, high = (float(limit) for limit in np.mean(known, axis=0))
    if len(values) == 1:
        return low, high
    over_seeds = _covers_seeds(run)
    narrower = _share_of_mean(run.trials.get(name), over_seeds)
    below, above = max(mean - low, 0.0) * narrower, max(high - mean, 0.0) * narrower
    if over_seeds:
        between = [_Part.of(values)]
        below, above = (_widened(reach, between, level) for reach in (below, above))
    lowest, highest = run.bounds.get(name, (-math.inf, math.inf))
    return max(mean - below, lowest), min(mean + above, highest)


def _widened(reach: float, of_seeds: Sequence[_Part], level: float) -> float:
    """The distance to a limit over items and seeds from that over items."""
    from scipy.stats import norm

    # The intervals over items have their own quantile in them.
    of_items = _Part((reach / float(norm.ppf((1 + level) / 2))) ** 2, math.inf)
    error, freedom = _welch_satterthwaite(of_items, of_seeds)
    return _t_quantile(level, freedom) * error


def _share_of_mean(trials: Trials | None, over_seeds: bool) -> float:
    """The standard error over items of a mean, over that of a single model.

    1 where no replicates tell. If the interval covers seeds, too, it is of the part that all seeds
    share; the rest is in the variance between seeds.
    """
    if trials is None:
        return 1.0
    known = trials.replicates[:, ~np.isnan(trials.replicates).any(axis=0)]
    if known.shape[1] < 2:
        return 1.0
    single = float(np.var(known, axis=1, ddof=1).mean())
    if single == 0:
        return 1.0
    of_mean = float(np.var(known.mean(axis=0), ddof=1))
    if over_seeds:
        of_mean -= _noise_of_mean(trials)
    return math.sqrt(max(of_mean, 0.0) / single)


def _noise_of_mean(trials: Trials) -> float:
    """The variance of a mean over seeds that stems from noise of seed and item together."""
    centred = trials.replicates - np.nanmean(trials.replicates, axis=1, keepdims=True)
    between = np.var(centred, axis=0, ddof=1)
    return float(np.nanmean(between)) / len(trials.values)


def _welch_satterthwaite(of_items: _Part, of_seeds: Sequence[_Part]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a sum of independent estimates."""
    error = math.sqrt(of_items.variance + sum(part.variance for part in of_seeds))
    counted = [of_items] + [
        _Part(part.variance * (1 + CAUTION / part.freedom), part.freedom) for part in of_seeds
    ]
    whole = sum(part.variance for part in counted)
    squares = sum(part.variance**2 / part.freedom for part in counted)
    return error, whole**2 / squares if squares > 0 else math.inf


def _t_quantile(level: float, freedom: float) -> float:
    from scipy.stats import norm, t

    tail = (1 + level) / 2
    return float(norm.ppf(tail) if math.isinf(freedom) else t.ppf(tail, freedom))


def _two_sided(statistic: float, freedom: float) -> float:
    from scipy.stats import norm, t

    one_sided = norm.sf(abs(statistic)) if math.isinf(freedom) else t.sf(abs(statistic), freedom)
    return min(1.0, 2 * float(one_sided))

"""Scoring stored predictions of numbers: one run by itself, and runs against each other.

Each number has a concordance correlation coefficient (CCC) and a mean absolute error (MAE), in
units of the data. ``ccc`` and ``mae`` are the means over the numbers. Trivial baselines are the
mean of the training split, and what conditions of recording alone tell of the numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.by_subgroup import ItemScore
from affectlab.evaluation.comparison import Score
from affectlab.evaluation.predictions import COMPLETE, Scope, check_scope, prediction_lines
from affectlab.evaluation.records import metric, strongest
from affectlab.evaluation.scoring import HELD_OUT

COMPARED = ("ccc", "mae")
"""Scores whose paired differences between runs are reported."""

WIDTH = 7
"""Columns of `stats.pair_columns`."""

TRAINING_MEAN, CONDITIONS = "training_mean", "conditions"
"""Trivial baselines."""


@dataclass(frozen=True, slots=True)
class RatedCorpus:
    """What evaluation needs of data with numbers.

    Attributes:
        names: of the numbers.
        values: split -> item -> its numbers; holds the splits that are predicted.
        means: split -> item -> the training mean of each number; in a cross-validation that
            of the item's own training folds.
        group: a number per item; items that are alike share one.
        conditions: split -> item -> the numbers that its conditions of recording predict, learnt
            from the same training items; empty where there are no conditions.
    """

    names: tuple[str, ...]
    values: Mapping[str, Mapping[str, Sequence[float]]]
    means: Mapping[str, Mapping[str, Sequence[float]]]
    group: Mapping[str, int]
    conditions: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RatedPredictions:
    """What a run predicted for the items of one split, in the order of their ids.

    ``true``, ``predicted`` and each of ``trivial`` (name of a baseline -> what it predicts, the
    training means first) are ``[n, D]``.
    """

    ids: tuple[str, ...]
    true: stats.Floats
    predicted: stats.Floats
    trivial: Mapping[str, stats.Floats]

    def __len__(self) -> int:
        return len(self.ids)

    def without(self, ids: Container[str]) -> RatedPredictions:
        """The same predictions less those of the items *ids*."""
        kept = [place for place, name in enumerate(self.ids) if name not in ids]
        return RatedPredictions(
            tuple(self.ids[place] for place in kept),
            self.true[kept],
            self.predicted[kept],
            {name: values[kept] for name, values in self.trivial.items()},
        )


def score_stems(names: Sequence[str]) -> list[str]:
    """The start of the names of the scores of each number, such as ``valence`` in ``valence_ccc``.

    Names of scores have small letters, digits and ``_``, and start with a letter. A number whose
    name has no such form, or the same as another, is called by its place.
    """
    found = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in names]
    places = [f"number{place}" for place in range(1, len(names) + 1)]
    stems = [
        stem if stem[:1].isalpha() and found.count(stem) == 1 else place
        for stem, place in zip(found, places, strict=True)
    ]
    # A column may be called as a place is.
    return stems if len(set(stems)) == len(stems) else places


def read_predictions(
    path: Path | str,
    corpus: RatedCorpus,
    splits: Sequence[str] = HELD_OUT,
    scope: Scope = COMPLETE,
) -> dict[str, RatedPredictions]:
    """Read the predictions of *splits* and check them; what *scope* lacks may be missing.

    Raises:
        DataError: a line is not a prediction, or the items are not exactly those of the corpus.
    """
    found: dict[str, dict[str, list[float]]] = {split: {} for split in splits}
    for line in prediction_lines(path):
        split, name = line.text("split"), line.text("id")
        if split not in found or name not in corpus.values[split]:
            raise line.error(f"{name!r} is no item of the split {split!r}")
        if name in found[split]:
            raise line.error(f"a second prediction for {name!r}")
        if line.numbers("values", corpus.names) != list(corpus.values[split][name]):
            raise line.error("the values are not those of the records")
        found[split][name] = line.numbers("prediction", corpus.names)
    check_scope(path, found, corpus.values, scope)
    return {split: _as_arrays(split, items, corpus) for split, items in found.items() if items}


def scores(
    true: stats.Floats, predicted: stats.Floats, groups: Sequence[int], names: Sequence[str]
) -> dict[str, Score]:
    """Every score of a split, as tables of sums a group.

    Args:
        true: ``[n, D]``.
        predicted: ``[n, D]``.
        groups: ``[n]``, the group of each item.
        names: D names of the numbers.
    """
    columns = [stats.pair_columns(predicted[:, d], true[:, d]) for d in range(len(names))]
    table = stats.group_sums(np.concatenate(columns, axis=1), groups)
    kinds: dict[str, tuple[Any, Callable[[stats.Array], stats.Array]]] = {
        "ccc": ("higher", stats.concordance),
        "mae": ("lower", stats.mean_error),
    }
    found = {}
    for kind, (direction, statistic) in kinds.items():
        found[kind] = Score(direction, table, _mean_over_numbers(statistic, len(names)))
        for d, stem in enumerate(score_stems(names)):
            own = table[:, d * WIDTH : (d + 1) * WIDTH]
            found[f"{stem}_{kind}"] = Score(direction, own, statistic)
    return found


def score_split(
    split: RatedPredictions, corpus: RatedCorpus, bootstrap: Bootstrap
) -> dict[str, Any]:
    """All scores of one split with intervals and trivial baselines, as `metrics.json` holds them.

    Args:
        split: the predictions.
        corpus: names and groups.
        bootstrap: of the intervals.
    """
    groups = [corpus.group[name] for name in split.ids]
    trivial = {
        baseline: scores(split.true, predicted, groups, corpus.names)
        for baseline, predicted in split.trivial.items()
    }
    metrics = {}
    for name, score in scores(split.true, split.predicted, groups, corpus.names).items():
        found = _interval(score, len(split), trivial[TRAINING_MEAN][name].value, bootstrap)
        rivals = [(baseline, own[name].value) for baseline, own in trivial.items()]
        baseline = strongest(score.direction, rivals)
        metrics[name] = metric(found.value, score.direction, (found.low, found.high), baseline)
    return {"n": len(split), "groups": len(set(groups)), "metrics": metrics}


@dataclass(frozen=True, slots=True)
class NumberScorer:
    """The `Scorer` of data with numbers."""

    corpus: RatedCorpus
    compared: ClassVar[tuple[str, ...]] = COMPARED

    def read(self, path: Path | str, scope: Scope | None = None) -> dict[str, RatedPredictions]:
        """See `read_predictions`."""
        return read_predictions(path, self.corpus, scope=COMPLETE if scope is None else scope)

    def groups_of(self, split: RatedPredictions) -> list[int]:
        """See `Scorer`."""
        return [self.corpus.group[name] for name in split.ids]

    def scores(self, split: RatedPredictions) -> dict[str, Score]:
        """See `scores`."""
        return scores(split.true, split.predicted, self.groups_of(split), self.corpus.names)

    def score_split(self, split: RatedPredictions, bootstrap: Bootstrap) -> dict[str, Any]:
        """See `score_split`."""
        return score_split(split, self.corpus, bootstrap)

    def item_scores(self, split: RatedPredictions, bootstrap: Bootstrap) -> dict[str, ItemScore]:
        """The mean concordance; its range is known, that of an error in units of the data not."""
        count = len(self.corpus.names)
        columns = [
            stats.pair_columns(split.predicted[:, d], split.true[:, d]) for d in range(count)
        ]
        statistic = _mean_over_numbers(stats.concordance, count)

        def interval(table: stats.Floats) -> stats.Interval:
            score = Score("higher", table, statistic)
            return _interval(score, int(table[:, 0].sum()), 0.0, bootstrap)

        return {"ccc": ItemScore(np.concatenate(columns, axis=1), statistic, interval, (-1.0, 1.0))}

    def bounds(self, score: str) -> tuple[float, float]:
        """See `Scorer`."""
        return (-1.0, 1.0) if score.endswith("ccc") else (0.0, math.inf)


def _mean_over_numbers(
    statistic: Callable[[stats.Array], stats.Array], count: int
) -> Callable[[stats.Array], stats.Array]:
    """The mean of a statistic of `stats.pair_columns` over *count* blocks of them."""

    def mean(sums: stats.Array) -> stats.Array:
        blocks = np.asarray(sums).reshape(*np.shape(sums)[:-1], count, WIDTH)
        return np.asarray(statistic(blocks).mean(axis=-1))

    return mean


def _interval(score: Score, items: int, trivial: float, bootstrap: Bootstrap) -> stats.Interval:
    """The interval of a score of `scores`, which is *trivial* for the training mean."""
    if score.direction == "lower":
        blocks = score.table.reshape(len(score.table), -1, WIDTH)
        sums = np.c_[blocks[:, :, 6].mean(axis=1), blocks[:, 0, 0]]
        return intervals.positive_mean_interval(sums, bootstrap.level, scale=trivial)
    replicates = intervals.replicates_of(
        score.statistic, score.table, bootstrap.resamples, bootstrap.seed
    )
    return intervals.correlation_interval(
        score.value,
        replicates,
        items=items,
        groups=len(score.table),
        level=bootstrap.level,
        ranks=False,
    )


def _as_arrays(
    split: str, lines: Mapping[str, Sequence[float]], corpus: RatedCorpus
) -> RatedPredictions:
    ids = tuple(sorted(lines))

    def array(table: Mapping[str, Sequence[float]]) -> stats.Floats:
        return np.array([table[name] for name in ids], dtype=np.float64)

    trivial = {TRAINING_MEAN: corpus.means[split]}
    if split in corpus.conditions:
        trivial[CONDITIONS] = corpus.conditions[split]
    return RatedPredictions(
        ids,
        array(corpus.values[split]),
        array(lines),
        {name: array(table) for name, table in trivial.items()},
    )

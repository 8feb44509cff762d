"""Scoring of label sets: items that have any number of L classes, decided by a threshold per class.

A threshold is chosen on validation items (`affectlab.evaluation.thresholds`). The headline is
macro-F1. As in `affectlab.evaluation.stats`, a macro average runs over the classes that occur in
the labels or in the predictions. The mean average precision needs no thresholds.

The thresholds of an item are those of the model that predicted it. In a cross-validation each
fold's model has its own, chosen on the validation items of that fold.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.by_subgroup import ItemScore
from affectlab.evaluation.comparison import Score
from affectlab.evaluation.records import metric, strongest
from affectlab.evaluation.thresholds import check_shapes

COMPARED = ("macro_f1", "exact_match")
"""Scores whose paired differences between runs are reported."""

WEIGHED_CELLS = 4_000_000
"""How many weights of resampled items are held at once (32 MB)."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What the training items tell of an item without reading it.

    Attributes:
        shares: float64 ``[L]``, share of the training items that have each class.
        commonest: booleans ``[L]``, the most frequent label set; the first of equals.
    """

    shares: stats.Floats
    commonest: stats.Array

    @classmethod
    def of(cls, true: stats.Array) -> Prior:
        """The prior of training items, booleans ``[n, L]``."""
        true = np.asarray(true, bool)
        sets, first, counts = np.unique(true, axis=0, return_index=True, return_counts=True)
        best = min(range(len(sets)), key=lambda place: (-counts[place], first[place]))
        return cls(true.mean(axis=0), sets[best])


@dataclass(frozen=True, slots=True)
class LabelSets:
    """What a run predicted for the items of one split, in the order of their ids.

    Attributes:
        ids: of the n items.
        true: booleans ``[n, L]``.
        decided: booleans ``[n, L]``, the predicted classes.
        probabilities: float64 ``[n, L]``; None where they are not stated.
        thresholds: float64 ``[n, L]``, those of the model that predicted the item; None where they
            are not known.
        priors: of the training items of this model, for each item.
        answers: name of a further trivial baseline -> its label sets, booleans ``[n, L]``.
    """

    ids: tuple[str, ...]
    true: stats.Array
    decided: stats.Array
    probabilities: stats.Floats | None
    thresholds: stats.Floats | None
    priors: tuple[Prior, ...]
    answers: Mapping[str, stats.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def stated(self) -> stats.Floats:
        """The probabilities; decisions alone count as 0 and 1."""
        return self.decided * 1.0 if self.probabilities is None else self.probabilities

    def without(self, ids: Container[str]) -> LabelSets:
        """The same predictions less those of the items *ids*."""
        kept = [place for place, name in enumerate(self.ids) if name not in ids]
        return LabelSets(
            tuple(self.ids[place] for place in kept),
            self.true[kept],
            self.decided[kept],
            None if self.probabilities is None else self.probabilities[kept],
            None if self.thresholds is None else self.thresholds[kept],
            tuple(self.priors[place] for place in kept),
            {name: given[kept] for name, given in self.answers.items()},
        )


def macro_f1(sums: stats.Array) -> stats.Floats:
    """Mean F1 of the classes that occur, from sums ``[..., 3 L]`` of `count_columns`."""
    hits, support, predicted = counts_of(sums)
    occurring = support + predicted > 0
    f1 = np.divide(
        2 * hits, support + predicted, out=np.zeros_like(hits, dtype=float), where=occurring
    )
    return np.asarray(f1.sum(axis=-1) / np.maximum(occurring.sum(axis=-1), 1), dtype=np.float64)


def micro_f1(sums: stats.Array) -> stats.Floats:
    """F1 of all pairs of item and class, from sums ``[..., 3 L]`` of `count_columns`.

    0 where no item has or is given a class.
    """
    hits, support, predicted = (part.sum(axis=-1) for part in counts_of(sums))
    total = support + predicted
    return np.asarray(
        np.divide(2 * hits, total, out=np.zeros_like(hits, dtype=float), where=total > 0)
    )


def exact_match(true: stats.Array, decided: stats.Array) -> stats.Array:
    """Booleans ``[n]``, whether the whole label set of each item is right."""
    return np.asarray((np.asarray(true, bool) == np.asarray(decided, bool)).all(axis=1))


def average_precisions(
    true: stats.Array, probabilities: stats.Array, weights: stats.Array | None = None
) -> stats.Floats:
    """Average precision of each class, ``[..., L]``; NaN for a class that no item has.

    The mean of the precisions at each rank, weighted by the gain in recall, as
    `sklearn.metrics.average_precision_score`: equal probabilities share a rank.

    Args:
        true: ``[n, L]``.
        probabilities: ``[n, L]``.
        weights: ``[..., n]``, how often each item counts; once by default.
    """
    true, probabilities = np.asarray(true, bool), np.asarray(probabilities, np.float64)
    check_shapes(true, probabilities)
    counted = np.ones(len(true)) if weights is None else np.asarray(weights, np.float64)
    found = []
    for own, scores in zip(true.T, probabilities.T, strict=True):
        order = np.argsort(-scores, kind="stable")
        last = np.flatnonzero(np.diff(scores[order], append=-1.0))
        ordered = counted[..., order]
        hits = np.cumsum(ordered * own[order], axis=-1)[..., last]
        ranks = np.cumsum(ordered, axis=-1)[..., last]
        precision = np.divide(hits, ranks, out=np.zeros_like(hits), where=ranks > 0)
        gains = np.diff(hits, axis=-1, prepend=0.0)
        total = hits[..., -1]
        summed = (precision * gains).sum(axis=-1)
        found.append(np.divide(summed, total, out=np.full_like(summed, np.nan), where=total > 0))
    return np.stack(found, axis=-1)


def mean_average_precision(precisions: stats.Array) -> stats.Floats:
    """Mean ``[...]`` of `average_precisions` over the classes that occur; NaN without any."""
    known = ~np.isnan(precisions)
    total = np.where(known, precisions, 0.0).sum(axis=-1)
    count = known.sum(axis=-1)
    return np.asarray(
        np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    )


def scores(true: stats.Array, decided: stats.Array, groups: Sequence[Hashable]) -> dict[str, Score]:
    """Every score of decisions, as tables of sums a group.

    Args:
        true: booleans ``[n, L]``.
        decided: booleans ``[n, L]``.
        groups: ``[n]``, the group of each item.
    """
    table = stats.group_sums(count_columns(true, decided), groups)
    right = exact_match(true, decided)
    whole = stats.group_sums(np.c_[right, np.ones(len(right))], groups)
    return {
        "macro_f1": Score("higher", table, macro_f1),
        "micro_f1": Score("higher", table, micro_f1),
        "exact_match": Score("higher", whole, _share),
    }


def score_split(
    split: LabelSets,
    groups: Sequence[int],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """All scores of one split with intervals and trivial baselines, as `metrics.json` holds them.

    Args:
        split: the predictions.
        groups: ``[n]``, the group of each item.
        bootstrap: of the intervals.

    Returns:
        ``n``, ``groups`` and ``metrics``.
    """
    level = bootstrap.level
    trivial = trivial_scores(split)
    hits = stats.group_sums(split.true & split.decided, groups)
    unions = stats.group_sums(split.true | split.decided, groups)
    right = exact_match(split.true, split.decided)
    whole = stats.group_sums(np.c_[right, np.ones(len(right))], groups)
    macro, limits = intervals.share_limits(
        hits, unions, level, counted=(split.true | split.decided).any(axis=0), f1=True
    )
    pooled = np.c_[hits.sum(axis=1), unions.sum(axis=1)]
    found = {
        "macro_f1": stats.Interval(float(macro), float(limits.low), float(limits.high)),
        "micro_f1": intervals.f1_interval(pooled, level),
        "exact_match": intervals.share_interval(whole, level),
    }
    if split.true.any() and split.probabilities is not None:
        found["mean_average_precision"] = _precision_interval(
            split.true, split.probabilities, groups, bootstrap
        )
    return {
        "n": len(split),
        "groups": len(set(groups)),
        "metrics": {
            name: metric(one.value, "higher", (one.low, one.high), trivial[name])
            for name, one in found.items()
        },
    }


def item_scores(split: LabelSets, level: float) -> dict[str, ItemScore]:
    """The scores of `COMPARED` of any of the items, with intervals at *level*."""

    def f1_interval(table: stats.Floats) -> stats.Interval:
        hits, support, predicted = counts_of(table)
        unions = support + predicted - hits
        value, limits = intervals.share_limits(
            hits, unions, level, counted=unions.any(axis=0), f1=True
        )
        return stats.Interval(float(value), float(limits.low), float(limits.high))

    right = exact_match(split.true, split.decided)
    return {
        "macro_f1": ItemScore(count_columns(split.true, split.decided), macro_f1, f1_interval),
        "exact_match": ItemScore(
            np.c_[right, np.ones(len(right))],
            _share,
            lambda table: intervals.share_interval(table, level),
        ),
    }


def trivial_scores(split: LabelSets) -> dict[str, tuple[str, float]]:
    """The strongest trivial baseline on the same items: name and value by score.

    The candidates give each item all classes, the most frequent label set of training, each class
    that most training items have, or classes drawn by their shares in training. The scores of the
    last one are those of the expected counts. Average precision: the shares as probabilities.

    Args:
        split: with the priors of its items, and further baselines.
    """
    found = {}
    for name, known in trivial_candidates(split).items():
        best = strongest("higher", known)
        assert best is not None
        found[name] = best
    return found


def trivial_candidates(split: LabelSets) -> dict[str, list[tuple[str, float]]]:
    """Score -> name and value of every candidate of `trivial_scores`."""
    true = split.true
    shares = np.stack([prior.shares for prior in split.priors])
    decisions = {
        "all_classes": np.ones_like(true),
        "commonest_set": np.stack([prior.commonest for prior in split.priors]),
        "majority_of_each_class": shares > 0.5,
        **split.answers,
    }
    counts = {name: count_columns(true, one).sum(axis=0) for name, one in decisions.items()}
    counts["drawn_by_shares"] = np.r_[
        (shares * true).sum(axis=0), true.sum(axis=0), shares.sum(axis=0)
    ]
    matches = {name: float(exact_match(true, one).mean()) for name, one in decisions.items()}
    matches["drawn_by_shares"] = float(np.where(true, shares, 1 - shares).prod(axis=1).mean())
    return {
        "macro_f1": [(name, float(macro_f1(own))) for name, own in counts.items()],
        "micro_f1": [(name, float(micro_f1(own))) for name, own in counts.items()],
        "exact_match": list(matches.items()),
        "mean_average_precision": [
            ("class_shares", float(mean_average_precision(average_precisions(true, shares))))
        ],
    }


def per_class(split: LabelSets, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1, average precision, counts and threshold of each class.

    The threshold is the mean over the items: in a cross-validation their models have different
    ones. The average precision is None for a class that no item has. Without probabilities or
    thresholds, what needs them is None.

    Args:
        split: the predictions.
        classes: L names.
    """
    known = split.probabilities is not None
    precisions = (
        np.full(len(classes), np.nan)
        if split.probabilities is None
        else average_precisions(split.true, split.probabilities)
    )
    hits, support, predicted = counts_of(count_columns(split.true, split.decided).sum(axis=0))
    found = {}
    for place, name in enumerate(classes):
        right, has, given = hits[place], support[place], predicted[place]
        found[name] = {
            "precision": float(right / given) if given else 0.0,
            "recall": float(right / has) if has else 0.0,
            "f1": float(2 * right / (has + given)) if has + given else 0.0,
            "average_precision": float(precisions[place]) if has and known else None,
            "support": int(has),
            "predicted": int(given),
            "threshold": None
            if split.thresholds is None
            else float(split.thresholds[:, place].mean()),
        }
    return found


def _precision_interval(
    true: stats.Array, probabilities: stats.Floats, groups: Sequence[int], bootstrap: Bootstrap
) -> stats.Interval:
    """The interval of the mean average precision, from resampled groups."""
    n = len(true)
    rows = max(1, WEIGHED_CELLS // n)
    replicates: list[float] = []
    weights: list[stats.Array] = []
    for drawn in stats.resampled_items(groups, bootstrap.resamples, bootstrap.seed):
        weights.append(np.bincount(drawn, minlength=n))
        if len(weights) == rows:
            replicates += _mean_precisions(true, probabilities, weights)
            weights = []
    if weights:
        replicates += _mean_precisions(true, probabilities, weights)
    known = np.array(replicates)
    return intervals.resampled_interval(
        float(mean_average_precision(average_precisions(true, probabilities))),
        known[~np.isnan(known)],
        len(set(groups)),
        bootstrap.level,
    )


def _mean_precisions(
    true: stats.Array, probabilities: stats.Floats, weights: Sequence[stats.Array]
) -> list[float]:
    found = average_precisions(true, probabilities, np.stack(weights))
    return [float(one) for one in mean_average_precision(found)]


def count_columns(true: stats.Array, decided: stats.Array) -> stats.Floats:
    """What each item adds to the counts of each class: hits, labels, predictions, ``[n, 3 L]``."""
    true, decided = np.asarray(true, bool), np.asarray(decided, bool)
    check_shapes(true, decided)
    return np.concatenate([true & decided, true, decided], axis=1).astype(np.float64)


def counts_of(sums: stats.Array) -> tuple[stats.Array, stats.Array, stats.Array]:
    """Hits, labels and predictions of each class, each ``[..., L]``, from ``[..., 3 L]``."""
    hits, support, predicted = np.split(np.asarray(sums), 3, axis=-1)
    return hits, support, predicted


def _share(sums: stats.Array) -> stats.Array:
    """From sums of a property and of ones to its share."""
    return np.asarray(sums[..., 0] / sums[..., 1])

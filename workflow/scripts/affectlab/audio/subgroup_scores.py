"""Scores of any of the items of a run, with intervals that cover other training subjects.

Few subgroups have enough subjects to refit a probe on their halves. Refits are therefore taken to
stretch the variance of a subgroup's score as they stretch that of all items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from affectlab.audio import refits as refitting
from affectlab.audio.label_set_predictions import PredictedSets
from affectlab.audio.label_set_scores import label_set_trials
from affectlab.audio.number_predictions import PredictedNumbers
from affectlab.audio.number_scores import concordance_spread, number_interval, number_trials
from affectlab.audio.predictions import Predicted
from affectlab.audio.refits import Spread, Stretched
from affectlab.audio.score_intervals import repeated_decisions
from affectlab.audio.scores import DECISIONS, HEADLINE, LABEL_SET_HEADLINE
from affectlab.config.models import Bootstrap
from affectlab.evaluation import multilabel, stats
from affectlab.evaluation.by_subgroup import ItemScore, ScoredItems
from affectlab.evaluation.comparison import Trials
from affectlab.evaluation.regression import WIDTH
from affectlab.evaluation.stats import Floats, Interval


def class_items(
    predicted: Predicted,
    classes: int,
    bootstrap: Bootstrap,
    refitted: tuple[Predicted, int] | None = None,
) -> ScoredItems:
    """The items of a scheme with the scores of `HEADLINE`, each the mean over the repeats.

    Args:
        predicted: by the scheme.
        classes: K.
        bootstrap: of the intervals.
        refitted: all items of the scheme and the number of their classes, which show how refits
            stretch a variance; None: these are all.
    """
    whole, all_classes = refitted or (predicted, classes)
    columns = np.hstack(
        [
            stats.confusion_columns(predicted.labels, decisions, classes)
            for decisions in predicted.decisions
        ]
    )
    scores = {}
    for name in HEADLINE:
        statistic = partial(_mean_decision, DECISIONS[name], classes)
        spread = _spread(whole, name, all_classes, bootstrap)
        interval = partial(_class_interval, statistic, classes, spread, bootstrap)
        scores[name] = ItemScore(columns, statistic, interval)
    return ScoredItems(predicted.ids, predicted.subjects, scores)


def number_items(
    predicted: PredictedNumbers, names: Sequence[str], bootstrap: Bootstrap
) -> ScoredItems:
    """The items of a scheme with the mean concordance of the numbers *names*."""
    repeats, _, count = predicted.values.shape
    columns = np.concatenate(
        [
            stats.pair_columns(predicted.values[repeat, :, d], predicted.true[:, d])
            for repeat in range(repeats)
            for d in range(count)
        ],
        axis=1,
    )

    def statistic(sums: stats.Array) -> Floats:
        blocks = np.asarray(sums).reshape(*np.shape(sums)[:-1], repeats, count, WIDTH)
        return np.asarray(stats.concordance(blocks).mean(axis=(-2, -1)))

    whole = number_trials(
        predicted.true,
        predicted.values,
        predicted.subjects,
        names,
        lambda table: stats.resample_sums(table, bootstrap.resamples, bootstrap.seed),
    )["ccc"]
    spread = concordance_spread(whole, predicted.refits, len(set(predicted.subjects)))

    def interval(table: Floats) -> Interval:
        drawn = stats.resample_sums(table, bootstrap.resamples, bootstrap.seed)
        value = float(statistic(table.sum(axis=0)))
        trials = Trials(np.array([value]), statistic(drawn)[None])
        own = None if spread is None else Stretched(spread, len(table))
        low, high = number_interval("ccc", trials, own, len(table), bootstrap.level)
        return Interval(value, low, high)

    score = ItemScore(columns, statistic, interval, (-1.0, 1.0))
    return ScoredItems(predicted.ids, predicted.subjects, {"ccc": score})


def label_set_items(predicted: PredictedSets, bootstrap: Bootstrap) -> ScoredItems:
    """The items of a scheme with the scores of `LABEL_SET_HEADLINE`, means over the repeats."""
    repeats, classes = len(predicted.repeats), predicted.true.shape[1]
    counts, matches = [], []
    for one in predicted.repeats:
        right = multilabel.exact_match(one.true, one.decided)
        counts.append(multilabel.count_columns(one.true, one.decided))
        matches.append(np.c_[right, np.ones(len(right))])
    columns = np.hstack([*counts, *matches])
    width = repeats * 3 * classes
    parts = {"macro_f1": slice(0, width), "exact_match": slice(width, None)}
    whole = label_set_trials(
        predicted,
        lambda table: stats.resample_sums(table, bootstrap.resamples, bootstrap.seed),
    )
    scores = {}
    for name in LABEL_SET_HEADLINE:
        score = partial(_mean_label_set_score, name, repeats)
        known = float(np.var(whole[name].replicates.mean(axis=0), ddof=1))
        spread = refitting.relative_spread(predicted.refits, name, known, repeats)
        interval = partial(_label_set_interval, score, parts[name], classes, spread, bootstrap)
        scores[name] = ItemScore(columns, partial(_of_part, score, parts[name]), interval)
    return ScoredItems(predicted.ids, predicted.subjects, scores)


def _mean_label_set_score(name: str, repeats: int, sums: stats.Array) -> Floats:
    """The mean over the repeats of a score, from the sums ``[..., repeats * D]`` that it needs."""
    blocks = np.asarray(sums).reshape(*np.shape(sums)[:-1], repeats, -1)
    if name == "exact_match":
        return np.asarray((blocks[..., 0] / blocks[..., 1]).mean(axis=-1))
    return np.asarray(multilabel.macro_f1(blocks).mean(axis=-1))


def _of_part(score: Callable[[stats.Array], Floats], part: slice, sums: stats.Array) -> Floats:
    """A score of some of the columns."""
    return score(np.asarray(sums)[..., part])


def _label_set_interval(
    score: Callable[[stats.Array], Floats],
    part: slice,
    classes: int,
    whole: Spread | None,
    bootstrap: Bootstrap,
    table: Floats,
) -> Interval:
    """The interval of a score of the subjects in *table*, as of `label_set_scores`."""
    support = (table[:, classes : 2 * classes] > 0).sum(axis=0)
    return _interval(score, support[support > 0], whole, bootstrap, table[:, part])


def _mean_decision(
    score: Callable[[stats.Array], Floats], classes: int, sums: stats.Array
) -> Floats:
    """The mean over the repeats of a score of confusion matrices, from their cells in one row."""
    matrices = np.asarray(sums).reshape(*np.shape(sums)[:-1], -1, classes, classes)
    return np.asarray(score(matrices).mean(axis=-1))


def _spread(predicted: Predicted, name: str, classes: int, bootstrap: Bootstrap) -> Spread | None:
    """How much more a score varies with refits; see `refits.relative_spread`."""
    trials = repeated_decisions(
        predicted,
        classes,
        lambda table: stats.resample_sums(table, bootstrap.resamples, bootstrap.seed),
    )[name]
    known = float(np.var(trials.replicates.mean(axis=0), ddof=1))
    return refitting.relative_spread(predicted.refits, name, known, len(predicted.probabilities))


def _class_interval(
    statistic: Callable[[stats.Array], Floats],
    classes: int,
    whole: Spread | None,
    bootstrap: Bootstrap,
    table: Floats,
) -> Interval:
    """The interval of a score of the subjects in *table*, as of `score_intervals`."""
    first = table[:, : classes * classes].reshape(-1, classes, classes)
    with_class = (first.sum(axis=2) > 0).sum(axis=0)
    return _interval(statistic, with_class[with_class > 0], whole, bootstrap, table)


def _interval(
    statistic: Callable[[stats.Array], Floats],
    with_class: stats.Array,
    whole: Spread | None,
    bootstrap: Bootstrap,
    table: Floats,
) -> Interval:
    """The interval of a score of the subjects in *table*.

    Args:
        statistic: the score of sums.
        with_class: how many of the subjects have each class that occurs.
        whole: how refits stretch the variance of all items; None without a cross-validation.
        bootstrap: of the interval.
        table: sums of each subject.
    """
    value = float(statistic(table.sum(axis=0)))
    replicates = statistic(stats.resample_sums(table, bootstrap.resamples, bootstrap.seed))
    rarest = int(min(with_class, default=1))
    spread = None
    if whole is not None:
        spread = Stretched(whole, rarest).spread("", float(np.var(replicates, ddof=1)), 1)
    units = min(len(table), rarest * max(len(with_class), 1))
    found = refitting.stretched(value, replicates, spread, bootstrap.level, units)
    return Interval(value, *refitting.limits(value, found, bootstrap.level))

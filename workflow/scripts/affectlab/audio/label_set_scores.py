"""Scores of stored predictions of label sets, with their intervals and trivial baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from affectlab.audio import refits as refitting
from affectlab.audio.label_set_predictions import PredictedSets
from affectlab.audio.score_intervals import subject_weights
from affectlab.audio.tasks import TRIVIAL
from affectlab.config.models import Bootstrap
from affectlab.evaluation import multilabel, stats
from affectlab.evaluation.comparison import Trials
from affectlab.evaluation.multilabel import WEIGHED_CELLS
from affectlab.evaluation.records import metric, strongest

PRECISION = "mean_average_precision"
"""The score that needs no thresholds."""

Rivals = Mapping[str, Mapping[str, float]]
"""Name of a trivial baseline -> its scores."""


def label_set_trials(
    predicted: PredictedSets, resampled: Callable[[stats.Floats], stats.Floats]
) -> dict[str, Trials]:
    """Scores of the decisions of each repeat, with their replicates.

    Args:
        predicted: by a scheme.
        resampled: from what each subject adds up to, ``[subjects, D]``, to the sums of each
            resample of the subjects, ``[R, D]``.

    Returns:
        ``macro_f1``, ``micro_f1`` and ``exact_match``.
    """
    repeats = [
        multilabel.scores(one.true, one.decided, predicted.subjects) for one in predicted.repeats
    ]
    found = {}
    for name, first in repeats[0].items():
        table = np.hstack([one[name].table for one in repeats])
        shape = (len(repeats), first.table.shape[1])
        whole, drawn = table.sum(axis=0).reshape(shape), resampled(table).reshape(-1, *shape)
        found[name] = Trials(first.statistic(whole), first.statistic(drawn).T)
    return found


def precision_trials(predicted: PredictedSets, bootstrap: Bootstrap) -> Trials:
    """The mean average precision of each repeat, with its replicates.

    A resample without any class has none; it is left out.
    """
    values = np.array([_precision(one) for one in predicted.repeats])
    weights = subject_weights(predicted.subjects, bootstrap)
    rows = max(1, WEIGHED_CELLS // len(predicted.ids))
    parts = [weights[start : start + rows] for start in range(0, len(weights), rows)]
    replicates = np.array(
        [
            np.concatenate(
                [
                    multilabel.mean_average_precision(
                        multilabel.average_precisions(one.true, one.stated, part)
                    )
                    for part in parts
                ]
            )
            for one in predicted.repeats
        ]
    )
    return Trials(values, replicates[:, ~np.isnan(replicates).any(axis=0)])


def score_label_sets(
    predicted: PredictedSets, bootstrap: Bootstrap, rivals: Rivals
) -> dict[str, Any]:
    """All scores of a scheme with intervals and baselines, as `metrics.json` holds them.

    Args:
        predicted: by the scheme.
        bootstrap: of the intervals.
        rivals: name of a trivial baseline on the same items -> its scores.
    """
    trials = label_set_trials(
        predicted,
        lambda table: stats.resample_sums(table, bootstrap.resamples, bootstrap.seed),
    )
    if predicted.true.any() and predicted.ranked:
        trials[PRECISION] = precision_trials(predicted, bootstrap)
    metrics = {}
    for name, own in trials.items():
        known = [(rival, scores[name]) for rival, scores in rivals.items() if name in scores]
        limits = _interval(predicted, name, own, bootstrap.level)
        metrics[name] = metric(own.mean, "higher", limits, strongest("higher", known))
    return {
        "n": len(predicted.ids),
        "groups": len(set(predicted.subjects)),
        "metrics": metrics,
    }


def trivial_label_sets(
    found: Mapping[str, PredictedSets], scheme: str
) -> dict[str, dict[str, float]]:
    """Scores of the trivial baselines on the items of a scheme: name -> scores.

    These are those of `multilabel.trivial_candidates`, of the training items of each item, and,
    where they predict the same items, the probes on length, loudness and conditions.
    """
    own = found[scheme]
    candidates: dict[str, dict[str, list[float]]] = {}
    for repeat in own.repeats if own.repeats[0].priors else ():
        for score, known in multilabel.trivial_candidates(repeat).items():
            for name, value in known:
                candidates.setdefault(name, {}).setdefault(score, []).append(value)
    rivals = {
        name: {score: float(np.mean(values)) for score, values in scores.items()}
        for name, scores in candidates.items()
    }
    for name in TRIVIAL:
        if name in found and name != scheme and found[name].ids == own.ids:
            rivals[name] = _probe_scores(found[name])
    return rivals


def _probe_scores(predicted: PredictedSets) -> dict[str, float]:
    trials = label_set_trials(predicted, _nothing_drawn)
    found = {name: one.mean for name, one in trials.items()}
    if predicted.true.any():
        found[PRECISION] = float(np.mean([_precision(one) for one in predicted.repeats]))
    return found


def _precision(repeat: multilabel.LabelSets) -> float:
    found = multilabel.average_precisions(repeat.true, repeat.stated)
    return float(multilabel.mean_average_precision(found))


def _nothing_drawn(table: stats.Floats) -> stats.Floats:
    return np.empty((0, table.shape[1]))


def _interval(
    predicted: PredictedSets, name: str, trials: Trials, level: float
) -> tuple[float, float] | None:
    """The interval of a score over subjects, wider where it is cross-validated.

    None where most resamples lack the score.
    """
    replicates, refits = trials.replicates.mean(axis=0), predicted.refits
    if len(replicates) < 2:
        return None
    known = float(np.var(replicates, ddof=1))
    spread = None if refits is None else refits.spread(name, known, len(trials.values))
    units = _independent_units(predicted)
    drawn = refitting.stretched(trials.mean, replicates, spread, level, units)
    return refitting.limits(trials.mean, drawn, level)


def _independent_units(predicted: PredictedSets) -> int:
    """Subjects, or those of the rarest class times the classes where that is less."""
    subjects = np.array(predicted.subjects)
    counts = [len(np.unique(subjects[own])) for own in predicted.true.T if own.any()]
    return min(len(np.unique(subjects)), min(counts, default=1) * max(len(counts), 1))

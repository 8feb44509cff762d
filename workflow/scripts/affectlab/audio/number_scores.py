"""Scores of stored predictions of numbers, with their intervals and trivial baselines.

A concordance is resampled and refitted as Fisher's z, a mean absolute error as its logarithm: on
these scales scores are about normal. Both scales keep the limits in the range of the score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from affectlab.audio.number_predictions import PredictedNumbers
from affectlab.audio.refits import SMALLEST_VARIANCE, Halves, Refits, Spread, relative_spread
from affectlab.audio.tasks import TRIVIAL
from affectlab.config.models import Bootstrap
from affectlab.evaluation import stats
from affectlab.evaluation.comparison import Trials
from affectlab.evaluation.records import Direction, metric, strongest
from affectlab.evaluation.regression import TRAINING_MEAN, WIDTH, score_stems

NEAREST = 1 - 1e-9
"""Concordance that counts as the largest, since Fisher's z of 1 is infinite."""

LEAST_ERROR = 1e-300
"""Error that counts as the smallest, since the logarithm of 0 does not exist."""


class Scale(NamedTuple):
    """A kind of score and the scale on which it is about normal.

    Attributes:
        direction: which values are better.
        statistic: from sums of `stats.pair_columns` ``[..., 7]`` to scores ``[...]``.
        link: from scores to the scale.
        inverse: back.
        bounds: lowest and highest score.
    """

    direction: Direction
    statistic: Callable[[stats.Array], stats.Floats]
    link: Callable[[stats.Array], stats.Floats]
    inverse: Callable[[float], float]
    bounds: tuple[float, float]


SCALES: dict[str, Scale] = {
    "ccc": Scale(
        "higher",
        stats.concordance,
        lambda values: np.arctanh(np.clip(values, -NEAREST, NEAREST)),
        math.tanh,
        (-1.0, 1.0),
    ),
    "mae": Scale(
        "lower",
        stats.mean_error,
        lambda values: np.log(np.maximum(values, LEAST_ERROR)),
        math.exp,
        (0.0, math.inf),
    ),
}


def scale_of(name: str) -> Scale:
    """The scale of a score by its name, such as ``valence_ccc``."""
    return SCALES[name.rpartition("_")[2]]


def number_trials(
    true: stats.Floats,
    values: stats.Floats,
    subjects: Sequence[str],
    names: Sequence[str],
    resampled: Callable[[stats.Floats], stats.Floats],
) -> dict[str, Trials]:
    """Scores of each repeat, with their replicates.

    Args:
        true: ``[n, D]``.
        values: predicted, ``[repeats, n, D]``.
        subjects: ``[n]``.
        names: of the numbers.
        resampled: from what each subject adds up to, ``[subjects, columns]``, to the sums of each
            resample of the subjects, ``[R, columns]``.
    """
    repeats, _, count = values.shape
    columns = [
        stats.pair_columns(values[repeat, :, d], true[:, d])
        for repeat in range(repeats)
        for d in range(count)
    ]
    table = stats.group_sums(np.concatenate(columns, axis=1), subjects)
    whole = table.sum(axis=0).reshape(repeats, count, WIDTH)
    drawn = resampled(table).reshape(-1, repeats, count, WIDTH)
    found = {}
    for kind, scale in SCALES.items():
        scores, replicates = scale.statistic(whole), scale.statistic(drawn)
        found[kind] = Trials(scores.mean(axis=1), replicates.mean(axis=2).T)
        for d, stem in enumerate(score_stems(names)):
            found[f"{stem}_{kind}"] = Trials(scores[:, d], replicates[:, :, d].T)
    return found


def score_numbers(
    predicted: PredictedNumbers,
    names: Sequence[str],
    bootstrap: Bootstrap,
    rivals: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """All scores of a scheme with intervals and baselines, as `metrics.json` holds them.

    Args:
        predicted: by the scheme.
        names: of the numbers.
        bootstrap: of the intervals.
        rivals: name of a trivial baseline on the same items -> its scores.
    """
    trials = number_trials(
        predicted.true,
        predicted.values,
        predicted.subjects,
        names,
        lambda table: stats.resample_sums(table, bootstrap.resamples, bootstrap.seed),
    )
    groups = len(set(predicted.subjects))
    metrics = {}
    for name, own in trials.items():
        scale = scale_of(name)
        limits = number_interval(name, own, predicted.refits, groups, bootstrap.level)
        candidates = [(rival, scores[name]) for rival, scores in rivals.items()]
        baseline = strongest(scale.direction, candidates)
        metrics[name] = metric(own.mean, scale.direction, limits, baseline)
    return {"n": len(predicted.ids), "groups": groups, "metrics": metrics}


def trivial_numbers(
    found: Mapping[str, PredictedNumbers], scheme: str, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Scores of the trivial baselines on the items of a scheme: name -> scores.

    These are the mean of the training items, and, where they predict the same items, the probes
    on length, loudness and conditions.
    """
    own = found[scheme]
    answers = {} if own.training_means is None else {TRAINING_MEAN: own.training_means}
    for name in TRIVIAL:
        if name in found and name != scheme and found[name].ids == own.ids:
            answers[name] = found[name].values
    return {
        rival: {
            name: trials.mean
            for name, trials in number_trials(
                own.true, values, own.subjects, names, _nothing_drawn
            ).items()
        }
        for rival, values in answers.items()
    }


def _nothing_drawn(table: stats.Floats) -> stats.Floats:
    return np.empty((0, table.shape[1]))


def number_interval(
    name: str, trials: Trials, refits: Refits | None, groups: int, level: float
) -> tuple[float, float]:
    """The interval of a score, by Student's t on its scale.

    Where all resamples agree, each subject counts as one item, as in
    `intervals.correlation_interval`: the variance is that of Fisher's z, and a concordance counts
    as at most ``1 - 1 / groups``.
    """
    from scipy.stats import t

    scale, known, value = scale_of(name), _resampled_variance(name, trials), trials.mean
    if known <= SMALLEST_VARIANCE:
        known = 1 / max(groups - 3, 1)
        value = min(value, 1 - 1 / max(groups, 2)) if scale.bounds[1] == 1.0 else value
    # The bootstrap divides by G where an unbiased variance divides by G - 1.
    spread = Spread(known * groups / max(groups - 1, 1), float(max(groups - 1, 1)))
    if refits is not None:
        spread = _on_scale(refits, name).spread(name, spread.variance, len(trials.values))
    reach = float(t.ppf((1 + level) / 2, spread.freedom)) * math.sqrt(spread.variance)
    centre = float(scale.link(np.asarray(value)))
    low, high = scale.inverse(centre - reach), scale.inverse(centre + reach)
    return min(low, trials.mean), max(high, trials.mean)


def concordance_spread(trials: Trials, refits: Refits | None, groups: int) -> Spread | None:
    """The spread of the mean concordance on its scale; see `refits.relative_spread`.

    Args:
        trials: of the mean concordance.
        refits: of the same.
        groups: subjects.
    """
    known = _resampled_variance("ccc", trials) * groups / max(groups - 1, 1)
    own = None if refits is None else _on_scale(refits, "ccc")
    return relative_spread(own, "ccc", known, len(trials.values))


def _resampled_variance(name: str, trials: Trials) -> float:
    """The variance over the resamples of a score on its scale."""
    replicates = trials.replicates.mean(axis=0)
    if len(replicates) < 2:
        return 0.0
    return float(np.var(scale_of(name).link(replicates), ddof=1))


def _on_scale(refits: Refits, name: str) -> Refits:
    """The refits of a score on its scale."""
    if not isinstance(refits, Halves):
        return refits
    return Halves({name: scale_of(name).link(refits.scores[name])}, refits.rarest)

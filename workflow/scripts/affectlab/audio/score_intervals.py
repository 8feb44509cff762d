"""Scores of stored predictions with their intervals and trivial baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from affectlab.audio import refits as refitting
from affectlab.audio.baselines import Baselines, one_vs_rest, trivial_scores
from affectlab.audio.predictions import GROUPED, OFFICIAL, Predicted
from affectlab.audio.refits import Halves, Refits, SharedFolds
from affectlab.audio.scores import DECISIONS, areas
from affectlab.config.models import Bootstrap
from affectlab.errors import UserError
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.calibration import calibration_error, calibration_metric
from affectlab.evaluation.comparison import Trials
from affectlab.evaluation.records import metric, strongest

BINS = 10
"""Bins of the expected calibration error: there are few items."""


class Score(NamedTuple):
    """A score over repeats, of which more is better: its mean, and replicates of that mean.

    The replicates come from a bootstrap over subjects; those of a cross-validation are stretched
    to the variance that refits show.
    """

    value: float
    replicates: stats.Floats

    def interval(self, level: float) -> tuple[float, float] | None:
        """The limits; None without replicates."""
        if not len(self.replicates):
            return None
        return refitting.limits(self.value, self.replicates, level)


def read_refits(record: Mapping[str, Any], scheme: str) -> Refits | None:
    """How far the scores of a scheme move when it is repeated on other subjects.

    Args:
        record: ``details`` of a run.
        scheme: a key of predictions.jsonl. Layers by themselves and clips split at random take
            the refits of the main scheme.

    Returns:
        None for a single split, whose interval is that of its test items alone.
    """
    if scheme == OFFICIAL or record["outer_folds"] is None:
        return None
    if record["halves"] is None:
        return SharedFolds(record["outer_folds"], record["rarest"])
    return Halves.from_record(record["halves"].get(scheme, record["halves"][GROUPED]))


def decision_scores(predicted: Predicted, classes: int, bootstrap: Bootstrap) -> dict[str, Score]:
    """Scores of the confusion matrix, each over repeats, subjects resampled alike for all."""
    repeats = repeated_decisions(
        predicted,
        classes,
        lambda table: stats.resample_sums(table, bootstrap.resamples, bootstrap.seed),
    )
    return {
        name: _score(predicted, name, each.mean, each.replicates.mean(axis=0), bootstrap.level)
        for name, each in repeats.items()
    }


def repeated_decisions(
    predicted: Predicted, classes: int, resampled: Callable[[stats.Floats], stats.Floats]
) -> dict[str, Trials]:
    """Scores of the confusion matrix of each repeat, with their replicates.

    Args:
        predicted: by a scheme.
        classes: K.
        resampled: from what each subject adds up to, ``[subjects, D]``, to the sums of each
            resample of the subjects, ``[R, D]``.
    """
    columns = [
        stats.confusion_columns(predicted.labels, decisions, classes)
        for decisions in predicted.decisions
    ]
    table = stats.group_sums(np.hstack(columns), predicted.subjects)
    shape = (len(columns), classes, classes)
    whole = table.sum(axis=0).reshape(shape)
    matrices = resampled(table).reshape(-1, *shape)
    return {name: Trials(score(whole), score(matrices).T) for name, score in DECISIONS.items()}


def _score(
    predicted: Predicted, name: str, value: float, replicates: stats.Floats, level: float
) -> Score:
    """A score with its replicates, stretched where it is cross-validated."""
    known, repeats = float(np.var(replicates, ddof=1)), len(predicted.probabilities)
    refits = predicted.refits
    spread = None if refits is None else refits.spread(name, known, repeats)
    units = _independent_units(predicted)
    return Score(value, refitting.stretched(value, replicates, spread, level, units))


def _independent_units(predicted: Predicted) -> int:
    """Subjects, or those of the rarest class times the classes where that is less."""
    rarest = refitting.rarest_class(predicted.labels, predicted.subjects)
    return min(len(set(predicted.subjects)), rarest * len(np.unique(predicted.labels)))


def ranking_scores(predicted: Predicted, bootstrap: Bootstrap) -> dict[str, Score]:
    """Area under the ROC curve, and for two classes under the precision-recall curve, too.

    With more classes the ROC area is the mean, over the classes that occur, of each against the
    rest. The replicates are empty where most resamples lack a class.

    Raises:
        UserError: all items are of one class, so that there is nothing to rank.
    """
    labels = predicted.labels
    if len(np.unique(labels)) < 2:
        raise UserError(
            f"all {len(labels)} items that were predicted are of one class, so that no score tells "
            "a good answer from a constant one: hold more of them out, or take another seed"
        )
    weights = np.vstack([np.ones((1, len(labels))), subject_weights(predicted.subjects, bootstrap)])
    repeats = [areas(labels, p, weights) for p in predicted.probabilities]
    found = {}
    for name in repeats[0]:
        of_repeats = np.array([one[name] for one in repeats])
        value = float(of_repeats[:, 0].mean())
        replicates = of_repeats[:, 1:].mean(axis=0)
        defined = replicates[~np.isnan(replicates)]
        if 2 * len(defined) < len(replicates):
            # Of so few subjects with a class that most resamples have none of them.
            found[name] = Score(value, np.empty(0))
        else:
            found[name] = _score(predicted, name, value, defined, bootstrap.level)
    return found


def subject_weights(subjects: Sequence[str], bootstrap: Bootstrap) -> stats.Floats:
    """``[resamples, n]``, how often each resample of the subjects draws each item."""
    names, codes = np.unique(subjects, return_inverse=True)
    generator = np.random.default_rng(bootstrap.seed)
    shares = np.full(len(names), 1 / len(names))
    drawn = generator.multinomial(len(names), shares, size=bootstrap.resamples)
    return np.asarray(drawn[:, codes], dtype=np.float64)


def calibration_scores(predicted: Predicted, bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
    """Expected calibration error of all repeats together, as fitted and after scaling."""
    found = {}
    sets = {"ece": predicted.probabilities}
    if predicted.calibrated is not None:
        sets["ece_calibrated"] = predicted.calibrated
    for name, probabilities in sets.items():
        confidence = np.minimum(probabilities.max(axis=2), 1.0)
        correct = probabilities.argmax(axis=2) == predicted.labels
        # A subject's repeats are no more independent than the items of one repeat.
        error = calibration_error(
            stats.reliability_columns(confidence.ravel(), correct.ravel(), BINS),
            np.tile(predicted.subjects, len(probabilities)),
            level=bootstrap.level,
            seed=bootstrap.seed,
        )
        found[name] = calibration_metric(error)
    return found


def one_vs_rest_scores(
    predicted: Predicted,
    classes: Sequence[str],
    bootstrap: Bootstrap,
    rivals: Sequence[Baselines] = (),
) -> dict[str, dict[str, Any]]:
    """The published "per-class accuracy": right about whether an item is of the class or not.

    Its baseline is the best of never and always this class, and of *rivals*.
    """
    found = {}
    shares_right = one_vs_rest(predicted.labels, predicted.decisions, classes)
    for place, (name, right) in enumerate(shares_right.items()):
        table = stats.group_sums(np.c_[right, np.ones(len(right))], predicted.subjects)
        interval = intervals.mean_interval(table, bootstrap.level)
        share = float((predicted.labels == place).mean())
        constant = ("never", 1 - share) if share <= 0.5 else ("always", share)
        baseline = strongest("higher", [constant, *(one.get(name) for one in rivals)])
        found[name] = metric(interval.value, "higher", (interval.low, interval.high), baseline)
    return found


def score_scheme(
    predicted: Predicted,
    classes: Sequence[str],
    bootstrap: Bootstrap,
    rivals: Sequence[Baselines] = (),
) -> dict[str, Any]:
    """Decision scores of a scheme with intervals and baselines, as `metrics.json` holds them.

    Args:
        predicted: by the scheme.
        classes: names.
        bootstrap: of the intervals.
        rivals: scores of trivial probes on the same items.
    """
    trivial = [trivial_scores(predicted.labels, len(classes)), *rivals]
    scores = decision_scores(predicted, len(classes), bootstrap)
    return {
        "n": len(predicted.ids),
        "groups": len(set(predicted.subjects)),
        "metrics": with_baselines(scores, trivial, bootstrap.level),
    }


def with_baselines(
    scores: Mapping[str, Score], trivial: Sequence[Baselines], level: float
) -> dict[str, dict[str, Any]]:
    """Scores as `metrics.json` holds them, each with the strongest of its trivial baselines."""
    return {
        name: metric(
            score.value,
            "higher",
            score.interval(level),
            strongest("higher", [one.get(name) for one in trivial]),
        )
        for name, score in scores.items()
    }

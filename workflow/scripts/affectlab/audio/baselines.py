"""Trivial baselines: constant answers, and probes on duration, loudness and conditions alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from affectlab.audio.predictions import Predicted
from affectlab.audio.scores import confusion_scores, unweighted_scores
from affectlab.audio.tasks import TRIVIAL
from affectlab.evaluation import stats

Baselines = dict[str, tuple[str, float]]
"""Score -> name and value of a trivial baseline."""


def trivial_scores(labels: stats.Integers, classes: int) -> Baselines:
    """What always answering the commonest class reaches on the same items; chance for areas."""
    commonest = int(np.bincount(labels, minlength=classes).argmax())
    scores = confusion_scores(labels, np.full(len(labels), commonest), classes)
    found: Baselines = {name: ("majority", score) for name, score in scores.items()}
    found["auc"] = ("chance", 0.5)
    if classes == 2:
        found["pr_auc"] = ("positive_share", float((labels == 1).mean()))
    return found


def constant_answers(labels: stats.Integers, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """What each answer that listens to nothing reaches: always the same class.

    Returns:
        Class -> its scores if it is always answered, "per-class accuracies" among them.
    """
    found = {}
    for answer, name in enumerate(classes):
        decisions = np.full(len(labels), answer)
        scores = confusion_scores(labels, decisions, len(classes))
        found[name] = scores | {
            key: float(right.mean())
            for key, right in one_vs_rest(labels, decisions[None], classes).items()
        }
    return found


def trivial_probes(
    found: Mapping[str, Predicted], main: str, classes: Sequence[str]
) -> list[Baselines]:
    """Scores of the probes on duration, loudness and conditions on the items of *main*.

    They are values of one cross-validation by the same folds, and have errors of their own: only
    an interval that lies above them shows that a probe is better.
    """
    rivals = []
    for name in TRIVIAL:
        if name not in found or found[name].ids != found[main].ids:
            continue
        one = found[name]
        scores = [unweighted_scores(one.labels, p, len(classes)) for p in one.probabilities]
        values = {key: float(np.mean([each[key] for each in scores])) for key in scores[0]}
        for key, right in one_vs_rest(one.labels, one.decisions, classes).items():
            values[key] = float(right.mean())
        rivals.append({key: (name, value) for key, value in values.items()})
    return rivals


def one_vs_rest(
    labels: stats.Integers, decisions: stats.Integers, classes: Sequence[str]
) -> dict[str, stats.Floats]:
    """How right decisions are about whether an item is of a class, for each class.

    Args:
        labels: ``[n]`` class ids.
        decisions: ``[repeats, n]`` class ids.
        classes: names.

    Returns:
        Name of the "per-class accuracy" -> ``[n]``, share of the repeats that are right.
    """
    return {
        name: np.mean((decisions == place) == (labels == place), axis=0)
        for place, name in enumerate(one_vs_rest_names(classes))
    }


def one_vs_rest_names(classes: Sequence[str]) -> list[str]:
    """Names of the "per-class accuracies"; classes of a manifest may be called anything."""
    plain = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in classes]
    if "" in plain or len(set(plain)) < len(plain):
        plain = [f"class{place}" for place in range(len(classes))]
    return [f"ovr_accuracy_{name}" for name in plain]

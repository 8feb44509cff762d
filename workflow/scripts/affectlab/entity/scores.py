"""Scores of the entity experiment: functions of arrays, one row per target.

`columns` works out once what every score needs of an item; `score` then turns any choice of items
into all scores, so that a bootstrap costs one call a resample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affectlab.entity import decisions, embedding_scores
from affectlab.entity.embedding_scores import Embedding, without
from affectlab.entity.labels import CLASSES, neutral_of
from affectlab.evaluation import stats
from affectlab.evaluation.records import Direction, strongest

BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017."""

TOP = (1, 3, 5)
"""Numbers of likeliest classes among which the right one is looked for."""

ECE = ("ece", "ece_calibrated")
MEANS = ("js_distance", "nll", "nll_calibrated")
"""Scores that are the mean of a column."""

DIRECTIONS: dict[str, Direction] = {
    "accuracy": "higher",
    "macro_f1": "higher",
    "micro_f1": "higher",
    "non_neutral_accuracy": "higher",
    "non_neutral_precision": "higher",
    "non_neutral_recall": "higher",
    "top1_accuracy": "higher",
    "top3_accuracy": "higher",
    "top5_accuracy": "higher",
    "top5_accuracy_as_published": "higher",
    "js_distance": "lower",
    "nll": "lower",
    "nll_calibrated": "lower",
    "ece": "lower",
    "ece_calibrated": "lower",
    "retrieval_r1": "higher",
    "retrieval_r5": "higher",
    "retrieval_map": "higher",
    "kappa_entropy_spearman": "lower",
    "kappa_intensity_spearman": "higher",
    "kappa_cosine_gap": "lower",
    "aurc": "lower",
    "kappa_falls_typos": "higher",
    "kappa_falls_dropout": "higher",
}
"""Every score and which way is better."""


@dataclass(frozen=True, slots=True)
class Items:
    """What a run said of the targets of one split.

    Attributes:
        ids: of the targets.
        labels: soft labels that sum to 1, (n, K).
        intensity: (n,).
        groups: number of the text that a target is in, (n,).
        probabilities: without temperature, (n, K); None where only classes are predicted.
        embedding: None where there is none.
        whole_texts: whether the targets are sentences with several classes each.
        conditions: classes that length and language of the text alone predict, (n, answers), or
            None.
        decided: the predicted classes, bool (n, K); None where the probabilities decide.
    """

    ids: tuple[str, ...]
    labels: stats.Floats
    intensity: stats.Floats
    groups: stats.Integers
    probabilities: stats.Floats | None
    embedding: Embedding | None
    whole_texts: bool
    conditions: stats.Integers | None = None
    decided: stats.Array | None = None


def columns(
    items: Items,
    calibration: Mapping[str, Any],
    train_prior: stats.Floats,
    classes: Sequence[str],
) -> dict[str, stats.Array]:
    """Everything that `score` needs, one row per target.

    Without probabilities, a temperature or an embedding, what needs them is left out.

    Args:
        items: of a split.
        calibration: ``temperature`` (or None), ``thresholds``, and the unit ``prototypes`` (K, 64)
            of an embedding.
        train_prior: mean soft label of the training split, (K,).
        classes: names of the K classes.
    """
    likeliest_label = items.labels.argmax(axis=1)
    truth = items.labels > 0 if items.whole_texts else _one_hot(likeliest_label, len(classes))
    decided = items.decided
    softened = None
    if items.probabilities is not None and calibration["temperature"] is not None:
        softened = stats.apply_temperature(items.probabilities, calibration["temperature"])
    if decided is None:
        decisive = items.probabilities if softened is None else softened
        assert decisive is not None
        decided = decisions.decided_classes(decisive, calibration["thresholds"])
    found: dict[str, stats.Array] = {
        "truth": truth,
        "decided": decided,
        **({} if items.conditions is None else {"conditions": items.conditions}),
        "right": np.asarray((truth & decided).any(axis=1)),
        "entropy": entropy(items.labels),
        "intensity": items.intensity,
    }
    if (neutral := neutral_of(classes)) is not None:
        found["non_neutral"] = np.stack(non_neutral(truth, decided, neutral), axis=1)
    if items.probabilities is not None:
        found |= _of_probabilities(
            items.probabilities, softened, items.labels, truth, train_prior, classes
        )
    if items.embedding is not None:
        prototypes = np.asarray(calibration["prototypes"])
        found |= embedding_scores.columns(
            items.embedding, items.labels, truth, items.groups, prototypes, neutral
        )
    return found


def _of_probabilities(
    probabilities: stats.Floats,
    softened: stats.Floats | None,
    labels: stats.Floats,
    truth: stats.Array,
    train_prior: stats.Floats,
    classes: Sequence[str],
) -> dict[str, stats.Array]:
    """The columns that need probabilities, (n, K), and those after a temperature."""
    rows = np.arange(len(labels))
    likeliest = probabilities.argmax(axis=1)
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    by_frequency = np.argsort(-train_prior, kind="stable")
    shares = np.tile(train_prior, (len(labels), 1))
    found: dict[str, stats.Array] = {
        "js_distance_prior": js_distance(shares, labels),
        "nll": decisions.cross_entropy_items(probabilities, labels),
        "nll_prior": decisions.cross_entropy_items(shares, labels),
    }
    if softened is not None:
        found["js_distance"] = js_distance(softened, labels)
        found["nll_calibrated"] = decisions.cross_entropy_items(softened, labels)
        found["confidence"] = softened.max(axis=1)
    for k in ranks_of(classes):
        found[f"top{k}"] = np.asarray(truth[rows[:, None], ranked[:, :k]].any(axis=1))
        found[f"top{k}_prior"] = np.asarray(truth[:, by_frequency[:k]].any(axis=1))
    if tuple(classes) == CLASSES:
        # The original's evaluator looks at three classes here too.
        found["top5_as_published"] = found["top3"]
    for name, values in zip(ECE, (probabilities, softened), strict=True):
        if values is not None:
            found[name] = stats.reliability_columns(
                np.minimum(values.max(axis=1), 1.0), truth[rows, likeliest], BINS
            )
    return found


def ranks_of(classes: Sequence[str]) -> list[int]:
    """Those of `TOP` that leave a class out; with as many as there are, every item is right."""
    return [k for k in TOP if k < len(classes)]


def score(table: Mapping[str, stats.Array], chosen: stats.Integers) -> dict[str, float]:
    """All scores of the items *chosen* (with repeats); NaN where one does not exist."""
    part = {name: column[chosen] for name, column in table.items()}
    of_class = class_f1(part["truth"], part["decided"])
    # What is neither drawn nor decided on is unknown: with 0 for it, the mean of a rare
    # class over resamples would lie far below its F1, and so would the interval.
    of_class = np.where(np.isnan(of_class), class_f1(table["truth"], table["decided"]), of_class)
    found = {
        **_decision_scores(part["truth"], part["decided"], part.get("non_neutral")),
        "macro_f1": of_class[table["truth"].any(axis=0)].mean(),
        **{f"top{k}_accuracy": part[f"top{k}"].mean() for k in TOP if f"top{k}" in part},
        **(
            {"top5_accuracy_as_published": part["top5_as_published"].mean()}
            if "top5_as_published" in part
            else {}
        ),
        **{name: part[name].mean() for name in MEANS if name in part},
        **{
            name: stats.expected_calibration_error(part[name].sum(axis=0))
            for name in ECE
            if name in part
        },
        **(embedding_scores.score(part) if "kappa" in part else {}),
    }
    return {name: float(value) for name, value in found.items()}


def trivial_scores(
    table: Mapping[str, stats.Array], classes: Sequence[str]
) -> dict[str, tuple[str, float]]:
    """The strongest answer without skill on the same items: baseline name and value by score.

    Args:
        table: as `columns` gives it.
        classes: names of the K classes.
    """
    truth = table["truth"]
    neutral = neutral_of(classes)
    # Of equally strong answers the first counts: neutral, where there is such a class.
    places = sorted(range(len(classes)), key=lambda place: place != neutral)
    decided = {
        f"always_{classes[place]}": _one_hot(np.full(len(truth), place), len(classes))
        for place in places
    }
    first = next(iter(decided))
    for place, answer in enumerate(table["conditions"].T if "conditions" in table else ()):
        name = "conditions_balanced" if place else "conditions"
        decided[name] = _one_hot(answer, len(classes))
    reached = {name: _trivial_decisions(truth, made, neutral) for name, made in decided.items()}
    found = {}
    for score, value in reached[first].items():
        # Calling every item non-neutral has a recall of 1, so only neutral answers count there.
        rivals = [
            (name, values[score])
            for name, values in reached.items()
            if score != "non_neutral_recall" or name == first
        ]
        found[score] = strongest(DIRECTIONS[score], rivals) or (first, value)
    # No item is called non-neutral, so of those that are called so nothing can be said.
    found.pop("non_neutral_precision", None)
    if "nll" in table:
        found |= _trivial_probabilities(table, classes)
    if "kappa" in table:
        found |= embedding_scores.trivial_scores(table)
    return found


def _trivial_probabilities(
    table: Mapping[str, stats.Array], classes: Sequence[str]
) -> dict[str, tuple[str, float]]:
    """Of the scores that need probabilities: what the classes of the training split give."""
    found = {
        f"top{k}_accuracy": ("commonest_classes", float(table[f"top{k}_prior"].mean()))
        for k in ranks_of(classes)
    }
    if "top5_as_published" in table:
        found["top5_accuracy_as_published"] = found["top3_accuracy"]
    found["js_distance"] = ("class_shares", float(table["js_distance_prior"].mean()))
    for name in ("nll", "nll_calibrated"):
        found[name] = ("class_shares", float(table["nll_prior"].mean()))
    return found


def js_distance(first: stats.Floats, second: stats.Floats) -> stats.Floats:
    """Jensen-Shannon distance of paired distributions (n, K): root of the divergence in bits."""
    from scipy.special import rel_entr

    middle = (first + second) / 2
    divergence = (rel_entr(first, middle) + rel_entr(second, middle)).sum(axis=1) / 2
    return np.sqrt(np.maximum(divergence, 0.0) / np.log(2))


def entropy(distributions: stats.Floats) -> stats.Floats:
    """Entropy of each row, in nats."""
    from scipy.special import entr

    return np.asarray(entr(distributions).sum(axis=1))


def _one_hot(chosen: stats.Integers, classes: int) -> stats.Array:
    return np.eye(classes, dtype=bool)[chosen]


def class_f1(truth: stats.Array, decided: stats.Array) -> stats.Floats:
    """F1 of each class, (K,); NaN for one that is neither there nor decided on; bool (n, K)."""
    either = truth.sum(axis=0) + decided.sum(axis=0)
    return np.where(either, 2 * (truth & decided).sum(axis=0) / np.maximum(either, 1), np.nan)


def non_neutral(truth: stats.Array, decided: stats.Array, neutral: int) -> list[stats.Array]:
    """Which targets are not neutral, are decided to be so, and get a class right, bool (n,) each.

    Args:
        truth: bool (n, K).
        decided: bool (n, K).
        neutral: place of the class.
    """
    truth, decided = (without(part, neutral) for part in (truth, decided))
    return [np.asarray(part.any(axis=1)) for part in (truth, decided, truth & decided)]


def _decision_scores(
    truth: stats.Array, decided: stats.Array, emotions: stats.Array | None
) -> dict[str, Any]:
    """Scores of decisions, bool (n, K), but for macro-F1; *emotions* as `non_neutral`, (n, 3)."""
    hits = (truth & decided).sum(axis=0)
    support, predicted = truth.sum(axis=0), decided.sum(axis=0)
    found = {
        "accuracy": (truth == decided).all(axis=1).mean(),
        "micro_f1": 2 * hits.sum() / (support + predicted).sum(),
    }
    if emotions is None:
        return found
    emotional, called, right = emotions.T
    both = np.sum(emotional & called)
    return found | {
        "non_neutral_accuracy": _share(np.sum(right & emotional), emotional.sum()),
        "non_neutral_precision": _share(both, called.sum()),
        "non_neutral_recall": _share(both, emotional.sum()),
    }


def _trivial_decisions(
    truth: stats.Array, decided: stats.Array, neutral: int | None
) -> dict[str, float]:
    of_class = class_f1(truth, decided)
    emotions = None if neutral is None else np.stack(non_neutral(truth, decided, neutral), axis=1)
    found = _decision_scores(truth, decided, emotions) | {
        "macro_f1": of_class[truth.any(axis=0)].mean()
    }
    return {name: float(value) for name, value in found.items()}


def _share(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0

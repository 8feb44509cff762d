"""Scores of the entity experiment: functions of arrays, one row per target.

`columns` works out once what every score needs of an item; `score` then turns any choice of items
into all scores, so that a bootstrap costs one call a resample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from affectlab.entity import decisions
from affectlab.entity.corrupt import CORRUPTIONS
from affectlab.entity.labels import CLASSES, neutral_of
from affectlab.evaluation import stats
from affectlab.evaluation.records import Direction, strongest

BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017."""

KAPPA_BINS = 10
"""Bins of the concentration, each with as many items."""

QUERY_CHUNK = 512

TOP = (1, 3, 5)
"""Numbers of likeliest classes among which the right one is looked for."""

ECE = ("ece", "ece_calibrated")
RETRIEVAL = ("retrieval_r1", "retrieval_r5", "retrieval_map")

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
        labels: soft labels that sum to 1, (n, K).
        intensity: (n,).
        groups: number of the text that a target is in, (n,).
        probabilities: without temperature, (n, K).
        kappa: as the predictor gives it, (n,).
        mu: (n, 64).
        pooled: the pretrained encoder's mean states, (n, width), or None.
        corrupted_kappa: variant of the text -> (n,).
        whole_texts: whether the targets are sentences with several classes each.
        conditions: classes that length and language of the text alone predict, (n, answers), or
            None.
    """

    labels: stats.Floats
    intensity: stats.Floats
    groups: stats.Integers
    probabilities: stats.Floats
    kappa: stats.Floats
    mu: stats.Floats
    pooled: stats.Floats | None
    corrupted_kappa: Mapping[str, stats.Floats]
    whole_texts: bool
    conditions: stats.Integers | None = None


def columns(
    items: Items,
    calibration: Mapping[str, Any],
    train_prior: stats.Floats,
    classes: Sequence[str],
) -> dict[str, stats.Array]:
    """Everything that `score` needs, one row per target.

    Args:
        items: of a split.
        calibration: what the model stores, with the unit ``prototypes`` (K, 64).
        train_prior: mean soft label of the training split, (K,).
        classes: names of the K classes.
    """
    softened = stats.apply_temperature(items.probabilities, calibration["temperature"])
    n = len(items.labels)
    rows = np.arange(n)
    likeliest_label = items.labels.argmax(axis=1)
    truth = items.labels > 0 if items.whole_texts else _one_hot(likeliest_label, len(classes))
    decided = decisions.decided_classes(softened, calibration["thresholds"])
    likeliest = items.probabilities.argmax(axis=1)
    ranked = np.argsort(-items.probabilities, axis=1, kind="stable")
    by_frequency = np.argsort(-train_prior, kind="stable")
    shares = np.tile(train_prior, (n, 1))
    conditions = {} if items.conditions is None else {"conditions": items.conditions}
    found: dict[str, stats.Array] = {
        "truth": truth,
        "decided": decided,
        **conditions,
        "right": np.asarray((truth & decided).any(axis=1)),
        "js_distance": js_distance(softened, items.labels),
        "js_distance_prior": js_distance(shares, items.labels),
        "nll": decisions.cross_entropy_items(items.probabilities, items.labels),
        "nll_calibrated": decisions.cross_entropy_items(softened, items.labels),
        "nll_prior": decisions.cross_entropy_items(shares, items.labels),
        "entropy": entropy(items.labels),
        "intensity": items.intensity,
        "kappa": items.kappa,
        "confidence": softened.max(axis=1),
        "cosine": decisions.expected_cosine(
            items.mu, items.labels, np.asarray(calibration["prototypes"])
        ),
        "foretold_cosine": mean_cosine(items.kappa),
    }
    if (neutral := neutral_of(classes)) is not None:
        found["non_neutral"] = np.stack(non_neutral(truth, decided, neutral), axis=1)
    for k in ranks_of(classes):
        found[f"top{k}"] = np.asarray(truth[rows[:, None], ranked[:, :k]].any(axis=1))
        found[f"top{k}_prior"] = np.asarray(truth[:, by_frequency[:k]].any(axis=1))
    if tuple(classes) == CLASSES:
        # The original's evaluator looks at three classes here too.
        found["top5_as_published"] = found["top3"]
    for name, probabilities in zip(ECE, (items.probabilities, softened), strict=True):
        found[name] = stats.reliability_columns(
            np.minimum(probabilities.max(axis=1), 1.0), truth[rows, likeliest], BINS
        )
    for name, embedding in (("mu", items.mu), ("pooled", items.pooled)):
        if embedding is not None:
            found[f"retrieval_{name}"] = retrieval(embedding, truth, items.groups, neutral)
    for variant, kappa in items.corrupted_kappa.items():
        # A tie counts half: the corruption may leave a text unchanged.
        found[f"falls_{variant}"] = (kappa < items.kappa) + 0.5 * (kappa == items.kappa)
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
        **{name: part[name].mean() for name in ("js_distance", "nll", "nll_calibrated")},
        **{name: stats.expected_calibration_error(part[name].sum(axis=0)) for name in ECE},
        "kappa_entropy_spearman": spearman(part["kappa"], part["entropy"]),
        "kappa_intensity_spearman": spearman(part["kappa"], part["intensity"]),
        "kappa_cosine_gap": cosine_gap(part["kappa"], part["cosine"], part["foretold_cosine"]),
        "aurc": aurc(part["kappa"], part["right"]),
    }
    if "retrieval_mu" in part:
        found |= _retrieval_scores(part["retrieval_mu"])
    for variant in CORRUPTIONS:
        if f"falls_{variant}" in part:
            found[f"kappa_falls_{variant}"] = part[f"falls_{variant}"].mean()
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
    for k in ranks_of(classes):
        found[f"top{k}_accuracy"] = ("commonest_classes", float(table[f"top{k}_prior"].mean()))
    if "top5_as_published" in table:
        found["top5_accuracy_as_published"] = found["top3_accuracy"]
    found["js_distance"] = ("class_shares", float(table["js_distance_prior"].mean()))
    for name in ("nll", "nll_calibrated"):
        found[name] = ("class_shares", float(table["nll_prior"].mean()))
    if "retrieval_pooled" in table:
        for name, value in _retrieval_scores(table["retrieval_pooled"]).items():
            found[name] = ("encoder_pooled", float(value))
    found["aurc"] = ("max_probability", aurc(table["confidence"], table["right"]))
    for variant in CORRUPTIONS:
        found[f"kappa_falls_{variant}"] = ("chance", 0.5)
    return found


def mean_cosine(kappa: stats.Floats) -> stats.Floats:
    """A_64(kappa) = I_32(kappa) / I_31(kappa), from scipy's scaled Bessel functions."""
    from scipy.special import ive

    return np.asarray(ive(32, kappa) / ive(31, kappa))


def mean_pairwise_cosine(unit: stats.Floats) -> float:
    """Mean cosine of any two of the unit vectors (K, d): 1 where all have fallen together."""
    above = np.triu_indices(len(unit), k=1)
    return float((unit @ unit.T)[above].mean())


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


def spearman(first: stats.Floats, second: stats.Floats) -> float:
    """Spearman's rank correlation; NaN where one side is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (first, second)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def aurc(confidence: stats.Floats, right: stats.Array) -> float:
    """Area under the risk-coverage curve: mean error rate over the k surest items, k = 1..n.

    Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017. Items of
    equal confidence count with the error rate that they share, whatever order they come in.
    """
    _, tied, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    rate = np.bincount(tied, weights=~np.asarray(right, bool)) / counts
    wrong = np.repeat(rate, counts)
    return float((wrong.cumsum() / np.arange(1, len(wrong) + 1)).mean())


def cosine_gap(kappa: stats.Floats, cosine: stats.Floats, foretold: stats.Floats) -> float:
    """Mean over bins of equal size of |mean cosine - mean cosine that kappa predicts|."""
    gaps = [abs(cosine[part].mean() - foretold[part].mean()) for part in kappa_bins(kappa)]
    return float(np.mean(gaps))


def kappa_bins(kappa: stats.Floats) -> list[stats.Integers]:
    """Places of the items in bins of rising concentration, of equal size, none empty."""
    order = np.argsort(kappa, kind="stable")
    return [part for part in np.array_split(order, KAPPA_BINS) if len(part)]


def retrieval(
    embedding: stats.Floats, truth: stats.Array, groups: stats.Integers, neutral: int | None
) -> stats.Floats:
    """For each item as a query: R@1, R@5 and average precision, (n, 3).

    The gallery is every item of another text; those that share a class other than *neutral* with
    the query are relevant. NaN for queries without such a class, or without a relevant item.
    """
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    emotional = _without(truth, neutral).astype(np.float32)
    result = np.full((len(unit), 3), np.nan)
    for start in range(0, len(unit), QUERY_CHUNK):
        queries = np.arange(start, min(start + QUERY_CHUNK, len(unit)))
        queries = queries[emotional[queries].any(axis=1)]
        similarity = unit[queries] @ unit.T
        similarity[groups[queries][:, None] == groups[None, :]] = -np.inf
        order = np.argsort(-similarity, axis=1, kind="stable")
        relevant = (emotional[queries] @ emotional.T > 0) & np.isfinite(similarity)
        hits = np.take_along_axis(relevant, order, axis=1)
        count = hits.sum(axis=1)
        precision = hits.cumsum(axis=1) / np.arange(1, len(unit) + 1)
        average = (precision * hits).sum(axis=1) / np.maximum(count, 1)
        rows = np.column_stack([hits[:, 0], hits[:, :5].any(axis=1), average])
        rows[count == 0] = np.nan
        result[queries] = rows
    return result


def _one_hot(chosen: stats.Integers, classes: int) -> stats.Array:
    return np.eye(classes, dtype=bool)[chosen]


def _without(columns: stats.Array, place: int | None) -> stats.Array:
    return columns if place is None else np.delete(columns, place, axis=1)


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
    truth, decided = (_without(part, neutral) for part in (truth, decided))
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


def _retrieval_scores(rows: stats.Floats) -> dict[str, float]:
    known = rows[~np.isnan(rows[:, 0])]
    means = known.mean(axis=0) if len(known) else np.full(3, np.nan)
    return dict(zip(RETRIEVAL, means, strict=True))


def _share(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0

"""Scores of the embedding: concentration and retrieval. Predictions without one lack them.

Functions of arrays, one row per target, as those of `scores`, which puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from affectlab.entity import decisions
from affectlab.entity.corrupt import CORRUPTIONS
from affectlab.evaluation import stats

KAPPA_BINS = 10
"""Bins of the concentration, each with as many items."""

QUERY_CHUNK = 512

RETRIEVAL = ("retrieval_r1", "retrieval_r5", "retrieval_map")


@dataclass(frozen=True, slots=True)
class Embedding:
    """The embedding of the targets of one split, by the model that predicted them.

    Attributes:
        kappa: concentration as the predictor gives it, (n,).
        mu: direction, (n, 64).
        pooled: the pretrained encoder's mean states, (n, width), or None.
        corrupted_kappa: variant of the text -> (n,).
    """

    kappa: stats.Floats
    mu: stats.Floats
    pooled: stats.Floats | None
    corrupted_kappa: Mapping[str, stats.Floats]


def columns(
    found: Embedding,
    labels: stats.Floats,
    truth: stats.Array,
    groups: stats.Integers,
    prototypes: stats.Floats,
    neutral: int | None,
) -> dict[str, stats.Array]:
    """What the scores of an embedding need, one row per target.

    Args:
        found: the embedding.
        labels: soft labels that sum to 1, (n, K).
        truth: classes of the targets, bool (n, K).
        groups: number of the text that a target is in, (n,).
        prototypes: unit directions of the classes, (K, 64).
        neutral: place of the class that stands for no emotion, or None.
    """
    table: dict[str, stats.Array] = {
        "kappa": found.kappa,
        "cosine": decisions.expected_cosine(found.mu, labels, prototypes),
        "foretold_cosine": mean_cosine(found.kappa),
    }
    for name, vectors in (("mu", found.mu), ("pooled", found.pooled)):
        if vectors is not None:
            table[f"retrieval_{name}"] = retrieval(vectors, truth, groups, neutral)
    for variant, kappa in found.corrupted_kappa.items():
        # A tie counts half: the corruption may leave a text unchanged.
        table[f"falls_{variant}"] = (kappa < found.kappa) + 0.5 * (kappa == found.kappa)
    return table


def score(part: Mapping[str, stats.Array]) -> dict[str, float]:
    """The scores of the concentration, and of retrieval where there is any.

    Args:
        part: rows of the table of `scores.columns`.
    """
    found = {
        "kappa_entropy_spearman": spearman(part["kappa"], part["entropy"]),
        "kappa_intensity_spearman": spearman(part["kappa"], part["intensity"]),
        "kappa_cosine_gap": cosine_gap(part["kappa"], part["cosine"], part["foretold_cosine"]),
        "aurc": aurc(part["kappa"], part["right"]),
    }
    if "retrieval_mu" in part:
        found |= retrieval_scores(part["retrieval_mu"])
    for variant in CORRUPTIONS:
        if f"falls_{variant}" in part:
            found[f"kappa_falls_{variant}"] = part[f"falls_{variant}"].mean()
    return found


def trivial_scores(table: Mapping[str, stats.Array]) -> dict[str, tuple[str, float]]:
    """What needs no concentration: baseline name and value by score.

    Args:
        table: as `scores.columns` gives it.
    """
    found = {"aurc": ("max_probability", aurc(table["confidence"], table["right"]))}
    if "retrieval_pooled" in table:
        for name, value in retrieval_scores(table["retrieval_pooled"]).items():
            found[name] = ("encoder_pooled", float(value))
    return found | {f"kappa_falls_{variant}": ("chance", 0.5) for variant in CORRUPTIONS}


def mean_cosine(kappa: stats.Floats) -> stats.Floats:
    """A_64(kappa) = I_32(kappa) / I_31(kappa), from scipy's scaled Bessel functions."""
    from scipy.special import ive

    return np.asarray(ive(32, kappa) / ive(31, kappa))


def mean_pairwise_cosine(unit: stats.Floats) -> float:
    """Mean cosine of any two of the unit vectors (K, d): 1 where all have fallen together."""
    above = np.triu_indices(len(unit), k=1)
    return float((unit @ unit.T)[above].mean())


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
    emotional = without(truth, neutral).astype(np.float32)
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


def retrieval_scores(rows: stats.Floats) -> dict[str, float]:
    """The means over the queries of `retrieval`, by the name of the score."""
    known = rows[~np.isnan(rows[:, 0])]
    means = known.mean(axis=0) if len(known) else np.full(3, np.nan)
    return dict(zip(RETRIEVAL, means, strict=True))


def without(columns: stats.Array, place: int | None) -> stats.Array:
    """The columns less the one at *place*, if any."""
    return columns if place is None else np.delete(columns, place, axis=1)

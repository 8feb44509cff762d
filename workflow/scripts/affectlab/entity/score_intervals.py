"""Intervals of the scores of the entity experiment: which method each score has.

All functions take the columns of `scores.columns`, one row per target, and the groups ``[n]``: the
targets of one text are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from affectlab.entity import embedding_scores, scores
from affectlab.entity.corrupt import CORRUPTIONS
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.calibration import CalibrationError, calibration_error, mean_gap


def of_counts(
    table: Mapping[str, stats.Array], groups: stats.Integers, level: float
) -> dict[str, stats.Interval]:
    """Intervals of shares, and of functions of counts: F1."""
    truth, decided = table["truth"], table["decided"]
    hits, unions = (stats.group_sums(part, groups) for part in (truth & decided, truth | decided))
    every = np.ones(len(groups), bool)
    shares = {
        "accuracy": ((truth == decided).all(axis=1), every),
        **{f"top{k}_accuracy": (table[f"top{k}"], every) for k in scores.TOP if f"top{k}" in table},
    }
    if "non_neutral" in table:
        emotional, called, right = table["non_neutral"].T
        shares |= {
            "non_neutral_accuracy": (right, emotional),
            "non_neutral_precision": (emotional, called),
            "non_neutral_recall": (called, emotional),
        }
    if "top5_as_published" in table:
        shares["top5_accuracy_as_published"] = (table["top5_as_published"], every)
    found = {}
    for name, (having, among) in shares.items():
        counts = stats.group_sums(np.c_[having & among, among], groups)
        found[name] = intervals.share_interval(counts, level)
    found["micro_f1"] = intervals.f1_interval(np.c_[hits.sum(axis=1), unions.sum(axis=1)], level)
    value, limits = intervals.share_limits(hits, unions, level, counted=truth.any(axis=0), f1=True)
    found["macro_f1"] = stats.Interval(float(value), float(limits.low), float(limits.high))
    return found


def of_means(
    table: Mapping[str, stats.Array], groups: stats.Integers, level: float
) -> dict[str, stats.Interval]:
    """Intervals of means of one value for each target, or for each query."""
    values = {name: table[name] for name in ("js_distance",) if name in table}
    if "retrieval_mu" in table:
        values |= zip(embedding_scores.RETRIEVAL, table["retrieval_mu"].T, strict=True)
    for variant in CORRUPTIONS:
        if f"falls_{variant}" in table:
            values[f"kappa_falls_{variant}"] = table[f"falls_{variant}"]
    found = {}
    for name, column in values.items():
        known = ~np.isnan(column)
        if known.any():
            sums = _sums(column[known], groups[known])
            found[name] = intervals.mean_interval(sums, level)
    for name in ("nll", "nll_calibrated"):
        if name not in table:
            continue
        sums = _sums(table[name], groups)
        found[name] = intervals.positive_mean_interval(sums, level, np.log(table["truth"].shape[1]))
    return found


def of_resamples(
    values: Mapping[str, float],
    replicates: Mapping[str, stats.Floats],
    groups: stats.Integers,
    level: float,
) -> dict[str, stats.Interval]:
    """Intervals of rank correlations, and of the area under the risk-coverage curve.

    Predictions without an embedding have none of them.

    Args:
        values: score -> its value.
        replicates: score -> its values for resampled groups, NaN where it does not exist.
        groups: ``[n]``.
        level: of the intervals.
    """
    if "aurc" not in values:
        return {}
    number = len(np.unique(groups))
    found = {}
    for name in ("kappa_entropy_spearman", "kappa_intensity_spearman"):
        known = replicates[name][~np.isnan(replicates[name])]
        if not np.isnan(values[name]) and 2 * len(known) >= len(replicates[name]):
            found[name] = intervals.correlation_interval(
                values[name], known, items=len(groups), groups=number, level=level, ranks=True
            )
    found["aurc"] = intervals.resampled_interval(values["aurc"], replicates["aurc"], number, level)
    return found


def of_calibration(
    table: Mapping[str, stats.Array], groups: stats.Integers, level: float, seed: int
) -> dict[str, CalibrationError]:
    """Estimates and intervals of mean absolute gaps, whose values in a sample are too high."""
    found = {
        name: calibration_error(table[name], groups, level=level, seed=seed)
        for name in scores.ECE
        if name in table
    }
    if "kappa" not in table:
        return found
    found["kappa_cosine_gap"] = mean_gap(
        table["cosine"] - table["foretold_cosine"],
        embedding_scores.kappa_bins(table["kappa"]),
        groups,
        level=level,
        seed=seed,
    )
    return found


def _sums(values: stats.Array, groups: stats.Integers) -> stats.Floats:
    return stats.group_sums(np.c_[values, np.ones(len(values))], groups)

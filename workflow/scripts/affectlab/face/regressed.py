"""Scores of regressed values: valence, arousal and the proxies."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.classification import (
    Score,
)
from affectlab.evaluation.comparison import Resamples, Run
from affectlab.evaluation.predictions import prediction_lines
from affectlab.evaluation.records import Direction, metric
from affectlab.face.data import Faces
from affectlab.face.labels import AFFECT, LIMITS, PROXIES
from affectlab.face.scored_data import ScoredData

_Score = tuple[Direction, Callable[[stats.Array], stats.Floats], tuple[float, float]]

KINDS: dict[str, _Score] = {
    "ccc": ("higher", stats.concordance, (-1.0, 1.0)),
    "mae": ("lower", stats.mean_error, (0.0, math.inf)),
    "r2": ("higher", stats.r_squared, (-math.inf, 1.0)),
}
"""Scores of regressed values: which way is better, function of sums over images, bounds."""

SCORES = dict.fromkeys(AFFECT, ("ccc",)) | dict.fromkeys(PROXIES, ("mae", "r2"))


def read_regressed(path: Path | str, split: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The regressed values *names* of one split: arrays by name, and the items as ``id``.

    Raises:
        DataError: a line lacks one of them, or one is not within the limits of the network.
    """
    lines = [line for line in prediction_lines(path) if line.values.get("split") == split]
    found = {"id": np.array([line.text("id") for line in lines])}
    for name in names:
        limit = LIMITS[name]
        found[name] = np.array([line.number(name, -limit, limit) for line in lines])
    return found


def regression_scores(
    predicted: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], group: Mapping[str, int]
) -> dict[str, Score]:
    """Concordance of valence and arousal, error and explained variance of the proxies.

    Args:
        predicted: as `read_regressed` gives them; values that are not there have no score.
        labels: as `labels.labels_of` gives them; values without any label have no score.
        group: number of the group of each image.
    """
    groups = np.array([group[path] for path in predicted["id"].tolist()])
    found = {}
    for name, (true, known) in _known(predicted["id"], labels).items():
        if name not in predicted:
            continue
        columns = stats.pair_columns(predicted[name][known], true)
        table = stats.group_sums(columns, groups[known])
        for kind in SCORES[name]:
            direction, statistic, _ = KINDS[kind]
            found[f"{name}_{kind}"] = Score(direction, table, statistic)
    return found


def trivial_regression(
    ids: np.ndarray, labels: Mapping[str, np.ndarray], faces: Faces
) -> dict[str, tuple[str, float]]:
    """What the mean of the training labels reaches on the images *ids*: baseline name and value.

    Of a cross-validation the mean is that of the images which were trained on without each fold.
    """
    place = {path: row for row, path in enumerate(labels["image_path"].tolist())}
    rows = np.array([place[path] for path in ids.tolist()])
    found = {}
    for name, (true, known) in _known(ids, labels).items():
        means = _training_means(labels[name], faces)[rows][known]
        sums = stats.pair_columns(means, true).sum(axis=0)
        for kind in SCORES[name]:
            found[f"{name}_{kind}"] = ("training_mean", float(KINDS[kind][1](sums)))
    return found


def _training_means(values: np.ndarray, faces: Faces) -> np.ndarray:
    """For each image the mean of *values* over the images that its model was trained on."""
    if faces.folds is None:
        return np.full(len(values), np.nanmean(values[faces.splits == "train"]))
    means = np.empty(len(values))
    for fold in range(faces.description.folds or 0):
        train = faces.for_fold(fold).splits == "train"
        means[faces.folds == fold] = np.nanmean(values[train])
    return means


def _known(
    ids: np.ndarray, labels: Mapping[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each value that has any: its labels on *ids*, and which of *ids* these are, bool."""
    place = {path: row for row, path in enumerate(labels["image_path"].tolist())}
    rows = np.array([place[path] for path in ids.tolist()])
    names = [name for name in SCORES if name in labels]
    found = {name: (labels[name][rows], ~np.isnan(labels[name][rows])) for name in names}
    return {name: (true[known], known) for name, (true, known) in found.items() if known.any()}


def regression_metrics(
    predicted: Mapping[str, np.ndarray],
    data: ScoredData,
    group: Mapping[str, int],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """`regression_scores` with intervals and trivial answers, as metrics.json holds them.

    Args:
        predicted: as `read_regressed` gives them.
        data: that was predicted.
        group: number of the group of each image.
        bootstrap: of the intervals.
    """
    trivial = trivial_regression(predicted["id"], data.labels, data.faces)
    found = {}
    for name, score in regression_scores(predicted, data.labels, group).items():
        interval = _interval(name.rpartition("_")[2], score, trivial[name][1], bootstrap)
        limits = (interval.low, interval.high)
        found[name] = metric(interval.value, score.direction, limits, trivial[name])
    return found


def _interval(kind: str, score: Score, trivial: float, bootstrap: Bootstrap) -> stats.Interval:
    """The interval of a score of `KINDS`, whose trivial baseline is *trivial*."""
    level = bootstrap.level
    groups, items = len(score.table), int(score.table[:, 0].sum())
    if kind == "mae":
        return intervals.positive_mean_interval(score.table[:, [6, 0]], level, scale=trivial)
    value = score.value
    replicates = intervals.replicates_of(
        score.statistic, score.table, bootstrap.resamples, bootstrap.seed
    )
    if kind == "r2":
        return intervals.explained_variance_interval(value, replicates, groups, level)
    return intervals.correlation_interval(
        value, replicates, items=items, groups=groups, level=level, ranks=False
    )


def with_regressed(run: Run, seeds: Sequence[Mapping[str, Score]], bootstrap: Bootstrap) -> Run:
    """Return *run* with the `regression_scores` of each of its *seeds*."""
    trials = {}
    for name in seeds[0]:
        scores = [found[name] for found in seeds]
        # Images without a value are left out, so the groups are not those of the other scores.
        draws = Resamples(range(len(scores[0].table)), bootstrap.resamples, bootstrap.seed)
        trials[name] = draws.trials(scores)
    bounds = {name: KINDS[name.rpartition("_")[2]][2] for name in trials}
    return replace(run, trials={**run.trials, **trials}, bounds={**run.bounds, **bounds})

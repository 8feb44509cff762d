"""Score stored predictions of the face experiment: single runs, and their comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.errors import DataError
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.classification import (
    COMPARED,
    CROSS_VALIDATION,
    HELD_OUT,
    Corpus,
    Predictions,
    Score,
    read_predictions,
    read_runs,
    reliability_at,
    scored_record,
)
from affectlab.evaluation.comparison import Resamples, Run, comparison_record
from affectlab.evaluation.predictions import prediction_lines
from affectlab.evaluation.records import Direction, ScoredRun, metric, write_record
from affectlab.face.data import Faces, groups_of, require_images
from affectlab.face.labels import AFFECT, LIMITS, PROXIES, RAW_RANGE
from affectlab.face.settings import FaceRun
from affectlab.files.io import read_json

TASK_VERSION = 3
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

_Score = tuple[Direction, Callable[[stats.Array], stats.Floats], tuple[float, float]]

KINDS: dict[str, _Score] = {
    "ccc": ("higher", stats.concordance, (-1.0, 1.0)),
    "mae": ("lower", stats.mean_error, (0.0, math.inf)),
    "r2": ("higher", stats.r_squared, (-math.inf, 1.0)),
}
"""Scores of regressed values: which way is better, function of sums over images, bounds."""

SCORES = dict.fromkeys(AFFECT, ("ccc",)) | dict.fromkeys(PROXIES, ("mae", "r2"))

HISTOGRAM_EDGES = np.linspace(-RAW_RANGE, RAW_RANGE, 21)


@dataclass(frozen=True, slots=True)
class ScoredData:
    """A data set that runs are scored on.

    Attributes:
        faces: images and classes.
        labels: of the regressed values, as of `labels.labels_of`.
        metadata_path: of the table, for messages.
    """

    faces: Faces
    labels: Mapping[str, np.ndarray]
    metadata_path: Path

    @property
    def regressed(self) -> tuple[str, ...]:
        """Names of the regressed values."""
        return tuple(name for name in LIMITS if name in self.labels)

    def result_split(self, result_split: str) -> str:
        """The split of the result: of a cross-validation always the test split."""
        return "test" if self.faces.folds is not None else result_split


def held_out(result_split: str) -> list[str]:
    """The splits that are predicted: validation, which fits the temperature, and the result's."""
    return list(dict.fromkeys(["validation", result_split]))


def corpus_of(data: ScoredData, result_split: str) -> Corpus:
    """Labels and groups of the labelled images.

    Images with the same pixels are one group, and those of one person where persons are known.
    """
    if data.faces.folds is not None:
        return _cross_validated(data)
    splits = ("train", *held_out(result_split))
    rows = {split: require_images(data.faces, split, data.metadata_path) for split in splits}
    return _corpus(data.faces, rows)


def _corpus(faces: Faces, rows: Mapping[str, np.ndarray]) -> Corpus:
    """A corpus of the *rows* of each split."""
    labels = {
        split: dict(
            zip([faces.paths[row] for row in own], faces.class_ids(own).tolist(), strict=True)
        )
        for split, own in rows.items()
    }
    group = dict(zip(faces.paths, groups_of(faces), strict=True))
    conditions = {split: faces.conditions(own) for split, own in rows.items()}
    return Corpus.of(faces.classes, labels, group, conditions)


def _cross_validated(data: ScoredData) -> Corpus:
    """A corpus in which each split holds every image; conditions are learnt without its fold."""
    faces = data.faces
    everything = np.arange(len(faces))
    whole = _corpus(faces, dict.fromkeys(("train", *HELD_OUT), everything))
    answers: dict[str, dict[str, int]] = {name: {} for name in whole.conditions}
    for fold in range(faces.description.folds or 0):
        part = faces.for_fold(fold)
        found = _corpus(part, {split: part.rows_of(split) for split in ("train", "test")})
        for name, own in found.conditions.items():
            answers[name] |= own
    return replace(whole, conditions=answers)


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
        predicted: as `read_regressed` gives them.
        labels: as `labels.labels_of` gives them; values without any label have no score.
        group: number of the group of each image.
    """
    groups = np.array([group[path] for path in predicted["id"].tolist()])
    found = {}
    for name, (true, known) in _known(predicted["id"], labels).items():
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


def evaluate(
    run: ScoredRun[FaceRun],
    *,
    predictions_path: Path,
    data: ScoredData,
    data_paths: Sequence[Path],
    audit_path: Path,
    blur_path: Path | None,
    result_split: str,
    figures: Path,
) -> None:
    """Score one run: metrics.json, run.json and the figures.

    Args:
        run: what is scored, and where its records go.
        predictions_path: predictions.jsonl of the run.
        data: that it is scored on.
        data_paths: the images and their table.
        audit_path: audit.json of its data, for the images that have a twin in training.
        blur_path: blur.json of the run; None for data without proxies.
        result_split: the split whose scores are the result.
        figures: folder of the figures.

    Raises:
        DataError: an input does not hold what it should.
    """
    result_split = data.result_split(result_split)
    folded = data.faces.folds is not None
    corpus = corpus_of(data, result_split)
    predictions = read_predictions(predictions_path, corpus, held_out(result_split))
    # Whatever a fold predicts, all that is like it is in the same fold.
    overlapping = (
        set() if folded else overlapping_images(audit_path, result_split, run.recipe.train_on)
    )
    scored = scored_record(predictions, corpus, overlapping, None, run.bootstrap, result_split)
    del scored["comparison"]
    regressed = read_regressed(predictions_path, result_split, data.regressed)
    scored["metrics"] |= regression_metrics(regressed, data, corpus.group, run.bootstrap)
    blur = {} if blur_path is None else {"blur_test": read_json(blur_path)}
    record = {
        **run.header(
            "face",
            TASK_VERSION,
            method=run.recipe.method,
            model=run.recipe.model if run.recipe.method == "backbone" else run.recipe.method,
            data={
                "split": CROSS_VALIDATION if folded else result_split,
                "n": scored.pop("n"),
                "groups": scored.pop("groups"),
                "classes": list(corpus.classes),
            },
            data_paths=data_paths,
        ),
        "details": {
            **earlier_use(run.recipe, result_split, scored["calibration"]["fitted_on"]),
            "output_histograms": output_histograms(regressed),
            **blur,
        },
        **scored,
    }
    _draw_classes(figures, record, predictions[result_split])
    if data.regressed:
        _draw_outputs(figures / "outputs", regressed, data.labels)
    else:
        _draw_counts(figures / "outputs", record["per_class"])
    run.write(record)


def earlier_use(run: FaceRun, result_split: str, fitted_on: str) -> dict[str, Any]:
    """Tell which steps of *run* used the images of *result_split* before they are scored.

    The temperature was fitted on the split *fitted_on*.
    """
    return {
        "train_on": run.train_on,
        "seen_in_training": result_split in run.train_on,
        "selected_on_result": result_split == run.select_on,
        "temperature_on_result": result_split == fitted_on,
        "temperature_on_training": fitted_on in run.train_on,
    }


def output_histograms(regressed: Mapping[str, np.ndarray]) -> dict[str, dict[str, list[float]]]:
    """Edges and counts of each value of `read_regressed`."""
    counts = {
        name: np.histogram(values, HISTOGRAM_EDGES)[0]
        for name, values in regressed.items()
        if name != "id"
    }
    edges = HISTOGRAM_EDGES.tolist()
    return {name: {"edges": edges, "counts": found.tolist()} for name, found in counts.items()}


def overlapping_images(
    audit_path: Path | str, result_split: str, train_on: Sequence[str]
) -> set[str]:
    """Images of the result split with a pixel-identical twin in another split that is trained on.

    Raises:
        DataError: the audit lacks one of these lists.
    """
    audit = read_json(audit_path)
    found: set[str] = set()
    for pair in (f"{result_split}_in_{seen}" for seen in train_on if seen != result_split):
        try:
            found |= set(audit["overlap"][pair])
        except (KeyError, TypeError) as error:
            raise DataError(audit_path, None, f"expected the list overlap.{pair}") from error
    return found


def compare(
    *,
    metrics_paths: Sequence[Path],
    predictions_paths: Sequence[Path],
    data: Mapping[str, ScoredData],
    result_split: str,
    bootstrap: Bootstrap,
    schema: Path,
    output_path: Path,
) -> None:
    """Hold all runs against each other: comparison.json.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        data: name of a data set -> the data.
        result_split: the split whose scores are the result.
        bootstrap: of the intervals.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    corpora = {name: corpus_of(one, one.result_split(result_split)) for name, one in data.items()}
    runs = read_runs(
        metrics_paths, predictions_paths, corpora, bootstrap, splits=held_out(result_split)
    )
    regressed: dict[str, list[dict[str, Score]]] = {}
    for metrics_path, predictions_path in zip(metrics_paths, predictions_paths, strict=True):
        header = read_json(metrics_path)
        name = header["data"]["name"]
        one = data[name]
        split = one.result_split(result_split)
        predicted = read_regressed(predictions_path, split, one.regressed)
        regressed.setdefault(header["run"], []).append(
            regression_scores(predicted, one.labels, corpora[name].group)
        )
    record = comparison_record(
        "face",
        [with_regressed(run, regressed[run.name], bootstrap) for run in runs],
        baseline=None,
        headline=COMPARED,
        compared=COMPARED,
        bootstrap=bootstrap,
    )
    write_record(output_path, record, schema)


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


def _draw_classes(figures: Path, record: Mapping[str, Any], shown: Predictions) -> None:
    """Draw the confusion matrix and the reliability of the predictions *shown*."""
    from affectlab.evaluation import plots

    confusion = np.array(record["confusion_matrix"])
    plots.confusion_matrix(figures / "confusion_matrix", confusion, record["data"]["classes"])
    scaled = reliability_at(shown, record["calibration"]["temperature"])
    curves = {"as trained": reliability_at(shown, 1.0), "after temperature scaling": scaled}
    plots.reliability(figures / "reliability", curves)


def _draw_outputs(
    stem: Path, predicted: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> None:
    """Draw the distributions of the regressed values and of their labels."""
    from affectlab.evaluation.plots import BLUE, ORANGE, figure

    known = np.isin(labels["image_path"], predicted["id"])
    titles = ("valence", "arousal", '"IQ" proxy (raw)', '"EQ" proxy (raw)')
    shown = [name for name in LIMITS if name in predicted]
    rows = len(shown) // 2
    with figure(stem, 8.0, 3.0 * rows) as drawing:
        panels = drawing.subplots(rows, 2).ravel()
        for axes, title, name in zip(panels, titles, shown, strict=False):
            limit = LIMITS[name]
            edges = np.linspace(-limit, limit, 41)
            true = labels[name][known]
            axes.hist(true[~np.isnan(true)], edges, color=BLUE, alpha=0.6, label="label")
            axes.hist(predicted[name], edges, histtype="step", color=ORANGE, label="network")
            axes.set_xlabel(title)
            axes.set_ylabel("images")
        drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _draw_counts(stem: Path, per_class: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw how many images are labelled as each class, and how many are predicted to be of it."""
    from affectlab.evaluation.plots import BLUE, ORANGE, figure

    places = np.arange(len(per_class))
    with figure(stem, 8.0, 3.0) as drawing:
        axes = drawing.subplots()
        for shift, key, colour, label in (
            (-0.2, "support", BLUE, "label"),
            (0.2, "predicted", ORANGE, "network"),
        ):
            counts = [entry[key] for entry in per_class.values()]
            axes.bar(places + shift, counts, 0.4, color=colour, label=label)
        axes.set_xticks(places, list(per_class))
        axes.set_ylabel("images")
        drawing.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)

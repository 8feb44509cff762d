"""Compare all runs: comparison.json, and the figure that holds every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from affectlab.audio.figures import forest
from affectlab.audio.label_set_predictions import PredictedSets, read_set_predictions
from affectlab.audio.label_set_scores import label_set_trials
from affectlab.audio.number_predictions import PredictedNumbers, read_number_predictions
from affectlab.audio.number_scores import number_trials, scale_of
from affectlab.audio.predictions import (
    GROUPED,
    Corpus,
    Predicted,
    read_corpus,
    read_predictions,
)
from affectlab.audio.refits import REFITTED
from affectlab.audio.score_intervals import repeated_decisions
from affectlab.audio.scores import headline_of, predicts_label_sets
from affectlab.config.models import Bootstrap
from affectlab.evaluation.comparison import (
    Resamples,
    Run,
    Trials,
    comparison_record,
    joined_records,
)
from affectlab.evaluation.plots import figures_of
from affectlab.evaluation.records import read_metrics, write_record

T = TypeVar("T", Predicted, PredictedNumbers, PredictedSets)


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    data_paths: Mapping[str, tuple[Path | str, Path | str]],
    baseline: str | None,
    bootstrap: Bootstrap,
    schema: Path | str,
    output_path: Path | str,
    forest_path: Path,
) -> None:
    """Compare all runs: comparison.json, and a figure with every run.

    Args:
        metrics_paths: metrics.json of every run and seed, in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        data_paths: records.jsonl and measures.jsonl by name of the data set.
        baseline: name of the run that others on its data and task are compared with.
        bootstrap: of the intervals.
        schema: schema of comparison.json.
        output_path: where it goes.
        forest_path: where the figure goes, without an ending.
    """
    runs: dict[str, list[tuple[dict[str, Any], Path | str]]] = {}
    for metrics_path, predictions_path in zip(metrics_paths, predictions_paths, strict=True):
        record = read_metrics(metrics_path)
        runs.setdefault(record["run"], []).append((record, predictions_path))
    parts: dict[tuple[str, ...], list[Run]] = {}
    for seeds in runs.values():
        record = seeds[0][0]
        data, details = record["data"], record["details"]
        corpus = read_corpus(*data_paths[data["name"]], details["task"], details["unit"])
        read = _class_run
        if "numbers" in data:
            read = _number_run
        elif predicts_label_sets(data):
            read = _label_set_run
        parts.setdefault(headline_of(data), []).append(read(seeds, corpus, bootstrap))
    comparison = joined_records(
        [
            comparison_record(
                "audio",
                own,
                baseline=baseline,
                headline=headline,
                compared=headline,
                bootstrap=bootstrap,
            )
            for headline, own in parts.items()
        ]
    )
    with figures_of(f"all {len(comparison['runs'])} runs, means over their seeds"):
        forest(forest_path, comparison["runs"])
    write_record(output_path, comparison, schema)


Seeds = Sequence[tuple[Mapping[str, Any], Path | str]]
"""Of one run: metrics.json, and the path of predictions.jsonl, of each seed."""


def _class_run(seeds: Seeds, corpus: Corpus, bootstrap: Bootstrap) -> Run:
    """A run that predicts classes."""
    data = seeds[0][0]["data"]
    main, classes = data["split"], data["classes"]
    each = [read_predictions(path, classes, corpus, main)[main] for _, path in seeds]

    def trials(one: Predicted, draws: Resamples) -> Mapping[str, Trials]:
        return repeated_decisions(one, len(classes), draws.sums)

    bounds = dict.fromkeys(seeds[0][0]["metrics"], (0.0, 1.0))
    return _run([record for record, _ in seeds], each, trials, bounds, bootstrap)


def _number_run(seeds: Seeds, corpus: Corpus, bootstrap: Bootstrap) -> Run:
    """A run that predicts numbers."""
    data = seeds[0][0]["data"]
    main, names = data["split"], data["numbers"]
    each = [read_number_predictions(path, names, corpus, main)[main] for _, path in seeds]

    def trials(one: PredictedNumbers, draws: Resamples) -> Mapping[str, Trials]:
        return number_trials(one.true, one.values, one.subjects, names, draws.sums)

    bounds = {name: scale_of(name).bounds for name in seeds[0][0]["metrics"]}
    return _run([record for record, _ in seeds], each, trials, bounds, bootstrap)


def _label_set_run(seeds: Seeds, corpus: Corpus, bootstrap: Bootstrap) -> Run:
    """A run that predicts several classes for each item."""
    data = seeds[0][0]["data"]
    main, classes = data["split"], data["classes"]
    each = [read_set_predictions(path, classes, corpus, main)[main] for _, path in seeds]

    def trials(one: PredictedSets, draws: Resamples) -> Mapping[str, Trials]:
        return label_set_trials(one, draws.sums)

    bounds = dict.fromkeys(seeds[0][0]["metrics"], (0.0, 1.0))
    return _run([record for record, _ in seeds], each, trials, bounds, bootstrap)


def _run(
    records: Sequence[Mapping[str, Any]],
    each: Sequence[T],
    trials_of: Callable[[T, Resamples], Mapping[str, Trials]],
    bounds: Mapping[str, tuple[float, float]],
    bootstrap: Bootstrap,
) -> Run:
    """A run from the record and the predictions of each seed.

    Where seeds hold out clips of their own, no resample is common to them: such a run is in no
    pair. The random part of a cross-validated probe is the draw of its folds, so each repeat is
    one of the recipe's trials.
    """
    record, first = records[0], each[0]
    trials: dict[str, Trials] = {}
    repeats: dict[str, Trials] = {}
    if len({predicted.ids for predicted in each}) == 1:
        draws = Resamples(first.subjects, bootstrap.resamples, bootstrap.seed)
        of_seeds = [trials_of(one, draws) for one in each]
        for name in of_seeds[0]:
            own = [one[name] for one in of_seeds]
            repeats[name] = Trials(
                np.concatenate([one.values for one in own]),
                np.concatenate([one.replicates for one in own]),
            )
            trials[name] = Trials(
                np.array([one.mean for one in own]),
                np.array([one.replicates.mean(axis=0) for one in own]),
            )
    return Run(
        records=records,
        items=(record["data"]["name"], record["method"], first.ids),
        trials=trials,
        bounds=bounds,
        repeats=repeats,
        refit_factor=REFITTED if record["data"]["split"] == GROUPED else 1.0,
    )

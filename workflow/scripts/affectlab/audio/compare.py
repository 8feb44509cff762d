"""Compare all runs: comparison.json, and the figure that holds every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.audio.figures import forest
from affectlab.audio.predictions import GROUPED, Predicted, read_corpus, read_predictions
from affectlab.audio.score_intervals import repeated_decisions
from affectlab.audio.scores import DECISIONS, HEADLINE
from affectlab.config.models import Bootstrap
from affectlab.evaluation.comparison import Resamples, Run, Trials, comparison_record
from affectlab.evaluation.records import read_metrics, write_record

REFITTED = 2.25
"""How often the variance over subjects counts in a pair of cross-validated probes.

The folds share most of their training subjects, so the scores of different test folds are not
independent. Nadeau and Bengio (Machine Learning 52 (2003) 239, doi 10.1023/A:1024068626366) add
test over training size to the 1 over the number J of folds: the variance counts 1 + J / (J - 1)
times, 2.25 for five folds.
"""


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
    runs: dict[str, list[tuple[dict[str, Any], Predicted]]] = {}
    for metrics_path, predictions_path in zip(metrics_paths, predictions_paths, strict=True):
        record = read_metrics(metrics_path)
        data, details = record["data"], record["details"]
        corpus = read_corpus(*data_paths[data["name"]], details["task"], details["unit"])
        main = data["split"]
        predicted = read_predictions(predictions_path, data["classes"], corpus, main)[main]
        runs.setdefault(record["run"], []).append((record, predicted))
    comparison = comparison_record(
        "audio",
        [_run(seeds, bootstrap) for seeds in runs.values()],
        baseline=baseline,
        headline=HEADLINE,
        compared=HEADLINE,
        bootstrap=bootstrap,
    )
    forest(forest_path, comparison["runs"])
    write_record(output_path, comparison, schema)


def _run(seeds: Sequence[tuple[Mapping[str, Any], Predicted]], bootstrap: Bootstrap) -> Run:
    """A run from the record and the predictions of each seed.

    Where seeds hold out clips of their own, no resample is common to them: such a run is in no
    pair. The random part of a cross-validated probe is the draw of its folds, so each repeat is
    one of the recipe's trials.
    """
    record, first = seeds[0]
    trials: dict[str, Trials] = {}
    repeats: dict[str, Trials] = {}
    if len({predicted.ids for _, predicted in seeds}) == 1:
        draws = Resamples(first.subjects, bootstrap.resamples, bootstrap.seed)
        classes = len(record["data"]["classes"])
        of_seeds = [repeated_decisions(one, classes, draws.sums) for _, one in seeds]
        for name in DECISIONS:
            each = [one[name] for one in of_seeds]
            repeats[name] = Trials(
                np.concatenate([one.values for one in each]),
                np.concatenate([one.replicates for one in each]),
            )
            trials[name] = Trials(
                np.array([one.mean for one in each]),
                np.array([one.replicates.mean(axis=0) for one in each]),
            )
    return Run(
        records=[one for one, _ in seeds],
        items=(record["data"]["name"], record["method"], first.ids),
        trials=trials,
        bounds=dict.fromkeys(record["metrics"], (0.0, 1.0)),
        repeats=repeats,
        refit_factor=REFITTED if record["data"]["split"] == GROUPED else 1.0,
    )

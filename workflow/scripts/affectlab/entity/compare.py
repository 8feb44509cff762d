"""Bring the seeds of each run together, and hold runs on the same data against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.entity.evaluate import replicates, scorable, stored_calibration
from affectlab.entity.predictions import read_corpora
from affectlab.evaluation import stats
from affectlab.evaluation.classification import outside_scope
from affectlab.evaluation.comparison import Run, Trials, comparison_record
from affectlab.evaluation.records import read_metrics, write_record

HEADLINE = ("accuracy", "macro_f1", "non_neutral_accuracy")
COMPARED = ("accuracy", "macro_f1")


class Seed(NamedTuple):
    """One scored model of a run.

    Attributes:
        record: its metrics.json.
        replicates: score -> its values for resampled groups.
        ids: of the scored targets.
    """

    record: dict[str, Any]
    replicates: dict[str, stats.Floats]
    ids: tuple[str, ...]


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    model_directories: Sequence[Sequence[Path | str]],
    records_paths: Mapping[str, Path | str],
    description_paths: Mapping[str, Path | str],
    bootstrap: Bootstrap,
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Bring the seeds of each run together and hold runs on the same data against each other.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.parquet of the same, in the same order.
        model_directories: model directories of each of the same, in the same order; of a
            cross-validation one of each fold, where somebody else predicted none.
        records_paths: records.jsonl by name of the data set.
        description_paths: description.json by name of the data set.
        bootstrap: of the intervals.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    corpora = {
        name: read_corpora(path, description_paths[name]) for name, path in records_paths.items()
    }
    runs: dict[str, list[Seed]] = {}
    for metrics_path, predictions_path, directories in zip(
        metrics_paths, predictions_paths, model_directories, strict=True
    ):
        record = read_metrics(metrics_path)
        own = corpora[record["data"]["name"]]
        calibrations = [stored_calibration(path, own[0].whole_texts) for path in directories]
        scope = outside_scope(record) if "outside" in record["details"] else None
        test = scorable(predictions_path, own, calibrations, scope)[0]["test"]
        drawn = replicates(test.table, test.groups, bootstrap)
        runs.setdefault(record["run"], []).append(Seed(record, drawn, test.ids))
    record = comparison_record(
        "entity",
        [_run(seeds) for seeds in runs.values()],
        baseline=None,
        headline=_headline([one.record for seeds in runs.values() for one in seeds]),
        compared=COMPARED,
        bootstrap=bootstrap,
    )
    write_record(output_path, record, schema)


def _headline(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those of `HEADLINE` that a run has; data without a neutral class have not all of them."""
    return [name for name in HEADLINE if any(name in one["metrics"] for one in records)]


def _run(seeds: Sequence[Seed]) -> Run:
    """A run from its seeds."""
    records = [one.record for one in seeds]
    names = [name for name in records[0]["metrics"] if all(name in r["metrics"] for r in records)]
    return Run(
        records=records,
        items=(records[0]["data"]["name"], seeds[0].ids),
        trials={
            name: Trials(
                np.array([record["metrics"][name]["value"] for record in records]),
                np.array([one.replicates[name] for one in seeds]),
            )
            for name in names
        },
        bounds={name: _bounds(name) for name in names},
    )


def _bounds(name: str) -> tuple[float, float]:
    """Lowest and highest value that a score can have."""
    if name.endswith("spearman"):
        return -1.0, 1.0
    return 0.0, float("inf") if name.startswith("nll") else 1.0

"""Compare all runs of the experiment, on data with classes and on data with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from affectlab.config.models import Bootstrap
from affectlab.emotion.data import Data
from affectlab.emotion.evaluate import corpus_of
from affectlab.emotion.evaluate_numbers import rated_corpus_of
from affectlab.emotion.methods import SEEDLESS
from affectlab.emotion.ratings import Ratings
from affectlab.evaluation import classification, regression
from affectlab.evaluation.comparison import Run, comparison_record
from affectlab.evaluation.records import read_metrics, write_record


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    data: Mapping[str, Data | Ratings],
    baseline: str | None,
    bootstrap: Bootstrap,
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Compare all runs on the same items: comparison.json.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        data: name of a data set -> the data.
        baseline: name of the run that the others are compared with.
        bootstrap: of the intervals.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    classes: list[tuple[Path | str, Path | str]] = []
    numbers: list[tuple[Path | str, Path | str]] = []
    for paths in zip(metrics_paths, predictions_paths, strict=True):
        rated = isinstance(data[read_metrics(paths[0])["data"]["name"]], Ratings)
        (numbers if rated else classes).append(paths)
    parts: list[tuple[Sequence[Run], Sequence[str]]] = []
    if classes:
        corpora = {name: corpus_of(one) for name, one in data.items() if isinstance(one, Data)}
        runs = classification.read_runs(
            [metrics for metrics, _ in classes],
            [predictions for _, predictions in classes],
            corpora,
            bootstrap,
            seedless=SEEDLESS,
        )
        parts.append((runs, classification.COMPARED))
    if numbers:
        rated_corpora = {
            name: rated_corpus_of(one) for name, one in data.items() if isinstance(one, Ratings)
        }
        runs = regression.read_runs(
            [metrics for metrics, _ in numbers],
            [predictions for _, predictions in numbers],
            rated_corpora,
            bootstrap,
            seedless=SEEDLESS,
        )
        parts.append((runs, regression.COMPARED))
    records = [
        comparison_record(
            "emotion",
            runs,
            baseline=baseline,
            headline=compared,
            compared=compared,
            bootstrap=bootstrap,
        )
        for runs, compared in parts
    ]
    # Runs on classes and runs on numbers have no items in common, so there are no other pairs.
    joined = {
        key: [one for record in records for one in record[key]]
        for key in ("headline", "runs", "pairs")
    }
    write_record(output_path, {**records[0], **joined}, schema)

"""Compare all runs of the experiment, whatever they predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from affectlab.config.models import Bootstrap
from affectlab.emotion.evaluate import target_of
from affectlab.emotion.readers import AnyData
from affectlab.emotion.score_classes import ClassTarget
from affectlab.emotion.score_multilabel import MultilabelTarget
from affectlab.emotion.score_numbers import NumberTarget
from affectlab.emotion.scored import Target
from affectlab.evaluation.comparison import Run, comparison_record
from affectlab.evaluation.records import read_metrics, write_record

KINDS = (ClassTarget, NumberTarget, MultilabelTarget)
"""In the order in which comparison.json has their runs."""


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    data: Mapping[str, AnyData],
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
    paths: dict[type[Target], list[tuple[Path | str, Path | str]]] = {kind: [] for kind in KINDS}
    targets = {name: target_of(one) for name, one in data.items()}
    for pair in zip(metrics_paths, predictions_paths, strict=True):
        paths[type(targets[read_metrics(pair[0])["data"]["name"]])].append(pair)
    parts: list[tuple[Sequence[Run], Sequence[str]]] = []
    for kind, own in paths.items():
        if own:
            known = {name: one for name, one in targets.items() if isinstance(one, kind)}
            metrics, predictions = zip(*own, strict=True)
            runs = kind.read_runs(metrics, predictions, known, bootstrap)
            parts.append((runs, next(iter(known.values())).compared))
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
    # Runs of different targets have no items in common, so there are no other pairs.
    joined = {
        key: [one for record in records for one in record[key]]
        for key in ("headline", "runs", "pairs")
    }
    write_record(output_path, {**records[0], **joined}, schema)

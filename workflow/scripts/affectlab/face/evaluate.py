"""Score stored predictions of the face experiment: single runs, and their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.config.checks import WITHOUT_TRAINING
from affectlab.config.models import Bootstrap
from affectlab.datasets.subgroups import read_subgroups
from affectlab.errors import DataError
from affectlab.evaluation.by_subgroup import subgroups_record
from affectlab.evaluation.captions import run_on_data
from affectlab.evaluation.classification import (
    COMPARED,
    CROSS_VALIDATION,
    Predictions,
    Score,
    read_predictions,
    read_runs,
    scored_items,
    scored_record,
    swapped_names_of,
)
from affectlab.evaluation.comparison import comparison_record
from affectlab.evaluation.outside_splits import known_to_others
from affectlab.evaluation.plots import figures_of
from affectlab.evaluation.predictions import scope_of
from affectlab.evaluation.records import ScoredRun, write_record
from affectlab.face.figures import draw_classes, draw_counts, draw_outputs
from affectlab.face.labels import RAW_RANGE
from affectlab.face.outside import regressed_of
from affectlab.face.regressed import (
    read_regressed,
    regression_metrics,
    regression_scores,
    with_regressed,
)
from affectlab.face.scored_data import ScoredData, corpus_of, held_out
from affectlab.face.settings import FaceRun
from affectlab.files.io import read_json

TASK_VERSION = 3
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

HISTOGRAM_EDGES = np.linspace(-RAW_RANGE, RAW_RANGE, 21)


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
    outside_path: Path | None = None,
    subgroups_path: Path | None = None,
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
        outside_path: outside.json, where somebody else predicted.
        subgroups_path: subgroups.jsonl of its data, where the entry names subgroups.

    Raises:
        DataError: an input does not hold what it should.
    """
    result_split = data.result_split(result_split)
    folded = data.faces.folds is not None
    corpus = corpus_of(data, result_split)
    outside = None if outside_path is None else read_json(outside_path)
    predictions = read_predictions(
        predictions_path, corpus, held_out(result_split), scope_of(outside)
    )
    # Whatever a fold predicts, all that is like it is in the same fold.
    overlapping: set[str] | None = (
        set() if folded else overlapping_images(audit_path, result_split, run.recipe.train_on)
    )
    if outside is not None:
        overlapping = known_to_others(outside, overlapping or (), folded=folded)
    scored = scored_record(predictions, corpus, overlapping, None, run.bootstrap, result_split)
    del scored["comparison"]
    regressed = read_regressed(predictions_path, result_split, regressed_of(data, outside))
    scored["metrics"] |= regression_metrics(regressed, data, corpus.group, run.bootstrap)
    fitted_on = None if scored["calibration"] is None else scored["calibration"]["fitted_on"]
    details = _details(run.recipe, result_split, fitted_on, regressed, blur_path)
    if outside is not None:
        swapped = swapped_names_of(predictions[result_split], corpus, run.bootstrap.level)
        details["outside"] = {**outside, **swapped}
    record = {
        **run.header(
            "face",
            TASK_VERSION,
            method=run.recipe.method,
            model=run.recipe.model_name,
            data={
                "split": CROSS_VALIDATION if folded else result_split,
                "n": scored.pop("n"),
                "groups": scored.pop("groups"),
                "classes": list(corpus.classes),
            },
            data_paths=data_paths,
        ),
        "details": details,
        **scored,
        **subgroups_record(
            read_subgroups(subgroups_path),
            lambda: scored_items(predictions[result_split], corpus, run.bootstrap.level),
            run.bootstrap,
        ),
    }
    with figures_of(run_on_data(record)):
        _draw(figures, record, predictions[result_split], regressed, data.labels)
    run.write(record)


def _details(
    recipe: FaceRun,
    result_split: str,
    fitted_on: str | None,
    regressed: Mapping[str, np.ndarray],
    blur_path: Path | None,
) -> dict[str, Any]:
    """What a record holds in addition to its scores."""
    blur = {} if blur_path is None else {"blur_test": read_json(blur_path)}
    return {
        **earlier_use(recipe, result_split, fitted_on),
        "output_histograms": output_histograms(regressed),
        **blur,
    }


def _draw(
    figures: Path,
    record: Mapping[str, Any],
    shown: Predictions,
    regressed: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
) -> None:
    """Draw the figures of a record: classes, and regressed values where there are any."""
    draw_classes(figures, record, shown, reliability=record["method"] not in WITHOUT_TRAINING)
    if len(regressed) > 1:
        draw_outputs(figures / "outputs", regressed, labels)
    else:
        draw_counts(figures / "outputs", record["per_class"])


def earlier_use(run: FaceRun, result_split: str, fitted_on: str | None) -> dict[str, Any]:
    """Tell which steps of *run* used the images of *result_split* before they are scored.

    The temperature was fitted on the split *fitted_on*; None where there is none. Which split chose
    the weights of somebody else's model is not known.
    """
    chosen_on = None if run.method in WITHOUT_TRAINING else run.select_on
    return {
        "train_on": run.train_on,
        "seen_in_training": result_split in run.train_on,
        "selected_on_result": result_split == chosen_on,
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
        names = regressed_of(one, header["details"].get("outside"))
        predicted = read_regressed(predictions_path, split, names)
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

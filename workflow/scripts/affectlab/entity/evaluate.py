"""Score stored predictions: one run by itself, and all runs against each other.

Everything here is computed from the stored predictions, so a score can be recomputed, or a new one
added, without training again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.entity import score_intervals, scores
from affectlab.entity.predictions import Corpus, read_corpora, read_predictions
from affectlab.entity.settings import EntityRun
from affectlab.evaluation import stats
from affectlab.evaluation.calibration import calibration_metric
from affectlab.evaluation.comparison import Run, Trials, comparison_record
from affectlab.evaluation.records import ScoredRun, metric, read_metrics, write_record
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json

CROSS_VALIDATION = "cross-validation"
"""Stands for the split where every item was predicted once, without its fold."""

TASK_VERSION = 2
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

HEADLINE = ("accuracy", "macro_f1", "non_neutral_accuracy")
COMPARED = ("accuracy", "macro_f1")


@dataclass(frozen=True, slots=True)
class Scorable:
    """What a run predicted of the items of a split, ready to be scored.

    Attributes:
        table: as `scores.columns` gives it, of all folds.
        groups: group of each item, (n,).
        first: the items of the first fold; all of them without folds.
    """

    table: dict[str, stats.Array]
    groups: stats.Integers
    first: scores.Items


def evaluate(
    run: ScoredRun[EntityRun],
    *,
    predictions_path: Path | str,
    records_path: Path | str,
    description_path: Path | str,
    model_directories: Sequence[Path | str],
    figures: Path | str,
) -> None:
    """Score one run: metrics.json, run.json and the figures.

    Args:
        run: what is scored, and where its records go.
        predictions_path: predictions.parquet of the run.
        records_path: records.jsonl of its data.
        description_path: description.json of its data.
        model_directories: of the run, for calibration and prototypes; of a cross-validation one of
            each fold.
        figures: folder of the figures.

    Raises:
        DataError: an input does not hold what it should.
    """
    corpora = read_corpora(records_path, description_path)
    calibrations = [
        stored_calibration(directory, corpora[0].whole_texts) for directory in model_directories
    ]
    classes = corpora[0].classes
    found = scorable(predictions_path, corpora, calibrations)
    splits = {split: _scored_split(items, classes, run.bootstrap) for split, items in found.items()}
    test, table = splits.pop("test"), found["test"].table
    bins = kappa_bins(table)
    scored_on = "test" if len(corpora) == 1 else CROSS_VALIDATION
    record = {
        "metrics": test.pop("metrics"),
        "other_splits": splits,
        "per_class": per_class(table["truth"], table["decided"], classes),
        "calibration": {
            "temperature": fmean(one["temperature"] for one in calibrations),
            "fitted_on": "validation",
            "bins": scores.BINS,
        },
        "details": {**_details(found, calibrations), "kappa_bins": bins},
        **run.header(
            "entity",
            TASK_VERSION,
            method=run.recipe.method,
            model=run.recipe.model,
            data={"split": scored_on, **test, "classes": list(classes)},
            data_paths=(records_path,),
        ),
    }
    if not corpora[0].whole_texts:
        record["confusion_matrix"] = stats.confusion_matrix(
            table["truth"].argmax(axis=1), table["decided"].argmax(axis=1), len(classes)
        ).tolist()
    _draw(Path(figures), found["test"], calibrations, bins, classes)
    run.write(record)


def scorable(
    predictions_path: Path | str,
    corpora: Sequence[Corpus],
    calibrations: Sequence[Mapping[str, Any]],
) -> dict[str, Scorable]:
    """Read the predictions of a run: split -> its items.

    Args:
        predictions_path: predictions.parquet of the run.
        corpora: the data; of a cross-validation as each fold sees them.
        calibrations: of the model of each corpus, see `stored_calibration`.

    Raises:
        DataError: the predictions are not those of the data.
    """
    parts = read_predictions(predictions_path, corpora)
    found = {}
    for split in parts[0]:
        tables = [
            scores.columns(part[split], calibration, corpus.train_prior, corpus.classes)
            for part, calibration, corpus in zip(parts, calibrations, corpora, strict=True)
        ]
        found[split] = Scorable(
            {name: np.concatenate([table[name] for table in tables]) for name in tables[0]},
            np.concatenate([part[split].groups for part in parts]),
            parts[0][split],
        )
    return found


def _scored_split(items: Scorable, classes: Sequence[str], bootstrap: Bootstrap) -> dict[str, Any]:
    """Sizes and scores of a split, as `metrics.json` holds them."""
    return {
        "n": len(items.groups),
        "groups": len(np.unique(items.groups)),
        "metrics": scored(items.table, items.groups, bootstrap, classes),
    }


def _details(
    found: Mapping[str, Scorable], calibrations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Describe the concentrations, the prototypes, and what was fitted on validation.

    Of a cross-validation each fold has its own scale of kappa, and none is given.
    """
    mean_kappa = float(found["test"].table["kappa"].mean())
    single = calibrations[0] if len(calibrations) == 1 else {"kappa": None, "thresholds": None}
    return {
        "mean_kappa": mean_kappa,
        "validation_mean_kappa": float(found["validation"].table["kappa"].mean()),
        "mean_cosine_of_mean_kappa": float(scores.mean_cosine(np.array(mean_kappa))),
        "mean_prototype_cosine": fmean(
            scores.mean_pairwise_cosine(one["prototypes"]) for one in calibrations
        ),
        "kappa_scale": single["kappa"],
        "thresholds": single["thresholds"],
    }


def _draw(
    folder: Path,
    test: Scorable,
    calibrations: Sequence[Mapping[str, Any]],
    bins: Sequence[Mapping[str, float]],
    classes: Sequence[str],
) -> None:
    """Draw the figures of the test split; the map of one model, so of the first fold."""
    from affectlab.entity.figures import embedding_map, kappa_plot
    from affectlab.evaluation import plots

    kappa_plot(folder / "kappa", bins, test.table)
    embedding_map(
        folder / "map",
        test.first.mu,
        calibrations[0]["prototypes"],
        {name: column[: len(test.first.mu)] for name, column in test.table.items()},
        classes,
        "the test split" if len(calibrations) == 1 else "the first fold",
    )
    curves = {"as trained": "ece", "after temperature scaling": "ece_calibrated"}
    plots.reliability(
        folder / "reliability",
        {
            label: stats.reliability_of_sums(test.table[name].sum(axis=0))
            for label, name in curves.items()
        },
    )


@checked("model_directory", check_directory)
def stored_calibration(model_directory: Path | str, whole_texts: bool) -> dict[str, Any]:
    """A model's calibration for whole texts or for spans, and its unit ``prototypes``."""
    from safetensors.numpy import load_file

    folder = Path(model_directory)
    prototypes = load_file(folder / "heads.safetensors")["prototypes"].astype(np.float64)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    kind = "texts" if whole_texts else "spans"
    return {**read_json(folder / "gbert.json")["calibration"][kind], "prototypes": prototypes}


def replicates(
    table: Mapping[str, stats.Array], groups: stats.Integers, bootstrap: Bootstrap
) -> dict[str, stats.Floats]:
    """Every score of every resample: name -> (resamples,), the same groups for equal seeds."""
    each = [
        scores.score(table, items)
        for items in stats.resampled_items(groups, bootstrap.resamples, bootstrap.seed)
    ]
    return {name: np.array([one[name] for one in each]) for name in each[0]}


def scored(
    table: Mapping[str, stats.Array],
    groups: stats.Integers,
    bootstrap: Bootstrap,
    classes: Sequence[str],
) -> dict[str, Any]:
    """All scores with intervals and trivial baselines, as `metrics.json` holds them.

    A score that does not exist for these items is left out; a rank correlation that exists for less
    than half of the resamples has no interval.
    """
    values = scores.score(table, np.arange(len(groups)))
    trivial = {
        name: baseline
        for name, baseline in scores.trivial_scores(table, classes).items()
        if not np.isnan(baseline[1])
    }
    limits = score_intervals.of_counts(table, groups, bootstrap.level)
    limits |= score_intervals.of_means(table, groups, bootstrap.level)
    limits |= score_intervals.of_resamples(
        values, replicates(table, groups, bootstrap), groups, bootstrap.level
    )
    errors = score_intervals.of_calibration(table, groups, bootstrap.level, bootstrap.seed)
    found = {}
    for name, value in values.items():
        if np.isnan(value):
            continue
        if name in errors:
            found[name] = calibration_metric(errors[name])
            continue
        interval = limits.get(name)
        found[name] = metric(
            value,
            scores.DIRECTIONS[name],
            # The value is summed in another order than its interval.
            interval and (min(interval.low, value), max(interval.high, value)),
            trivial.get(name),
        )
    return found


def per_class(truth: stats.Array, decided: stats.Array, classes: Sequence[str]) -> dict[str, Any]:
    """Precision, recall and F1 of each class of decisions, bool (n, K)."""
    hits = (truth & decided).sum(axis=0)
    support, predicted = truth.sum(axis=0), decided.sum(axis=0)
    return {
        name: {
            "precision": float(hits[place] / max(predicted[place], 1)),
            "recall": float(hits[place] / max(support[place], 1)),
            "f1": float(2 * hits[place] / max(support[place] + predicted[place], 1)),
            "support": int(support[place]),
            "predicted": int(predicted[place]),
        }
        for place, name in enumerate(classes)
    }


def kappa_bins(table: Mapping[str, stats.Array]) -> list[dict[str, float]]:
    """For each bin of the concentration its mean, the mean cosine, and the one it predicts."""
    names = ("kappa", "cosine", "foretold_cosine", "entropy")
    return [
        {
            "n": len(part),
            **{name: float(table[name][part].mean()) for name in names},
        }
        for part in scores.kappa_bins(table["kappa"])
    ]


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
            cross-validation one of each fold.
        records_paths: records.jsonl by name of the data set.
        description_paths: description.json by name of the data set.
        bootstrap: of the intervals.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    corpora = {
        name: read_corpora(path, description_paths[name]) for name, path in records_paths.items()
    }
    runs: dict[str, list[tuple[dict[str, Any], dict[str, stats.Floats]]]] = {}
    for metrics_path, predictions_path, directories in zip(
        metrics_paths, predictions_paths, model_directories, strict=True
    ):
        record = read_metrics(metrics_path)
        own = corpora[record["data"]["name"]]
        calibrations = [stored_calibration(path, own[0].whole_texts) for path in directories]
        test = scorable(predictions_path, own, calibrations)["test"]
        drawn = replicates(test.table, test.groups, bootstrap)
        runs.setdefault(record["run"], []).append((record, drawn))
    record = comparison_record(
        "entity",
        [_run(seeds) for seeds in runs.values()],
        baseline=None,
        headline=_headline([record for seeds in runs.values() for record, _ in seeds]),
        compared=COMPARED,
        bootstrap=bootstrap,
    )
    write_record(output_path, record, schema)


def _headline(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those of `HEADLINE` that a run has; data without a neutral class have not all of them."""
    return [name for name in HEADLINE if any(name in one["metrics"] for one in records)]


def _run(seeds: Sequence[tuple[Mapping[str, Any], Mapping[str, stats.Floats]]]) -> Run:
    """A run from the record of each seed and its replicates."""
    records = [record for record, _ in seeds]
    names = [name for name in records[0]["metrics"] if all(name in r["metrics"] for r in records)]
    return Run(
        records=records,
        items=records[0]["data"]["name"],
        trials={
            name: Trials(
                np.array([record["metrics"][name]["value"] for record in records]),
                np.array([drawn[name] for _, drawn in seeds]),
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

"""Score stored predictions: one run by itself, and all runs against each other.

Everything here is computed from the stored predictions, so a score can be recomputed, or a new one
added, without training again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.texts import text_conditions
from affectlab.entity import score_intervals, scores
from affectlab.entity.data import of_split, read_records, targets_of
from affectlab.entity.labels import CLASSES, normalised
from affectlab.entity.settings import EntityRun
from affectlab.errors import DataError, first_line
from affectlab.evaluation import stats
from affectlab.evaluation.calibration import calibration_metric
from affectlab.evaluation.comparison import Run, Trials, comparison_record
from affectlab.evaluation.conditions import predict
from affectlab.evaluation.predictions import SUM_TOLERANCE, Line, check_items, finite_rows
from affectlab.evaluation.records import (
    ScoredRun,
    metric,
    read_metrics,
    write_record,
)
from affectlab.files.integrity import check_directory, check_file, checked
from affectlab.files.io import read_json

TASK_VERSION = 2
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

HELD_OUT = ("validation", "test")
CORRUPTED = ("typos", "dropout")

HEADLINE = ("accuracy", "macro_f1", "non_neutral_accuracy")
COMPARED = ("accuracy", "macro_f1")


class Split(NamedTuple):
    """The labels of one split: ids of the targets, soft labels, intensities, groups."""

    ids: list[str]
    labels: stats.Floats
    intensity: stats.Floats
    groups: stats.Integers


class Corpus(NamedTuple):
    """What evaluation needs of the data: no text, only which texts are the same."""

    splits: dict[str, Split]
    train_prior: stats.Floats
    whole_texts: bool
    conditions: dict[str, stats.Integers]


def read_corpus(records_path: Path | str) -> Corpus:
    """Read labels and groups from the tidy table.

    Near duplicates of one held-out split are a group. Training texts are not scored, so each is
    alone.

    Raises:
        DataError: a split is missing.
    """
    records = read_records(records_path)
    taken = 0
    splits = {}
    texts = {}
    for split in ("train", *HELD_OUT):
        members = of_split(records, split)
        targets = targets_of(members)
        if not targets:
            raise DataError(records_path, None, f"no records of the split {split}")
        own = [record.text for record in members]
        numbers = near_groups(own) if split in HELD_OUT else range(len(own))
        groups = [
            taken + number
            for number, record in zip(numbers, members, strict=True)
            for _ in record.targets
        ]
        taken += len(own)
        texts[split] = text_conditions([record.text for record in members for _ in record.targets])
        splits[split] = Split(
            [target.id for target in targets],
            np.array([normalised(target.label) for target in targets]),
            np.array([target.intensity for target in targets]),
            np.array(groups, dtype=np.int64),
        )
    whole_texts = records[0].targets[0].start is None
    labels = splits["train"].labels.argmax(axis=1)
    conditions = {
        split: np.stack(
            [predict(texts["train"], labels, texts[split], balanced=b) for b in (False, True)],
            axis=1,
        )
        for split in HELD_OUT
    }
    return Corpus(splits, splits["train"].labels.mean(axis=0), whole_texts, conditions)


def read_predictions(path: Path | str, corpus: Corpus) -> dict[str, scores.Items]:
    """Read the predictions of validation and test, in the order of the corpus.

    Raises:
        DataError: the file is no such table, a prediction is impossible, or the items are not
            those of the corpus.
    """
    parts = _predicted_parts(path, corpus)
    found = {}
    for split in HELD_OUT:
        known = corpus.splits[split]
        test = split == "test"
        clean = parts[split, "clean"]
        found[split] = scores.Items(
            labels=known.labels,
            intensity=known.intensity,
            groups=known.groups,
            probabilities=np.array([line.distribution("probabilities", CLASSES) for line in clean]),
            kappa=_kappas(clean),
            mu=_unit_vectors(path, clean),
            pooled=_vectors(path, "pooled", clean, None) if test else None,
            corrupted_kappa={
                variant: _kappas(parts[split, variant]) for variant in CORRUPTED if test
            },
            conditions=corpus.conditions[split],
            whole_texts=corpus.whole_texts,
        )
    return found


@checked("path", check_file)
def _predicted_parts(path: Path | str, corpus: Corpus) -> dict[tuple[str, str], list[Line]]:
    """The predictions of each split and variant, in the order of the corpus."""
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(path, None, f"not a table of predictions: {first_line(error)}") from error
    wanted = {("validation", "clean"), *(("test", variant) for variant in ("clean", *CORRUPTED))}
    found: dict[tuple[str, str], dict[str, Line]] = {key: {} for key in wanted}
    for number, row in enumerate(rows, start=1):
        line = Line(Path(path), f"record {number}", row)
        key = line.text("split"), line.text("variant")
        if key not in wanted:
            raise line.error(f"the split {key[0]} has no variant {key[1]}")
        name = line.text("id")
        if name in found[key]:
            raise line.error(f"a second prediction for {name!r}, {key[1]}")
        line.distribution("probabilities", CLASSES)
        found[key][name] = line
    for (split, variant), lines in sorted(found.items()):
        check_items(path, f"the split {split} ({variant})", lines, corpus.splits[split].ids)
    return {
        key: [lines[name] for name in corpus.splits[key[0]].ids] for key, lines in found.items()
    }


def _kappas(lines: Sequence[Line]) -> stats.Floats:
    """Concentrations, (n,), each above 0.

    Raises:
        DataError: one is not.
    """
    values = np.array([line.number("kappa", 0.0) for line in lines])
    if len(bad := np.flatnonzero(values <= 0)):
        raise lines[bad[0]].error(f"kappa: expected more than 0, found {values[bad[0]]:g}")
    return values


def _vectors(path: Path | str, name: str, lines: Sequence[Line], width: int | None) -> stats.Floats:
    rows = [line.values.get(name) for line in lines]
    return finite_rows(path, name, [line.place for line in lines], rows, width)


def _unit_vectors(path: Path | str, lines: Sequence[Line]) -> stats.Floats:
    """Mean directions, (n, 64), each of unit length.

    Raises:
        DataError: one is not.
    """
    values = _vectors(path, "mu", lines, None)
    lengths = np.linalg.norm(values, axis=1)
    if len(bad := np.flatnonzero(np.abs(lengths - 1) > SUM_TOLERANCE)):
        problem = f"mu: expected a vector of length 1, found {lengths[bad[0]]:g}"
        raise lines[bad[0]].error(problem)
    return values


def evaluate(
    run: ScoredRun[EntityRun],
    *,
    predictions_path: Path | str,
    records_path: Path | str,
    model_directory: Path | str,
    figures: Path | str,
) -> None:
    """Score one run: metrics.json, run.json and the figures.

    Args:
        run: what is scored, and where its records go.
        predictions_path: predictions.parquet of the run.
        records_path: records.jsonl of its data.
        model_directory: of the run, for calibration and prototypes.
        figures: folder of the figures.

    Raises:
        DataError: an input does not hold what it should.
    """
    from affectlab.entity import figures as drawings
    from affectlab.evaluation import plots

    corpus = read_corpus(records_path)
    found = read_predictions(predictions_path, corpus)
    calibration = stored_calibration(model_directory, corpus)
    tables = {
        split: scores.columns(items, calibration, corpus.train_prior)
        for split, items in found.items()
    }
    test, table = found["test"], tables["test"]
    record = {
        **run.header(
            "entity",
            TASK_VERSION,
            method=run.recipe.method,
            model=run.recipe.model,
            data={
                "split": "test",
                "n": len(test.labels),
                "groups": len(np.unique(test.groups)),
                "classes": list(CLASSES),
            },
            data_paths=(records_path,),
        ),
        "metrics": scored(table, test.groups, run.bootstrap),
        "other_splits": {
            "validation": {
                "n": len(found["validation"].labels),
                "groups": len(np.unique(found["validation"].groups)),
                "metrics": scored(tables["validation"], found["validation"].groups, run.bootstrap),
            }
        },
        "per_class": per_class(table["truth"], table["decided"]),
        "calibration": {
            "temperature": calibration["temperature"],
            "fitted_on": "validation",
            "bins": scores.BINS,
        },
        "details": {
            "mean_kappa": float(test.kappa.mean()),
            "validation_mean_kappa": float(found["validation"].kappa.mean()),
            "mean_cosine_of_mean_kappa": float(scores.mean_cosine(test.kappa.mean())),
            "mean_prototype_cosine": scores.mean_pairwise_cosine(calibration["prototypes"]),
            "kappa_scale": calibration["kappa"],
            "thresholds": calibration["thresholds"],
            "kappa_bins": kappa_bins(table),
        },
    }
    if not corpus.whole_texts:
        record["confusion_matrix"] = stats.confusion_matrix(
            table["truth"].argmax(axis=1), table["decided"].argmax(axis=1), len(CLASSES)
        ).tolist()
    folder = Path(figures)
    drawings.kappa_plot(folder / "kappa", record["details"]["kappa_bins"], table)
    drawings.embedding_map(folder / "map", test.mu, np.asarray(calibration["prototypes"]), table)
    plots.reliability(
        folder / "reliability",
        {
            "as trained": stats.reliability_of_sums(table["ece"].sum(axis=0)),
            "after temperature scaling": stats.reliability_of_sums(
                table["ece_calibrated"].sum(axis=0)
            ),
        },
    )
    run.write(record)


@checked("model_directory", check_directory)
def stored_calibration(model_directory: Path | str, corpus: Corpus) -> dict[str, Any]:
    """A model's calibration for the targets of the corpus, and its unit ``prototypes``."""
    from safetensors.numpy import load_file

    folder = Path(model_directory)
    prototypes = load_file(folder / "heads.safetensors")["prototypes"].astype(np.float64)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    kind = "texts" if corpus.whole_texts else "spans"
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
    table: Mapping[str, stats.Array], groups: stats.Integers, bootstrap: Bootstrap
) -> dict[str, Any]:
    """All scores with intervals and trivial baselines, as `metrics.json` holds them.

    A score that does not exist for these items is left out; a rank correlation that exists for less
    than half of the resamples has no interval.
    """
    values = scores.score(table, np.arange(len(groups)))
    trivial = scores.trivial_scores(table)
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
            _existing(trivial, name),
        )
    return found


def per_class(truth: stats.Array, decided: stats.Array) -> dict[str, Any]:
    """Precision, recall and F1 of each class of decisions, bool (n, 28)."""
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
        for place, name in enumerate(CLASSES)
    }


def kappa_bins(table: Mapping[str, stats.Array]) -> list[dict[str, float]]:
    """For each bin of the concentration its mean, the mean cosine, and the one it foretells."""
    order = np.argsort(table["kappa"], kind="stable")
    return [
        {
            "n": len(part),
            "kappa": float(table["kappa"][part].mean()),
            "cosine": float(table["cosine"][part].mean()),
            "foretold_cosine": float(table["foretold_cosine"][part].mean()),
            "entropy": float(table["entropy"][part].mean()),
        }
        for part in np.array_split(order, scores.KAPPA_BINS)
        if len(part)
    ]


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    model_directories: Sequence[Path | str],
    records_paths: Mapping[str, Path | str],
    bootstrap: Bootstrap,
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Bring the seeds of each run together and hold runs on the same data against each other.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.parquet of the same, in the same order.
        model_directories: model directories of the same, in the same order.
        records_paths: records.jsonl by name of the data set.
        bootstrap: of the intervals.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    corpora = {name: read_corpus(path) for name, path in records_paths.items()}
    runs: dict[str, list[tuple[dict[str, Any], dict[str, stats.Floats]]]] = {}
    for metrics_path, predictions_path, directory in zip(
        metrics_paths, predictions_paths, model_directories, strict=True
    ):
        record = read_metrics(metrics_path)
        corpus = corpora[record["data"]["name"]]
        items = read_predictions(predictions_path, corpus)["test"]
        table = scores.columns(items, stored_calibration(directory, corpus), corpus.train_prior)
        drawn = replicates(table, items.groups, bootstrap)
        runs.setdefault(record["run"], []).append((record, drawn))
    record = comparison_record(
        "entity",
        [_run(seeds) for seeds in runs.values()],
        baseline=None,
        headline=HEADLINE,
        compared=COMPARED,
        bootstrap=bootstrap,
    )
    write_record(output_path, record, schema)


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


def _existing(trivial: Mapping[str, tuple[str, float]], name: str) -> tuple[str, float] | None:
    found = trivial.get(name)
    return None if found is None or np.isnan(found[1]) else found

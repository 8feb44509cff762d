"""Score stored predictions: one run by itself, and all runs against each other.

Everything here is computed from the stored predictions, so a score can be recomputed, or a new one
added, without training again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectlab.core import stats
from affectlab.core.conditions import predict
from affectlab.core.errors import DataError
from affectlab.core.io import read_json
from affectlab.core.records import (
    INTERVALS_OVER_SEEDS,
    ScoredRun,
    metric,
    summary_header,
    summary_metric,
    write_record,
)
from affectlab.core.texts import normalise_text, text_conditions
from affectlab.entity import scores
from affectlab.entity.data import of_split, read_records, targets_of
from affectlab.entity.labels import CLASSES, normalised

TASK_VERSION = 2
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

HELD_OUT = ("validation", "test")
DAMAGED = ("typos", "dropout")

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

    Raises:
        DataError: a split is missing.
    """
    records = read_records(records_path)
    numbers: dict[str, int] = {}
    splits = {}
    texts = {}
    for split in ("train", *HELD_OUT):
        members = of_split(records, split)
        targets = targets_of(members)
        if not targets:
            raise DataError(records_path, None, f"no records of the split {split}")
        groups = [
            numbers.setdefault(normalise_text(record.text), len(numbers))
            for record in members
            for _ in record.targets
        ]
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
        DataError: the file is no such table, or its items are not those of the corpus.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path).to_pydict()
        places: dict[tuple[str, str], dict[str, int]] = {}
        for place, key in enumerate(zip(table["split"], table["variant"], strict=True)):
            places.setdefault(key, {})[table["id"][place]] = place
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        raise DataError(path, None, f"not a table of predictions: {error}") from error

    def column(name: str, split: str, variant: str) -> Any:
        rows = places.get((split, variant), {})
        if set(rows) != set(corpus.splits[split].ids):
            raise DataError(
                path, None, f"the {variant} items of the split {split} are not those of the records"
            )
        return [table[name][rows[item]] for item in corpus.splits[split].ids]

    found = {}
    for split in HELD_OUT:
        known = corpus.splits[split]
        test = split == "test"
        found[split] = scores.Items(
            labels=known.labels,
            intensity=known.intensity,
            groups=known.groups,
            conditions=corpus.conditions[split],
            probabilities=np.array(column("probabilities", split, "clean")),
            kappa=np.array(column("kappa", split, "clean")),
            mu=np.array(column("mu", split, "clean")),
            pooled=np.array(column("pooled", split, "clean")) if test else None,
            damaged_kappa={
                variant: np.array(column("kappa", split, variant)) for variant in DAMAGED if test
            },
            whole_texts=corpus.whole_texts,
        )
    return found


def evaluate(
    run: ScoredRun,
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
    from affectlab.core import plots
    from affectlab.entity import figures as drawings

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
            method=run.recipe["method"],
            model=run.recipe["model"],
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


def stored_calibration(model_directory: Path | str, corpus: Corpus) -> dict[str, Any]:
    """A model's calibration for the targets of the corpus, and its unit ``prototypes``."""
    from safetensors.numpy import load_file

    folder = Path(model_directory)
    prototypes = load_file(folder / "heads.safetensors")["prototypes"].astype(np.float64)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    kind = "texts" if corpus.whole_texts else "spans"
    return {**read_json(folder / "gbert.json")["calibration"][kind], "prototypes": prototypes}


def replicates(
    table: Mapping[str, stats.Array], groups: stats.Integers, bootstrap: Mapping[str, Any]
) -> dict[str, stats.Floats]:
    """Every score of every resample: name -> (resamples,), the same groups for equal seeds."""
    each = [
        scores.score(table, items)
        for items in stats.resampled_items(groups, bootstrap["resamples"], bootstrap["seed"])
    ]
    return {name: np.array([one[name] for one in each]) for name in each[0]}


def scored(
    table: Mapping[str, stats.Array], groups: stats.Integers, bootstrap: Mapping[str, Any]
) -> dict[str, Any]:
    """All scores with intervals and trivial baselines, as `metrics.json` holds them.

    A score that does not exist for these items is left out; one that exists for less than half of
    the resamples has no interval.
    """
    values = scores.score(table, np.arange(len(groups)))
    trivial = scores.trivial_scores(table)
    resampled = replicates(table, groups, bootstrap)
    found = {}
    for name, value in values.items():
        if np.isnan(value):
            continue
        known = resampled[name][~np.isnan(resampled[name])]
        interval = None
        if 2 * len(known) >= bootstrap["resamples"]:
            limits = stats.percentile_interval(value, known, bootstrap["level"])
            interval = (limits.low, limits.high)
        found[name] = metric(value, scores.DIRECTIONS[name], interval, _existing(trivial, name))
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
    bootstrap: Mapping[str, Any],
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Bring the seeds of each run together and hold runs on the same data against each other.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.parquet of the same, in the same order.
        model_directories: model directories of the same, in the same order.
        records_paths: records.jsonl by name of the data set.
        bootstrap: ``resamples``, ``level`` and ``seed``.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    corpora = {name: read_corpus(path) for name, path in records_paths.items()}
    runs: dict[str, list[tuple[dict[str, Any], dict[str, stats.Floats]]]] = {}
    for metrics_path, predictions_path, directory in zip(
        metrics_paths, predictions_paths, model_directories, strict=True
    ):
        record = read_json(metrics_path)
        corpus = corpora[record["data"]["name"]]
        items = read_predictions(predictions_path, corpus)["test"]
        table = scores.columns(items, stored_calibration(directory, corpus), corpus.train_prior)
        drawn = replicates(table, items.groups, bootstrap)
        runs.setdefault(record["run"], []).append((record, drawn))
    record = {
        "wing": "entity",
        "baseline": None,
        "headline": list(HEADLINE),
        "interval": {"method": INTERVALS_OVER_SEEDS, **bootstrap},
        "runs": [_summary(seeds, bootstrap["level"]) for seeds in runs.values()],
        "pairs": [
            _pair(first, second, bootstrap["level"])
            for first, second in combinations([seeds[0] for seeds in runs.values()], 2)
            if first[0]["data"]["name"] == second[0]["data"]["name"]
        ],
    }
    write_record(output_path, record, schema)


def _summary(
    seeds: Sequence[tuple[Mapping[str, Any], Mapping[str, stats.Floats]]], level: float
) -> dict[str, Any]:
    """One run over its seeds: mean, spread, and an interval for items and seeds."""
    first = seeds[0][0]
    found = {}
    for name, entry in first["metrics"].items():
        if any(name not in record["metrics"] for record, _ in seeds):
            continue
        of_mean = np.mean([drawn[name] for _, drawn in seeds], axis=0)
        values = [record["metrics"][name]["value"] for record, _ in seeds]
        known = of_mean[~np.isnan(of_mean)]
        summary = stats.seeds_summary(values, known, level, bounds=_bounds(name))
        baselines = [record["metrics"][name]["baseline"] for record, _ in seeds]
        # A baseline may lean on the trained model, as max-probability does: its mean, then.
        baseline = entry["baseline"] and {
            "name": entry["baseline"]["name"],
            "value": float(np.mean([one["value"] for one in baselines])),
        }
        found[name] = summary_metric(
            summary.mean,
            summary.sd,
            (summary.low, summary.high) if 2 * len(known) >= len(of_mean) else None,
            entry["direction"],
            baseline,
        )
    return {**summary_header([record for record, _ in seeds]), "metrics": found}


def _bounds(name: str) -> tuple[float, float]:
    """Lowest and highest value that a score can have."""
    if name.endswith("spearman"):
        return -1.0, 1.0
    return 0.0, float("inf") if name.startswith("nll") else 1.0


def _pair(
    first: tuple[Mapping[str, Any], Mapping[str, stats.Floats]],
    second: tuple[Mapping[str, Any], Mapping[str, stats.Floats]],
    level: float,
) -> dict[str, Any]:
    """Differences of two runs, first minus second, on the same items and resamples."""
    differences = {}
    for name in COMPARED:
        value = first[0]["metrics"][name]["value"] - second[0]["metrics"][name]["value"]
        limits = stats.percentile_interval(value, first[1][name] - second[1][name], level)
        differences[name] = {"value": value, "ci": [limits.low, limits.high]}
    return {
        "first": {"run": first[0]["run"], "seed": first[0]["seed"]},
        "second": {"run": second[0]["run"], "seed": second[0]["seed"]},
        "data": first[0]["data"]["name"],
        "n": first[0]["data"]["n"],
        "differences": differences,
    }


def _existing(trivial: Mapping[str, tuple[str, float]], name: str) -> tuple[str, float] | None:
    found = trivial.get(name)
    return None if found is None or np.isnan(found[1]) else found

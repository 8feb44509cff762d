"""Score stored predictions: one run by itself, and all runs against each other.

Everything here is computed from the per-item predictions, so a score can be recomputed, or a new
one added, without training again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from affectlab.core import stats
from affectlab.core.errors import DataError
from affectlab.core.io import read_json, read_jsonl, sha256_file, write_text
from affectlab.core.records import (
    Direction,
    is_worse,
    metric,
    model_identity,
    process_record,
    write_record,
)
from affectlab.emotion.data import CLASSES, normalise_text, read_records

TASK_VERSION = 1
"""Rises when labels or scoring change, so that only comparable numbers are compared."""

BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017."""

HELD_OUT = ("validation", "test")

CONFUSION_SCORES: dict[str, Callable[[stats.Array], stats.Floats]] = {
    "accuracy": stats.accuracy,
    "macro_f1": stats.macro_f1,
    "micro_f1": stats.micro_f1,
    "macro_precision": stats.macro_precision,
    "macro_recall": stats.macro_recall,
}
"""Scores of decisions: functions of the confusion matrix, higher is better."""

COMPARED = ("accuracy", "macro_f1")
"""Scores whose paired differences between runs are reported."""

SUMMARISED = (*CONFUSION_SCORES, "ece", "ece_calibrated", "nll", "nll_calibrated")
"""Scores that are averaged over seeds."""

_IDS = {name: number for number, name in enumerate(CLASSES)}


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a run said about the items of one split, in the order of their ids.

    ``labels`` and ``predicted`` are ``[n]`` class ids, ``probabilities`` ``[n, K]``.
    """

    ids: tuple[str, ...]
    labels: stats.Integers
    predicted: stats.Integers
    probabilities: stats.Floats

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def correct(self) -> stats.Array:
        """``[n]``, whether each prediction is right."""
        return self.predicted == self.labels

    def without(self, ids: set[str]) -> Predictions:
        """The same predictions less those of the items *ids*."""
        kept = [place for place, name in enumerate(self.ids) if name not in ids]
        return Predictions(
            tuple(self.ids[place] for place in kept),
            self.labels[kept],
            self.predicted[kept],
            self.probabilities[kept],
        )


class Corpus(NamedTuple):
    """What evaluation needs of the data: no text, only which texts are the same.

    ``group`` names the normalised text of each item by a number; ``majority`` is the commonest
    class of the training split (the first of equals), ``prior`` the shares of the classes there.
    """

    labels: dict[str, dict[str, int]]
    group: dict[str, int]
    majority: int
    prior: stats.Floats


class Score(NamedTuple):
    """A score that is a function of sums over groups: see `stats.resample_sums`."""

    direction: Direction
    table: stats.Floats
    statistic: Callable[[stats.Array], stats.Array]


def read_corpus(records_path: Path | str) -> Corpus:
    """Read labels and groups from `records.jsonl`."""
    labels: dict[str, dict[str, int]] = {}
    numbers: dict[str, int] = {}
    group = {}
    for record in read_records(records_path):
        labels.setdefault(record.split, {})[record.id] = _IDS[record.label]
        group[record.id] = numbers.setdefault(normalise_text(record.text), len(numbers))
    for split in ("train", *HELD_OUT):
        if split not in labels:
            raise DataError(records_path, None, f"no records of the split {split}")
    counts = np.bincount(list(labels["train"].values()), minlength=len(CLASSES))
    return Corpus(labels, group, int(np.argmax(counts)), counts / counts.sum())


def read_predictions(path: Path | str, corpus: Corpus) -> dict[str, Predictions]:
    """Read the predictions of the validation and the test split and check them.

    Raises:
        DataError: a line is not a prediction, or the items are not exactly those of the corpus.
    """
    found: dict[str, dict[str, tuple[int, list[float]]]] = {split: {} for split in HELD_OUT}
    for number, line in enumerate(read_jsonl(path), start=1):
        place = f"record {number}"
        try:
            split, name = line["split"], line["id"]
            predicted = _IDS[line["prediction"]]
            probabilities = [float(line["probabilities"][label]) for label in CLASSES]
        except (KeyError, TypeError, ValueError) as error:
            problem = (
                f"expected id, split, prediction and the probabilities of {', '.join(CLASSES)};"
                f" found no proper {error}"
            )
            raise DataError(path, place, problem) from error
        if split not in found or name not in corpus.labels[split]:
            raise DataError(path, place, f"{name!r} is no item of the split {split!r}")
        if name in found[split]:
            raise DataError(path, place, f"a second prediction for {name!r}")
        if line.get("label") not in _IDS or _IDS[line["label"]] != corpus.labels[split][name]:
            raise DataError(path, place, f"the label of {name!r} is not that of the records")
        if not abs(sum(probabilities) - 1) < 1e-3 or min(probabilities) < 0:
            raise DataError(path, place, f"the probabilities of {name!r} are no distribution")
        found[split][name] = predicted, probabilities
    for split, lines in found.items():
        missing = len(corpus.labels[split]) - len(lines)
        if missing:
            raise DataError(path, None, f"no prediction for {missing} items of the split {split}")
    return {split: _as_arrays(lines, corpus.labels[split]) for split, lines in found.items()}


def scores(split: Predictions, calibrated: stats.Floats, groups: Sequence[int]) -> dict[str, Score]:
    """Every score of a split, as tables of sums a group.

    Args:
        split: the predictions.
        calibrated: ``[n, K]``, their probabilities after temperature scaling.
        groups: ``[n]``, the group of each item.
    """
    cells = _confusion_table(split, groups)
    found = {
        name: Score("higher", cells, _of_sums(score)) for name, score in CONFUSION_SCORES.items()
    }
    for suffix, probabilities in (("", split.probabilities), ("_calibrated", calibrated)):
        confidence = probabilities[np.arange(len(split)), split.predicted]
        bins = stats.reliability_columns(confidence, split.correct, BINS)
        loss = stats.log_loss_items(probabilities, split.labels)
        found[f"ece{suffix}"] = Score(
            "lower", stats.group_sums(bins, groups), stats.expected_calibration_error
        )
        found[f"nll{suffix}"] = Score(
            "lower", stats.group_sums(np.c_[loss, np.ones(len(loss))], groups), _mean_of_sums
        )
    return found


def trivial_scores(labels: stats.Integers, corpus: Corpus) -> dict[str, tuple[str, float]]:
    """What the trivial answers reach on the same items: baseline name and value by score.

    The commonest training class for the scores of decisions, the training shares of the classes
    for the log-likelihood. The calibration error has none: the class shares are well calibrated
    by construction, and know nothing of the text.
    """
    guesses = np.full(len(labels), corpus.majority)
    confusion = stats.confusion_matrix(labels, guesses, len(CLASSES))
    found = {
        name: ("majority", float(score(confusion))) for name, score in CONFUSION_SCORES.items()
    }
    shares = np.tile(corpus.prior, (len(labels), 1))
    loss = ("class_shares", float(stats.log_loss_items(shares, labels).mean()))
    return found | {"nll": loss, "nll_calibrated": loss}


def score_split(
    split: Predictions, temperature: float, corpus: Corpus, bootstrap: Mapping[str, Any]
) -> dict[str, Any]:
    """All scores of one split with intervals and trivial baselines, as `metrics.json` holds them.

    Args:
        split: the predictions.
        temperature: fitted on the validation split.
        corpus: groups and class shares.
        bootstrap: ``resamples``, ``level`` and ``seed``.
    """
    groups = [corpus.group[name] for name in split.ids]
    calibrated = stats.apply_temperature(split.probabilities, temperature)
    trivial = trivial_scores(split.labels, corpus)
    metrics = {}
    for name, score in scores(split, calibrated, groups).items():
        found = stats.bootstrap_interval(score.statistic, score.table, **bootstrap)
        metrics[name] = metric(
            found.value, score.direction, (found.low, found.high), trivial.get(name)
        )
    return {"n": len(split), "groups": len(set(groups)), "metrics": metrics}


def compare_two(
    first: Predictions, second: Predictions, corpus: Corpus, bootstrap: Mapping[str, Any]
) -> dict[str, Any]:
    """Two runs on the same items: paired differences with intervals, and McNemar's test.

    The differences are *first* minus *second*.
    """
    if first.ids != second.ids:
        raise ValueError("the two runs did not predict the same items")
    groups = [corpus.group[name] for name in first.ids]
    ours, theirs = (_confusion_table(split, groups) for split in (first, second))
    differences = {}
    for name in COMPARED:
        found = stats.paired_bootstrap(_of_sums(CONFUSION_SCORES[name]), ours, theirs, **bootstrap)
        differences[name] = {"value": found.value, "ci": [found.low, found.high]}
    test = stats.mcnemar(first.correct, second.correct)
    return {
        "differences": differences,
        "mcnemar": {
            "only_ours": test.only_first,
            "only_theirs": test.only_second,
            "exact_p": test.exact_p,
            "chi2": test.chi2,
            "chi2_p": test.chi2_p,
        },
    }


def metrics_record(
    predictions: Mapping[str, Predictions],
    corpus: Corpus,
    overlapping: set[str],
    baseline: Mapping[str, Predictions] | None,
    bootstrap: Mapping[str, Any],
) -> dict[str, Any]:
    """The scores of a run, as `metrics.json` holds them, without what identifies the run.

    Args:
        predictions: of the splits validation and test.
        corpus: labels and groups.
        overlapping: ids of the test items whose text is in train as well.
        baseline: the predictions of the run to compare with, if any.
        bootstrap: ``resamples``, ``level`` and ``seed``.
    """
    validation, test = predictions["validation"], predictions["test"]
    temperature = stats.fit_temperature(validation.probabilities, validation.labels)
    headline = score_split(test, temperature, corpus, bootstrap)
    others = {"validation": score_split(validation, temperature, corpus, bootstrap)}
    remaining = test.without(overlapping)
    if len(remaining):
        others["test_without_overlap"] = score_split(remaining, temperature, corpus, bootstrap)
    confusion = stats.confusion_matrix(test.labels, test.predicted, len(CLASSES))
    each = stats.class_scores(confusion)
    return {
        "metrics": headline["metrics"],
        "n": headline["n"],
        "groups": headline["groups"],
        "other_splits": others,
        "per_class": {
            name: {
                "precision": float(each.precision[place]),
                "recall": float(each.recall[place]),
                "f1": float(each.f1[place]),
                "support": int(each.support[place]),
                "predicted": int(each.predicted[place]),
            }
            for place, name in enumerate(CLASSES)
        },
        "confusion_matrix": confusion.tolist(),
        "calibration": {"temperature": temperature, "fitted_on": "validation", "bins": BINS},
        "comparison": None
        if baseline is None
        else compare_two(test, baseline["test"], corpus, bootstrap),
    }


def evaluate(
    *,
    predictions_path: Path | str,
    records_path: Path | str,
    audit_path: Path | str,
    training_path: Path | str,
    model_manifest_path: Path | str | None,
    baseline: tuple[str, int, Path | str] | None,
    run: str,
    seed: int,
    recipe: Mapping[str, Any],
    bootstrap: Mapping[str, Any],
    threads: int,
    metrics_schema: Path | str,
    run_schema: Path | str,
    metrics_path: Path | str,
    run_path: Path | str,
    text_path: Path | str,
    figures: Path | str,
) -> None:
    """Score one run: metrics.json, run.json, evaluation_results.txt and the figures.

    Args:
        predictions_path: predictions.jsonl of the run.
        records_path: records.jsonl of its data.
        audit_path: audit.json of its data, for the test items that overlap train.
        training_path: training.json of the run.
        model_manifest_path: of the pretrained model; None where the method has none.
        baseline: run name, seed and predictions.jsonl to compare with; None for the baseline
            itself.
        run: name of the run.
        seed: of its training.
        recipe: the run's block of the configuration.
        bootstrap: ``resamples``, ``level`` and ``seed``.
        threads: how many this job was given, for the record.
        metrics_schema: schema of metrics.json.
        run_schema: schema of run.json.
        metrics_path: where metrics.json goes.
        run_path: where run.json goes.
        text_path: where evaluation_results.txt goes.
        figures: folder of the figures.

    Raises:
        DataError: an input does not hold what it should.
    """
    from affectlab.core import plots

    started = time.perf_counter()
    corpus = read_corpus(records_path)
    predictions = read_predictions(predictions_path, corpus)
    against = None if baseline is None else read_predictions(baseline[2], corpus)
    scored = metrics_record(predictions, corpus, overlapping_ids(audit_path), against, bootstrap)
    comparison = scored.pop("comparison")
    manifest = None if model_manifest_path is None else read_json(model_manifest_path)
    record = {
        "wing": "emotion",
        "run": run,
        "protocol": recipe["protocol"],
        "method": recipe["method"],
        "seed": seed,
        "task_version": TASK_VERSION,
        "data": {
            "name": recipe["data"],
            "sha256": sha256_file(records_path),
            "split": "test",
            "n": scored.pop("n"),
            "groups": scored.pop("groups"),
            "classes": list(CLASSES),
        },
        "model": model_identity(recipe.get("model", recipe["method"]), manifest),
        "interval": {"method": "percentile bootstrap over groups", **bootstrap},
        "comparisons": []
        if baseline is None or comparison is None
        else [{"with": baseline[0], "seed": baseline[1], **comparison}],
        **scored,
    }
    folder = Path(figures)
    test = predictions["test"]
    plots.confusion_matrix(
        folder / "confusion_matrix", np.array(record["confusion_matrix"]), CLASSES
    )
    plots.reliability(
        folder / "reliability",
        {
            "as trained": _reliability(test, 1.0),
            "after temperature scaling": _reliability(test, scored["calibration"]["temperature"]),
        },
    )
    write_text(text_path, results_text(record))
    run_record = {
        "wing": "emotion",
        "run": run,
        "seed": seed,
        "training": read_json(training_path),
        "evaluation": process_record(started, threads),
    }
    write_record(run_path, run_record, run_schema)
    write_record(metrics_path, record, metrics_schema)


def overlapping_ids(audit_path: Path | str) -> set[str]:
    """Ids of the test items whose text is in the training split too, as the audit found them."""
    audit = read_json(audit_path)
    try:
        return set(audit["overlap"]["test_in_train"])
    except (KeyError, TypeError) as error:
        raise DataError(audit_path, None, "expected the list overlap.test_in_train") from error


def results_text(record: Mapping[str, Any]) -> str:
    """The text of evaluation_results.txt: headline, classification report, other splits."""
    data = record["data"]
    level = f"{record['interval']['level']:.0%}"
    lines = [
        f"{record['run']}, seed {record['seed']} ({record['protocol']} protocol)",
        f"model: {record['model']['name']}; data: {data['name']}, split {data['split']},"
        f" n = {data['n']}, {data['groups']} different texts, {len(data['classes'])} classes",
        "",
        f"{'metric':<18}{'value':>9}  {level + ' interval':<19}trivial baseline",
        *(_metric_line(name, entry) for name, entry in sorted(record["metrics"].items())),
        "",
        f"temperature {record['calibration']['temperature']:.4f}, fitted on"
        f" {record['calibration']['fitted_on']}; *_calibrated are the scores after it",
        "",
        f"{'class':<12}{'precision':>10}{'recall':>10}{'f1':>10}{'support':>10}",
        *(
            f"{name:<12}{row['precision']:>10.4f}{row['recall']:>10.4f}{row['f1']:>10.4f}"
            f"{row['support']:>10d}"
            for name, row in ((name, record["per_class"][name]) for name in data["classes"])
        ),
    ]
    for split, entry in record["other_splits"].items():
        lines += ["", f"{split}, n = {entry['n']}, {entry['groups']} different texts"]
        lines += [_metric_line(name, entry["metrics"][name]) for name in COMPARED]
    for other in record["comparisons"]:
        lines += ["", f"against {other['with']}, seed {other['seed']}"]
        for name, found in other["differences"].items():
            low, high = found["ci"]
            lines.append(f"{name:<18}{found['value']:>+9.4f}  [{low:+.4f}, {high:+.4f}]")
        test = other["mcnemar"]
        lines.append(
            f"McNemar: {test['only_ours']} items right here alone, {test['only_theirs']} there"
            f" alone; exact p = {test['exact_p']:.3g}"
        )
    return "\n".join(lines) + "\n"


def compare(
    *,
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    records_paths: Mapping[str, Path | str],
    baseline: str | None,
    bootstrap: Mapping[str, Any],
    schema: Path | str,
    output_path: Path | str,
) -> None:
    """Hold all runs against each other: comparison.json.

    Every run is summarised over its seeds. Every pair of runs on the same data is compared by the
    first seed of each (as listed), with McNemar's p adjusted for the number of pairs.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        records_paths: records.jsonl by name of the data set.
        baseline: name of the run that the others are held against.
        bootstrap: ``resamples``, ``level`` and ``seed``.
        schema: schema of comparison.json.
        output_path: where comparison.json goes.
    """
    corpora = {name: read_corpus(path) for name, path in records_paths.items()}
    runs: dict[str, list[tuple[dict[str, Any], Predictions]]] = {}
    for metrics_path, predictions_path in zip(metrics_paths, predictions_paths, strict=True):
        record = read_json(metrics_path)
        corpus = corpora[record["data"]["name"]]
        predictions = read_predictions(predictions_path, corpus)["test"]
        runs.setdefault(record["run"], []).append((record, predictions))
    record = {
        "wing": "emotion",
        "baseline": baseline,
        "headline": ["accuracy", "macro_f1"],
        "interval": {"method": "percentile bootstrap over groups", **bootstrap},
        "runs": [
            summarise(seeds, corpora[seeds[0][0]["data"]["name"]], bootstrap)
            for seeds in runs.values()
        ],
        "pairs": _pairs([seeds[0] for seeds in runs.values()], corpora, bootstrap),
    }
    write_record(output_path, record, schema)


def summarise(
    seeds: Sequence[tuple[Mapping[str, Any], Predictions]],
    corpus: Corpus,
    bootstrap: Mapping[str, Any],
) -> dict[str, Any]:
    """One run over its seeds: mean, spread, and an interval for items and seeds."""
    first = seeds[0][0]
    groups = [corpus.group[name] for name in seeds[0][1].ids]
    each = []
    for record, split in seeds:
        temperature = record["calibration"]["temperature"]
        calibrated = stats.apply_temperature(split.probabilities, temperature)
        each.append(scores(split, calibrated, groups))
    trivial = trivial_scores(seeds[0][1].labels, corpus)
    metrics = {}
    for name in SUMMARISED:
        same = [found[name] for found in each]
        values = [float(score.statistic(score.table.sum(axis=0))) for score in same]
        summary = stats.seeds_summary(
            values, _replicates_of_mean(same, bootstrap), bootstrap["level"]
        )
        base = trivial.get(name)
        # The interval is symmetric about the mean; no share lies outside 0..1.
        upper = float("inf") if name.startswith("nll") else 1.0
        metrics[name] = {
            "mean": summary.mean,
            "sd": summary.sd,
            "ci": [max(summary.low, 0.0), min(summary.high, upper)],
            "direction": same[0].direction,
            "baseline": None if base is None else {"name": base[0], "value": base[1]},
            "below_baseline": base is not None
            and is_worse(summary.mean, base[1], same[0].direction),
        }
    return {
        "run": first["run"],
        "protocol": first["protocol"],
        "method": first["method"],
        "model": first["model"]["name"],
        "data": first["data"]["name"],
        "seeds": [record["seed"] for record, _ in seeds],
        "n": first["data"]["n"],
        "groups": first["data"]["groups"],
        "interval_covers": "items" if len(seeds) == 1 else "items and seeds",
        "metrics": metrics,
    }


def _pairs(
    firsts: Sequence[tuple[Mapping[str, Any], Predictions]],
    corpora: Mapping[str, Corpus],
    bootstrap: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Compare the given predictions two by two, where they are of the same data."""
    pairs = []
    for (one, first), (two, second) in combinations(firsts, 2):
        data = one["data"]["name"]
        if two["data"]["name"] != data:
            continue
        pairs.append(
            {
                "first": {"run": one["run"], "seed": one["seed"]},
                "second": {"run": two["run"], "seed": two["seed"]},
                "data": data,
                "n": len(first),
                **compare_two(first, second, corpora[data], bootstrap),
            }
        )
    for data in corpora:
        same = [pair for pair in pairs if pair["data"] == data]
        adjusted = stats.holm([pair["mcnemar"]["exact_p"] for pair in same])
        for pair, p_value in zip(same, adjusted, strict=True):
            pair["holm_p"] = p_value
    return pairs


def _replicates_of_mean(seeds: Sequence[Score], bootstrap: Mapping[str, Any]) -> stats.Floats:
    """Bootstrap replicates of the mean score over seeds, groups resampled alike for all."""
    sums = stats.resample_sums(
        np.hstack([score.table for score in seeds]), bootstrap["resamples"], bootstrap["seed"]
    )
    parts = np.split(sums, len(seeds), axis=1)
    values = [score.statistic(part) for score, part in zip(seeds, parts, strict=True)]
    return np.asarray(np.mean(values, axis=0))


def _confusion_table(split: Predictions, groups: Sequence[int]) -> stats.Floats:
    columns = stats.confusion_columns(split.labels, split.predicted, len(CLASSES))
    return stats.group_sums(columns, groups)


def _of_sums(
    score: Callable[[stats.Array], stats.Floats],
) -> Callable[[stats.Array], stats.Floats]:
    """A function of a confusion matrix, as a function of its cells in one row."""
    size = len(CLASSES)
    return lambda sums: score(sums.reshape(*sums.shape[:-1], size, size))


def _mean_of_sums(sums: stats.Array) -> stats.Array:
    """From sums of a value and of ones to its mean."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def _reliability(split: Predictions, temperature: float) -> stats.Reliability:
    softened = stats.apply_temperature(split.probabilities, temperature)
    confidence = softened[np.arange(len(split)), split.predicted]
    return stats.reliability(confidence, split.correct, BINS)


def _as_arrays(
    lines: Mapping[str, tuple[int, list[float]]], labels: Mapping[str, int]
) -> Predictions:
    ids = tuple(sorted(lines))
    return Predictions(
        ids,
        np.array([labels[name] for name in ids], dtype=np.int64),
        np.array([lines[name][0] for name in ids], dtype=np.int64),
        np.array([lines[name][1] for name in ids]),
    )


def _metric_line(name: str, entry: Mapping[str, Any]) -> str:
    low, high = entry["ci"]
    line = f"{name:<18}{entry['value']:>9.4f}  [{low:.4f}, {high:.4f}]   "
    if entry["baseline"] is not None:
        line += f"{entry['baseline']['value']:.4f} ({entry['baseline']['name']})"
    if entry["below_baseline"]:
        line += "  BELOW THE TRIVIAL BASELINE"
    return line.rstrip()

"""Scoring stored predictions of a classifier: one run by itself, and runs against each other.

Everything here is computed from the per-item predictions, so a score can be recomputed, or a new
one added, without training again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.by_subgroup import ScoredItems, confusion_item_scores
from affectlab.evaluation.calibration import calibration_error, calibration_metric
from affectlab.evaluation.comparison import Resamples, Run, Score, Trials, difference
from affectlab.evaluation.conditions import Columns, predict
from affectlab.evaluation.predictions import (
    COMPLETE,
    ROUNDING,
    Scope,
    check_items,
    prediction_lines,
    scope_of,
)
from affectlab.evaluation.records import (
    metric,
    read_metrics,
    strongest,
)
from affectlab.evaluation.swapped_names import swapped_record

BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017."""

HELD_OUT = ("validation", "test")

CROSS_VALIDATION = "cross-validation"
"""Stands for the split where every item was tested once, by a model trained without its fold."""

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


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a run said about the items of one split, in the order of their ids.

    ``labels`` and ``predicted`` are ``[n]`` class ids, ``probabilities`` ``[n, K]``, or None where
    the run states decisions alone.
    """

    ids: tuple[str, ...]
    labels: stats.Integers
    predicted: stats.Integers
    probabilities: stats.Floats | None

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
            None if self.probabilities is None else self.probabilities[kept],
        )

    def softened(self, temperature: float | None) -> dict[str, stats.Floats]:
        """The probabilities by the end of the names of their scores.

        ``""``: as stated; ``"_calibrated"``: after temperature scaling, if there is a temperature.
        """
        if self.probabilities is None:
            return {}
        found = {"": self.probabilities}
        if temperature is not None:
            found["_calibrated"] = stats.apply_temperature(self.probabilities, temperature)
        return found


@dataclass(frozen=True, slots=True)
class Corpus:
    """What evaluation needs of the data: no text and no image, only which items are the same.

    Attributes:
        classes: names, by id.
        labels: split -> item -> class id; holds the splits train and those predicted.
        group: a number per item; items with the same text, image or speaker share one.
        majority: the commonest class of the training split, the first of equals.
        prior: ``[K]``, shares of the classes in the training split.
        conditions: how an answer comes about from conditions of recording alone -> item -> class
            id; of the items outside the training split.
    """

    classes: tuple[str, ...]
    labels: dict[str, dict[str, int]]
    group: dict[str, int]
    majority: int
    prior: stats.Floats
    conditions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        classes: tuple[str, ...],
        labels: dict[str, dict[str, int]],
        group: dict[str, int],
        conditions: Mapping[str, Columns],
    ) -> Corpus:
        """A corpus, its majority and prior counted from the training labels.

        Args:
            classes: names, by id.
            labels: split -> item -> class id.
            group: a number per item.
            conditions: split -> conditions of recording of its items, in the order of *labels*.
        """
        train = np.array(list(labels["train"].values()), dtype=np.int64)
        counts = np.bincount(train, minlength=len(classes))
        answers: dict[str, dict[str, int]] = {}
        for name, balanced in (("conditions", False), ("conditions_balanced", True)):
            answers[name] = {}
            for split in set(labels) - {"train"}:
                found = predict(conditions["train"], train, conditions[split], balanced=balanced)
                answers[name] |= dict(zip(labels[split], found.tolist(), strict=True))
        majority = int(np.argmax(counts))
        return cls(classes, labels, group, majority, counts / counts.sum(), answers)


def read_predictions(
    path: Path | str, corpus: Corpus, splits: Sequence[str] = HELD_OUT, scope: Scope = COMPLETE
) -> dict[str, Predictions]:
    """Read the predictions of *splits* and check them.

    Args:
        path: predictions.jsonl of a run.
        corpus: that they are of.
        splits: splits that a run predicts.
        scope: what of that this run does without.

    Returns:
        The splits that the run predicts, by name.

    Raises:
        DataError: a line is not a prediction, or the items are not exactly those of the corpus.
    """
    splits = [split for split in splits if split not in scope.splits_left_out]
    found: dict[str, dict[str, tuple[int, list[float] | None]]] = {split: {} for split in splits}
    for line in prediction_lines(path):
        split, name = line.text("split"), line.text("id")
        if split not in found or name not in corpus.labels[split]:
            raise line.error(f"{name!r} is no item of the split {split!r}")
        if name in found[split]:
            raise line.error(f"a second prediction for {name!r}")
        line.same("label", corpus.classes[corpus.labels[split][name]])
        predicted = corpus.classes.index(line.one_of("prediction", corpus.classes))
        probabilities = None
        if scope.probabilities:
            probabilities = line.distribution("probabilities", corpus.classes)
            if probabilities[predicted] < max(probabilities) - ROUNDING:
                raise line.error("prediction: another class has a higher probability")
        found[split][name] = predicted, probabilities
    for split, items in found.items():
        expected = corpus.labels[split].keys() - scope.missing
        check_items(path, f"the split {split}", items, expected)
    return {split: _as_arrays(items, corpus.labels[split], scope) for split, items in found.items()}


def scores(
    split: Predictions, temperature: float | None, groups: Sequence[int], size: int
) -> dict[str, Score]:
    """Every score of a split, as tables of sums a group.

    Args:
        split: the predictions.
        temperature: fitted on the validation split; None without one.
        groups: ``[n]``, the group of each item.
        size: number of classes.
    """
    cells = _confusion_table(split, groups, size)
    found = {
        name: Score("higher", cells, _of_sums(score, size))
        for name, score in CONFUSION_SCORES.items()
    }
    for suffix, probabilities in split.softened(temperature).items():
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


def trivial_scores(split: Predictions, corpus: Corpus) -> dict[str, tuple[str, float]]:
    """The strongest trivial baseline on the same items: name and value by score.

    Scores of decisions: the commonest training class, always another class, and what conditions
    of recording alone predict. The log-likelihood: the training shares of the classes. The
    calibration error has none: the class shares are well calibrated by construction, and know
    nothing of the item.
    """
    size = len(corpus.classes)
    places = [corpus.majority, *(k for k in range(size) if k != corpus.majority)]
    answers = {
        "majority" if k == corpus.majority else f"always_{corpus.classes[k]}": np.full(
            len(split), k
        )
        for k in places
    }
    for name, given in corpus.conditions.items():
        answers[name] = np.array([given[item] for item in split.ids], dtype=np.int64)
    matrices = {
        name: stats.confusion_matrix(split.labels, decided, size)
        for name, decided in answers.items()
    }
    found = {}
    for name, score in CONFUSION_SCORES.items():
        best = strongest("higher", [(key, float(score(m))) for key, m in matrices.items()])
        assert best is not None
        found[name] = best
    shares = np.tile(corpus.prior, (len(split), 1))
    loss = ("class_shares", float(stats.log_loss_items(shares, split.labels).mean()))
    return found | {"nll": loss, "nll_calibrated": loss}


def score_split(
    split: Predictions, temperature: float | None, corpus: Corpus, bootstrap: Bootstrap
) -> dict[str, Any]:
    """All scores of one split with intervals and trivial baselines, as `metrics.json` holds them.

    Args:
        split: the predictions.
        temperature: fitted on the validation split; None without one.
        corpus: groups and class shares.
        bootstrap: of the intervals.
    """
    groups = [corpus.group[name] for name in split.ids]
    level = bootstrap.level
    trivial = trivial_scores(split, corpus)
    cells = _confusion_table(split, groups, len(corpus.classes))
    metrics = {}
    for name in CONFUSION_SCORES:
        found = intervals.confusion_interval(name, cells, level)
        metrics[name] = metric(found.value, "higher", (found.low, found.high), trivial[name])
    for suffix, probabilities in split.softened(temperature).items():
        confidence = probabilities[np.arange(len(split)), split.predicted]
        error = calibration_error(
            stats.reliability_columns(confidence, split.correct, BINS),
            groups,
            level=level,
            seed=bootstrap.seed,
        )
        metrics[f"ece{suffix}"] = calibration_metric(error)
        name = f"nll{suffix}"
        losses = stats.log_loss_items(probabilities, split.labels)
        table = stats.group_sums(np.c_[losses, np.ones(len(losses))], groups)
        found = intervals.positive_mean_interval(table, level, scale=trivial[name][1])
        metrics[name] = metric(found.value, "lower", (found.low, found.high), trivial[name])
    return {"n": len(split), "groups": len(set(groups)), "metrics": metrics}


def shared_items(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    """Both predictions, for the items that both have.

    Raises:
        ValueError: there is none.
    """
    if first.ids == second.ids:
        return first, second
    apart = set(first.ids) ^ set(second.ids)
    first, second = first.without(apart), second.without(apart)
    if not len(first):
        raise ValueError("the two runs did not predict the same items")
    return first, second


def compare_two(
    first: Predictions, second: Predictions, corpus: Corpus, bootstrap: Bootstrap
) -> dict[str, Any]:
    """Compare two trained models on the items of both: differences with intervals, McNemar's test.

    The differences are *first* minus *second*. They say nothing of other seeds.
    """
    first, second = shared_items(first, second)
    groups = [corpus.group[name] for name in first.ids]
    resamples = Resamples(groups, bootstrap.resamples, bootstrap.seed)
    differences = {}
    size = len(corpus.classes)
    for name in COMPARED:
        statistic = _of_sums(CONFUSION_SCORES[name], size)
        ours, theirs = (
            resamples.trials([Score("higher", _confusion_table(split, groups, size), statistic)])
            for split in (first, second)
        )
        found = difference(
            ours, theirs, groups=len(set(groups)), level=bootstrap.level, over_seeds=False
        )
        differences[name] = found.as_record()
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


def scored_record(
    predictions: Mapping[str, Predictions],
    corpus: Corpus,
    overlapping: set[str] | None,
    baseline: Mapping[str, Predictions] | None,
    bootstrap: Bootstrap,
    result_split: str = "test",
) -> dict[str, Any]:
    """The scores of a run, as `metrics.json` holds them, without what identifies the run.

    Args:
        predictions: of *result_split*, and of validation if the run predicts it.
        corpus: labels and groups.
        overlapping: items of the result split whose text or image is in train as well; None where
            nobody knows what the model was trained on.
        baseline: the predictions of the run to compare with, if any.
        bootstrap: of the intervals.
        result_split: the split whose scores are the headline.
    """
    validation, test = predictions.get("validation"), predictions[result_split]
    temperature = None
    if validation is not None and validation.probabilities is not None:
        temperature = stats.fit_temperature(validation.probabilities, validation.labels)
    headline = score_split(test, temperature, corpus, bootstrap)
    others = {}
    if validation is not None:
        others["validation"] = score_split(validation, temperature, corpus, bootstrap)
    if overlapping is not None and len(remaining := test.without(overlapping)):
        others[f"{result_split}_without_overlap"] = score_split(
            remaining, temperature, corpus, bootstrap
        )
    confusion = stats.confusion_matrix(test.labels, test.predicted, len(corpus.classes))
    return {
        "metrics": headline["metrics"],
        "n": headline["n"],
        "groups": headline["groups"],
        "other_splits": others,
        "per_class": per_class(confusion, corpus.classes),
        "confusion_matrix": confusion.tolist(),
        "calibration": None
        if temperature is None
        else {"temperature": temperature, "fitted_on": "validation", "bins": BINS},
        "comparison": None
        if baseline is None
        else compare_two(test, baseline[result_split], corpus, bootstrap),
    }


def scored_items(split: Predictions, corpus: Corpus, level: float) -> ScoredItems:
    """The items of a split with the scores that subgroups have, with intervals at *level*."""
    scores = confusion_item_scores(
        split.labels,
        split.predicted,
        {name: CONFUSION_SCORES[name] for name in COMPARED},
        len(corpus.classes),
        level,
    )
    return ScoredItems(split.ids, [corpus.group[name] for name in split.ids], scores)


def outside_scope(record: Mapping[str, Any]) -> Scope:
    """The scope of the run of a metrics.json."""
    return scope_of(record.get("details", {}).get("outside"))


def swapped_names_of(split: Predictions, corpus: Corpus, level: float) -> dict[str, Any]:
    """Names of predicted classes that seem to stand for others; see `swapped_record`."""
    groups = [corpus.group[name] for name in split.ids]
    return swapped_record(split.labels, split.predicted, groups, corpus.classes, level)


def per_class(confusion: stats.Integers, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1 and counts of each class, from a confusion matrix ``[K, K]``."""
    each = stats.class_scores(confusion)
    return {
        name: {
            "precision": float(each.precision[place]),
            "recall": float(each.recall[place]),
            "f1": float(each.f1[place]),
            "support": int(each.support[place]),
            "predicted": int(each.predicted[place]),
        }
        for place, name in enumerate(classes)
    }


def read_runs(
    metrics_paths: Sequence[Path | str],
    predictions_paths: Sequence[Path | str],
    corpora: Mapping[str, Corpus],
    bootstrap: Bootstrap,
    *,
    splits: Sequence[str] = HELD_OUT,
    seedless: Container[str] = (),
) -> list[Run]:
    """Read the runs that are to be compared, each with all its seeds.

    The scope of a run stands in its metrics.

    Args:
        metrics_paths: metrics.json of every run and seed, runs and seeds in the order wanted.
        predictions_paths: predictions.jsonl of the same, in the same order.
        corpora: by name of the data set.
        bootstrap: of the intervals.
        splits: splits that were predicted.
        seedless: methods that no seed changes.
    """
    runs: dict[str, list[tuple[dict[str, Any], Predictions]]] = {}
    for metrics_path, predictions_path in zip(metrics_paths, predictions_paths, strict=True):
        record = read_metrics(metrics_path)
        corpus = corpora[record["data"]["name"]]
        predictions = read_predictions(predictions_path, corpus, splits, outside_scope(record))
        scored = record["data"]["split"]
        headline = predictions["test" if scored == CROSS_VALIDATION else scored]
        runs.setdefault(record["run"], []).append((record, headline))
    # Runs on the same items have the same resamples.
    draws: dict[Any, Resamples] = {}
    found = []
    for seeds in runs.values():
        first, split = seeds[0]
        data = first["data"]["name"]
        groups = [corpora[data].group[name] for name in split.ids]
        items = data, split.ids
        if items not in draws:
            draws[items] = Resamples(groups, bootstrap.resamples, bootstrap.seed)
        found.append(
            Run(
                records=[record for record, _ in seeds],
                items=items,
                trials=_trials(seeds, groups, len(corpora[data].classes), draws[items]),
                bounds={name: _bounds(name) for name in first["metrics"]},
                seedless=first["method"] in seedless,
                correct=[predictions.correct for _, predictions in seeds],
            )
        )
    return found


def _trials(
    seeds: Sequence[tuple[Mapping[str, Any], Predictions]],
    groups: Sequence[int],
    size: int,
    resamples: Resamples,
) -> dict[str, Trials]:
    """Every score of every seed, with its replicates."""
    found = [
        scores(split, (record["calibration"] or {}).get("temperature"), groups, size)
        for record, split in seeds
    ]
    return {name: resamples.trials([one[name] for one in found]) for name in found[0]}


def _bounds(name: str) -> tuple[float, float]:
    return 0.0, math.inf if name.startswith("nll") else 1.0


def reliability_at(split: Predictions, temperature: float) -> stats.Reliability:
    """The reliability diagram of predictions with probabilities, softened by *temperature*."""
    assert split.probabilities is not None
    softened = stats.apply_temperature(split.probabilities, temperature)
    confidence = softened[np.arange(len(split)), split.predicted]
    return stats.reliability(confidence, split.correct, BINS)


def _confusion_table(split: Predictions, groups: Sequence[int], size: int) -> stats.Floats:
    columns = stats.confusion_columns(split.labels, split.predicted, size)
    return stats.group_sums(columns, groups)


def _of_sums(
    score: Callable[[stats.Array], stats.Floats], size: int
) -> Callable[[stats.Array], stats.Floats]:
    """A function of a confusion matrix, as a function of its cells in one row."""
    return lambda sums: score(sums.reshape(*sums.shape[:-1], size, size))


def _mean_of_sums(sums: stats.Array) -> stats.Array:
    """From sums of a value and of ones to its mean."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def _as_arrays(
    lines: Mapping[str, tuple[int, list[float] | None]], labels: Mapping[str, int], scope: Scope
) -> Predictions:
    ids = tuple(sorted(lines))
    return Predictions(
        ids,
        np.array([labels[name] for name in ids], dtype=np.int64),
        np.array([lines[name][0] for name in ids], dtype=np.int64),
        np.array([lines[name][1] for name in ids]) if scope.probabilities else None,
    )

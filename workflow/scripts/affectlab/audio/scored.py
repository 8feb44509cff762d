"""The scores of stored predictions, whatever is predicted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from affectlab.audio.baselines import constant_answers, trivial_probes, trivial_scores
from affectlab.audio.figures import Panels
from affectlab.audio.label_set_predictions import PredictedSets, read_set_predictions
from affectlab.audio.label_set_scores import score_label_sets, trivial_label_sets
from affectlab.audio.number_predictions import PredictedNumbers, read_number_predictions
from affectlab.audio.number_scores import score_numbers, trivial_numbers
from affectlab.audio.outside import swapped_classes, without_trained
from affectlab.audio.predictions import PUBLISHED, Corpus, Predicted, read_predictions
from affectlab.audio.score_intervals import (
    calibration_scores,
    one_vs_rest_scores,
    ranking_scores,
    read_refits,
    score_scheme,
    with_baselines,
)
from affectlab.audio.subgroup_scores import class_items, label_set_items, number_items
from affectlab.audio.tasks import TRIVIAL
from affectlab.config.models import Bootstrap
from affectlab.datasets.description import Target
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.numbers import NUMBERS
from affectlab.evaluation import multilabel, stats
from affectlab.evaluation.by_subgroup import ScoredItems
from affectlab.evaluation.classification import per_class
from affectlab.evaluation.records import rounded

WITHOUT_OVERLAP = "test_without_overlap"
"""Scores of somebody else's predictions without the items that their model was trained on."""

T = TypeVar("T", Predicted, PredictedNumbers, PredictedSets)


class Scored(NamedTuple):
    """The scores of a run.

    Attributes:
        subjects: of each item of the main scheme.
        names: of the classes or numbers, and the target, as the record of the data holds them.
        scores: as of `scored_record`.
        details: of the record, on top of those of the run.
        panels: see `figures.Panels`; none where each item has one class.
        items: computes the items with the scores that subgroups have.
    """

    subjects: Sequence[str]
    names: Mapping[str, Any]
    scores: Mapping[str, Any]
    details: Mapping[str, Any]
    panels: Panels
    items: Callable[[], ScoredItems]


def _score_classes(
    path: Path,
    classes: Sequence[str],
    corpus: Corpus,
    main: str,
    details: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> Scored:
    found = _with_refits(read_predictions(path, classes, corpus, main), details)
    head = found[main]
    scores = scored_record(found, main, classes, bootstrap)
    more = {
        "constant_answers": rounded(constant_answers(head.labels, classes)),
        "repeats": len(head.probabilities),
        **_about_outside(
            head,
            details,
            scores,
            lambda: swapped_classes(head, classes, bootstrap.level),
            lambda rest: score_scheme(rest, classes, bootstrap),
        ),
    }
    return Scored(
        head.subjects,
        {"classes": list(classes)},
        scores,
        more,
        {},
        lambda: class_items(head, len(classes), bootstrap),
    )


def _score_numbers(
    path: Path,
    names: Sequence[str],
    corpus: Corpus,
    main: str,
    details: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> Scored:
    found = _with_refits(read_number_predictions(path, names, corpus, main), details)
    head = found[main]
    predicted = head.values.mean(axis=0)
    panels = {name: (head.true[:, d], predicted[:, d]) for d, name in enumerate(names)}
    scores = number_record(found, main, names, bootstrap)

    def score_rest(rest: PredictedNumbers) -> Mapping[str, Any]:
        return score_numbers(rest, names, bootstrap, trivial_numbers({main: rest}, main, names))

    more = {
        "repeats": len(head.values),
        **_about_outside(head, details, scores, _no_swaps, score_rest),
    }
    return Scored(
        head.subjects,
        {"numbers": list(names)},
        scores,
        more,
        panels,
        lambda: number_items(head, names, bootstrap),
    )


def _score_label_sets(
    path: Path,
    classes: Sequence[str],
    corpus: Corpus,
    main: str,
    details: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> Scored:
    found = _with_refits(read_set_predictions(path, classes, corpus, main), details)
    head = found[main]
    pooled = head.pooled()
    panels = {
        name: (pooled.true[:, k], pooled.stated[:, k], pooled.decided[:, k])
        for k, name in enumerate(classes)
    }
    scores = label_set_record(found, main, classes, bootstrap)

    def score_rest(rest: PredictedSets) -> Mapping[str, Any]:
        return score_label_sets(rest, bootstrap, trivial_label_sets({main: rest}, main))

    more = {
        "repeats": len(head.repeats),
        **_about_outside(head, details, scores, _no_swaps, score_rest),
    }
    return Scored(
        head.subjects,
        {"classes": list(classes), "target": LABEL_SETS},
        scores,
        more,
        panels,
        lambda: label_set_items(head, bootstrap),
    )


def _about_outside(
    head: T,
    details: Mapping[str, Any],
    scores: Mapping[str, Any],
    swaps: Callable[[], Mapping[str, Any]],
    score: Callable[[T], Mapping[str, Any]],
) -> dict[str, Any]:
    """What the record has of predictions from elsewhere; nothing for those of our own.

    Adds to the other splits of *scores* the items that their model was not trained on.

    Args:
        head: the predictions of the main scheme.
        details: of the run.
        scores: as of `scored_record`.
        swaps: finds class names that were swapped.
        score: of a part of the items.
    """
    table = details.get("outside")
    if not table:
        return {}
    rest = without_trained(head, table)
    if rest is not None:
        scores["other_splits"][WITHOUT_OVERLAP] = score(rest)
    return {"outside": {**table, **swaps()}}


def _no_swaps() -> dict[str, Any]:
    """Of numbers and of label sets, names that were swapped are not looked for."""
    return {"swapped_names": {}}


def score_predictions(
    target: Target,
    path: Path,
    names: Sequence[str],
    corpus: Corpus,
    main: str,
    details: Mapping[str, Any],
    bootstrap: Bootstrap,
) -> Scored:
    """Read the predictions of a run and score them.

    Args:
        target: of the data.
        path: predictions.jsonl.
        names: of the classes, or of the numbers.
        corpus: what the predictions are of.
        main: the scheme whose scores are the result.
        details: of the run.
        bootstrap: of the intervals.

    Raises:
        DataError: a line is no prediction of the corpus.
    """
    score = {NUMBERS: _score_numbers, LABEL_SETS: _score_label_sets}.get(target, _score_classes)
    return score(path, names, corpus, main, details, bootstrap)


def _with_refits(found: Mapping[str, T], details: Mapping[str, Any]) -> dict[str, T]:
    """Predictions by scheme, with how far their scores move when they are refitted."""
    return {name: replace(one, refits=read_refits(details, name)) for name, one in found.items()}


def number_record(
    found: Mapping[str, PredictedNumbers],
    main: str,
    names: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """The scores of a run that predicts numbers; as of `scored_record`, all of every scheme."""
    rivals = trivial_numbers(found, main, names)
    scored = {}
    for scheme, one in found.items():
        own = rivals
        if one.ids != found[main].ids or scheme in TRIVIAL:
            own = trivial_numbers({scheme: one}, scheme, names)
        scored[scheme] = score_numbers(one, names, bootstrap, own)
    return {"metrics": scored.pop(main)["metrics"], "other_splits": scored}


def label_set_record(
    found: Mapping[str, PredictedSets],
    main: str,
    classes: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """The scores of a run that predicts label sets; as of `scored_record`, all of every scheme."""
    rivals = trivial_label_sets(found, main)
    scored = {}
    for scheme, one in found.items():
        own = rivals
        if one.ids != found[main].ids or scheme in TRIVIAL:
            own = trivial_label_sets({scheme: one}, scheme)
        scored[scheme] = score_label_sets(one, bootstrap, own)
    return {
        "metrics": scored.pop(main)["metrics"],
        "other_splits": scored,
        "per_class": multilabel.per_class(found[main].pooled(), classes),
    }


def scored_record(
    found: Mapping[str, Predicted], main: str, classes: Sequence[str], bootstrap: Bootstrap
) -> dict[str, Any]:
    """The scores of a run, as `metrics.json` holds them, without what identifies the run.

    Args:
        found: predictions by scheme.
        main: the scheme whose scores are the result; it has all of them, the others a few.
        classes: names.
        bootstrap: of the intervals.
    """
    head, rivals = found[main], trivial_probes(found, main, classes)
    scored = {
        name: score_scheme(
            one,
            classes,
            bootstrap,
            rivals if name == main or (one.ids == head.ids and name not in TRIVIAL) else (),
        )
        for name, one in found.items()
    }
    metrics = scored.pop(main)["metrics"]
    trivial = [trivial_scores(head.labels, len(classes)), *rivals]
    if head.ranked:
        metrics |= with_baselines(ranking_scores(head, bootstrap), trivial, bootstrap.level)
        metrics |= calibration_scores(head, bootstrap)
    if main == PUBLISHED:
        metrics |= one_vs_rest_scores(head, classes, bootstrap, rivals)
    labels = np.tile(head.labels, len(head.decisions))
    confusion = stats.confusion_matrix(labels, head.decisions.ravel(), len(classes))
    return {
        "metrics": metrics,
        "other_splits": scored,
        "per_class": per_class(confusion, classes),
        "confusion_matrix": confusion.tolist(),
    }

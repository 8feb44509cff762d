"""Predictions that somebody else made for our recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from affectlab.audio.label_set_predictions import PredictedSets, read_set_predictions
from affectlab.audio.label_set_target import LabelSetTarget
from affectlab.audio.number_predictions import PredictedNumbers, read_number_predictions
from affectlab.audio.predictions import OUTSIDE, Corpus, Predicted, read_predictions
from affectlab.audio.targets import NumberTarget, rounded_numbers
from affectlab.audio.tasks import NOT_STATED, task_classes
from affectlab.config.checks import OUTSIDE as METHOD
from affectlab.config.models import Outside
from affectlab.datasets.description import CONTENT, Description
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.numbers import NUMBERS
from affectlab.errors import DataError
from affectlab.evaluation.listed_training import listed_training
from affectlab.evaluation.multilabel_predictions import indicators
from affectlab.evaluation.outside import (
    Truth,
    complete_record,
    match,
    matched_table,
    unknown_items,
)
from affectlab.evaluation.outside_tables import read_answers
from affectlab.evaluation.outside_values import (
    label_sets_wanted,
    numbers_wanted,
    stored_label_set,
    stored_numbers,
)
from affectlab.evaluation.swapped_names import swapped_record
from affectlab.files.io import read_json, read_jsonl, sha256_file, write_json, write_jsonl

T = TypeVar("T", Predicted, PredictedNumbers, PredictedSets)

COVERS = (
    "the score of this one model on other recordings of other subjects; not another training of it"
)
"""What the interval of somebody else's scores is about."""

COVERS_CLIPS = (
    "the score of this one model on other recordings; neither other voices, because who speaks is "
    "not stated, nor another training of it"
)
"""The same where the data do not tell who speaks."""


def store(
    corpus: Corpus,
    description: Description,
    task: str,
    recipe: Outside,
    seed: int,
    *,
    main: str,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Store the predictions of a table as `predictions.prediction_rows` makes ours.

    A table in the form of our own predictions, with schemes and repeats, keeps them. Any other is
    one repeat of the scheme `OUTSIDE`. Lines of numbers and of label sets also hold what trivial
    baselines need of the training items. Data without a training split have that of the scored
    items.

    Args:
        corpus: what the predictions are of.
        description: of the data.
        task: of the run.
        recipe: of the table.
        seed: of the run.
        main: the scheme whose scores are the result, of a table with schemes.
        predictions_path: predictions.jsonl.
        record_path: outside.json, see `evaluation.outside.Matched.to_dict`; ``scheme`` is the main
            one. ``scored_priors`` is whether baselines are of the scored items.

    Raises:
        DataError: the table does not fit the corpus.
    """
    path, names = Path(recipe.path), task_classes(description.classes, task)
    withdrawn = description.excluded_items > 0
    if _is_our_form(path):
        rows = list(read_jsonl(path))
        given = [(str(row.get("id")), f"line {n}") for n, row in enumerate(rows, start=1)]
        unknown = [pair for pair in given if pair[0] not in corpus.items]
        if withdrawn and unknown:
            raise unknown_items(path, unknown, corpus.items, withdrawn)
        READERS[description.target](path, names, corpus, main)
        record = _of_our_form(path, recipe, corpus, withdrawn) | {"scheme": main}
    elif description.target == "class":
        rows, record = _of_table(corpus, names, recipe, seed, withdrawn)
    else:
        rows, record = _of_values(corpus, names, description, recipe, seed)
    if description.target == NUMBERS:
        record["probabilities"] = None
    write_jsonl(predictions_path, rows, sealed=True)
    write_json(record_path, record, sealed=True)


READERS: Mapping[str, Callable[[Path, Sequence[str], Corpus, str], object]] = {
    "class": read_predictions,
    NUMBERS: read_number_predictions,
    LABEL_SETS: read_set_predictions,
}
"""Target of the data -> what checks a table in the form of our own predictions."""


def _is_our_form(path: Path) -> bool:
    """Whether a table is JSON Lines with schemes."""
    return path.suffix == ".jsonl" and "scheme" in next(iter(read_jsonl(path)), {})


def _of_our_form(path: Path, recipe: Outside, corpus: Corpus, withdrawn: bool) -> dict[str, Any]:
    """The record of a table in the form of our own predictions, which is complete."""
    listed = listed_training(recipe.trained_on, corpus.items, withdrawn)
    about = {
        "sha256": sha256_file(path),
        "probabilities": True,
        "trained_on": [name for name in corpus.items if name in listed.ids],
        **listed.to_dict(),
    }
    return complete_record(METHOD, about)


def _of_table(
    corpus: Corpus, classes: Sequence[str], recipe: Outside, seed: int, withdrawn: bool
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of predictions.jsonl, and the record, of a plain table of classes."""
    tested, training = (
        {name: str(corpus.items[name].label) for name in ids} for ids in divided(corpus)
    )
    found = matched_table(
        recipe, classes, {"test": tested}, training, headline="test", seed=seed, withdrawn=withdrawn
    )
    rows = []
    for name, answer in found.answers["test"].items():
        row = _row(corpus, name, {"label": tested[name]})
        if answer.probabilities is None:
            row["prediction"] = answer.prediction
        else:
            decided = answer.probabilities[classes.index(answer.prediction)]
            if decided < max(answer.probabilities):
                problem = "the predicted class is not the one with the highest probability"
                raise DataError(recipe.path, answer.place, problem)
            row["probabilities"] = list(answer.probabilities)
        rows.append(row)
    return rows, {**found.to_dict(), "scheme": OUTSIDE}


def _of_values(
    corpus: Corpus,
    names: Sequence[str],
    description: Description,
    recipe: Outside,
    seed: int,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of predictions.jsonl, and the record, of a plain table of other targets."""
    path, numeric = Path(recipe.path), description.target == NUMBERS
    tested, training = divided(corpus)
    seeded = None if recipe.columns.seed is None else seed
    wanted = numbers_wanted(names) if numeric else label_sets_wanted(names)
    truths: dict[str, Truth] = {
        name: () if numeric else [str(one) for one in corpus.items[name].label] for name in tested
    }
    found = match(
        path,
        read_answers(path, recipe, wanted, seeded),
        {"test": truths},
        training,
        "test",
        recipe,
        withdrawn=description.excluded_items > 0,
    )
    target = _target_of(corpus, tested, names, numeric=numeric)
    fitted = [name for name in training if corpus.items[name].split == "train"]
    known = _target_of(corpus, fitted or tested, names, numeric=numeric).priors(1)
    priors = {name: rounded_numbers(values[0], names) for name, values in known.items()}
    place = {name: number for number, name in enumerate(tested)}
    rows = [
        _row(corpus, name, target.truth(place[name], names))
        | (stored_numbers(answer) if numeric else stored_label_set(answer, names))
        | priors
        for name, answer in found.answers["test"].items()
    ]
    return rows, {**found.to_dict(), "scheme": OUTSIDE, "scored_priors": not fitted}


def _row(corpus: Corpus, name: str, truth: Mapping[str, Any]) -> dict[str, Any]:
    """The start of a line of predictions.jsonl."""
    subject = corpus.items[name].subject
    return {"id": name, "subject": subject, **truth, "scheme": OUTSIDE, "repeat": 0}


def _target_of(
    corpus: Corpus, ids: Sequence[str], names: Sequence[str], *, numeric: bool
) -> NumberTarget | LabelSetTarget:
    """The numbers or the classes of some items."""
    labels = [corpus.items[name].label for name in ids]
    if numeric:
        return NumberTarget(np.array(labels, dtype=np.float64), tuple(names))
    sets = [[str(one) for one in label] for label in labels]
    return LabelSetTarget(indicators(sets, names), tuple(names))


def divided(corpus: Corpus) -> tuple[list[str], list[str]]:
    """Ids of the items to be scored, and of those that a model may have been fitted to.

    Data with a training and another split have the test split, else the validation split, scored;
    of others everything is.
    """
    splits = {known.split for known in corpus.items.values()}
    held_out = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits or held_out is None:
        return list(corpus.items), []
    tested = [name for name, known in corpus.items.items() if known.split == held_out]
    return tested, [name for name, known in corpus.items.items() if known.split != held_out]


def read_outside(path: Path, description: Description) -> dict[str, Any]:
    """The details of a run on somebody else's predictions: outside.json alone."""
    details: dict[str, Any] = {
        "outside": read_json(path),
        "outer_folds": None,
        "permutation": None,
        "speaker": None,
    }
    if description.group == CONTENT:
        details["subjects"] = NOT_STATED
    return details


def swapped_classes(predicted: Predicted, classes: Sequence[str], level: float) -> dict[str, Any]:
    """Names of predicted classes that seem to stand for others; see `swapped_record`."""
    groups = np.unique(predicted.subjects, return_inverse=True)[1].tolist()
    return swapped_record(predicted.labels, predicted.decisions[0], groups, classes, level)


def without_trained(predicted: T, found: Mapping[str, Any]) -> T | None:
    """The predictions less those of items that the model was trained on.

    None if no such item is listed, or no other is left.
    """
    listed = set(found["trained_on"])
    return predicted.without(listed) if listed and set(predicted.ids) - listed else None

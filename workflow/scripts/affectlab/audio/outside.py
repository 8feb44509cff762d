"""Predictions that somebody else made for our recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.audio.predictions import OUTSIDE, Corpus, Predicted, read_predictions
from affectlab.audio.tasks import NOT_STATED
from affectlab.config.checks import OUTSIDE as METHOD
from affectlab.config.models import Outside
from affectlab.datasets.description import CONTENT, Description
from affectlab.errors import DataError
from affectlab.evaluation.outside import (
    complete_record,
    ids_listed_in,
    matched_table,
    unknown_items,
)
from affectlab.evaluation.swapped_names import swapped_names
from affectlab.files.io import read_json, read_jsonl, sha256_file, write_json, write_jsonl

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
    classes: Sequence[str],
    recipe: Outside,
    seed: int,
    *,
    main: str,
    predictions_path: Path,
    record_path: Path,
    withdrawn: bool = False,
) -> None:
    """Store the predictions of a table as `predictions.prediction_rows` makes ours.

    A table in the form of our own predictions, with schemes and repeats, keeps them. Any other is
    one repeat of the scheme `OUTSIDE`.

    Args:
        corpus: what the predictions are of.
        classes: of the task, in the order of their ids.
        recipe: of the table.
        seed: of the run.
        main: the scheme whose scores are the result, of a table with schemes.
        predictions_path: predictions.jsonl.
        record_path: outside.json, see `evaluation.outside.Matched.to_dict`; ``scheme`` is the main
            one.
        withdrawn: whether somebody withdrew from the data, see `outside.unknown_items`.

    Raises:
        DataError: the table does not fit the corpus.
    """
    path = Path(recipe.path)
    if _is_our_form(path):
        rows = list(read_jsonl(path))
        names = [(str(row.get("id")), f"line {n}") for n, row in enumerate(rows, start=1)]
        unknown = [pair for pair in names if pair[0] not in corpus.items]
        if withdrawn and unknown:
            raise unknown_items(path, unknown, withdrawn)
        read_predictions(path, classes, corpus, main)
        record = _of_our_form(path, recipe, corpus) | {"scheme": main}
    else:
        rows, record = _of_table(corpus, classes, recipe, seed, withdrawn)
    write_jsonl(predictions_path, rows, sealed=True)
    write_json(record_path, record, sealed=True)


def _is_our_form(path: Path) -> bool:
    """Whether a table is JSON Lines with schemes."""
    return path.suffix == ".jsonl" and "scheme" in next(iter(read_jsonl(path)), {})


def _of_our_form(path: Path, recipe: Outside, corpus: Corpus) -> dict[str, Any]:
    """The record of a table in the form of our own predictions, which is complete."""
    listed = set() if recipe.trained_on is None else _trained_on(recipe.trained_on, corpus)
    about = {
        "sha256": sha256_file(path),
        "probabilities": True,
        "trained_on": [name for name in corpus.items if name in listed],
    }
    return complete_record(METHOD, about)


def _trained_on(path: str, corpus: Corpus) -> set[str]:
    return ids_listed_in(Path(path), corpus.items)


def _of_table(
    corpus: Corpus, classes: Sequence[str], recipe: Outside, seed: int, withdrawn: bool
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of predictions.jsonl, and the record, of a plain table."""
    tested, training = divided(corpus)
    found = matched_table(
        recipe, classes, {"test": tested}, training, headline="test", seed=seed, withdrawn=withdrawn
    )
    rows = []
    for name, answer in found.answers["test"].items():
        row: dict[str, Any] = {
            "id": name,
            "subject": corpus.items[name].subject,
            "label": tested[name],
            "scheme": OUTSIDE,
            "repeat": 0,
        }
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


def divided(corpus: Corpus) -> tuple[dict[str, str], dict[str, str]]:
    """Id -> class of the items to be scored, and of those trained on.

    Data with a training and another split have the test split, else the validation split, scored;
    of others everything is.
    """
    labels = {name: str(known.label) for name, known in corpus.items.items()}
    splits = {known.split for known in corpus.items.values()}
    held_out = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits or held_out is None:
        return labels, {}
    tested = {name for name, known in corpus.items.items() if known.split == held_out}
    return (
        {name: label for name, label in labels.items() if name in tested},
        {name: label for name, label in labels.items() if name not in tested},
    )


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


def swapped_classes(predicted: Predicted, classes: Sequence[str]) -> dict[str, str]:
    """Names of predicted classes that seem to stand for others; see `swapped_names`."""
    groups = np.unique(predicted.subjects, return_inverse=True)[1].tolist()
    found = swapped_names(predicted.labels, predicted.decisions[0], groups, len(classes))
    return {classes[given]: classes[meant] for given, meant in found.items()}


def without_trained(predicted: Predicted, found: Mapping[str, Any]) -> Predicted | None:
    """The predictions less those of items that the model was trained on; None if none is left."""
    listed = set(found["trained_on"])
    return predicted.without(listed) if set(predicted.ids) - listed else None

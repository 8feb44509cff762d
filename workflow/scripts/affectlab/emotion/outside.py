"""Predictions that somebody else made for our texts."""

from __future__ import annotations

from pathlib import Path

from affectlab.config.models import Outside
from affectlab.emotion.data import Data
from affectlab.emotion.multilabel_data import MultilabelData
from affectlab.emotion.ratings import Ratings
from affectlab.emotion.readers import AnyData
from affectlab.evaluation import outside
from affectlab.evaluation.outside_tables import read_answers
from affectlab.evaluation.outside_values import (
    label_sets_wanted,
    numbers_wanted,
    stored_label_set,
    stored_numbers,
)
from affectlab.evaluation.scoring import HELD_OUT
from affectlab.files.io import write_json, write_jsonl


def store(
    data: AnyData, recipe: Outside, seed: int, predictions_path: Path, record_path: Path
) -> None:
    """Store the predictions of a table as `predict_records` stores ours.

    Args:
        data: that they are of.
        recipe: of the table.
        seed: of the run.
        predictions_path: predictions.jsonl.
        record_path: outside.json, see `outside.Matched.to_dict`.

    Raises:
        DataError: see `outside.store`.
    """
    if isinstance(data, Ratings | MultilabelData):
        _store_values(data, recipe, seed, predictions_path, record_path)
        return
    training = data.of_split("train") if data.description.folds is None else []
    outside.store(
        recipe,
        data.classes,
        held_out_labels(data),
        {record.id: record.label for record in training},
        headline="test",
        seed=seed,
        predictions_path=predictions_path,
        record_path=record_path,
        withdrawn=data.description.excluded_items > 0,
    )


def held_out_labels(data: Data) -> dict[str, dict[str, str]]:
    """Held-out split -> id of a text -> its class.

    In a cross-validation each text is held out once, in both roles.
    """
    if data.description.folds is not None:
        labels = {record.id: record.label for record in data.records}
        return dict.fromkeys(HELD_OUT, labels)
    return {
        split: {record.id: record.label for record in data.of_split(split)} for split in HELD_OUT
    }


def _store_values(
    data: Ratings | MultilabelData,
    recipe: Outside,
    seed: int,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Store predictions of numbers, or of any number of classes."""
    if isinstance(data, Ratings):
        wanted = numbers_wanted(data.names)
        truths: dict[str, outside.Truth] = {record.id: () for record in data.records}
    else:
        wanted = label_sets_wanted(data.names)
        truths = {record.id: record.labels for record in data.records}
    folded = data.description.folds is not None
    ids = {
        split: [one.id for one in (data.records if folded else data.of_split(split))]
        for split in HELD_OUT
    }
    found = outside.match(
        Path(recipe.path),
        read_answers(
            Path(recipe.path), recipe, wanted, None if recipe.columns.seed is None else seed
        ),
        {split: {name: truths[name] for name in names} for split, names in ids.items()},
        [] if folded else [one.id for one in data.of_split("train")],
        "test",
        recipe,
        withdrawn=data.description.excluded_items > 0,
    )
    known = {record.id: record.truth for record in data.records}
    write_jsonl(
        predictions_path,
        (
            {
                "id": name,
                "split": split,
                **known[name],
                **(
                    stored_numbers(answer)
                    if isinstance(data, Ratings)
                    else stored_label_set(answer, data.names)
                ),
            }
            for split, answers in found.answers.items()
            for name, answer in answers.items()
        ),
        sealed=True,
    )
    record = found.to_dict()
    if isinstance(data, Ratings):
        record["probabilities"] = None
    write_json(record_path, record, sealed=True)

"""Predictions that somebody else made for our texts."""

from __future__ import annotations

from pathlib import Path

from affectlab.config.models import Outside
from affectlab.emotion.data import Data
from affectlab.evaluation import outside
from affectlab.evaluation.scoring import HELD_OUT


def store(
    data: Data, recipe: Outside, seed: int, predictions_path: Path, record_path: Path
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

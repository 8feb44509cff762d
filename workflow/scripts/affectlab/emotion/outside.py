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
    if data.description.folds is None:
        items = {
            split: {record.id: record.label for record in data.of_split(split)}
            for split in HELD_OUT
        }
        training = {record.id: record.label for record in data.of_split("train")}
    else:
        # Each text is held out once, in both roles.
        labels = {record.id: record.label for record in data.records}
        items = {"validation": labels, "test": labels}
        training = {}
    outside.store(
        recipe,
        data.classes,
        items,
        training,
        headline="test",
        seed=seed,
        predictions_path=predictions_path,
        record_path=record_path,
    )

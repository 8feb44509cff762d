"""The predictions of a run: every held-out text, by a stored model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affectlab.emotion import predict, predict_numbers
from affectlab.emotion.data import Data
from affectlab.emotion.ratings import Ratings
from affectlab.files.io import write_jsonl


def predict_records(
    *,
    data: Data | Ratings,
    model_directory: Path,
    predictions_path: Path,
    splits: Sequence[str],
    threads: int,
    batch_size: int = predict.DEFAULT_BATCH_SIZE,
) -> None:
    """Store what a model predicts for every record of *splits*, one JSON object a line.

    ``cut`` tells of which texts the model read the beginning alone.
    """
    if isinstance(data, Ratings):
        regressor = predict_numbers.EmotionRegressor.from_directory(
            model_directory, threads=threads
        )
        ratings = [record for record in data.records if record.split in splits]
        rows = predict_numbers.prediction_rows(regressor, ratings, batch_size)
    else:
        classifier = predict.EmotionClassifier.from_directory(model_directory, threads=threads)
        records = [record for record in data.records if record.split in splits]
        rows = predict.prediction_rows(classifier, records, data.classes, batch_size)
    write_jsonl(predictions_path, rows, sealed=True)

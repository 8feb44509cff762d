"""The predictions of a run: every held-out text, by a stored model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affectlab.emotion.predictor import DEFAULT_BATCH_SIZE, prediction_rows
from affectlab.emotion.predictors import PREDICTORS
from affectlab.emotion.readers import AnyData
from affectlab.files.io import write_jsonl


def predict_records(
    *,
    data: AnyData,
    model_directory: Path,
    predictions_path: Path,
    splits: Sequence[str],
    threads: int,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> None:
    """Store what a model predicts for every record of *splits*, one JSON object a line.

    ``cut`` tells of which texts the model read the beginning alone.
    """
    kind = PREDICTORS[data.description.target]
    predictor = kind.from_directory(model_directory, threads=threads)
    records = [record for record in data.records if record.split in splits]
    rows = prediction_rows(predictor, records, data.description.classes, batch_size)
    write_jsonl(predictions_path, rows, sealed=True)

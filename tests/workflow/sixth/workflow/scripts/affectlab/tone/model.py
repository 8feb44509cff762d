"""Naive Bayes on words: fitting, storing, and the predictor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.tone.data import CLASSES, Record, read_records

from affectlab.errors import UserError
from affectlab.files.io import read_json, round_significant, write_json, write_jsonl

MODEL = "model.json"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model predicts for one text."""

    label: str
    probabilities: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON data."""
        return {"label": self.label, "probabilities": self.probabilities}


class TonePredictor:
    """A trained model of the tone experiment."""

    def __init__(self, weights: Mapping[str, Sequence[float]]) -> None:
        self._weights = weights

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        device: str | None = None,
        precision: str = "fp32",
        threads: int | None = None,
    ) -> TonePredictor:
        """Load the ``model`` directory of a run; words have no use for the other arguments.

        Raises:
            UserError: no such directory.
        """
        if not (Path(path) / MODEL).is_file():
            raise UserError(f"{path}: not a model of the tone experiment (no {MODEL})")
        return cls(read_json(Path(path) / MODEL))

    def predict(self, items: str | Sequence[str]) -> Any:
        """Classify one text, or each of several."""
        if isinstance(items, str):
            return self.predict([items])[0]
        return [self._predict(text) for text in items]

    def _predict(self, text: str) -> Prediction:
        unknown = [0.0] * len(CLASSES)
        rows = [self._weights.get(word, unknown) for word in text.split()]
        powers = [math.exp(sum(column)) for column in zip(unknown, *rows, strict=True)]
        shares = [round_significant(power / sum(powers)) for power in powers]
        best = max(range(len(CLASSES)), key=shares.__getitem__)
        return Prediction(CLASSES[best], dict(zip(CLASSES, shares, strict=True)))


def train(
    *, records_path: Path, smoothing: float, model_directory: Path, predictions_path: Path
) -> None:
    """Fit a model and store it with its predictions of the held-out splits."""
    records = read_records(records_path)
    weights = fit([one for one in records if one.split == "train"], smoothing)
    model_directory.mkdir(parents=True, exist_ok=True)
    write_json(model_directory / MODEL, weights)
    held_out = [one for one in records if one.split != "train"]
    write_jsonl(predictions_path, _rows(TonePredictor(weights), held_out), sealed=True)


def fit(records: Iterable[Record], smoothing: float) -> dict[str, list[float]]:
    """Return word -> log of its smoothed frequency in each class."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in CLASSES}
    for record in records:
        counts[record.label].update(record.text.split())
    totals = {name: sum(found.values()) for name, found in counts.items()}
    return {
        word: [math.log((counts[k][word] + smoothing) / (totals[k] + smoothing)) for k in CLASSES]
        for word in sorted(set().union(*counts.values()))
    }


def _rows(predictor: TonePredictor, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    for record in records:
        found = predictor.predict(record.text)
        yield {
            "id": record.id,
            "split": record.split,
            "label": record.label,
            "prediction": found.label,
            "probabilities": found.probabilities,
        }

"""The predictor of numbers, `EmotionRegressor`, and the lines of its predictions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from affectlab.emotion import tfidf_numbers
from affectlab.emotion.predict import (
    DEFAULT_BATCH_SIZE,
    TextNetwork,
    check_texts,
    cut_warning,
    log_cut,
    predicts_numbers,
)
from affectlab.emotion.ratings import Rating
from affectlab.emotion.scales import scales_of
from affectlab.errors import UserError
from affectlab.files.io import round_significant

if TYPE_CHECKING:
    import numpy as np

    from affectlab.emotion.tfidf_numbers import TfidfRegressor
    from affectlab.models.devices import Precision


@dataclass(frozen=True, slots=True)
class NumberPrediction:
    """What a model predicts for one text.

    Attributes:
        values: name of a number -> the number, in units of the training data.
        cut: whether the text was longer than what the model reads, so that its end was left out.
    """

    values: dict[str, float]
    cut: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {"values": self.values, "cut": self.cut}


class _Backend(Protocol):
    names: tuple[str, ...]
    max_length: int | None

    def numbers(self, texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]: ...


class EmotionRegressor:
    """A trained model of the emotion experiment that predicts numbers.

    Example:
        >>> regressor = EmotionRegressor.from_directory("results/emotion/mine_minilm/seed42/model")
        >>> regressor.predict("i feel so happy today").values
        {'valence': 0.71, 'arousal': 0.43}
    """

    def __init__(self, backend: _Backend) -> None:
        self._backend = backend
        self.names = backend.names

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> EmotionRegressor:
        """Load the ``model`` directory of a run on data with numbers.

        Args:
            path: a Hugging Face checkpoint that this experiment wrote, or a TF-IDF model.
            device: see `EmotionClassifier.from_directory`, as of the next two.
            precision: of a network's matrix products.
            threads: CPU threads.

        Raises:
            UserError: no such directory, or not a model of numbers.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such model directory")
        if not predicts_numbers(folder):
            raise UserError(f"{folder}: expected a model that predicts numbers")
        if (folder / tfidf_numbers.SETTINGS_FILE).exists():
            return cls.from_tfidf(tfidf_numbers.load(folder))
        return cls(_NetworkRegressor(folder, device, threads, precision))

    @classmethod
    def from_tfidf(cls, model: TfidfRegressor) -> EmotionRegressor:
        """Take a fitted model of `tfidf_numbers`."""
        return cls(_TfidfModel(model))

    @property
    def max_length(self) -> int | None:
        """Tokens that the model reads of a text; None if it reads all."""
        return self._backend.max_length

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, texts: str, *, batch_size: int = ..., first: int = ...
    ) -> NumberPrediction: ...

    @overload
    def predict(
        self, texts: Sequence[str], *, batch_size: int = ..., first: int = ...
    ) -> list[NumberPrediction]: ...

    def predict(
        self, texts: str | Sequence[str], *, batch_size: int = DEFAULT_BATCH_SIZE, first: int = 1
    ) -> NumberPrediction | list[NumberPrediction]:
        """Predict the numbers of one text, or of each of several, in order.

        Texts that are too long are treated as by `EmotionClassifier.predict`.

        Args:
            texts: one text, or several.
            batch_size: texts at a time.
            first: number of the first text in messages.

        Raises:
            TypeError: *texts* contains something else than strings.
            UserError: a text is empty or no valid Unicode.
        """
        if isinstance(texts, str):
            return self.predict([texts], batch_size=batch_size, first=first)[0]
        check_texts(texts, first)
        if len(texts) == 0:
            return []
        rows, cut = self._backend.numbers(texts, batch_size)
        if cut:
            warnings.warn(cut_warning(cut, self.max_length, first), stacklevel=2)
        return [
            NumberPrediction(dict(zip(self.names, map(float, row), strict=True)), place in set(cut))
            for place, row in enumerate(rows)
        ]


class _NetworkRegressor:
    def __init__(
        self, directory: Path, device: str | None, threads: int | None, precision: Precision
    ) -> None:
        self._network = TextNetwork(directory, device, threads, precision)
        self._scales = scales_of(self._network.config, directory / "config.json")
        self.names = self._scales.names
        if self.names != self._network.names:
            problem = "id2label and number_scales name different numbers"
            raise UserError(f"{directory / 'config.json'}: {problem}")
        self.max_length: int | None = self._network.max_length

    def numbers(self, texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]:
        """Numbers, float64 (n, numbers), and the places of texts that were cut."""
        outputs, cut = self._network.outputs(texts, batch_size)
        return self._scales.restored(outputs), cut


class _TfidfModel:
    def __init__(self, model: TfidfRegressor) -> None:
        self._model = model
        self.names = model.scales.names
        self.max_length: int | None = None

    def numbers(self, texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]:
        """Numbers, float64 (n, numbers); no text is cut."""
        return self._model.predict(texts), []


def prediction_rows(
    regressor: EmotionRegressor,
    records: Sequence[Rating],
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> list[dict[str, Any]]:
    """The lines of predictions.jsonl of *records*."""
    with warnings.catch_warnings():
        # Counted below, for the log.
        warnings.simplefilter("ignore", UserWarning)
        predictions = regressor.predict([record.text for record in records], batch_size=batch_size)
    log_cut([prediction.cut for prediction in predictions], regressor.max_length)
    return [
        {
            "id": record.id,
            "split": record.split,
            "values": dict(record.values),
            "prediction": {
                name: round_significant(value) for name, value in prediction.values.items()
            },
            "cut": prediction.cut,
        }
        for record, prediction in zip(records, predictions, strict=True)
    ]

"""The predictor of numbers, `EmotionRegressor`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from affectlab.datasets.description import Target
from affectlab.emotion import tfidf_numbers
from affectlab.emotion.predictor import Backend, TextNetwork, TextPredictor, model_folder
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

    def stored(self, names: Sequence[str]) -> dict[str, Any]:
        """See `TextPrediction`."""
        return {
            "prediction": {name: round_significant(self.values[name]) for name in names},
            "cut": self.cut,
        }


class EmotionRegressor(TextPredictor[NumberPrediction]):
    """A trained model of the emotion experiment that predicts numbers.

    Example:
        >>> regressor = EmotionRegressor.from_directory("results/emotion/mine_minilm/seed42/model")
        >>> regressor.predict("i feel so happy today").values
        {'valence': 0.71, 'arousal': 0.43}
    """

    target: ClassVar[Target] = "numbers"

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
        folder = model_folder(path, cls.target)
        if (folder / tfidf_numbers.SETTINGS_FILE).exists():
            return cls.from_tfidf(tfidf_numbers.load(folder))
        network = TextNetwork(folder, device, threads, precision)
        scales = scales_of(network.config, folder / "config.json")
        if scales.names != network.names:
            problem = "id2label and number_scales name different numbers"
            raise UserError(f"{folder / 'config.json'}: {problem}")
        return cls(Backend.of_network(network, scales.restored))

    @classmethod
    def from_tfidf(cls, model: TfidfRegressor) -> EmotionRegressor:
        """Take a fitted model of `tfidf_numbers`."""
        return cls(Backend.of_words(model.scales.names, model.predict))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers."""
        return self._backend.names

    def _prediction(self, row: np.ndarray, cut: bool) -> NumberPrediction:
        return NumberPrediction(dict(zip(self.names, map(float, row), strict=True)), cut)

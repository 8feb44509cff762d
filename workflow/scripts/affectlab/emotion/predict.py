"""The predictor of one class, `EmotionClassifier`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from affectlab.datasets.description import Target
from affectlab.emotion import tfidf
from affectlab.emotion.predictor import Backend, TextNetwork, TextPredictor, model_folder
from affectlab.files.io import round_significant

if TYPE_CHECKING:
    import numpy as np
    from sklearn.pipeline import Pipeline

    from affectlab.models.devices import Precision


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model predicts for one text.

    Attributes:
        label: the likeliest class.
        probabilities: of each class.
        cut: whether the text was longer than what the model reads, so that its end was left out.
    """

    label: str
    probabilities: dict[str, float]
    cut: bool = False

    def top(self, k: int) -> list[tuple[str, float]]:
        """The *k* likeliest classes with their probabilities, likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {"label": self.label, "probabilities": self.probabilities, "cut": self.cut}

    def stored(self, names: Sequence[str]) -> dict[str, Any]:
        """See `TextPrediction`."""
        return {
            "prediction": self.label,
            "cut": self.cut,
            "probabilities": {name: round_significant(self.probabilities[name]) for name in names},
        }


class EmotionClassifier(TextPredictor[Prediction]):
    """A trained model of the emotion experiment that predicts one class, however it was trained.

    Example:
        >>> classifier = EmotionClassifier.from_directory("results/emotion/minilm/seed42/model")
        >>> classifier.predict("i feel so happy today").label
        'joy'
    """

    target: ClassVar[Target] = "class"

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> EmotionClassifier:
        """Load the ``model`` directory of a run.

        Args:
            path: a Hugging Face checkpoint of a text classifier, or a TF-IDF model.
            device: a PyTorch device name; the GPU if there is one, by default.
            precision: of a network's matrix products. ``auto`` takes bfloat16, of about
                three digits, where the device multiplies it faster.
            threads: CPU threads; PyTorch's own choice by default.

        Raises:
            UserError: no such directory, or not a model of this experiment.
        """
        folder = model_folder(path, cls.target)
        if (folder / "config.json").exists():
            network = TextNetwork(folder, device, threads, precision)
            return cls(Backend.of_network(network, _softmax))
        return cls.from_pipeline(tfidf.load(folder))

    @classmethod
    def from_pipeline(cls, pipeline: Pipeline) -> EmotionClassifier:
        """Take a fitted pipeline of `tfidf.build_pipeline`."""
        classes = tuple(map(str, pipeline.classes_))
        return cls(Backend.of_words(classes, lambda texts: pipeline.predict_proba(list(texts))))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the model."""
        return self._backend.names

    def _prediction(self, row: np.ndarray, cut: bool) -> Prediction:
        probabilities = {name: float(p) for name, p in zip(self.classes, row, strict=True)}
        return Prediction(self.classes[int(row.argmax())], probabilities, cut)


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities, float64 (n, classes)."""
    import numpy as np
    from scipy.special import softmax

    return np.asarray(softmax(logits.astype(np.float64), axis=1))

"""The predictor of label sets, `EmotionMultilabelClassifier`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from affectlab.datasets.description import Target
from affectlab.emotion import tfidf_multilabel
from affectlab.emotion.predictor import Backend, TextNetwork, TextPredictor, model_folder
from affectlab.emotion.thresholds import probabilities_of, thresholds_of
from affectlab.files.io import round_significant

if TYPE_CHECKING:
    import numpy as np

    from affectlab.emotion.tfidf_multilabel import TfidfMultilabel
    from affectlab.models.devices import Precision


@dataclass(frozen=True, slots=True)
class MultilabelPrediction:
    """What a model predicts for one text.

    Attributes:
        labels: classes whose probability reaches their threshold, in the order of the classes; may
            be empty.
        probabilities: of each class.
        thresholds: of each class.
        cut: whether the text was longer than what the model reads, so that its end was left out.
    """

    labels: tuple[str, ...]
    probabilities: dict[str, float]
    thresholds: Mapping[str, float]
    cut: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "labels": list(self.labels),
            "probabilities": self.probabilities,
            "thresholds": dict(self.thresholds),
            "cut": self.cut,
        }

    def stored(self, names: Sequence[str]) -> dict[str, Any]:
        """See `TextPrediction`."""
        return {
            "prediction": list(self.labels),
            "cut": self.cut,
            "probabilities": {name: round_significant(self.probabilities[name]) for name in names},
            "thresholds": {name: round_significant(self.thresholds[name]) for name in names},
        }


class EmotionMultilabelClassifier(TextPredictor[MultilabelPrediction]):
    """A trained model of the emotion experiment that predicts any number of classes for a text.

    Example:
        >>> path = "results/emotion/mine_minilm/seed42/model"
        >>> classifier = EmotionMultilabelClassifier.from_directory(path)
        >>> classifier.predict("i feel so happy today").labels
        ('joy', 'love')
    """

    target: ClassVar[Target] = "classes"

    def __init__(self, backend: Backend, thresholds: Sequence[float]) -> None:
        """Take a loaded model, and the threshold of each of its classes."""
        super().__init__(backend)
        self.thresholds = dict(zip(backend.names, thresholds, strict=True))

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> EmotionMultilabelClassifier:
        """Load the ``model`` directory of a run on data with several classes for each text.

        Args:
            path: a Hugging Face checkpoint that this experiment wrote, or a TF-IDF model.
            device: see `EmotionClassifier.from_directory`, as of the next two.
            precision: of a network's matrix products.
            threads: CPU threads.

        Raises:
            UserError: no such directory, or not a model of several classes.
        """
        folder = model_folder(path, cls.target)
        if (folder / tfidf_multilabel.SETTINGS_FILE).exists():
            return cls.from_tfidf(tfidf_multilabel.load(folder))
        network = TextNetwork(folder, device, threads, precision)
        thresholds = thresholds_of(network.config, network.names, folder / "config.json")
        return cls(Backend.of_network(network, probabilities_of), thresholds)

    @classmethod
    def from_tfidf(cls, model: TfidfMultilabel) -> EmotionMultilabelClassifier:
        """Take a fitted model of `tfidf_multilabel`."""
        return cls(Backend.of_words(model.classes, model.probabilities), model.thresholds)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the model."""
        return self._backend.names

    def _prediction(self, row: np.ndarray, cut: bool) -> MultilabelPrediction:
        probabilities = {name: float(p) for name, p in zip(self.classes, row, strict=True)}
        labels = tuple(name for name, p in probabilities.items() if p >= self.thresholds[name])
        return MultilabelPrediction(labels, probabilities, self.thresholds, cut)

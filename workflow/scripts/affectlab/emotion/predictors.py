"""The predictor of a model, whatever it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from affectlab.datasets.description import Target
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.predict_multilabel import EmotionMultilabelClassifier
from affectlab.emotion.predict_numbers import EmotionRegressor
from affectlab.emotion.predictor import TextPredictor, model_target

if TYPE_CHECKING:
    from affectlab.models.devices import Precision

PREDICTORS: Mapping[Target, type[TextPredictor[Any]]] = MappingProxyType(
    {
        kind.target: kind
        for kind in (EmotionClassifier, EmotionMultilabelClassifier, EmotionRegressor)
    }
)


def load_predictor(
    directory: Path,
    *,
    device: str | None = None,
    precision: Precision = "fp32",
    threads: int | None = None,
) -> TextPredictor[Any]:
    """Load the ``model`` directory of a run by the predictor of its target.

    Args:
        directory: the ``model`` directory.
        device: see `EmotionClassifier.from_directory`, as of the next two.
        precision: of a network's matrix products.
        threads: CPU threads.

    Raises:
        UserError: no such directory, or not a model of this experiment.
    """
    kind = PREDICTORS[model_target(directory) or "class"]
    return kind.from_directory(directory, device=device, precision=precision, threads=threads)

"""The thresholds of a model that predicts label sets: stored with it, and read again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.datasets.numbers import is_finite_number
from affectlab.errors import UserError

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

KEY = "class_thresholds"
"""The entry of a model's settings that holds them."""


def thresholds_of(settings: Mapping[str, Any], classes: Sequence[str], path: Path) -> list[float]:
    """The threshold of each class in the settings of a model.

    Args:
        settings: with the entry `KEY`: class -> threshold.
        classes: of the model.
        path: of the settings, for messages.

    Raises:
        UserError: they are missing or broken, or of other classes.
    """
    stored = settings.get(KEY)
    if (
        not isinstance(stored, dict)
        or set(stored) != set(classes)
        or not all(is_finite_number(one) and 0 <= one <= 1 for one in stored.values())
    ):
        raise UserError(f"{path}: expected {KEY} with a number from 0 to 1 for each class")
    return [float(stored[name]) for name in classes]


def chosen_thresholds(
    true: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> list[float]:
    """Choose the threshold of each class on validation; warn of classes that have none there.

    Args:
        true: booleans (n, classes), of the validation items.
        probabilities: float64 (n, classes), of the same.
        classes: their names.
    """
    from affectlab.evaluation.thresholds import DEFAULT_THRESHOLD, choose_thresholds

    found = choose_thresholds(true, probabilities)
    absent = [name for name, known in zip(classes, found.chosen, strict=True) if not known]
    if absent:
        logger.warning(
            "no validation text has the class %s: the threshold is %g",
            ", ".join(absent),
            DEFAULT_THRESHOLD,
        )
    return [float(one) for one in found.values]


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Probabilities of independent classes from logits, float64 (n, classes)."""
    import numpy as np
    from scipy.special import expit

    return np.asarray(expit(logits.astype(np.float64)))

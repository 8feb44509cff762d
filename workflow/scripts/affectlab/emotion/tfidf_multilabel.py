"""The classical baseline for label sets: TF-IDF and a logistic regression for each class.

Each class is told from all texts without it (one-vs-rest, or binary relevance).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.emotion.linear import (
    Files,
    build_vectorizer,
    check_different,
    fit_features,
    read_linear,
    save_linear,
)
from affectlab.emotion.settings import Tfidf
from affectlab.emotion.tfidf import build_classifier
from affectlab.emotion.thresholds import KEY, chosen_thresholds, probabilities_of, thresholds_of
from affectlab.files.integrity import check_directory, checked

if TYPE_CHECKING:
    import numpy as np

SETTINGS_FILE = "tfidf_multilabel.json"
FILES = Files(SETTINGS_FILE, "tfidf_multilabel.safetensors")


@dataclass(frozen=True, slots=True)
class TfidfMultilabel:
    """A fitted model.

    Attributes:
        recipe: of the n-grams and the classifiers.
        vectorizer: fitted, from texts to features (n, terms).
        coefficients: float64 (classes, terms).
        intercepts: float64 (classes,).
        classes: names.
        thresholds: probability from which on a text is given each class.
    """

    recipe: Tfidf
    vectorizer: Any
    coefficients: np.ndarray
    intercepts: np.ndarray
    classes: tuple[str, ...]
    thresholds: tuple[float, ...]

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Log odds of each class, float64 (n, classes)."""
        features = self.vectorizer.transform(texts)
        return features @ self.coefficients.T + self.intercepts

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Probability of each class, float64 (n, classes)."""
        return probabilities_of(self.logits(texts))

    def with_thresholds(self, texts: Sequence[str], true: np.ndarray) -> TfidfMultilabel:
        """The same model with thresholds that are chosen on validation texts.

        Args:
            texts: of the validation split.
            true: booleans (n, classes), which classes each has.
        """
        found = chosen_thresholds(true, self.probabilities(texts), self.classes)
        return replace(self, thresholds=tuple(found))


def fit(
    recipe: Tfidf, texts: Sequence[str], true: np.ndarray, classes: Sequence[str], seed: int
) -> TfidfMultilabel:
    """Fit n-grams, and a logistic regression for each class; all thresholds are 0.5.

    A class that none or all of the texts have gets no weights: its probability is constant.

    Args:
        recipe: of the n-grams and the classifiers.
        texts: n texts.
        true: booleans (n, classes), which classes each has.
        classes: their names.
        seed: of the solver.

    Raises:
        UserError: no n-gram occurs in as many texts as ``min_df`` asks for.
    """
    import numpy as np

    vectorizer = build_vectorizer(recipe)
    features = fit_features(vectorizer, texts)
    coefficients = np.zeros((len(classes), features.shape[1]))
    intercepts = np.zeros(len(classes))
    for place, own in enumerate(true.T):
        positive = int(own.sum())
        if positive in (0, len(texts)):
            # Half a text with the class, and half a text without it: the log odds stay finite.
            intercepts[place] = math.log((positive + 0.5) / (len(texts) - positive + 0.5))
            continue
        classifier = build_classifier(recipe, seed).fit(features, own)
        coefficients[place], intercepts[place] = classifier.coef_[0], classifier.intercept_[0]
    halves = (0.5,) * len(classes)
    return TfidfMultilabel(recipe, vectorizer, coefficients, intercepts, tuple(classes), halves)


def save(model: TfidfMultilabel, directory: Path | str) -> None:
    """Write a fitted model as a folder; an existing one is replaced."""
    save_linear(
        directory,
        FILES,
        recipe=model.recipe.model_dump(),
        settings={
            "classes": list(model.classes),
            KEY: dict(zip(model.classes, model.thresholds, strict=True)),
        },
        vectorizer=model.vectorizer,
        coefficients=model.coefficients,
        intercepts=model.intercepts,
    )


@checked("directory", check_directory)
def load(directory: Path | str) -> TfidfMultilabel:
    """Read a folder of `save`; the model gives the very probabilities of the saved one.

    Raises:
        UserError: a file is missing, corrupt, or does not fit the other.
    """
    found = read_linear(directory, FILES, _rows_of)
    classes = tuple(found.settings["classes"])
    return TfidfMultilabel(
        found.recipe,
        found.vectorizer,
        found.coefficients,
        found.intercepts,
        classes,
        tuple(thresholds_of(found.settings, classes, found.path)),
    )


def _rows_of(settings: Mapping[str, Any], path: Path) -> int:
    check_different(settings["classes"], "classes", path)
    return len(thresholds_of(settings, settings["classes"], path))

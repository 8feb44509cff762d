"""The classical baseline for numbers: TF-IDF of word n-grams and ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.emotion.linear import (
    Files,
    build_vectorizer,
    fit_features,
    read_linear,
    save_linear,
)
from affectlab.emotion.scales import KEY, Scales, scales_of
from affectlab.emotion.settings import Tfidf
from affectlab.files.integrity import check_directory, checked

if TYPE_CHECKING:
    import numpy as np

SETTINGS_FILE = "tfidf_numbers.json"
FILES = Files(SETTINGS_FILE, "tfidf_numbers.safetensors")
TOLERANCE = 1e-8
"""Of the solver, far below the digits that are stored."""


@dataclass(frozen=True, slots=True)
class TfidfRegressor:
    """A fitted model.

    Attributes:
        recipe: of the n-grams and the penalty.
        vectorizer: fitted, from texts to features (n, terms).
        coefficients: float64 (numbers, terms).
        intercepts: float64 (numbers,).
        scales: of the training numbers.
    """

    recipe: Tfidf
    vectorizer: Any
    coefficients: np.ndarray
    intercepts: np.ndarray
    scales: Scales

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """The numbers of each text in units of the data, float64 (n, numbers)."""
        features = self.vectorizer.transform(texts)
        return self.scales.restored(features @ self.coefficients.T + self.intercepts)


def fit(
    recipe: Tfidf, texts: Sequence[str], values: np.ndarray, names: Sequence[str]
) -> TfidfRegressor:
    """Fit n-grams and ridge regression of the standardised numbers.

    The penalty is ``1 / C``: as in the logistic regression of `tfidf`, half the squared weights
    and C times half the squared errors are minimised together.

    Args:
        recipe: of the n-grams and the penalty.
        texts: n texts.
        values: in units of the data, float64 (n, numbers).
        names: of the numbers.

    Raises:
        UserError: no n-gram occurs in as many texts as ``min_df`` asks for.
    """
    from sklearn.linear_model import Ridge

    vectorizer = build_vectorizer(recipe)
    features = fit_features(vectorizer, texts)
    scales = Scales.of(values, names)
    ridge = Ridge(alpha=1 / recipe.C, solver="sparse_cg", tol=TOLERANCE)
    ridge.fit(features, scales.standardised(values))
    return TfidfRegressor(
        recipe,
        vectorizer,
        ridge.coef_.reshape(len(names), features.shape[1]),
        ridge.intercept_.reshape(len(names)),
        scales,
    )


def save(model: TfidfRegressor, directory: Path | str) -> None:
    """Write a fitted model as a folder; an existing one is replaced."""
    save_linear(
        directory,
        FILES,
        recipe=model.recipe.model_dump(),
        settings={KEY: model.scales.to_dict()},
        vectorizer=model.vectorizer,
        coefficients=model.coefficients,
        intercepts=model.intercepts,
    )


@checked("directory", check_directory)
def load(directory: Path | str) -> TfidfRegressor:
    """Read a folder of `save`; the model gives the very numbers of the saved one.

    Raises:
        UserError: a file is missing, corrupt, or does not fit the other.
    """
    found = read_linear(
        directory, FILES, lambda settings, path: len(scales_of(settings, path).names)
    )
    scales = scales_of(found.settings, found.path)
    return TfidfRegressor(
        found.recipe, found.vectorizer, found.coefficients, found.intercepts, scales
    )

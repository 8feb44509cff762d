"""The classical baseline for numbers: TF-IDF of word n-grams and ridge regression.

Stored as `tfidf` stores its models: JSON and safetensors, never a pickle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.config.models import typed
from affectlab.emotion.scales import KEY, Scales, scales_of
from affectlab.emotion.settings import Tfidf
from affectlab.emotion.tfidf import (
    build_vectorizer,
    check_different,
    fit_features,
    read_weights,
    restore_terms,
    terms_of,
)
from affectlab.errors import UserError, reading
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, sealed_path, write_json

if TYPE_CHECKING:
    import numpy as np

SETTINGS_FILE = "tfidf_numbers.json"
WEIGHTS_FILE = "tfidf_numbers.safetensors"
FORMAT = 1
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
    import numpy as np
    from safetensors.numpy import save_file

    with sealed_path(directory) as temporary:
        write_json(
            temporary / SETTINGS_FILE,
            {
                "format": FORMAT,
                "recipe": model.recipe.model_dump(),
                KEY: model.scales.to_dict(),
                "terms": terms_of(model.vectorizer),
            },
        )
        arrays = {
            "idf": model.vectorizer.idf_,
            "coefficients": model.coefficients,
            "intercepts": model.intercepts,
        }
        save_file(
            {name: np.ascontiguousarray(own, np.float64) for name, own in arrays.items()},
            temporary / WEIGHTS_FILE,
        )


@checked("directory", check_directory)
def load(directory: Path | str) -> TfidfRegressor:
    """Read a folder of `save`; the model gives the very numbers of the saved one.

    Raises:
        UserError: a file is missing, corrupt, or does not fit the other.
    """
    folder = Path(directory)
    path = folder / SETTINGS_FILE
    settings = read_json(path)
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise UserError(f"{path}: expected a TF-IDF model of format {FORMAT}")
    weights = read_weights(folder / WEIGHTS_FILE)
    scales = scales_of(settings, path)
    try:
        stored, terms = settings["recipe"], settings["terms"]
        idf, coefficients = weights["idf"], weights["coefficients"]
        intercepts = weights["intercepts"]
    except KeyError as error:
        raise UserError(f"{folder}: the TF-IDF model lacks {error.args[0]!r}") from error
    with reading(path, "the recipe of a TF-IDF model"):
        # All of them: a default is not what the model was fitted with.
        if absent := Tfidf.model_fields.keys() - stored:
            raise UserError(f"{folder}: the TF-IDF model lacks {min(absent)!r}")
        recipe = typed(Tfidf, stored)
        vectorizer = build_vectorizer(recipe)
    check_different(terms, "terms", path)
    count = len(scales.names)
    if (idf.shape, coefficients.shape, intercepts.shape) != (
        (len(terms),),
        (count, len(terms)),
        (count,),
    ):
        raise UserError(f"{folder}: {SETTINGS_FILE} and {WEIGHTS_FILE} are not of the same model")
    restore_terms(vectorizer, terms, idf)
    model = TfidfRegressor(recipe, vectorizer, coefficients, intercepts, scales)
    # Some values of the recipe are used with the first text only.
    with reading(path, "the recipe of a TF-IDF model"):
        model.predict(["a"])
    return model

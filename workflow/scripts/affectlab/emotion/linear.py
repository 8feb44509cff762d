"""Linear models on TF-IDF features: their n-grams, and the folder that one is stored in.

A fitted model is stored as JSON (vocabulary, settings) and safetensors (weights), never as a
pickle, so that opening a stranger's model cannot run a stranger's code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.config.models import typed
from affectlab.emotion.settings import Tfidf
from affectlab.errors import UserError, reading
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models.finite import check_finite_arrays

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1


def build_vectorizer(settings: Tfidf) -> Any:
    """Make what counts n-grams, not fitted."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=tuple(settings.ngram_range),
        min_df=settings.min_df,
        sublinear_tf=settings.sublinear_tf,
    )


def fit_features(vectorizer: Any, texts: Sequence[str]) -> Any:
    """Fit what `build_vectorizer` made, and return the sparse features (n, terms) of *texts*.

    Raises:
        UserError: no n-gram occurs in as many texts as ``min_df`` asks for.
    """
    try:
        return vectorizer.fit_transform(texts)
    except ValueError as error:
        raise UserError(
            f"no word or group of words occurs in {vectorizer.min_df} of the {len(texts)} texts to "
            "learn from (min_df)"
        ) from error


@dataclass(frozen=True, slots=True)
class Files:
    """Names of the files of a model."""

    settings: str
    weights: str


@dataclass(frozen=True, slots=True)
class Linear:
    """What `read_linear` found.

    Attributes:
        settings: as they were stored.
        path: of the settings, for messages.
        recipe: of the n-grams and the classifier.
        vectorizer: fitted, from texts to features (n, terms).
        coefficients: float64 (rows, terms).
        intercepts: float64 (rows,).
    """

    settings: Mapping[str, Any]
    path: Path
    recipe: Tfidf
    vectorizer: Any
    coefficients: np.ndarray
    intercepts: np.ndarray


def save_linear(
    directory: Path | str,
    files: Files,
    *,
    recipe: Mapping[str, Any],
    settings: Mapping[str, Any],
    vectorizer: Any,
    coefficients: np.ndarray,
    intercepts: np.ndarray,
) -> None:
    """Write a fitted model as a folder; an existing one is replaced.

    Args:
        directory: the folder.
        files: names of its files.
        recipe: of the n-grams and the classifier, as `Tfidf` has it.
        settings: what else the model needs, as JSON data.
        vectorizer: of `build_vectorizer`, fitted.
        coefficients: (rows, terms).
        intercepts: (rows,).
    """
    import numpy as np
    from safetensors.numpy import save_file

    arrays = {"idf": vectorizer.idf_, "coefficients": coefficients, "intercepts": intercepts}
    with sealed_path(directory) as temporary:
        write_json(
            temporary / files.settings,
            {"format": FORMAT, "recipe": recipe, **settings, "terms": terms_of(vectorizer)},
        )
        save_file(
            {name: np.ascontiguousarray(own, np.float64) for name, own in arrays.items()},
            temporary / files.weights,
        )


def read_linear(
    directory: Path | str, files: Files, rows_of: Callable[[Mapping[str, Any], Path], int]
) -> Linear:
    """Read a folder of `save_linear`; the model gives the very numbers of the saved one.

    Args:
        directory: the folder, whose digests were checked.
        files: names of its files.
        rows_of: checks the further settings (with their path, for messages), and gives the
            number of rows of the weights that fits them.

    Raises:
        UserError: a file is missing, corrupt, or does not fit the other.
    """
    folder = Path(directory)
    path = folder / files.settings
    settings = read_json(path)
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise UserError(f"{path}: expected a TF-IDF model of format {FORMAT}")
    weights = read_weights(folder / files.weights)
    try:
        stored, terms = settings["recipe"], settings["terms"]
        idf, coefficients = weights["idf"], weights["coefficients"]
        intercepts = weights["intercepts"]
        with reading(path, "the recipe of a TF-IDF model"):
            # All of them: a default is not what the model was fitted with.
            if absent := Tfidf.model_fields.keys() - stored:
                raise UserError(f"{folder}: the TF-IDF model lacks {min(absent)!r}")
            recipe = typed(Tfidf, stored)
            vectorizer = build_vectorizer(recipe)
        rows = rows_of(settings, path)
    except KeyError as error:
        raise UserError(f"{folder}: the TF-IDF model lacks {error.args[0]!r}") from error
    check_different(terms, "terms", path)
    if (idf.shape, coefficients.shape, intercepts.shape) != (
        (len(terms),),
        (rows, len(terms)),
        (rows,),
    ):
        raise UserError(f"{folder}: {files.settings} and {files.weights} are not of the same model")
    restore_terms(vectorizer, terms, idf)
    # Some values of the recipe are used with the first text only.
    with reading(path, "the recipe of a TF-IDF model"):
        vectorizer.transform(["a"])
    return Linear(settings, path, recipe, vectorizer, coefficients, intercepts)


def terms_of(vectorizer: Any) -> list[str]:
    """The n-grams of a fitted vectorizer, in the order of its features."""
    return sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)


def restore_terms(vectorizer: Any, terms: Sequence[str], idf: np.ndarray) -> None:
    """Make a vectorizer of `build_vectorizer` the fitted one, in place.

    Args:
        vectorizer: not fitted.
        terms: as of `terms_of`.
        idf: their inverse document frequencies, float64 (terms,).
    """
    vectorizer.vocabulary = {term: number for number, term in enumerate(terms)}
    vectorizer.idf_ = idf


def check_different(texts: Any, name: str, path: Path) -> None:
    """See that *texts*, the entry *name* of the settings at *path*, are different texts.

    Raises:
        UserError: they are not.
    """
    if (
        not isinstance(texts, list)
        or not all(isinstance(text, str) for text in texts)
        or len(set(texts)) != len(texts)
    ):
        raise UserError(f"{path}: {name}: expected a list of different texts")


def read_weights(path: Path) -> dict[str, Any]:
    """Read the arrays of a model, all of them finite."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        weights = load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"{path}: not a readable safetensors file; it is cut off or corrupt"
        ) from error
    check_finite_arrays(weights, path)
    return weights

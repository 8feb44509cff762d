"""The classical baseline: TF-IDF of word n-grams and multinomial logistic regression.

A fitted model is stored as JSON (vocabulary, settings) and safetensors (weights), never as a
pickle, so that opening a stranger's model cannot run a stranger's code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.config.models import typed
from affectlab.emotion.settings import Tfidf
from affectlab.errors import UserError, reading
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models.finite import check_finite_arrays

if TYPE_CHECKING:
    import numpy as np
    from sklearn.pipeline import Pipeline

SETTINGS_FILE = "tfidf.json"
WEIGHTS_FILE = "tfidf.safetensors"
FORMAT = 1


def build_pipeline(settings: Tfidf, seed: int = 0) -> Pipeline:
    """Make the unfitted pipeline; its steps are ``tfidf`` and ``classifier``.

    Args:
        settings: of the n-grams and the classifier.
        seed: of the solver.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    return Pipeline(
        [
            ("tfidf", build_vectorizer(settings)),
            (
                "classifier",
                LogisticRegression(
                    C=settings.C,
                    class_weight=settings.class_weight,
                    max_iter=2000,
                    random_state=seed,
                ),
            ),
        ]
    )


def build_vectorizer(settings: Tfidf) -> Any:
    """Make what counts n-grams, not fitted."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=tuple(settings.ngram_range),
        min_df=settings.min_df,
        sublinear_tf=settings.sublinear_tf,
    )


def fit(pipeline: Pipeline, texts: Sequence[str], labels: Sequence[Any]) -> Pipeline:
    """Fit a pipeline of `build_pipeline`, and return it.

    Raises:
        UserError: no n-gram occurs in as many texts as ``min_df`` asks for.
    """
    pipeline["classifier"].fit(fit_features(pipeline["tfidf"], texts), labels)
    return pipeline


def fit_shares(
    pipeline: Pipeline, texts: Sequence[str], shares: np.ndarray, classes: Sequence[str]
) -> Pipeline:
    """Fit a pipeline of `build_pipeline` on soft labels, and return it.

    The classifier sees a copy of each text for each of its classes, weighted by its share. Its
    loss is then the cross-entropy of the shares.

    Args:
        pipeline: not fitted.
        texts: n texts; the n-grams are counted in each once.
        shares: float64 (n, classes), each row sums to 1.
        classes: names of the columns.

    Raises:
        UserError: see `fit`.
    """
    import numpy as np

    features = fit_features(pipeline["tfidf"], texts)
    rows, columns = np.nonzero(shares)
    pipeline["classifier"].fit(
        features[rows], np.array(classes)[columns], sample_weight=shares[rows, columns]
    )
    return pipeline


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


def save(pipeline: Pipeline, directory: Path | str) -> None:
    """Write a fitted pipeline of `build_pipeline` as a folder; an existing one is replaced."""
    import numpy as np
    from safetensors.numpy import save_file

    vectorizer, classifier = pipeline["tfidf"], pipeline["classifier"]
    with sealed_path(directory) as temporary:
        write_json(
            temporary / SETTINGS_FILE,
            {
                "format": FORMAT,
                "recipe": {
                    "ngram_range": list(vectorizer.ngram_range),
                    "min_df": vectorizer.min_df,
                    "sublinear_tf": vectorizer.sublinear_tf,
                    "C": classifier.C,
                    "class_weight": classifier.class_weight,
                },
                "classes": [str(name) for name in classifier.classes_],
                "terms": terms_of(vectorizer),
            },
        )
        save_file(
            {
                "idf": np.ascontiguousarray(vectorizer.idf_, dtype=np.float64),
                "coefficients": np.ascontiguousarray(classifier.coef_, dtype=np.float64),
                "intercepts": np.ascontiguousarray(classifier.intercept_, dtype=np.float64),
            },
            temporary / WEIGHTS_FILE,
        )


@checked("directory", check_directory)
def load(directory: Path | str) -> Pipeline:
    """Read a folder of `save`; the pipeline gives the very probabilities of the saved one.

    Raises:
        UserError: a file is missing, corrupt, or does not fit the other.
    """
    import numpy as np

    folder = Path(directory)
    settings = read_json(folder / SETTINGS_FILE)
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise UserError(f"{folder / SETTINGS_FILE}: expected a TF-IDF model of format {FORMAT}")
    weights = read_weights(folder / WEIGHTS_FILE)
    try:
        recipe, classes, terms = (settings[name] for name in ("recipe", "classes", "terms"))
        idf, coefficients = weights["idf"], weights["coefficients"]
        intercepts = weights["intercepts"]
    except KeyError as error:
        raise UserError(f"{folder}: the TF-IDF model lacks {error.args[0]!r}") from error
    with reading(folder / SETTINGS_FILE, "the recipe of a TF-IDF model"):
        # All of them: a default is not what the model was fitted with.
        if absent := Tfidf.model_fields.keys() - recipe:
            raise UserError(f"{folder}: the TF-IDF model lacks {min(absent)!r}")
        pipeline = build_pipeline(typed(Tfidf, recipe))
    for name, texts in (("classes", classes), ("terms", terms)):
        check_different(texts, name, folder / SETTINGS_FILE)
    rows = 1 if len(classes) == 2 else len(classes)
    if (idf.shape, coefficients.shape, intercepts.shape) != (
        (len(terms),),
        (rows, len(terms)),
        (rows,),
    ):
        raise UserError(f"{folder}: {SETTINGS_FILE} and {WEIGHTS_FILE} are not of the same model")

    vectorizer, classifier = pipeline["tfidf"], pipeline["classifier"]
    restore_terms(vectorizer, terms, idf)
    classifier.classes_ = np.array(classes)
    classifier.coef_ = coefficients
    classifier.intercept_ = intercepts
    classifier.n_features_in_ = len(terms)
    # Some values of the recipe are used with the first text only.
    with reading(folder / SETTINGS_FILE, "the recipe of a TF-IDF model"):
        pipeline.predict_proba(["a"])
    return pipeline


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

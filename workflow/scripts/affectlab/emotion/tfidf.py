"""The classical baseline: TF-IDF of word n-grams and multinomial logistic regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from affectlab.errors import reading
from affectlab.files.integrity import check_directory, checked

if TYPE_CHECKING:
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

SETTINGS_FILE = "tfidf.json"
WEIGHTS_FILE = "tfidf.safetensors"
FILES = Files(SETTINGS_FILE, WEIGHTS_FILE)


def build_pipeline(settings: Tfidf, seed: int = 0) -> Pipeline:
    """Make the unfitted pipeline; its steps are ``tfidf`` and ``classifier``.

    Args:
        settings: of the n-grams and the classifier.
        seed: of the solver.
    """
    from sklearn.pipeline import Pipeline

    steps = [
        ("tfidf", build_vectorizer(settings)),
        ("classifier", build_classifier(settings, seed)),
    ]
    return Pipeline(steps)


def build_classifier(settings: Tfidf, seed: int = 0) -> LogisticRegression:
    """Make the unfitted classifier of features; see `build_pipeline`."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=settings.C, class_weight=settings.class_weight, max_iter=2000, random_state=seed
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


def save(pipeline: Pipeline, directory: Path | str) -> None:
    """Write a fitted pipeline of `build_pipeline` as a folder; an existing one is replaced."""
    vectorizer, classifier = pipeline["tfidf"], pipeline["classifier"]
    save_linear(
        directory,
        FILES,
        recipe={
            "ngram_range": list(vectorizer.ngram_range),
            "min_df": vectorizer.min_df,
            "sublinear_tf": vectorizer.sublinear_tf,
            "C": classifier.C,
            "class_weight": classifier.class_weight,
        },
        settings={"classes": [str(name) for name in classifier.classes_]},
        vectorizer=vectorizer,
        coefficients=classifier.coef_,
        intercepts=classifier.intercept_,
    )


@checked("directory", check_directory)
def load(directory: Path | str) -> Pipeline:
    """Read a folder of `save`; the pipeline gives the very probabilities of the saved one.

    Raises:
        UserError: a file is missing, corrupt, or does not fit the other.
    """
    import numpy as np
    from sklearn.pipeline import Pipeline

    def rows_of(settings: Mapping[str, Any], path: Path) -> int:
        check_different(settings["classes"], "classes", path)
        # Two classes share one row.
        return 1 if len(settings["classes"]) == 2 else len(settings["classes"])

    found = read_linear(directory, FILES, rows_of)
    classifier = build_classifier(found.recipe)
    classifier.classes_ = np.array(found.settings["classes"])
    classifier.coef_ = found.coefficients
    classifier.intercept_ = found.intercepts
    classifier.n_features_in_ = found.coefficients.shape[1]
    pipeline = Pipeline([("tfidf", found.vectorizer), ("classifier", classifier)])
    with reading(found.path, "the recipe of a TF-IDF model"):
        pipeline.predict_proba(["a"])
    return pipeline

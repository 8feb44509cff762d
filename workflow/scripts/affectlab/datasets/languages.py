"""The language of texts, recognised by the package `py3langid`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import Any

TEXTS = 100
"""So many texts are looked at."""

CHARACTERS = 20_000
LEAST_WORDS = 5
SURE = 0.9
"""Probability from which on a language counts as recognised."""


def recognised_language(texts: Iterable[str]) -> str | None:
    """ISO 639-1 code of the language of the first texts, all together.

    Returns:
        None where they have too few words, or the answer is not sure.
    """
    sample = " ".join(islice(texts, TEXTS))[:CHARACTERS]
    if len(sample.split()) < LEAST_WORDS and not sample[LEAST_WORDS:]:
        return None
    code, probability = _identifier().classify(sample)
    return str(code) if probability >= SURE else None


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

"""The language of texts, recognised by the package `py3langid`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import Any

TEXTS = 100
"""So many texts are looked at."""

CHARACTERS = 1000
"""Of each text."""

LEAST_SHARE = 0.6
"""Share of the texts that have to agree."""


def recognised_language(texts: Iterable[str]) -> str | None:
    """ISO 639-1 code of the language of most of the first texts.

    Returns:
        None where there are no texts, or they do not agree.
    """
    found = Counter(
        _identifier().classify(text[:CHARACTERS])[0] for text in islice(texts, TEXTS) if text
    )
    if not found:
        return None
    code, count = found.most_common(1)[0]
    return str(code) if count >= LEAST_SHARE * found.total() else None


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)

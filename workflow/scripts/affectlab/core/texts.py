"""What texts have in common, whoever reads them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

FUNCTION_WORDS = {
    "english": "the and is of to that it was this with for you my have be are not i",
    "german": "der die das und ist nicht ich ein eine zu den mit auf sie wir auch war so es",
    "french": "le la les et est je ne pas une des du que qui dans ce il elle pour avec",
    "spanish": "el la los las y es no que un una por con para me mi muy pero como lo yo",
    "italian": "il la gli e che non un una per di sono con mi ma lo io è del della",
    "portuguese": "o os as e que não um uma por com para me muito mas eu é do da em",
    "dutch": "de het een en is niet ik van dat met op te zijn maar voor ook wij er",
}
"""Language -> its commonest function words."""


def normalise_text(text: str) -> str:
    """Fold case and make every run of white space one space, for comparing texts."""
    return " ".join(text.casefold().split())


def text_conditions(texts: Sequence[str]) -> dict[str, list[float] | list[str]]:
    """Describe texts without their content: length and language.

    Returns:
        Columns for `core.conditions`: ``characters``, ``words`` and ``language``.
    """
    return {
        "characters": [float(len(text)) for text in texts],
        "words": [float(len(text.split())) for text in texts],
        "language": [likely_language(text) for text in texts],
    }


def likely_language(text: str) -> str:
    """Tell the language of a text by its commonest function words, or else its script.

    Good enough to see that classes differ in language; short texts often have their script only.

    Returns:
        A key of `FUNCTION_WORDS`, or a script in lower case, such as ``latin``, ``cjk``, ``none``.
    """
    words = Counter(re.findall(r"[^\W\d_]+", text.casefold()))
    hits = {
        language: sum(words[word] for word in own.split())
        for language, own in FUNCTION_WORDS.items()
    }
    best = max(hits, key=lambda language: hits[language])
    is_only = list(hits.values()).count(hits[best]) == 1
    return best if hits[best] and is_only else _script(text)


def _script(text: str) -> str:
    """The commonest script of the letters, such as ``latin`` or ``cjk``, or ``none``.

    The Unicode name of a letter begins with its script.
    """
    names = Counter(
        unicodedata.name(letter, "UNKNOWN").partition(" ")[0].lower()
        for letter in text
        if letter.isalpha()
    )
    return names.most_common(1)[0][0] if names else "none"


def kind_of(value: Any) -> str:
    """Name the type of a JSON value that should have been another, without showing a text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"

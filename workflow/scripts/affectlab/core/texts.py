"""What texts have in common, whoever reads them."""

from __future__ import annotations

import unicodedata
from typing import Any


def normalise_text(text: str) -> str:
    """Fold case, Unicode form and white space, for finding texts that read the same.

    Composed and decomposed letters, full-width forms and ligatures become the same (NFKC);
    invisible format characters are dropped; every run of white space becomes one space.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).casefold())
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(text.casefold().split())


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

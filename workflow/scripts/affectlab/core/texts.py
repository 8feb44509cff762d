"""What texts have in common, whoever reads them."""

from __future__ import annotations

from typing import Any


def normalise_text(text: str) -> str:
    """Fold case and make every run of white space one space, for comparing texts."""
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

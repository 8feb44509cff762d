"""Cells of a table that somebody else made."""

from __future__ import annotations

import json
from typing import Any


def is_blank(value: Any) -> bool:
    """Whether a cell is empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def as_number(value: Any) -> float:
    """A cell as a number; NaN where it holds none."""
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def from_json(value: Any) -> Any:
    """A list or an object that a cell holds as JSON; anything else as it is."""
    if not isinstance(value, str) or not value.strip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value

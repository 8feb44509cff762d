"""The trivial baseline of conditions, which differ by experiment, in words."""

from __future__ import annotations

CONDITIONS = ("conditions", "conditions_balanced")
"""Names of the baseline in records: with plain and with balanced weights of the classes."""

TEXTS = ("emotion", "entity")
"""Experiments on texts."""


def short_name(name: str, experiment: str) -> str:
    """A trivial baseline in plain words.

    Args:
        name: of a record.
        experiment: that it belongs to. The conditions of texts are length and language.
    """
    if name in CONDITIONS:
        return "length and language" if experiment in TEXTS else "recording conditions"
    return name.replace("_", " ")

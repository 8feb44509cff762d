"""Records that cannot be used: set aside with place and reason, never with their content."""

from __future__ import annotations

from dataclasses import dataclass

ON_BAD_RECORD = ("fail", "skip")
"""What a converter does at a bad record: stop and name it, or set it aside."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be used: file (inside the raw folder), place and reason."""

    file: str
    place: str
    problem: str

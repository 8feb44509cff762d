"""Records that cannot be used: set aside with place and reason, never with their content."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from affectlab.errors import DataError
from affectlab.files.io import read_jsonl

ON_BAD_RECORD = ("fail", "skip")
"""What a converter does at a bad record: stop and name it, or set it aside."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be used.

    Attributes:
        file: inside the raw folder.
        place: in that file.
        problem: the reason.
        id: of the item, where it is known; is not stored.
        group: of the item, where it is known; is not stored.
    """

    file: str
    place: str
    problem: str
    id: str = field(default="", compare=False)
    group: str | None = field(default=None, compare=False)

    def stored(self) -> dict[str, str]:
        """Return what is stored of it."""
        return {"file": self.file, "place": self.place, "problem": self.problem}


def read_quarantine(path: Path | str) -> list[BadRecord]:
    """Read the bad records that a converter set aside, one JSON object a line.

    Raises:
        DataError: the file cannot be read, or a line is no such record.
    """
    found = []
    for number, row in enumerate(read_jsonl(path), start=1):
        if set(row) != {"file", "place", "problem"} or not all(
            isinstance(value, str) for value in row.values()
        ):
            problem = "expected the fields file, place and problem, each a text"
            raise DataError(path, f"record {number}", problem)
        found.append(BadRecord(**row))
    return found

"""Items that a model from elsewhere was trained on, as its makers list them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.datasets.spelling import spelling_hint
from affectlab.errors import DataError
from affectlab.files.text import read_lines

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class ListedTraining:
    """A list of training items, compared with the data.

    Attributes:
        ids: that are of the data.
        total: how many ids the list has.
        examples: some that are not of the data; none where somebody withdrew from the data.
        hint: at a spelling that differs; empty for none.
    """

    ids: frozenset[str]
    total: int
    examples: tuple[str, ...]
    hint: str

    def to_dict(self) -> dict[str, Any]:
        """The part of outside.json on the list."""
        return {
            "training_list": {
                "listed": self.total,
                "unknown": self.total - len(self.ids),
                "examples": list(self.examples),
                "hint": self.hint,
            }
        }


NOTHING_LISTED = ListedTraining(frozenset(), 0, (), "")


def listed_training(path: str | None, known: Collection[str], withdrawn: bool) -> ListedTraining:
    """Read a list with one id a line; empty lines are passed over.

    Args:
        path: of the list; None without one.
        known: ids of the data.
        withdrawn: whether somebody withdrew from the data. Unknown ids may be theirs, so none is
            shown.

    Raises:
        DataError: no id is of these data.
    """
    if path is None:
        return NOTHING_LISTED
    listed = dict.fromkeys(line.strip() for _, line in read_lines(Path(path)) if line.strip())
    ids = frozenset(listed).intersection(known)
    unknown = [] if withdrawn else [name for name in listed if name not in ids]
    hint = spelling_hint(unknown, known)
    if not ids:
        problem = f"expected ids of these data, one a line; found none{hint}"
        raise DataError(path, None, problem)
    return ListedTraining(ids, len(listed), tuple(unknown[:EXAMPLES]), hint)

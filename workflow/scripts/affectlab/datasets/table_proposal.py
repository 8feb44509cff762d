"""The entry of a data set in a table, put together from a look at it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from affectlab.datasets.languages import recognised_language
from affectlab.datasets.look import Look
from affectlab.datasets.overlay import proposed_split

ORDER = ("layout", "columns", "target", "classes", "fields", "language", "split")
"""Keys of an entry, as they are printed."""


class TableProposal:
    """An entry with comments on what its values were guessed from.

    Attributes:
        entry: key -> value, in any order.
    """

    def __init__(self, look: Look, layout: str) -> None:
        """Start an entry for the table of *look*."""
        self.entry: dict[str, Any] = {"layout": layout}
        self._look = look
        self._notes: dict[str, list[str]] = {}

    def note(self, key: str, comment: str) -> None:
        """Add a comment on a key of the entry."""
        self._notes.setdefault(key, []).append(comment)

    def note_rows(self, key: str, used: Iterable[str | None]) -> None:
        """Write how many rows there are, and which columns are not *used*, behind a key."""
        self._notes.setdefault(key, []).insert(0, f"{self._look.rows} rows")
        known = set(used)
        unused = [name for name in self._look.columns if name not in known]
        if unused:
            self.note(key, f"also seen: {', '.join(unused)}")

    def add_language(self, column: str) -> str | None:
        """Add the language of the texts in a column; None if it is not recognised."""
        texts = self._look.texts[column]
        language = recognised_language(texts)
        if language is not None:
            self.entry["language"] = language
            self.note("language", f"recognised in {len(texts)} rows")
        return language

    def add_split(self, group: str | None) -> None:
        """Add how the rows are divided: by a column, by their files, or by the workflow.

        Args:
            group: column whose rows stay together.
        """
        column = self._look.split()
        if column is not None:
            self.entry["split"] = {"column": column}
            values = self._look.columns[column].counts or {}
            self.note("split", ", ".join(f"{value} {count}" for value, count in values.items()))
        elif self._look.splits:
            self.note("layout", f"files of the splits {', '.join(self._look.splits)}")
        else:
            self.entry["split"] = proposed_split(self._look.rows)
            together = f"the texts of one {group}" if group else "texts that read alike"
            self.note("split", f"{together} stay together")

    def ordered(self) -> dict[str, Any]:
        """The entry in the order of `ORDER`."""
        return {key: self.entry[key] for key in ORDER if key in self.entry}

    def comments(self) -> dict[str, str]:
        """Key of the entry -> its comments."""
        return {key: "; ".join(notes) for key, notes in self._notes.items()}


def small_group_notes(look: Look, group: str | None) -> list[str]:
    """Report a column that keeps items together by its name and has too few values for the folds.

    Args:
        look: at the table.
        group: the column that is proposed, of `Look.group` with at least as many values as folds.
    """
    found = look.group()
    if group is not None or found is None:
        return []
    return [
        f"The column {found} has {look.columns[found].different} values, too few to divide the "
        "items by it. It is not proposed as the group: its items may be in training and in test"
    ]

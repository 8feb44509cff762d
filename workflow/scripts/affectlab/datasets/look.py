"""A look at a user's table: which column is what, by names and values.

Only a guess, for the user to correct: `affectlab init` prints it with comments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectlab.datasets.label_sets import INDICATORS, listed_names
from affectlab.datasets.own_tables import OwnFile, own_files, split_called
from affectlab.datasets.tables import read_table
from affectlab.errors import UserError

MOST_CLASSES = 64
FIRST = 100
"""So many values of a column are kept, by which a language is recognised."""

LEAST_SEVERAL = 0.1
"""Share of the cells that list several names, from which they are taken for label sets."""

LABELS = (
    *("label", "labels", "class", "emotion", "emo", "mood", "category", "target", "sentiment"),
    *("emotions", "moods", "tags"),
)
GROUPS = (
    *("group", "author", "writer", "user", "username", "speaker", "subject", "participant"),
    *("respondent", "person", "patient", "actor", "client", "student", "account", "family"),
    *("session", "conversation", "dialogue", "thread", "source"),
)
"""Columns that keep items together. An annotator does not: each one rates items of all authors."""

GROUPS_IF_REPEATED = ("who", "name")
"""The same where values occur again; else each of them is the name of an item."""

SUFFIXES = ("_id", "id", "_name", "_code", "_number", "_nr", "_no")
"""What may follow such names, as in ``user_id``."""

SPLITS = ("split", "set", "partition", "subset", "part")
IDS = ("id", "nr", "no", "index", "key", "uid")
DIMENSIONS = ("valence", "arousal", "dominance")
NUMBERS = (*DIMENSIONS, "intensity", "pleasure", "activation")


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of a table holds.

    Attributes:
        name: of the column.
        filled: rows that have a value.
        words: mean number of words of a value.
        numeric: whether every value reads as a number.
        repeats: whether a value occurs more than once, as far as they were counted.
        counts: value -> rows, of up to `MOST_CLASSES` values; None where there are more.
        different: different values, as far as they were counted.
        indicator: whether every value is 0 or 1, and both occur.
        parts: name -> cells with it, where cells list several names; None where they do not.
    """

    name: str
    filled: int
    words: float
    numeric: bool
    repeats: bool
    counts: Mapping[str, int] | None
    different: int
    indicator: bool = False
    parts: Mapping[str, int] | None = None


@dataclass(slots=True)
class Look:
    """What was seen in a table.

    Attributes:
        rows: how many.
        columns: name -> what it holds, in the order of the table.
        splits: that the files are called by.
        texts: the first values of each column, for a guess of the language.
    """

    rows: int = 0
    columns: dict[str, Column] = field(default_factory=dict)
    splits: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def named(self, names: Sequence[str], *, most: int | None = None) -> str | None:
        """The first column that is called so, or whose name ends so, such as ``user_id``."""
        lowered = {name.lower().strip(): name for name in self.columns}
        for wanted in names:
            # The plain name first: there may be a label and a label_name.
            for low in sorted(lowered, key=lambda low: low != wanted):
                name = lowered[low]
                if wanted in _stems(low) and (most is None or self.columns[name].different <= most):
                    return name
        return None

    def group(self) -> str | None:
        """The column whose items stay together, such as their author; None without one."""
        found = self.named(GROUPS)
        if found is not None:
            return found
        perhaps = (self.named([name]) for name in GROUPS_IF_REPEATED)
        return next((name for name in perhaps if name and self.columns[name].repeats), None)

    @property
    def text(self) -> str | None:
        """The column with the longest texts; None where no column has several words."""
        best = max(self.columns.values(), key=lambda column: column.words, default=None)
        return best.name if best is not None and best.words >= 2 else None

    def label(self, taken: Iterable[str]) -> str | None:
        """The column with the classes, other than those *taken*."""
        found = self.named(LABELS, most=MOST_CLASSES)
        if found is not None:
            return found
        others = [
            column
            for name, column in self.columns.items()
            if name not in set(taken) and column.counts and self._may_be_classes(column)
        ]
        return min(others, key=lambda column: column.different).name if others else None

    def _may_be_classes(self, column: Column) -> bool:
        return 2 <= column.different <= max(2, self.rows // 5) and not column.numeric

    def annotators(self, taken: Iterable[str]) -> list[str]:
        """Columns with the same classes, one for each annotator; none where there are not two."""
        by_values: dict[frozenset[str], list[str]] = {}
        sets = {
            name: frozenset(value for value in column.counts if value.strip())
            for name, column in self.columns.items()
            if name not in set(taken) and column.counts and self._may_be_classes(column)
        }
        for name, values in sets.items():
            for known, members in by_values.items():
                # A rare class may be missing with one of them.
                if len(values & known) >= 0.6 * len(values | known) and len(values & known) > 1:
                    members.append(name)
                    break
            else:
                by_values[values] = [name]
        several = [members for members in by_values.values() if len(members) > 1]
        return max(several, key=len, default=[])

    def numbers(self) -> list[str]:
        """Columns of numbers that are targets by their names, such as valence."""
        lowered = {name.lower().strip(): name for name in self.columns}
        found = [lowered[name] for name in NUMBERS if name in lowered]
        return [name for name in found if self.columns[name].numeric]

    def label_sets(self, taken: Iterable[str]) -> str | None:
        """The column whose cells list the classes of a text; none where there is none.

        A column that is called as labels are comes before others.
        """
        known = set(taken)
        found = [
            name
            for name, column in self.columns.items()
            if name not in known and column.parts and 2 <= len(column.parts) <= self.rows // 5
        ]
        named = [name for name in found if name.lower().strip() in LABELS]
        return next(iter([*named, *found]), None)

    def indicators(self, taken: Iterable[str]) -> list[str]:
        """Columns of 0 and 1, one for each class; none where there are not two."""
        known = set(taken)
        found = [
            name for name, column in self.columns.items() if column.indicator and name not in known
        ]
        complete = [name for name in found if self.columns[name].filled == self.rows]
        return complete if len(complete) > 1 else []

    def several_classes(self, taken: Iterable[str], label: str | None) -> str | list[str] | None:
        """The column, or the columns, of several classes for each item; None where there are none.

        Columns of 0 and 1 may be anything. They count where no column is called as labels are.

        Args:
            taken: other columns that are in use.
            label: the column that may hold one class, if there is one.
        """
        known = set(taken)
        listing = self.label_sets(known)
        if listing is not None and label in (None, listing):
            return listing
        indicators = self.indicators(known)
        return indicators if indicators and self.named(LABELS) is None else None

    def split(self) -> str | None:
        """The column whose values name splits."""
        name = self.named(SPLITS, most=5)
        if name is None:
            return None
        values = self.columns[name].counts or {}
        return name if all(split_called(value) for value in values) else None


def look_at(path: Path) -> Look:
    """Read a table, or a folder of tables, once.

    Raises:
        UserError: there is nothing to read.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    look = Look()
    counters: dict[str, _Counter] = {}
    files = [OwnFile(path, None)] if path.is_file() else own_files(path, {})
    for file in files:
        if file.split is not None:
            look.splits.append(file.split)
        for row in read_table(file.path, []):
            if row.problem is not None:
                continue
            look.rows += 1
            for name, value in row.values.items():
                counters.setdefault(name, _Counter()).add(value)
    if look.rows == 0:
        raise UserError(f"{path}: the table has no rows")
    look.columns = {name: counter.column(name) for name, counter in counters.items()}
    look.texts = {name: counter.first for name, counter in counters.items()}
    return look


class _Counter:
    """Counts the values of one column."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self._counts: Counter[str] = Counter()
        self._filled = self._words = self._several = 0
        self._numeric = True
        self._parts: Counter[str] = Counter()

    def add(self, value: Any) -> None:
        """Count one value."""
        text = "" if value is None else str(value)
        if not text.strip():
            return
        self._filled += 1
        self._count_parts(value)
        self._words += len(text.split()) if isinstance(value, str) else 1
        self._numeric = self._numeric and _is_number(text)
        if len(self.first) < FIRST:
            self.first.append(text)
        if len(self._counts) <= MOST_CLASSES or text in self._counts:
            self._counts[text] += 1

    def _count_parts(self, value: Any) -> None:
        if len(self._parts) <= MOST_CLASSES:
            names = set(map(str, listed_names(value)))
            self._several += len(names) > 1
            self._parts.update(names)

    def _listed_parts(self) -> dict[str, int] | None:
        """The names that cells list, if enough cells list several."""
        few = len(self._parts) <= MOST_CLASSES
        if not few or self._several < LEAST_SEVERAL * self._filled or not self._several:
            return None
        return dict(sorted(self._parts.items()))

    def column(self, name: str) -> Column:
        """What was counted."""
        many = len(self._counts) > MOST_CLASSES
        return Column(
            name,
            self._filled,
            self._words / max(1, self._filled),
            self._numeric and self._filled > 0,
            any(count > 1 for count in self._counts.values()),
            None if many else dict(sorted(self._counts.items())),
            len(self._counts),
            indicator=len(self._counts) == 2
            and all(one.strip().lower() in INDICATORS for one in self._counts),
            parts=self._listed_parts(),
        )


def _stems(name: str) -> set[str]:
    """A name in lower case, as it is and without one of `SUFFIXES`."""
    return {name, *(name.removesuffix(suffix) for suffix in SUFFIXES)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

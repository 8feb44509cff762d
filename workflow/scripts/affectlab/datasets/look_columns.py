"""What the columns of a user's table hold: values, numbers, words, and names that cells list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affectlab.datasets.label_sets import INDICATORS, SEMICOLON, SEPARATORS, listed_names

MOST_CLASSES = 64
FIRST = 100
"""So many values of a column are kept, by which a language is recognised."""

LEAST_SEVERAL = 0.1
"""Share of the cells that list several names, from which they are taken for label sets."""

UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""A character of Thai, Lao, Burmese, Khmer, Japanese or Chinese: words have no spaces between."""


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
        decimal_commas: whether every value reads as a number once its comma is a point.
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
    decimal_commas: bool = False
    parts: Mapping[str, int] | None = None


class ColumnCounter:
    """Counts the values of one column."""

    def __init__(self) -> None:
        self.first: list[str] = []
        self._counts: Counter[str] = Counter()
        self._filled = self._words = 0
        self._numeric = self._with_commas = True
        self._between_semicolons, self._between_any = _Parts(SEMICOLON), _Parts(SEPARATORS)

    def add(self, value: Any) -> None:
        """Count one value."""
        text = "" if value is None else str(value)
        if not text.strip():
            return
        self._filled += 1
        self._between_semicolons.add(value)
        self._between_any.add(value)
        self._words += words_of(text) if isinstance(value, str) else 1
        self._numeric = self._numeric and _is_number(text)
        self._with_commas = self._with_commas and _is_number(text.replace(",", ".", 1))
        if len(self.first) < FIRST:
            self.first.append(text)
        if len(self._counts) <= MOST_CLASSES or text in self._counts:
            self._counts[text] += 1

    def _listed_parts(self) -> dict[str, int] | None:
        """The names that cells list, if enough cells list several."""
        if self._between_semicolons.several:
            return self._between_semicolons.listed(self._filled)
        found = self._between_any.listed(self._filled)
        return found if self._between_any.recur else None

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
            decimal_commas=self._with_commas and not self._numeric and self._filled > 0,
            parts=self._listed_parts(),
        )


class _Parts:
    """Counts the names that the cells of one column list.

    Attributes:
        several: cells with several names.
    """

    def __init__(self, separators: str) -> None:
        self.several = 0
        self._separators = separators
        self._counts: Counter[str] = Counter()
        self._in_one: dict[str, str | None] = {}
        self._has_lists = False

    def add(self, value: Any) -> None:
        """Count the names in one cell."""
        if len(self._counts) > MOST_CLASSES:
            return
        names = set(map(str, listed_names(value, self._separators)))
        self.several += len(names) > 1
        self._has_lists = self._has_lists or isinstance(value, list)
        self._counts.update(names)
        cell = str(value).strip()
        for name in names:
            if self._in_one.setdefault(name, cell) != cell:
                self._in_one[name] = None

    @property
    def recur(self) -> bool:
        """Whether most names are in different cells, unlike the parts of a name with a comma."""
        alone = [name for name, cell in self._in_one.items() if cell not in (None, name)]
        return self._has_lists or 2 * len(alone) <= len(self._in_one)

    def listed(self, filled: int) -> dict[str, int] | None:
        """Name -> cells with it, if enough of the *filled* cells list several."""
        few = len(self._counts) <= MOST_CLASSES
        if not few or not self.several or self.several < LEAST_SEVERAL * filled:
            return None
        return dict(sorted(self._counts.items()))


def words_of(text: str) -> int:
    """How many words a text has; of scripts without spaces, two characters count as one."""
    unspaced = UNSPACED.findall(text)
    return len(UNSPACED.sub(" ", text).split()) + (len(unspaced) + 1) // 2


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""Label sets in a user's table: what is under ``label`` where an item may have several classes.

Either one column lists the names of the classes of an item, or each class has a column of 0 and 1.
The cells of all rows are added first. Then the classes are known, and with them each label set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from affectlab.datasets.classes import class_order, merge_spellings, unknown_class
from affectlab.datasets.texts import kind_of

LABEL_SETS: Final = "classes"
"""The target of data with label sets, see `Description.target`."""

SEMICOLON = ";"
"""Between the names of classes in one cell. Where a column has it, it is the only separator."""

SEPARATORS = ";,|"
"""The separators of a column without a semicolon; a name may hold a comma."""

INDICATORS = {
    **dict.fromkeys(("0", "0.0", "false"), False),
    **dict.fromkeys(("1", "1.0", "true"), True),
}
"""Cell of a class's own column, in small letters -> whether the item has the class."""


class LabelSetCells:
    """The label sets of a table."""

    def __init__(self, entry: Mapping[str, Any], similar_names: str) -> None:
        """Prepare for the rows of a table.

        Args:
            entry: of the data set in the registry: ``columns`` and ``classes``.
            similar_names: ``refuse`` stops at classes that differ in spelling only; ``merge`` takes
                their commonest spelling.
        """
        column = entry.get("columns", {}).get("label", "label")
        self._columns: tuple[str, ...] | None = tuple(column) if isinstance(column, list) else None
        self._listed: Sequence[str] | None = entry.get("classes")
        self._merges = similar_names == "merge"
        self._cells: list[tuple[str, ...]] = []
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._spelled: Mapping[str, str] = {}
        self._classes: tuple[str, ...] = ()
        self._has_semicolons = False

    def problem(self, value: Any) -> str | None:
        """What is wrong with the cells of a row; None if nothing is.

        Args:
            value: the cell with the names, or a list with the cells of all classes.
        """
        if self._columns is not None:
            return self._indicator_problem(value)
        if value is not None and not isinstance(value, str | int | list):
            return f"the labels are {kind_of(value)}, expected names of classes"
        for name in listed_names(value, SEMICOLON):
            if isinstance(name, bool) or not isinstance(name, str | int):
                return f"a label is {kind_of(name)}, expected the name or number of a class"
            for part in self._parts(str(name).strip()):
                if self._listed is not None and part not in self._listed:
                    return unknown_class(part, self._listed)
        return None

    def add(self, value: Any) -> None:
        """Take the cells of a good row."""
        self.add_names(self.names(value))

    def add_names(self, names: tuple[str, ...]) -> None:
        """Take the `names` of a good row."""
        # One tuple for equal label sets, however many rows there are.
        self._cells.append(self._known.setdefault(names, names))

    def finish(self, directory: Path) -> tuple[str, ...]:
        """The classes in the order of their ids, when all rows are added.

        Raises:
            DataError: see `classes.class_order`.
        """
        self._has_semicolons = any(len(names) > 1 for names in self._known)
        own = (part for names in self._cells for name in names for part in self._parts(name))
        found = Counter(own if self._columns is None else self._columns)
        self._spelled = merge_spellings(found) if self._merges else {name: name for name in found}
        self._classes = class_order(set(self._spelled.values()), self._listed, directory)
        if self._columns is not None and self._listed is None:
            # Columns have an order of their own.
            self._classes = tuple(dict.fromkeys(self._spelled[name] for name in self._columns))
        return self._classes

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their ids, when `finish` was called."""
        return self._classes

    def strata(self) -> list[str]:
        """The rarest class of each row, by which it is divided; empty without any class.

        As the first step of iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD
        2011, doi 10.1007/978-3-642-23808-6_10), which divides the rarest class first.
        """
        counts = Counter(name for names in self._cells for name in self.in_order(names))
        rarity = sorted(self._classes, key=lambda name: counts[name])
        rarest = {
            names: next((name for name in rarity if name in self.in_order(names)), "")
            for names in self._known
        }
        return [rarest[names] for names in self._cells]

    def labels(self, value: Any) -> tuple[str, ...]:
        """The classes of a good row, in their order.

        Args:
            value: as of `problem`.
        """
        return self.in_order(self.names(value))

    def names(self, value: Any) -> tuple[str, ...]:
        """The names of the classes of a good row, different ones, as its cells spell them.

        A name between semicolons may list several with commas; all rows are needed to tell.

        Args:
            value: as of `problem`.
        """
        if self._columns is None:
            listed = listed_names(value, SEMICOLON)
            return tuple(dict.fromkeys(str(name).strip() for name in listed))
        cells = _cells(value)
        return tuple(
            name for name, cell in zip(self._columns, cells, strict=True) if _indicator(cell)
        )

    def in_order(self, names: Sequence[str]) -> tuple[str, ...]:
        """The classes of a row by its `names`, in their order, when `finish` was called."""
        own = {self._spelled[part] for name in names for part in self._parts(name)}
        return tuple(name for name in self._classes if name in own)

    def _parts(self, name: str) -> list[str]:
        """The classes that a name between semicolons stands for: one, or those between commas."""
        if self._columns is not None:
            return [name]
        if self._listed is None:
            return [name] if self._has_semicolons else split_names(name)
        return [name] if name in self._listed else split_names(name)

    def _indicator_problem(self, value: Any) -> str | None:
        assert self._columns is not None
        for name, cell in zip(self._columns, _cells(value), strict=True):
            if cell is None or not str(cell).strip():
                return f"{name} is empty, expected 0 or 1"
            if _indicator(cell) is None:
                shown = f" {cell!r}" if isinstance(cell, str | int | float) else ""
                return f"{name} is {kind_of(cell)}{shown[:24]}, expected 0 or 1"
        return None


def split_names(cell: str, separators: str = SEPARATORS) -> list[str]:
    """The names in a cell, between *separators*; empty ones are left out."""
    return [name.strip() for name in re.split(f"[{separators}]", cell) if name.strip()]


def listed_names(value: Any, separators: str = SEPARATORS) -> list[Any]:
    """The names in a cell: of a list its members, of a text those between *separators*."""
    if value is None:
        return []
    if isinstance(value, list):
        return [one for one in value if not (isinstance(one, str) and not one.strip())]
    return split_names(value, separators) if isinstance(value, str) else [value]


def _cells(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _indicator(cell: Any) -> bool | None:
    """A cell of 0 or 1 as a truth value; None if it is none."""
    return INDICATORS.get(str(cell).strip().lower())

"""Items of a user's own table: how any experiment reads, divides and describes them.

The table is read twice: first for what divides it, which needs no text in memory, then for the
records themselves. An experiment supplies an `OwnKind`.
"""

from __future__ import annotations

import hashlib
import sys
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from affectlab.datasets.description import CONTENT, Description
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.names import name_key
from affectlab.datasets.own_tables import OwnRow, own_files, own_rows
from affectlab.datasets.splits import Division, divide, joined_groups
from affectlab.datasets.texts import normalise_text
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord

Content = TypeVar("Content")
Made = TypeVar("Made")


@dataclass(slots=True)
class Item(Generic[Content]):
    """A good item.

    Attributes:
        row: where it is, or begins.
        content: what the experiment reads from it, such as its label.
    """

    row: OwnRow
    content: Content


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item belongs.

    Attributes:
        number: of the item among the good ones, from 0.
        split: one of `splits.SPLITS`.
        fold: of the cross-validation; None without one.
        group: as the row has it; None where its cell is empty.
        first: number of the first item of its group.
    """

    number: int
    split: str
    fold: int | None
    group: str | None
    first: int


class OwnKind(ABC, Generic[Content, Made]):
    """What an experiment adds to the reading of a table.

    Attributes:
        roles: columns that a table must have, ``text`` among them.
        optional: roles whose column may be missing.
    """

    roles: Sequence[str]
    optional: Sequence[str] = ("group",)
    repeated_id: ClassVar[str] = "the id {name!r} occurs {count} times"

    def continues(self, before: OwnRow, row: OwnRow) -> bool:
        """Whether *row* belongs to the item of the row *before*; by default each is an item."""
        return False

    @abstractmethod
    def items(self, rows: Iterable[OwnRow]) -> Iterator[Item[Content] | BadRecord]:
        """Yield the items of all rows, and the rows that cannot be used."""

    @abstractmethod
    def add(self, item: Item[Content]) -> None:
        """Take a good item, in the first reading."""

    @abstractmethod
    def description(self, directory: Path) -> Description:
        """Describe the data set when all items are added; without its division.

        Args:
            directory: of the raw data, for messages.

        Raises:
            DataError: the items together are not what the experiment can use.
        """

    @abstractmethod
    def strata(self) -> Sequence[str]:
        """The stratum of each item; strata are spread evenly over the splits."""

    @abstractmethod
    def record(self, item: Item[Content], place: Place) -> Made:
        """Make the record of an item, in the second reading."""


@dataclass(slots=True)
class Keys:
    """What divides the items of a data set, one value of each item.

    Attributes:
        ids: of the items.
        groups: names of their groups; None for an item without one.
        contents: items with the same number have the same content.
        splits: that the data give; None where they give none.
    """

    ids: list[str] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    contents: list[int] | array[int] = field(default_factory=lambda: array("Q"))
    splits: list[str | None] = field(default_factory=list)

    def add(self, row: OwnRow) -> None:
        """Take the keys of an item with a text."""
        self.ids.append(row.id)
        # One string for each group, however many rows there are.
        self.groups.append(row.group if row.group is None else sys.intern(row.group))
        self.contents.append(content_key(row.values["text"]))
        self.splits.append(row.split)

    def joined(self) -> list[int]:
        """The group of each item, as the number of its first item.

        Items of one group by name, in any spelling, and items of the same content are together.
        """
        key_of = {name: name_key(name) for name in set(self.groups) if name is not None}
        named = [None if name is None else key_of[name] for name in self.groups]
        return joined_groups(named, self.contents)

    def group_column(self, entry: Mapping[str, Any]) -> str:
        """The column that keeps items together; `CONTENT` where no item has a group."""
        if all(name is None for name in self.groups):
            return CONTENT
        return str(entry.get("columns", {}).get("group", "group"))


def content_key(text: str) -> int:
    """A number that texts share if they are the same after normalisation."""
    digest = hashlib.blake2b(normalise_text(text).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def with_division(
    description: Description, division: Division, entry: Mapping[str, Any], group: str
) -> Description:
    """Complete a description by how the items are divided.

    Args:
        description: of the items.
        division: of them.
        entry: of the data set in the registry.
        group: column that keeps items together, or `CONTENT`.
    """
    return replace(
        description,
        folds=entry.get("split", {}).get("folds"),
        group=group,
        seed=division.seed,
        split_sha256=division.sha256,
    )


class OwnItems(Generic[Content, Made]):
    """The items of a user's table.

    Attributes:
        description: what the data set is, its division included.
    """

    def __init__(
        self,
        directory: Path,
        entry: Mapping[str, Any],
        kind: OwnKind[Content, Made],
        on_bad_record: str = "fail",
        exclusion: Exclusion | None = None,
    ) -> None:
        """Read the table once, and divide it.

        Args:
            directory: of the raw data.
            entry: of the data set in the registry.
            kind: what the experiment reads; it has no items yet.
            on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
            exclusion: items that are left out, as if the table did not have them; None for none.

        Raises:
            DataError: no table, a bad record that is not to be skipped, an id that occurs twice,
                or data that cannot be divided as planned.
        """
        self._directory = directory
        self._entry = entry
        self._kind = kind
        self._skips = on_bad_record == "skip"
        self._exclusion = exclusion or Exclusion()
        self._files = own_files(directory, entry.get("split", {}))
        keys = self._scan()
        description = kind.description(directory)
        groups = keys.joined()
        plan = entry.get("split", {})
        self._division = divide(keys.ids, kind.strata(), groups, keys.splits, plan, directory)
        self._firsts = array("q", groups)
        self.description = with_division(
            description, self._division, entry, keys.group_column(entry)
        )

    def items(self) -> Iterator[Made | BadRecord]:
        """Read the table again: its records, and its bad ones."""
        number = 0
        for item in self._items():
            if isinstance(item, BadRecord):
                yield item
                continue
            yield self._kind.record(item, self._place(number, item.row))
            number += 1

    def _place(self, number: int, row: OwnRow) -> Place:
        folds = self._division.folds
        return Place(
            number,
            self._division.splits[number],
            None if folds is None else folds[number],
            row.group,
            self._firsts[number],
        )

    def _items(self) -> Iterator[Item[Content] | BadRecord]:
        """The items, and the bad rows, which are raised unless they are skipped."""
        self._exclusion.restart()
        rows = own_rows(self._files, self._entry, self._kind.roles, self._kind.optional)
        for item in self._kind.items(self._kept(rows)):
            if isinstance(item, BadRecord) and not self._skips:
                raise DataError(self._directory / item.file, item.place, item.problem)
            yield item

    def _kept(self, rows: Iterable[OwnRow]) -> Iterator[OwnRow]:
        """The rows of items that are not left out."""
        item: list[OwnRow] = []
        for row in chain(rows, (None,)):
            if item and (row is None or not self._kind.continues(item[-1], row)):
                if not self._exclusion.drops(*((one.id, one.group) for one in item)):
                    yield from item
                item = []
            if row is not None:
                item.append(row)

    def _scan(self) -> Keys:
        keys = Keys()
        for item in self._items():
            if isinstance(item, Item):
                keys.add(item.row)
                self._kind.add(item)
        if not keys.ids:
            raise DataError(self._directory, None, "not one good record in the table")
        if len(set(keys.ids)) < len(keys.ids):
            name, count = Counter(keys.ids).most_common(1)[0]
            problem = self._kind.repeated_id.format(name=name, count=count)
            raise DataError(self._directory, None, problem)
        return keys

"""Texts of a user's own: from a table of any form to the tidy table of records.

The table is read twice: first for what divides it, which needs no text in memory, then for the
records themselves.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectlab.datasets.description import CONTENT, Description, Target, language_of
from affectlab.datasets.names import name_key
from affectlab.datasets.own_tables import OwnRow, own_files, own_rows
from affectlab.datasets.splits import Division, divide, joined_groups
from affectlab.datasets.texts import kind_of, normalise_text
from affectlab.emotion.data import Record
from affectlab.emotion.own_labels import OwnLabels
from affectlab.emotion.own_numbers import OwnNumbers
from affectlab.emotion.ratings import NUMBERS, Rating
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import is_encodable


@dataclass(slots=True)
class _Keys:
    """What divides the data, of each good row: no text."""

    ids: list[str] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    contents: array[int] = field(default_factory=lambda: array("Q"))
    splits: list[str | None] = field(default_factory=list)


class OwnTexts:
    """A user's table of texts with a class, votes or numbers each.

    Attributes:
        description: what the data set is, its classes and its division included.
    """

    def __init__(
        self,
        directory: Path,
        entry: Mapping[str, Any],
        on_bad_record: str = "fail",
        similar_names: str = "refuse",
    ) -> None:
        """Read the table once, and divide it.

        Args:
            directory: of the raw data.
            entry: of the data set in the registry.
            on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
            similar_names: ``refuse`` stops at classes that differ in spelling only; ``merge`` takes
                their commonest spelling.

        Raises:
            DataError: no table, a bad record that is not to be skipped, or data that cannot be
                divided as planned.
        """
        self._directory = directory
        self._entry = entry
        self._skips = on_bad_record == "skip"
        self._files = own_files(directory, entry.get("split", {}))
        numeric = entry.get("target") == NUMBERS
        target: Target = NUMBERS if numeric else "class"
        self._target = OwnNumbers(entry) if numeric else OwnLabels(entry, similar_names)
        keys = self._scan()
        names = self._target.finish(directory)
        self._division = self._divide(keys)
        self.description = Description(
            classes=names,
            target=target,
            annotators=self._target.annotators,
            language=language_of(entry),
            folds=entry.get("split", {}).get("folds"),
            group=self._group_column(keys),
            seed=self._division.seed,
            split_sha256=self._division.sha256,
        )

    def items(self) -> Iterator[Record | Rating | BadRecord]:
        """Read the table again: its records, and its bad ones."""
        place = 0
        for row, problem in self._rows():
            if problem is not None:
                yield BadRecord(row.file, row.place, problem)
                continue
            yield self._target.record(
                row.values["label"],
                id=row.id,
                text=row.values["text"],
                split=self._division.splits[place],
                group=_group(row),
                fold=None if self._division.folds is None else self._division.folds[place],
            )
            place += 1

    def _rows(self) -> Iterator[tuple[OwnRow, str | None]]:
        """Each row, and what is wrong with it; that is raised unless bad records are skipped."""
        for row in own_rows(self._files, self._entry, ["text", "label"], ["group"]):
            problem = row.problem or text_problem(row.values["text"])
            problem = problem or self._target.problem(row.values["label"])
            if problem is not None and not self._skips:
                raise DataError(self._directory / row.file, row.place, problem)
            yield row, problem

    def _scan(self) -> _Keys:
        keys = _Keys()
        for row, problem in self._rows():
            if problem is None:
                group = _group(row)
                keys.ids.append(row.id)
                # One string for each author, however many rows there are.
                keys.groups.append(group if group is None else sys.intern(group))
                self._target.add(row.values["label"])
                keys.contents.append(_content(row.values["text"]))
                keys.splits.append(row.split)
        if not keys.ids:
            raise DataError(self._directory, None, "not one good record in the table")
        if len(set(keys.ids)) < len(keys.ids):
            repeated, count = Counter(keys.ids).most_common(1)[0]
            raise DataError(self._directory, None, f"the id {repeated!r} occurs {count} times")
        return keys

    def _divide(self, keys: _Keys) -> Division:
        key_of = {name: name_key(name) for name in set(keys.groups) if name is not None}
        authors = [None if name is None else key_of[name] for name in keys.groups]
        return divide(
            keys.ids,
            self._target.strata(),
            joined_groups(authors, keys.contents),
            keys.splits,
            self._entry.get("split", {}),
            self._directory,
        )

    def _group_column(self, keys: _Keys) -> str:
        if all(name is None for name in keys.groups):
            return CONTENT
        return str(self._entry.get("columns", {}).get("group", "group"))


def _content(text: str) -> int:
    """A number that texts share if they are the same after normalisation."""
    digest = hashlib.blake2b(normalise_text(text).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def text_problem(text: Any) -> str | None:
    """What is wrong with a text that is to be read; None if nothing is."""
    if not isinstance(text, str):
        return f"the text is {kind_of(text)}, expected a string"
    if not is_encodable(text):
        return "the text holds half a surrogate pair, expected valid Unicode"
    if not text.strip():
        return "the text is empty"
    if "\0" in text:
        return "the text holds a NUL character"
    return None


def _group(row: OwnRow) -> str | None:
    """The group of a row; None where its cell is empty."""
    group = row.values.get("group")
    return None if group is None or not str(group).strip() else str(group)

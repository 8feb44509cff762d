"""Labelled spans of a user's own: from a table of any form to the tidy table of texts.

A row is a text with a list of spans, or a single span with its text. The table is read twice: first
for what divides it, which needs no text in memory, then for the records themselves.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectlab.datasets.classes import class_order, merge_spellings
from affectlab.datasets.description import CONTENT, Description, language_of
from affectlab.datasets.names import name_key
from affectlab.datasets.own_tables import OwnFile, OwnRow, own_files, own_rows
from affectlab.datasets.splits import Division, divide, joined_groups
from affectlab.datasets.tables import read_table
from affectlab.datasets.texts import kind_of, normalise_text
from affectlab.entity.data import Record, Target
from affectlab.entity.labels import MOST_CLASSES, intensity_of
from affectlab.entity.own_spans import OwnSpan, spans_of
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import is_encodable

SPANS = "spans"
"""The role of a column with a list of spans; without it each row is one span."""

_ROLES_OF_A_SPAN = ("span", "start", "end")


@dataclass(frozen=True, slots=True)
class _Text:
    """A text and its spans, of one row or of several that follow each other."""

    row: OwnRow
    spans: list[OwnSpan]


@dataclass(slots=True)
class _Keys:
    """What divides the data, of each good text."""

    ids: list[str] = field(default_factory=list)
    labels: list[list[str]] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    contents: list[int] = field(default_factory=list)
    splits: list[str | None] = field(default_factory=list)


class OwnSpans:
    """A user's table of texts with labelled spans.

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
            DataError: no table, a bad record that is not to be skipped, more classes than
                `MOST_CLASSES`, or data that cannot be divided as planned.
        """
        self._directory = directory
        self._entry = entry
        self._skips = on_bad_record == "skip"
        self._files = own_files(directory, entry.get("split", {}))
        self._has_lists = _has_lists(self._files, entry)
        self._named: Counter[str] = Counter()
        keys = self._scan()
        spelled = {name: name for name in self._named}
        if similar_names == "merge":
            spelled = merge_spellings(self._named)
        self._spelled = spelled
        self._division = self._divide(keys)
        self.description = Description(
            classes=self._classes(),
            language=language_of(entry),
            folds=entry.get("split", {}).get("folds"),
            group=self._group_column(keys),
            seed=self._division.seed,
            split_sha256=self._division.sha256,
        )

    def items(self) -> Iterator[Record | BadRecord]:
        """Read the table again: its records, and its bad ones."""
        place = 0
        for item in self._texts():
            if isinstance(item, BadRecord):
                yield item
                continue
            row, name = item.row, item.row.id
            yield Record(
                id=name,
                text=row.values["text"],
                split=self._division.splits[place],
                targets=tuple(self._target(f"{name}.{n}", one) for n, one in enumerate(item.spans)),
                group=_group(row),
                fold=None if self._division.folds is None else self._division.folds[place],
            )
            place += 1

    def _target(self, name: str, span: OwnSpan) -> Target:
        values = dict.fromkeys(self.description.classes, 0.0)
        for given, value in span.label.items():
            values[self._spelled[given]] += value
        # Two spellings of a class may both have a value.
        label = tuple(min(value, 1.0) for value in values.values())
        return Target(name, span.start, span.end, label, intensity_of(label))

    def _texts(self) -> Iterator[_Text | BadRecord]:
        """The texts and the bad rows, which are raised unless they are skipped."""
        current: _Text | None = None
        for row in self._rows():
            spans = row.problem or self._problem_of(row) or self._spans(row)
            if isinstance(spans, list) and current is not None and self._continues(current, row):
                if all(one.place not in {own.place for own in current.spans} for one in spans):
                    current.spans.extend(spans)
                    continue
                spans = "the same span occurs twice in this text"
            if isinstance(spans, str):
                if not self._skips:
                    raise DataError(self._directory / row.file, row.place, spans)
                yield BadRecord(row.file, row.place, spans)
                continue
            if current is not None:
                yield current
            current = _Text(row, spans)
        if current is not None:
            yield current

    def _rows(self) -> Iterator[OwnRow]:
        if self._has_lists:
            return own_rows(self._files, self._entry, ["text", SPANS], ["group"])
        optional = [*_ROLES_OF_A_SPAN, "group"]
        return own_rows(self._files, self._entry, ["text", "label"], optional)

    def _spans(self, row: OwnRow) -> list[OwnSpan] | str:
        """The spans of a row, or what is wrong with them."""
        raw = row.values[SPANS] if self._has_lists else [_only_span(row)]
        return spans_of(row.values["text"], raw, self._entry.get("classes"))

    def _continues(self, text: _Text, row: OwnRow) -> bool:
        """Whether a row of one span belongs to the text of the row before."""
        first = text.row
        return not self._has_lists and (
            (first.file, first.split, first.values["text"], _group(first))
            == (row.file, row.split, row.values["text"], _group(row))
        )

    def _problem_of(self, row: OwnRow) -> str | None:
        text = row.values["text"]
        if not isinstance(text, str):
            return f"the text is {kind_of(text)}, expected a string"
        if not text.strip():
            return "the text is empty"
        if not is_encodable(text):
            return "the text holds half a surrogate pair, expected valid Unicode"
        return None

    def _scan(self) -> _Keys:
        keys = _Keys()
        for item in self._texts():
            if isinstance(item, BadRecord):
                continue
            labels = [one.label for one in item.spans]
            keys.ids.append(item.row.id)
            keys.labels.append([max(label, key=label.__getitem__) for label in labels])
            keys.groups.append(_group(item.row))
            keys.contents.append(_content(item.row.values["text"]))
            keys.splits.append(item.row.split)
            for label in labels:
                self._named.update(label.keys())
        if not keys.ids:
            raise DataError(self._directory, None, "not one good record in the table")
        (repeated, count), *_ = Counter(keys.ids).most_common(1)
        if count > 1:
            raise DataError(
                self._directory,
                None,
                f"the id {repeated!r} belongs to {count} texts; expected an id for each text, and "
                "the rows of one text after each other",
            )
        return keys

    def _classes(self) -> tuple[str, ...]:
        found = set(self._spelled.values())
        classes = class_order(found, self._entry.get("classes"), self._directory)
        if len(classes) > MOST_CLASSES:
            problem = f"expected at most {MOST_CLASSES} classes, found {len(classes)}"
            raise DataError(self._directory, None, problem)
        return classes

    def _divide(self, keys: _Keys) -> Division:
        counts = Counter(self._spelled[name] for names in keys.labels for name in names)
        authors = [None if name is None else name_key(name) for name in keys.groups]
        return divide(
            keys.ids,
            # The rarest class of a text is the one that is hard to spread evenly.
            [min((self._spelled[n] for n in own), key=counts.__getitem__) for own in keys.labels],
            joined_groups(authors, keys.contents),
            keys.splits,
            self._entry.get("split", {}),
            self._directory,
        )

    def _group_column(self, keys: _Keys) -> str:
        if all(name is None for name in keys.groups):
            return CONTENT
        return str(self._entry.get("columns", {}).get("group", "group"))


def _has_lists(files: Sequence[OwnFile], entry: Mapping[str, Any]) -> bool:
    """Whether each row has a list of spans; by the entry, else by the first good row."""
    columns = entry.get("columns", {})
    if SPANS in columns:
        return True
    if not {"label", *_ROLES_OF_A_SPAN}.isdisjoint(columns):
        return False
    rows = (row for file in files for row in read_table(file.path, []))
    return next((SPANS in row.values for row in rows if row.problem is None), False)


def _only_span(row: OwnRow) -> dict[str, Any]:
    """The span of a row that has one, as a list would have it."""
    return {role: row.values.get(role) for role in (*_ROLES_OF_A_SPAN, "label")}


def _group(row: OwnRow) -> str | None:
    """The group of a row; None where its cell is empty."""
    group = row.values.get("group")
    return None if group is None or not str(group).strip() else str(group)


def _content(text: str) -> int:
    """A number that texts share if they are the same after normalisation."""
    digest = hashlib.blake2b(normalise_text(text).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big")

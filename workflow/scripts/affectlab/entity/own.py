"""Labelled spans of a user's own: from a table of any form to the tidy table of texts.

A row is a text with a list of spans, or a single span with its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.datasets.classes import class_order, merge_spellings
from affectlab.datasets.description import Description, language_of
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.own_items import Item, OwnItems, OwnKind, Place
from affectlab.datasets.own_tables import OwnFile, OwnRow, own_files
from affectlab.datasets.tables import read_table
from affectlab.datasets.texts import text_problem
from affectlab.entity.data import Record, Target
from affectlab.entity.labels import MOST_CLASSES, intensity_of
from affectlab.entity.own_spans import OwnSpan, spans_of
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord

SPANS = "spans"
"""The role of a column with a list of spans; without it each row is one span."""

_ROLES_OF_A_SPAN = ("span", "start", "end")


def own_spans(
    directory: Path,
    entry: Mapping[str, Any],
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    exclusion: Exclusion | None = None,
) -> OwnItems[list[OwnSpan], Record]:
    """Read a user's table of texts with labelled spans.

    Args:
        directory: of the raw data.
        entry: of the data set in the registry.
        on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
        similar_names: ``refuse`` stops at classes that differ in spelling only; ``merge`` takes
            their commonest spelling.
        exclusion: texts that are left out; None for none.

    Raises:
        DataError: see `own_items.OwnItems` and `classes.class_order`; or there are more classes
            than `MOST_CLASSES`.
    """
    files = own_files(directory, entry.get("split", {}))
    kind = _Texts(entry, similar_names, has_lists=_has_lists(files, entry))
    return OwnItems(directory, entry, kind, on_bad_record, exclusion)


class _Texts(OwnKind[list[OwnSpan], Record]):
    """Texts; the content of an item is its spans, of one row or of several in sequence."""

    repeated_id = (
        "the id {name!r} belongs to {count} texts; expected an id for each text, and the rows of "
        "one text after each other"
    )

    def __init__(self, entry: Mapping[str, Any], similar_names: str, *, has_lists: bool) -> None:
        self.roles = ("text", SPANS) if has_lists else ("text", "label")
        self.optional = ("group",) if has_lists else (*_ROLES_OF_A_SPAN, "group")
        self._has_lists = has_lists
        self._listed: Sequence[str] | None = entry.get("classes")
        self._language = language_of(entry)
        self._merges = similar_names == "merge"
        self._named: Counter[str] = Counter()
        self._labels: list[list[str]] = []
        self._spelled: Mapping[str, str] = {}
        self._classes: tuple[str, ...] = ()

    def items(self, rows: Iterable[OwnRow]) -> Iterator[Item[list[OwnSpan]] | BadRecord]:
        current: Item[list[OwnSpan]] | None = None
        for row in rows:
            spans = row.problem or text_problem(row.values["text"]) or self._spans(row)
            if isinstance(spans, list) and current is not None and self.continues(current.row, row):
                if all(one.place not in {own.place for own in current.content} for one in spans):
                    current.content.extend(spans)
                    continue
                spans = "the same span occurs twice in this text"
            if isinstance(spans, str):
                yield BadRecord(row.file, row.place, spans)
                continue
            if current is not None:
                yield current
            current = Item(row, spans)
        if current is not None:
            yield current

    def _spans(self, row: OwnRow) -> list[OwnSpan] | str:
        """The spans of a row, or what is wrong with them."""
        raw = row.values[SPANS] if self._has_lists else [_only_span(row)]
        return spans_of(row.values["text"], raw, self._listed)

    def continues(self, before: OwnRow, row: OwnRow) -> bool:
        """Whether a row of one span belongs to the text of the row before."""
        if self._has_lists or "text" not in before.values:
            return False
        return (before.file, before.split, before.values["text"], before.group) == (
            *(row.file, row.split, row.values.get("text"), row.group),
        )

    def add(self, item: Item[list[OwnSpan]]) -> None:
        labels = [one.label for one in item.content]
        self._labels.append([max(label, key=label.__getitem__) for label in labels])
        for label in labels:
            self._named.update(label.keys())

    def description(self, directory: Path) -> Description:
        names = self._named
        self._spelled = merge_spellings(names) if self._merges else {name: name for name in names}
        self._classes = class_order(set(self._spelled.values()), self._listed, directory)
        if len(self._classes) > MOST_CLASSES:
            problem = f"expected at most {MOST_CLASSES} classes, found {len(self._classes)}"
            raise DataError(directory, None, problem)
        return Description(self._classes, language=self._language)

    def strata(self) -> Sequence[str]:
        counts = Counter(self._spelled[name] for names in self._labels for name in names)
        # The rarest class of a text is the one that is hard to spread evenly.
        return [
            min((self._spelled[name] for name in names), key=counts.__getitem__)
            for names in self._labels
        ]

    def record(self, item: Item[list[OwnSpan]], place: Place) -> Record:
        name = item.row.id
        return Record(
            id=name,
            text=item.row.values["text"],
            split=place.split,
            targets=tuple(self._target(f"{name}.{n}", one) for n, one in enumerate(item.content)),
            group=place.group,
            fold=place.fold,
        )

    def _target(self, name: str, span: OwnSpan) -> Target:
        values = dict.fromkeys(self._classes, 0.0)
        for given, value in span.label.items():
            values[self._spelled[given]] += value
        # Two spellings of a class may both have a value.
        label = tuple(min(value, 1.0) for value in values.values())
        return Target(name, span.start, span.end, label, intensity_of(label))


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

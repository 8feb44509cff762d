"""Texts of a user's own: from a table of any form to the tidy table of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from affectlab.datasets.description import Description, Target, language_of
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.numbers import NUMBERS
from affectlab.datasets.own_items import Item, OwnItems, OwnKind, Place
from affectlab.datasets.own_tables import OwnRow
from affectlab.datasets.texts import text_problem
from affectlab.emotion.data import Record
from affectlab.emotion.multilabel_data import CLASSES_TARGET, MultilabelRecord
from affectlab.emotion.own_labels import OwnLabels
from affectlab.emotion.own_multilabel import OwnMultilabel
from affectlab.emotion.own_numbers import OwnNumbers
from affectlab.emotion.ratings import Rating
from affectlab.files.quarantine import BadRecord

AnyRecord = Record | MultilabelRecord | Rating


class OwnTarget(Protocol):
    """What a table has under ``label``. All rows are added; then it is finished."""

    @property
    def annotators(self) -> int | None:
        """Columns with votes; None where each text has one answer."""

    def problem(self, value: Any) -> str | None:
        """What is wrong with the cells of a row; None if nothing is."""

    def add(self, value: Any) -> None:
        """Take the cells of a good row."""

    def finish(self, directory: Path) -> tuple[str, ...]:
        """The names of the classes or numbers, in their order."""

    def strata(self) -> list[str]:
        """Of each row, what is spread evenly over splits and folds."""

    def record(self, value: Any, **shared: Any) -> AnyRecord:
        """A record of a good row; *shared* are its other fields."""


def own_texts(
    directory: Path,
    entry: Mapping[str, Any],
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    exclusion: Exclusion | None = None,
) -> OwnItems[Any, AnyRecord]:
    """Read a user's table of texts with a class, votes, label sets or numbers each.

    Args:
        directory: of the raw data.
        entry: of the data set in the registry.
        on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
        similar_names: ``refuse`` stops at classes that differ in spelling only; ``merge`` takes
            their commonest spelling.
        exclusion: items that are left out; None for none.

    Raises:
        DataError: see `own_items.OwnItems` and `classes.class_order`.
    """
    return OwnItems(directory, entry, _Texts(entry, similar_names), on_bad_record, exclusion)


class _Texts(OwnKind[Any, AnyRecord]):
    """Texts; the content of an item is the cell, or the cells, of its label."""

    roles = ("text", "label")

    def __init__(self, entry: Mapping[str, Any], similar_names: str) -> None:
        self._kind: Target = entry.get("target", "class")
        self._target = _own_target(self._kind, entry, similar_names)
        self._language = language_of(entry)

    def items(self, rows: Iterable[OwnRow]) -> Iterator[Item[Any] | BadRecord]:
        for row in rows:
            problem = row.problem or text_problem(row.values["text"])
            problem = problem or self._target.problem(row.values["label"])
            if problem is not None:
                yield BadRecord(row.file, row.place, problem)
            else:
                yield Item(row, row.values["label"])

    def add(self, item: Item[Any]) -> None:
        self._target.add(item.content)

    def description(self, directory: Path) -> Description:
        return Description(
            classes=self._target.finish(directory),
            target=self._kind,
            annotators=self._target.annotators,
            language=self._language,
        )

    def strata(self) -> Sequence[str]:
        return self._target.strata()

    def record(self, item: Item[Any], place: Place) -> AnyRecord:
        return self._target.record(
            item.content,
            id=item.row.id,
            text=item.row.values["text"],
            split=place.split,
            group=place.group,
            fold=place.fold,
        )


def _own_target(target: Target, entry: Mapping[str, Any], similar_names: str) -> OwnTarget:
    if target == NUMBERS:
        return OwnNumbers(entry)
    if target == CLASSES_TARGET:
        return OwnMultilabel(entry, similar_names)
    return OwnLabels(entry, similar_names)

"""Cases of a user's own: from a table of any form to the tidy table of cases."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.datasets.description import Description, language_of
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.languages import CHARACTERS, TEXTS, recognised_language
from affectlab.datasets.names import Ids
from affectlab.datasets.own_items import Item, OwnItems, OwnKind, Place
from affectlab.datasets.own_tables import OwnRow
from affectlab.files.quarantine import BadRecord
from affectlab.summary.cases import Case, text_problem
from affectlab.summary.text import UNKNOWN

DEFAULT_FIELDS = ("summary",)
"""What is written of a text where the entry of the data names no fields."""

LENGTH_PARTS = 3
"""Texts are spread evenly over the splits by language and by parts of this many lengths."""


def own_cases(
    directory: Path,
    entry: Mapping[str, Any],
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    exclusion: Exclusion | None = None,
) -> OwnItems[None, Case]:
    """Read a user's table of texts, each with one or more reference texts.

    The classes of the description are the fields that are written.

    Args:
        directory: of the raw data.
        entry: of the data set in the registry.
        on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
        similar_names: of ids, as in `convert.convert`.
        exclusion: items that are left out; None for none.

    Raises:
        DataError: see `own_items.OwnItems`.
    """
    return OwnItems(directory, entry, _Cases(entry, similar_names), on_bad_record, exclusion)


class _Cases(OwnKind[None, Case]):
    """Texts with references; nothing is read but the row itself."""

    def __init__(self, entry: Mapping[str, Any], similar_names: str) -> None:
        self._fields = tuple(entry.get("fields", DEFAULT_FIELDS))
        self.roles = ("text", *self._fields)
        self._language = language_of(entry)
        self._similar_names = similar_names
        self._ids: list[str] = []
        self._languages: list[str] = []
        self._first: list[str] = []
        self._lengths: list[int] = []

    def items(self, rows: Iterable[OwnRow]) -> Iterator[Item[None] | BadRecord]:
        ids = Ids(self._similar_names)
        for row in rows:
            problem = row.problem or self._problem(row)
            if problem is None:
                repeated = ids.add(row.id, f"{row.file}, {row.place}")
                problem = None if repeated is None else repeated.problem()
            if problem is not None:
                yield BadRecord(row.file, row.place, problem)
            else:
                yield Item(row, None)

    def _problem(self, row: OwnRow) -> str | None:
        problems = (text_problem(name, row.values[name]) for name in self.roles)
        return next(filter(None, problems), None)

    def add(self, item: Item[None]) -> None:
        text = item.row.values["text"].strip()
        self._ids.append(item.row.id)
        self._languages.append(sys.intern(self._language or recognised_language([text]) or UNKNOWN))
        if len(self._first) < TEXTS:
            self._first.append(text[:CHARACTERS])
        self._lengths.append(len(text))

    def description(self, directory: Path) -> Description:
        # A text that is too short to tell its language has that of the others.
        common = recognised_language(self._first) or UNKNOWN
        self._languages = [common if one == UNKNOWN else one for one in self._languages]
        return Description(self._fields, target="texts", language=self._only_language())

    def _only_language(self) -> str | None:
        """The language of all cases; None where they have several, or one is not known."""
        languages = set(self._languages)
        return languages.pop() if len(languages) == 1 and UNKNOWN not in languages else None

    def strata(self) -> Sequence[str]:
        lengths = sorted(self._lengths)
        bounds = [lengths[len(lengths) * part // LENGTH_PARTS] for part in range(1, LENGTH_PARTS)]
        return [
            f"{language} {sum(length >= bound for bound in bounds)}"
            for language, length in zip(self._languages, self._lengths, strict=True)
        ]

    def record(self, item: Item[None], place: Place) -> Case:
        values = item.row.values
        return Case(
            id=item.row.id,
            split=place.split,
            fold=place.fold or 0,
            language=self._languages[place.number],
            case_description=(values["text"].strip(),),
            consultation_process=(),
            reflection="",
            references={name: values[name].strip() for name in self._fields},
            template=False,
            # A group is called as its first case, which no other group can be.
            group=self._ids[place.first],
            subject=place.group,
        )

"""What a reader has to know of the data before any score: generated, or a copy that differs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from affectlab.evaluation.expectations import differing
from affectlab.evaluation.plan_text import plan_sentences

GENERATED = "generated data"
DIFFERS = "data differ from registry"

SHOWN = 4
"""Differences that a sentence lists; it counts the others."""


@dataclass(frozen=True, slots=True)
class DataNote:
    """What is wrong with taking scores on a data set for results.

    Attributes:
        data: name of the data set.
        generated: whether a sample generator made it.
        differs: in what it differs from its registry entry, see `expectations.differing`.
        traps: sentences of the audit on what can make a score mean less than it seems.
        plan: sentences of the audit on what the scored items can show.
        excluded: numbers of items and of groups that were left out because somebody withdrew.
    """

    data: str
    generated: bool
    differs: tuple[str, ...]
    traps: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    excluded: tuple[int, int] = (0, 0)

    @property
    def mark(self) -> str:
        """A few words for a table: `GENERATED`, `DIFFERS`, or nothing."""
        if self.generated:
            return GENERATED
        return DIFFERS if self.differs else ""

    @property
    def sentences(self) -> list[str]:
        """The same for a page; empty where there is nothing to say."""
        found = []
        if self.generated:
            found.append(
                f"The data set {self.data} is generated. Its scores show that the workflow runs."
                " They show nothing about people."
            )
        if self.differs:
            found.append(
                f"The data set {self.data} is not as the registry describes it: it differs in"
                f" {_listed(self.differs)}. Its scores cannot be compared with those on the"
                " published data."
            )
        if self.excluded[0]:
            found.append(_excluded_sentence(self.data, *self.excluded))
        return found + [f"{self.data}: {trap}" for trap in self.traps]


def data_notes(
    audits: Mapping[str, Mapping[str, Any]], generated: Collection[str]
) -> dict[str, DataNote]:
    """The note of each data set.

    Args:
        audits: name -> audit.json.
        generated: names of the data sets that a generator made, by their manifests.
    """
    return {
        name: DataNote(
            name,
            name in generated,
            tuple(differing(audit)),
            tuple(trap["sentence"] for trap in audit.get("traps", ())),
            tuple(plan_sentences(audit)),
            _excluded_counts(audit.get("excluded", {})),
        )
        for name, audit in audits.items()
    }


def banner_of(notes: Iterable[DataNote]) -> dict[str, str]:
    """What kind of data the scores are on: ``kind`` for the colour, and ``text``."""
    marks = [note.mark for note in notes]
    if marks and set(marks) == {GENERATED}:
        text = (
            "Generated data. These numbers show that the workflow runs. They say nothing about"
            " people."
        )
        return {"kind": "generated", "text": text}
    parts = []
    if GENERATED in marks:
        parts.append("Some data are generated: their numbers say nothing about people.")
    if DIFFERS in marks:
        parts.append(
            "Some data differ from their registry entry: their numbers cannot be compared with"
            " those on the published data."
        )
    if parts:
        return {"kind": "differs", "text": " ".join(parts)}
    return {"kind": "complete", "text": "No data set differs from what its entry states."}


def page_title(notes: Iterable[DataNote]) -> str:
    """The title of the report, which says what kind of data its scores are on."""
    marks = [note.mark for note in notes]
    parts = []
    if GENERATED in marks:
        parts.append(GENERATED if set(marks) == {GENERATED} else "some data are generated")
    if DIFFERS in marks:
        parts.append(DIFFERS if set(marks) == {DIFFERS} else "some data differ from registry")
    return f"affectlab: results ({'; '.join(parts)})" if parts else "affectlab: results"


def _excluded_counts(found: Mapping[str, int]) -> tuple[int, int]:
    return found.get("items", 0), found.get("groups", 0)


def _excluded_sentence(data: str, items: int, groups: int) -> str:
    counted = f"{items:,} items were" if items > 1 else "1 item was"
    of_groups = f", with {groups:,} whole group{'s' if groups > 1 else ''}" if groups else ""
    return f"{data}: {counted} left out because somebody withdrew{of_groups}."


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")

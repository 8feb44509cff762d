"""Cases of a user's own: from a table of any form to the tidy table of cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectlab.datasets.description import CONTENT, Description, language_of
from affectlab.datasets.languages import recognised_language
from affectlab.datasets.names import Ids, name_key
from affectlab.datasets.own_tables import OwnRow, own_files, own_rows
from affectlab.datasets.splits import Division, divide, joined_groups
from affectlab.datasets.texts import normalise_text
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord
from affectlab.summary.cases import Case, text_problem
from affectlab.summary.text import UNKNOWN

DEFAULT_FIELDS = ("summary",)
"""What is written of a text where the entry of the data names no fields."""

LENGTH_PARTS = 3
"""Texts are spread evenly over the splits by language and by parts of this many lengths."""


class OwnCases:
    """A user's table of texts, each with one or more reference texts.

    Attributes:
        cases: the good records, divided.
        bad: the other ones.
        description: what the data set is; its classes are the fields that are written.
    """

    def __init__(
        self,
        directory: Path,
        entry: Mapping[str, Any],
        on_bad_record: str = "fail",
        similar_names: str = "refuse",
    ) -> None:
        """Read the table, and divide it.

        Args:
            directory: of the raw data.
            entry: of the data set in the registry.
            on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
            similar_names: of ids, as in `convert.convert`.

        Raises:
            DataError: no table, a bad record that is not to be skipped, or data that cannot be
                divided as planned.
        """
        self.bad: list[BadRecord] = []
        fields = tuple(entry.get("fields", DEFAULT_FIELDS))
        stated = language_of(entry)
        ids = Ids(similar_names)
        cases, given = [], []
        for row, problem in _rows(directory, entry, fields, ids):
            if problem is None:
                cases.append(_case(row, fields, stated))
                given.append(row.split)
            elif on_bad_record == "fail":
                raise DataError(directory / row.file, row.place, problem)
            else:
                self.bad.append(BadRecord(row.file, row.place, problem))
        if not cases:
            raise DataError(directory, None, "not one good record in the table")
        division, groups = _divide(cases, given, entry, directory)
        self.cases = _divided(cases, division, groups)
        self.description = Description(
            classes=fields,
            target="texts",
            language=_only_language(cases),
            folds=entry.get("split", {}).get("folds"),
            group=_group_column(cases, entry),
            seed=division.seed,
            split_sha256=division.sha256,
        )


def _rows(
    directory: Path, entry: Mapping[str, Any], fields: Sequence[str], ids: Ids
) -> Iterator[tuple[OwnRow, str | None]]:
    """Each row, and what is wrong with it."""
    files = own_files(directory, entry.get("split", {}))
    for row in own_rows(files, entry, ["text", *fields], ["group"]):
        problem = row.problem or _problem(row, fields)
        if problem is None:
            repeated = ids.add(row.id, f"{row.file}, {row.place}")
            problem = None if repeated is None else repeated.problem()
        yield row, problem


def _problem(row: OwnRow, fields: Sequence[str]) -> str | None:
    problems = (text_problem(name, row.values[name]) for name in ("text", *fields))
    return next(filter(None, problems), None)


def _case(row: OwnRow, fields: Sequence[str], language: str | None) -> Case:
    text = row.values["text"].strip()
    subject = row.values.get("group")
    return Case(
        id=row.id,
        split="",
        fold=0,
        language=language or recognised_language([text]) or UNKNOWN,
        case_description=(text,),
        consultation_process=(),
        reflection="",
        references={name: row.values[name].strip() for name in fields},
        template=False,
        group="",
        subject=None if subject is None or not str(subject).strip() else str(subject),
    )


def _divide(
    cases: Sequence[Case],
    given: Sequence[str | None],
    entry: Mapping[str, Any],
    directory: Path,
) -> tuple[Division, list[int]]:
    """The splits of the cases, and the numbers of their groups."""
    subjects = [None if case.subject is None else name_key(case.subject) for case in cases]
    groups = joined_groups(subjects, [normalise_text(case.text) for case in cases])
    ids = [case.id for case in cases]
    plan = entry.get("split", {})
    return divide(ids, _strata(cases), groups, given, plan, directory), groups


def _strata(cases: Sequence[Case]) -> list[str]:
    """Language and length of each case, in a few kinds."""
    lengths = sorted(len(case.text) for case in cases)
    bounds = [lengths[len(lengths) * part // LENGTH_PARTS] for part in range(1, LENGTH_PARTS)]
    return [f"{case.language} {sum(len(case.text) >= bound for bound in bounds)}" for case in cases]


def _divided(cases: Sequence[Case], division: Division, groups: Sequence[int]) -> list[Case]:
    folds = division.folds or [0] * len(cases)
    return [
        # A group is called as its first case, which no other group can be.
        replace(case, split=split, fold=fold, group=cases[group].id)
        for case, split, fold, group in zip(cases, division.splits, folds, groups, strict=True)
    ]


def _only_language(cases: Sequence[Case]) -> str | None:
    """The language of all cases; None where they have several, or one is not known."""
    languages = {case.language for case in cases}
    return languages.pop() if len(languages) == 1 and UNKNOWN not in languages else None


def _group_column(cases: Sequence[Case], entry: Mapping[str, Any]) -> str:
    if all(case.subject is None for case in cases):
        return CONTENT
    return str(entry.get("columns", {}).get("group", "group"))

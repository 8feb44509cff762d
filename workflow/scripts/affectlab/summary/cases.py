"""Cases to be summarised: the tidy table that a conversion writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from affectlab.datasets.texts import kind_of
from affectlab.errors import DataError, UserError
from affectlab.files.io import read_jsonl
from affectlab.files.text import is_encodable
from affectlab.summary.text import Language

FIELDS = (
    "causes",
    "symptoms",
    "treatment_process",
    "characteristics_of_illness",
    "treatment_effect",
)
"""References of the task ``fields``, in the order of the benchmark."""

REFLECTION = "experience_and_reflection"

TASKS = {"fields": FIELDS, "reflection": (REFLECTION,)}
"""Task of a published corpus -> what is generated."""

OWN_TASK = "own"
"""The task of users' own data, whose fields are theirs."""

SPLITS = ("train", "validation", "test")
CROSS_VALIDATION = "cross-validation"
"""Stands for the split where every case was scored once, without its fold."""

MOST_FOLDS = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """One case: what is summarised, and what the summary should say.

    Attributes:
        id: as in the raw file, unique.
        split: train, validation or test.
        fold: of the cross-validation, from 0; 0 where there is none.
        language: of the whole case.
        case_description: paragraphs.
        consultation_process: paragraphs.
        reflection: the counsellor's reflection where it is an input, else empty.
        references: field -> text that is to be generated.
        template: whether the references were made from a template.
        group: cases with the same text share it; in a split of our own also nearly the same ones,
            and in a user's data those of one subject.
        subject: in a user's data whom the case is of; None if not known.
    """

    id: str
    split: str
    fold: int
    language: Language
    case_description: tuple[str, ...]
    consultation_process: tuple[str, ...]
    reflection: str
    references: dict[str, str]
    template: bool
    group: str
    subject: str | None = None

    @property
    def task(self) -> str:
        """One of `TASKS` by its fields, else `OWN_TASK`."""
        return task_of(self.fields)

    @property
    def fields(self) -> tuple[str, ...]:
        """What is to be generated, in order."""
        return tuple(self.references)

    @property
    def text(self) -> str:
        """Everything that a summary may draw on."""
        parts = [*self.case_description, *self.consultation_process, self.reflection]
        return "\n".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """A line of the table; a subject that is not known is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def task_of(fields: Sequence[str]) -> str:
    """The task of which the *fields* are written: one of `TASKS`, or `OWN_TASK`."""
    return next((task for task, own in TASKS.items() if own == tuple(fields)), OWN_TASK)


def read_cases(path: Path | str) -> list[Case]:
    """Read the table that `convert` wrote.

    Raises:
        DataError: a line is not such a case, or repeats an id.
    """
    cases = []
    seen: set[str] = set()
    names = set(Case.__dataclass_fields__) - {"subject"}
    for number, row in enumerate(read_jsonl(path), start=1):
        if set(row) - {"subject"} != names:
            raise DataError(path, f"record {number}", f"expected the fields {', '.join(names)}")
        if problem := _stored_problem(row):
            raise DataError(path, f"record {number}", problem)
        if row["id"] in seen:
            raise DataError(path, f"record {number}", f"the id {row['id']} occurs a second time")
        seen.add(row["id"])
        lists = {name: tuple(row[name]) for name in ("case_description", "consultation_process")}
        cases.append(Case(**(row | lists)))
    return cases


def _stored_problem(row: Mapping[str, Any]) -> str | None:
    """What is wrong with the values of a line of the table that `convert` wrote."""
    texts = ("id", "split", "language", "reflection", "group")
    if not all(isinstance(row[name], str) for name in texts):
        return f"{', '.join(texts)}: expected strings"
    if type(row["fold"]) is not int or not 0 <= row["fold"] < MOST_FOLDS:
        return "fold: expected a whole number"
    if not isinstance(row.get("subject", ""), str):
        return "subject: expected a string"
    if not isinstance(row["template"], bool):
        return "template: expected true or false"
    for name in ("case_description", "consultation_process"):
        if not isinstance(row[name], list) or not all(isinstance(t, str) for t in row[name]):
            return f"{name}: expected a list of strings"
    references = row["references"]
    if not isinstance(references, dict) or not all(
        isinstance(text, str) for text in references.values()
    ):
        return "references: expected an object, from fields to texts"
    return None


def with_fold(cases: Sequence[Case], fold: int | None) -> list[Case]:
    """The cases as *fold* of the cross-validation splits them; as stored if it is None.

    The fold's cases are the test split, those of the next fold the validation split.

    Raises:
        UserError: there is no such fold; of few cases there are fewer than ``split.folds``.
    """
    if fold is None:
        return list(cases)
    folds = max(case.fold for case in cases) + 1
    if not 0 <= fold < folds:
        raise UserError(
            f"fold {fold}: the {len(cases)} cases make {folds} folds, from 0 to {folds - 1}"
        )
    names = {fold: "test", (fold + 1) % folds: "validation"}
    return [replace(case, split=names.get(case.fold, "train")) for case in cases]


def read_split(path: Path | str, split: str, fold: int | None) -> list[Case]:
    """Read the cases of one split, in the order of the table, as `with_fold` splits them.

    In a cross-validation every case is one of the test split.
    """
    cases = with_fold(read_cases(path), fold)
    if split == "test" and is_cross_validated(cases):
        return [replace(case, split=split) for case in cases]
    return [case for case in cases if case.split == split]


def is_cross_validated(cases: Sequence[Case]) -> bool:
    """Whether each case is scored in its own fold, because none is of a test split.

    The audit refuses other data without a test split.
    """
    return all(case.split != "test" for case in cases)


def scored_parts(path: Path | str, fold: int | None) -> list[tuple[list[Case], list[Case]]]:
    """Read the cases to learn from and those to be scored, both by id.

    Returns:
        One pair; in a cross-validation one for each fold.

    Raises:
        DataError: there are no cases to be scored.
    """
    cases = read_cases(path)
    if fold is None and is_cross_validated(cases):
        splits = [with_fold(cases, number) for number in sorted({case.fold for case in cases})]
    else:
        splits = [with_fold(cases, fold)]
    parts = []
    for divided in splits:
        train, test = (
            sorted((case for case in divided if case.split == split), key=lambda case: case.id)
            for split in ("train", "test")
        )
        if not test:
            raise DataError(path, None, "no cases in the test split")
        parts.append((train, test))
    return parts


def test_cases(path: Path | str, fold: int | None) -> list[Case]:
    """Read the cases of the test split, by id.

    Raises:
        DataError: there is none.
    """
    found = read_split(path, "test", fold)
    if not found:
        raise DataError(path, None, "no cases in the test split")
    return sorted(found, key=lambda case: case.id)


def train_cases(path: Path | str, fold: int | None) -> list[Case]:
    """Read the cases of the training split, by id; there may be none."""
    return sorted(read_split(path, "train", fold), key=lambda case: case.id)


def text_problem(name: str, value: Any, *, needed: bool = True) -> str | None:
    """What is wrong with *value* as a text that is to be stored; None if nothing is."""
    if not isinstance(value, str):
        return f"{name}: expected a string, found {kind_of(value)}"
    if needed and not value.strip():
        return f"{name}: is empty"
    if not is_encodable(value):
        return f"{name}: holds half a surrogate pair, expected valid Unicode"
    if "\0" in value:
        return f"{name}: holds a NUL character"
    return None

"""The table of clips that a conversion writes; a clip is one audio file of one subject."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from affectlab.audio.tasks import OWN_TASK
from affectlab.datasets.classes import merge_spellings
from affectlab.datasets.numbers import is_finite_number
from affectlab.errors import DataError, UserError
from affectlab.files.io import read_jsonl

SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""What manifests call the splits -> what they are called here."""


Answer = str | tuple[str, ...] | tuple[float, ...]
"""What is to be predicted of a clip: a class, several classes, or numbers."""

Selection = Literal["cleaned", "raw"]
"""Which recordings of a corpus that has both are its clips."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One audio file.

    Attributes:
        id: unique in the corpus.
        path: of the file inside the corpus' folder, with forward slashes.
        subject: who speaks.
        labels: task -> class; empty where the corpus has numbers or several classes for a clip.
        split: of the corpus' own split, if it has one: train, validation or test.
        seconds: how long the clip is said to be, if the corpus says so; the audit measures it.
        place: where the corpus lists the clip, for messages of the conversion; is not stored.
        values: name of a number -> the number, in units of the data; empty where it has classes.
        classes: names, in the order of the description, where a clip may have several classes or
            none; else None.
    """

    id: str
    path: str
    subject: str
    labels: dict[str, str]
    split: str | None
    seconds: float | None = None
    place: str = field(default="", compare=False)
    values: dict[str, float] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None

    def stored(self) -> dict[str, Any]:
        """Return the clip as a record."""
        own = "values" if self.values else "labels" if self.classes is None else "classes"
        absent = {"place", *ANSWERS} - {own}
        return {key: value for key, value in asdict(self).items() if key not in absent}

    def is_of(self, task: str) -> bool:
        """Whether the clip has an answer for a task.

        Numbers and several classes, of users' data, are of `OWN_TASK`.
        """
        if self.values or self.classes is not None:
            return task == OWN_TASK
        return task in self.labels

    def answer(self, task: str) -> Answer:
        """The class of the clip for a task that it `is_of`, or its numbers or classes."""
        if self.classes is not None:
            return self.classes
        return tuple(self.values.values()) if self.values else self.labels[task]

    def named_classes(self) -> Iterator[tuple[str, str]]:
        """Each task of the clip with each of its classes."""
        yield from self.labels.items()
        yield from ((OWN_TASK, name) for name in self.classes or ())


ANSWERS = ("labels", "values", "classes")
"""Fields of a record of which it has one."""

_FIELDS = {"id", "path", "subject", "split", "seconds"}


def read_clips(path: Path | str) -> list[Clip]:
    """Read the table that `convert` wrote.

    Raises:
        DataError: the file is missing, a line is no such record, or an id occurs twice.
    """
    clips: list[Clip] = []
    seen: set[str] = set()
    for number, row in enumerate(read_jsonl(path), start=1):
        if set(row) not in [_FIELDS | {own} for own in ANSWERS]:
            problem = "expected the fields id, path, subject, labels, split and seconds"
            raise DataError(path, f"record {number}", problem)
        if wrong := _stored_problem(row):
            raise DataError(path, f"record {number}", wrong)
        if row["id"] in seen:
            raise DataError(path, f"record {number}", f"the id {row['id']} occurs a second time")
        seen.add(row["id"])
        several = {"classes": tuple(row["classes"])} if "classes" in row else {}
        clips.append(Clip(**{"labels": {}, **row, **several}))
    if not clips:
        raise DataError(path, None, "holds no clips")
    return clips


def _stored_problem(row: Mapping[str, Any]) -> str | None:
    """What is wrong with the values of a line of the table that `convert` wrote."""
    if not all(isinstance(row[name], str) for name in ("id", "path", "subject")):
        return "id, path and subject: expected strings"
    labels, values = row.get("labels", {}), row.get("values", {})
    if not isinstance(labels, dict) or not all(isinstance(name, str) for name in labels.values()):
        return "labels: expected an object, from tasks to classes"
    if not isinstance(values, dict) or not all(map(is_finite_number, values.values())):
        return "values: expected an object, from names to finite numbers"
    classes = row.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return "classes: expected a list of names"
    if row["split"] not in (None, *SPLITS.values()):
        return "split: expected train, validation, test or null"
    seconds = row["seconds"]
    if seconds is not None and (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds < math.inf
    ):
        return "seconds: expected a positive number or null"
    return None


def usable_clips(records_path: Path | str, measures_path: Path | str) -> list[Clip]:
    """Read the clips that the audit could read, which may be fewer than the records.

    A subject that is spelled in several ways, which the audit reports, has the commonest one.
    """
    known = set()
    for number, row in enumerate(read_jsonl(measures_path), start=1):
        if not isinstance(row.get("id"), str):
            raise DataError(measures_path, f"record {number}", "expected the id of a clip")
        known.add(row["id"])
    return with_merged_subjects([clip for clip in read_clips(records_path) if clip.id in known])


def with_merged_subjects(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with the commonest spelling of each subject."""
    spelled = merge_spellings(Counter(clip.subject for clip in clips))
    return [replace(clip, subject=spelled[clip.subject]) for clip in clips]


def subject_labels(
    clips: Sequence[Clip], task: str, path: Path
) -> tuple[dict[str, Answer], dict[str, str | None]]:
    """Label and split of each subject.

    Args:
        clips: of the corpus, all with a label for the task.
        task: a key of `TASKS`.
        path: of the records, for messages.

    Raises:
        UserError: a subject has several labels, or is in several splits.
    """
    labels: dict[str, Answer] = {}
    splits: dict[str, str | None] = {}
    for clip in clips:
        if labels.setdefault(clip.subject, clip.answer(task)) != clip.answer(task):
            raise UserError(
                f"{path}: the subject {clip.subject} has several labels for the task {task!r}, so "
                "its clips cannot be pooled: set unit to clip"
            )
        if splits.setdefault(clip.subject, clip.split) != clip.split:
            raise UserError(f"{path}: the subject {clip.subject} is in more than one split")
    return labels, splits

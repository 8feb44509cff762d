"""What a probe is fitted to: clips or subjects with labels, vectors and trivial features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from affectlab.audio.data import Answer, Clip, subject_labels, usable_clips
from affectlab.audio.label_set_target import LabelSetTarget
from affectlab.audio.store import Embeddings
from affectlab.audio.targets import ClassTarget, NumberTarget, Target
from affectlab.audio.tasks import OWN_TASK, TRIVIAL, task_classes
from affectlab.audio.views import pool_subjects
from affectlab.datasets.description import CONTENT, Description
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.numbers import NUMBERS
from affectlab.datasets.splits import joined_groups
from affectlab.errors import DataError, UserError
from affectlab.evaluation.conditions import encode
from affectlab.evaluation.multilabel_predictions import indicators
from affectlab.files.io import read_jsonl

NAMES = ("rate", "channels", "format")
"""Measures that are names of a condition, not amounts."""


@dataclass(frozen=True, slots=True)
class Items:
    """Items of one task.

    Attributes:
        ids: of clips or subjects, ``[n]``.
        subjects: ``[n]``.
        groups: ``[n]``, a number for each subject; of users' own data, subjects that share a
            recording have the same.
        target: what is to be predicted of each.
        classes: names, in the order of their ids; of numbers the names of these.
        splits: of the corpus' own split, ``[n]``; None where it has none.
        vectors: ``[n, layers, 2, dim]`` float32.
        trivial: baseline -> ``[n, features]``.
    """

    ids: list[str]
    subjects: npt.NDArray[np.str_]
    groups: npt.NDArray[np.int64]
    target: Target
    classes: tuple[str, ...]
    splits: list[str | None]
    vectors: npt.NDArray[np.float32]
    trivial: dict[str, npt.NDArray[np.float64]]


def make_items(
    records_path: Path,
    measures_path: Path,
    embeddings: Embeddings,
    description: Description,
    task: str,
    unit: str,
) -> Items:
    """Bring records, measures and vectors together.

    Args:
        records_path: of the corpus.
        measures_path: of the audit, one line a clip that can be used.
        embeddings: of the corpus.
        description: of the corpus.
        task: a key of `TASKS`; clips without a label for it are left out.
        unit: ``clip``, or ``subject`` to pool all clips of a subject.

    Raises:
        DataError: a clip has no class, or other numbers or classes than the corpus.
        UserError: the corpus has no such labels, one class only, or *unit* is ``subject`` though
            a subject has several labels.
    """
    clips = [clip for clip in usable_clips(records_path, measures_path) if clip.is_of(task)]
    if not clips:
        raise UserError(f"{records_path}: no clip has a label for the task {task!r}")
    classes = task_classes(description.classes, task)
    _check_answers(clips, classes, description, records_path)
    present = {clip.answer(task) for clip in clips}
    if len(present) < 2:
        what = "class" if description.target == "class" else description.target
        raise UserError(f"{records_path}: all clips are of the {what} {present.pop()!r}")
    ids = [clip.id for clip in clips]
    measured = {row["id"]: row for row in read_jsonl(measures_path)}
    measures = [measured[name] for name in ids]
    vectors = embeddings.of(ids)
    subjects = [clip.subject for clip in clips]
    groups = _groups(subjects, [row["sha256"] for row in measures], task)
    trivial = {
        name: encode(
            {key: [str(r[key]) if key in NAMES else r[key] for r in measures] for key in keys}
        )
        for name, keys in TRIVIAL.items()
    }
    if unit == "subject":
        if description.group == CONTENT:
            raise UserError(f"{records_path}: no subject is stated: set unit to clip")
        label_of, split_of = subject_labels(clips, task, records_path)
        ids, vectors = pool_subjects(vectors, subjects)
        trivial = {name: pool_subjects(t, subjects)[1] for name, t in trivial.items()}
        # Every number stands for one subject at least.
        group_of = dict(zip(subjects, groups.tolist(), strict=True))
        subjects, groups = ids, np.array([group_of[name] for name in ids])
        answers, splits = [label_of[name] for name in ids], [split_of[name] for name in ids]
    else:
        answers, splits = [clip.answer(task) for clip in clips], [clip.split for clip in clips]
    return Items(
        list(ids),
        np.array(subjects),
        groups,
        _target(answers, classes, description),
        classes,
        splits,
        vectors,
        trivial,
    )


def _check_answers(
    clips: Sequence[Clip], names: Sequence[str], description: Description, path: Path
) -> None:
    """See that each clip has a class, or the described numbers or classes in their order.

    Raises:
        DataError: one has not.
    """
    for clip in clips:
        if description.target == NUMBERS:
            fits = tuple(clip.values) == tuple(names)
        elif description.target == LABEL_SETS:
            own = clip.classes
            fits = own is not None and own == tuple(name for name in names if name in own)
        else:
            fits = not clip.values and clip.classes is None
        if not fits:
            what = "numbers" if description.target == NUMBERS else "classes"
            raise DataError(
                path, None, f"the clip {clip.id} has other {what} than {', '.join(names)}"
            )


def _target(
    answers: Sequence[Answer], classes: tuple[str, ...], description: Description
) -> Target:
    """What is to be predicted of items with the given class, classes or numbers."""
    if description.target == LABEL_SETS:
        sets = [[str(name) for name in names] for names in answers]
        return LabelSetTarget(indicators(sets, classes), classes)
    if description.target == NUMBERS:
        return NumberTarget(np.array(answers, dtype=np.float64), classes)
    ids = [classes.index(str(label)) for label in answers]
    return ClassTarget(np.array(ids, dtype=np.int64), len(classes))


def _groups(subjects: Sequence[str], sounds: Sequence[str], task: str) -> npt.NDArray[np.int64]:
    """A number for each subject, or for subjects that share a recording; see `Items`."""
    keys = joined_groups(subjects, sounds) if task == OWN_TASK else list(subjects)
    return np.unique(np.array(keys), return_inverse=True)[1].astype(np.int64)

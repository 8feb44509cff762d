"""Users' own recordings: their classes, their subjects, and how they are divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectlab.audio.corpora.answers import numbers_of
from affectlab.audio.data import Clip
from affectlab.audio.measures import measure
from affectlab.audio.tasks import OWN_TASK
from affectlab.datasets.classes import class_order
from affectlab.datasets.description import CONTENT, Description, language_of
from affectlab.datasets.label_sets import LABEL_SETS, LabelSetCells
from affectlab.datasets.names import name_key
from affectlab.datasets.numbers import quantile_bins
from affectlab.datasets.splits import Division, divide, joined_groups
from affectlab.errors import DataError


def with_subject(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The *entry* of a data set; a column of the role ``group`` is that of the subjects."""
    columns = dict(entry.get("columns", {}))
    if "group" not in columns:
        return entry
    return {**entry, "columns": {"subject": columns.pop("group"), **columns}}


def describe_own(
    clips: Sequence[Clip], root: Path, entry: Mapping[str, Any], similar_names: str
) -> tuple[list[Clip], Description]:
    """Complete the clips of a user's own data, and describe the data set.

    A clip without a subject becomes a subject of its own. A cross-validation needs no split: the
    probe makes its folds for each repeat. The description holds their number, and the details of
    a run the hash of its first folds.

    Args:
        clips: as read; their subjects are empty where the data do not state them.
        root: folder of the data.
        entry: of the data set.
        similar_names: of several classes of a clip, see `LabelSetCells`.

    Returns:
        The clips with subjects, splits, and the description.

    Raises:
        DataError: some clips have a subject and some have none; or the data have fewer than two
            classes, or cannot be divided as planned.
    """
    label_sets = None
    if entry.get("target") == LABEL_SETS:
        label_sets = LabelSetCells(entry, similar_names)
        clips = _with_classes(clips, label_sets, root)
    unknown = sum(not clip.subject for clip in clips)
    if 0 < unknown < len(clips):
        problem = f"{unknown} of {len(clips)} clips have no subject, and the others have one"
        raise DataError(root, None, problem)
    strata = _strata(clips) if label_sets is None else label_sets.strata()
    stated = unknown == 0
    plan = entry.get("split", {})
    division = _division(clips, strata, stated, root, plan)
    if division is not None:
        pairs = zip(clips, division.splits, strict=True)
        clips = [replace(clip, split=split) for clip, split in pairs]
    elif "folds" in plan:
        clips = [replace(clip, split=None) for clip in clips]
    description = Description(
        classes=_names(clips, entry, label_sets, root),
        target=entry.get("target", "class"),
        language=language_of(entry),
        folds=plan.get("folds"),
        group=entry.get("columns", {}).get("subject", "subject") if stated else CONTENT,
        seed=None if division is None else division.seed,
        split_sha256=None if division is None else division.sha256,
    )
    if not stated:
        clips = [replace(clip, subject=clip.id) for clip in clips]
    return [*clips], description


def _division(
    clips: Sequence[Clip],
    strata: Sequence[str],
    stated: bool,
    root: Path,
    plan: Mapping[str, Any],
) -> Division | None:
    """Split the clips by the shares of *plan*; None where it has none, or the data are split."""
    if plan.keys().isdisjoint({"test", "validation"}):
        return None
    subjects = [name_key(clip.subject) if stated else None for clip in clips]
    return divide(
        [clip.id for clip in clips],
        strata,
        joined_groups(subjects, [_sound(root / clip.path) for clip in clips]),
        [clip.split for clip in clips],
        plan,
        root,
    )


def _with_classes(clips: Sequence[Clip], label_sets: LabelSetCells, root: Path) -> list[Clip]:
    """The clips with their classes in the order of all, and in one spelling; fills *label_sets*."""
    named = [clip.classes or () for clip in clips]
    for names in named:
        label_sets.add_names(names)
    label_sets.finish(root)
    return [
        replace(clip, classes=label_sets.in_order(names))
        for clip, names in zip(clips, named, strict=True)
    ]


def _names(
    clips: Sequence[Clip],
    entry: Mapping[str, Any],
    label_sets: LabelSetCells | None,
    root: Path,
) -> tuple[str, ...]:
    """The classes in the order of their ids, or the names of the numbers."""
    if label_sets is not None:
        return label_sets.classes
    return numbers_of(entry) or class_order(set(_labels(clips)), entry.get("classes"), root)


def _strata(clips: Sequence[Clip]) -> list[str]:
    """The part of the data that each clip stands for: its class, or the bin of its first number."""
    if clips[0].values:
        return [
            str(place) for place in quantile_bins([next(iter(c.values.values())) for c in clips])
        ]
    return _labels(clips)


def _labels(clips: Sequence[Clip]) -> list[str]:
    return [clip.labels[OWN_TASK] for clip in clips]


def _sound(path: Path) -> str | None:
    """A digest of the decoded sound; None if there is none, which the audit then reports."""
    try:
        return measure(path, "").sha256
    except DataError:
        return None

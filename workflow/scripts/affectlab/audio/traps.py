"""What can make a score on a user's own recordings mean less than it seems."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from affectlab.audio.data import Clip
from affectlab.audio.tasks import OWN_TASK, TRIVIAL
from affectlab.datasets.description import CONTENT, Description
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.numbers import NUMBERS
from affectlab.datasets.traps import (
    Trap,
    constant_classes,
    find_traps,
    number_traps,
    rare_classes,
    spelling_traps,
)
from affectlab.evaluation.class_conditions import class_condition_traps
from affectlab.evaluation.conditions import condition_trap
from affectlab.evaluation.number_conditions import condition_traps

SHOWN = 3
"""So many groups of clips are in a sentence."""


def own_traps(
    clips: Sequence[Clip],
    description: Description,
    findings: Mapping[str, Any],
    near: Sequence[Collection[str]],
) -> Iterator[Trap]:
    """Yield the traps of a user's own data.

    Args:
        clips: as the records hold them.
        description: of the data set.
        findings: of the audit: groups of clips with the same sound (``identical``), and what the
            conditions of recording tell of the class, of each class or of the numbers.
        near: groups of ids of clips that sound nearly the same.
    """
    stated = description.group != CONTENT
    yield from _label_traps(clips, description, stated)
    if not stated:
        yield Trap(
            "subjects_not_stated",
            "The data do not tell who speaks. Clips of one person can be in training and in test, "
            "so the score can be higher than it is for a new voice. Add a column subject.",
        )
    by_id = {clip.id: clip for clip in clips}
    if shared := [ids for ids in findings["identical"] if _is_apart(by_id, ids)]:
        yield Trap(
            "item_in_two_splits",
            f"Some recordings are in two splits or belong to two subjects ({_listed(shared)}). "
            "Such subjects are kept on one side of every fold; remove one of the copies.",
        )
    if near:
        yield Trap(
            "near_duplicates",
            f"Some clips sound nearly the same, such as a recording that was coded again "
            f"({_listed(near)}). Keep one of each.",
        )
    yield from _condition_traps(description, findings)


def _condition_traps(description: Description, findings: Mapping[str, Any]) -> Iterator[Trap]:
    """Conditions of recording that tell what is to be predicted."""
    if description.target == NUMBERS:
        yield from condition_traps(findings["number_conditions"]["clear"], "clip")
    elif description.target == LABEL_SETS:
        yield from class_condition_traps(
            findings["class_conditions"], TRIVIAL["conditions"], "a recording"
        )
    else:
        found = findings["conditions"][OWN_TASK]
        yield from condition_trap(found, TRIVIAL["conditions"], "a recording")


def _label_traps(clips: Sequence[Clip], description: Description, stated: bool) -> Iterator[Trap]:
    """Traps in classes or numbers, and in subjects where they are *stated*."""
    subjects = [clip.subject if stated else None for clip in clips]
    if description.target == LABEL_SETS:
        yield from _label_set_traps(clips, subjects, description)
        return
    if description.target == NUMBERS:
        yield from number_traps(
            [tuple(clip.values.values()) for clip in clips],
            subjects,
            description.classes,
            what="clips",
            group_name=description.group,
        )
        return
    yield from find_traps(
        [clip.labels[OWN_TASK] for clip in clips],
        subjects,
        description.classes,
        folds=description.folds,
        what="clips",
        group_name=description.group,
    )


def _label_set_traps(
    clips: Sequence[Clip], subjects: Sequence[str | None], description: Description
) -> Iterator[Trap]:
    """Traps in several classes for each clip; *subjects* are None where they are not stated."""
    sets = [clip.classes or () for clip in clips]
    yield from rare_classes(
        [name for own in sets for name in own],
        [subject for own, subject in zip(sets, subjects, strict=True) for _ in own],
        description.classes,
        description.folds or 2,
        "clips",
    )
    yield from spelling_traps([name for name in subjects if name is not None], description.group)
    yield from constant_classes(sets, subjects, description.classes, "clips", description.group)


def _is_apart(by_id: Mapping[str, Clip], ids: Collection[str]) -> bool:
    """Whether copies of a recording are in different splits or of different subjects."""
    own = [by_id[name] for name in ids]
    return len({clip.split for clip in own}) > 1 or len({clip.subject for clip in own}) > 1


def _listed(groups: Sequence[Collection[str]]) -> str:
    shown = "; ".join(" and ".join(list(ids)[:2]) for ids in groups[:SHOWN])
    return shown + ("; ..." if len(groups) > SHOWN else "")

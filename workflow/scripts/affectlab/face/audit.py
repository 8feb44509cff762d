"""The data gate of the face corpus: what is in it, what is wrong with it, is it as published.

Known kinds of defect (blank images, twins across splits, twins with different labels) are counted
and recorded; a corpus that no model should be trained on is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.datasets.description import Description
from affectlab.datasets.exclusions import excluded_part
from affectlab.datasets.traps import Trap, divided_groups, find_traps, shared_items
from affectlab.evaluation.conditions import condition_trap, giveaways
from affectlab.evaluation.expectations import (
    KnownIssues,
    compare,
    issue_rows,
    refuse_unusable,
    report_differences,
    share_rows,
)
from affectlab.evaluation.plan_text import plan_record
from affectlab.face.agreement import describe_agreement
from affectlab.face.data import PUBLISHED, STATUSES, Faces, read_faces, twin_groups
from affectlab.face.faces import SPLITS
from affectlab.face.near_images import (
    NEAR_BITS,
    NEAR_CORRELATION,
    blank_rows,
    near_pairs,
    small_images,
)
from affectlab.face.plan import plannable
from affectlab.files.io import write_json
from affectlab.files.quarantine import BadRecord, read_quarantine

ALL = "all"
"""The images of a cross-validation, which has no fixed splits."""

MAX_QUARANTINED_SHARE = 0.1
MAX_BLANK_SHARE = 0.1
PAIRS = (
    ("test", "train"),
    ("validation", "train"),
    ("test", "validation"),
    ("validation", "test"),
)


def write_audit(
    *,
    faces_path: Path,
    metadata_path: Path,
    quarantine_path: Path,
    audit_path: Path,
    description: Description,
    required_splits: Sequence[str],
    expected: Mapping[str, Any],
    manifest_path: Path | None = None,
) -> None:
    """Audit the files that `convert.convert` wrote, and store the findings and a ``plan``.

    The plan is of the images of the last of *required_splits*, which runs are scored on.

    Differences from the registry, and from the pinned files by the manifest, are logged.

    Raises:
        DataError: an input is missing or corrupt.
        UserError: see `audit`.
    """
    faces = read_faces(faces_path, metadata_path, description)
    quarantined = read_quarantine(quarantine_path)
    found = audit(faces, quarantined, required_splits, expected)
    found["plan"] = plan_record(plannable(faces, required_splits[-1]))
    write_json(audit_path, found | excluded_part(description), sealed=True)
    report_differences(audit_path, found, manifest_path)


def audit(
    faces: Faces,
    quarantined: Sequence[BadRecord],
    required_splits: Sequence[str],
    expected: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a corpus and hold it against what is published about it.

    Args:
        faces: the corpus.
        quarantined: bad images that were left out.
        required_splits: splits that must have images; of every class, if they are trained on or
            the corpus is the published one. None is required of a cross-validation.
        expected: ``expected`` of the data registry: ``counts`` (split -> images), ``classes``
            (class -> images of all splits) or ``shares`` (class -> share), ``known_issues`` (one
            of `KNOWN_ISSUES` -> how many).

    Returns:
        A JSON object:

        - ``counts``: per split, or of ``all``, the images, those without a label, the classes;
        - ``blank``: images that show nothing: paths, and counts per split and class;
        - ``duplicates``: groups of pixel-identical images (blank ones left out), how many images
          would go if each were kept once, and the groups with more than one label;
        - ``conditions``: what format, size and brightness tell of the class
          (`evaluation.conditions.giveaways`), of the labelled images;
        - ``near_duplicates``: pairs that are nearly, but not exactly the same: how many, how many
          per pair of splits, and their paths;
        - ``overlap``: ``test_in_train`` and so on: images of the first split with a
          pixel-identical twin in the second, by path; empty of a cross-validation;
        - ``traps``: sentences on what can make a score mean less than it seems;
        - ``votes``: where FER+ votes came from, or None;
        - ``votes_agreement``: how often they agree with the labels, by class (see
          `agreement.describe_agreement`), or None;
        - ``quarantine``: how many images were left out, by problem;
        - ``expected``: a list of ``{"what", "expected", "found", "status"}``.

    Raises:
        UserError: the corpus is broken (all reasons are listed), or *expected* names an issue
            that the audit does not know.
    """
    small = small_images(faces.images)
    blank = blank_rows(small)
    refuse_unusable(_breakage(faces, blank, quarantined, required_splits))
    groups = twin_groups(faces.images)
    conditions = _conditions(faces, groups)
    near = _near(small, groups, blank)
    overlap = _overlaps(faces, groups)
    found: dict[str, Any] = {
        "counts": {name: _describe(faces, rows) for name, rows in _parts(faces).items()},
        "blank": _blank(faces, blank),
        "duplicates": _duplicates(faces, groups, set(blank.tolist())),
        "conditions": conditions,
        "near_duplicates": _near_duplicates(faces, near),
        "overlap": overlap,
        "traps": [asdict(trap) for trap in _traps(faces, conditions, overlap, near)],
        **_votes(faces),
        "quarantine": _left_out(quarantined),
    }
    return found | {"expected": _compare(found, expected, faces.classes)}


def _left_out(quarantined: Sequence[BadRecord]) -> dict[str, Any]:
    return {
        "images": len(quarantined),
        "by_problem": dict(Counter(item.problem for item in quarantined)),
    }


def _parts(faces: Faces) -> dict[str, np.ndarray]:
    """Split -> rows of its images; of a cross-validation all images together."""
    if faces.description.folds is not None:
        return {ALL: np.arange(len(faces))}
    return {split: faces.rows_of(split) for split in SPLITS}


def _traps(
    faces: Faces,
    conditions: Mapping[str, Any],
    overlap: Mapping[str, Sequence[str]],
    near: np.ndarray,
) -> Iterator[Trap]:
    """What can make a score on these data mean less than it seems."""
    rows = faces.rows_of(*SPLITS, labelled=True)
    groups = faces.groups or [None] * len(faces)
    yield from find_traps(
        faces.emotions[rows].tolist(),
        [groups[row] for row in rows],
        faces.classes,
        folds=faces.description.folds,
        what="images",
        group_name=faces.description.group,
    )
    yield from divided_groups(
        groups, faces.splits.tolist(), what="images", group_name=faces.description.group
    )
    yield from condition_trap(conditions, list(faces.conditions(rows[:1])), "a picture")
    if faces.description == PUBLISHED:
        return
    counts = {pair: len(overlap.get("_in_".join(pair), ())) for pair in PAIRS[:3]}
    yield from shared_items(counts, "images")
    apart = [pair for pair in near if len(set(_places(faces)[pair])) > 1]
    if apart:
        first, second = (faces.paths[row] for row in apart[0])
        yield Trap(
            "near_duplicates",
            "Some images in different parts of the data are nearly the same (number of pairs: "
            f"{len(apart)}), such as {first} and {second}. A model can recognise one by having "
            "learnt the other.",
        )


def _places(faces: Faces) -> np.ndarray:
    """The part of the data that each image is in: its fold or its split."""
    return faces.splits if faces.folds is None else faces.folds


def _blank(faces: Faces, rows: np.ndarray) -> dict[str, Any]:
    """Count and list the images that show nothing."""
    return {
        "images": len(rows),
        "by_split": dict(Counter(faces.splits[rows].tolist())),
        "by_class": dict(Counter(faces.emotions[rows].tolist())),
        "paths": [faces.paths[row] for row in rows],
    }


KNOWN_ISSUES: KnownIssues = {
    "blank_images": lambda found: found["blank"]["images"],
    "twin_groups": lambda found: found["duplicates"]["groups"],
    "conflicting_groups": lambda found: len(found["duplicates"]["conflicting"]),
    "test_twins_in_train": lambda found: len(found["overlap"]["test_in_train"]),
    "validation_twins_in_train": lambda found: len(found["overlap"]["validation_in_train"]),
    "held_out_twins_in_train": lambda found: (
        len(found["overlap"]["test_in_train"]) + len(found["overlap"]["validation_in_train"])
    ),
    "quarantined_images": lambda found: found["quarantine"]["images"],
}
"""What a registry may expect under ``known_issues``, and where the audit has it."""


def _conditions(faces: Faces, groups: np.ndarray) -> dict[str, Any]:
    rows = faces.rows_of(*SPLITS, labelled=True)
    labels = faces.emotions[rows].tolist()
    return giveaways(faces.conditions(rows), labels, groups[rows].tolist(), "face")


def _describe(faces: Faces, rows: np.ndarray) -> dict[str, Any]:
    names = Counter(faces.emotions[rows].tolist())
    return {
        "images": sum(names.values()),
        "unlabelled": names[""],
        "classes": {name: names[name] for name in faces.classes},
    }


def _duplicates(faces: Faces, groups: np.ndarray, blank: set[int]) -> dict[str, Any]:
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups.tolist()):
        if row not in blank:
            members.setdefault(group, []).append(row)
    twins = [rows for rows in members.values() if len(rows) > 1]
    conflicting = [rows for rows in twins if len(set(faces.emotions[rows]) - {""}) > 1]
    return {
        "groups": len(twins),
        "surplus": sum(len(rows) - 1 for rows in twins),
        "conflicting": [
            {faces.paths[row]: str(faces.emotions[row]) for row in rows} for rows in conflicting
        ],
    }


def _near(small: np.ndarray, groups: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Pairs of rows, int64 ``[P, 2]``, of images that are nearly, but not exactly the same."""
    # One image of each group of twins stands for all.
    _, kept = np.unique(groups, return_index=True)
    kept = np.setdiff1d(kept, blank)
    return kept[near_pairs(small[kept])]


def _near_duplicates(faces: Faces, pairs: np.ndarray) -> dict[str, Any]:
    apart = pairs if faces.folds is None else pairs[:0]
    by_splits = Counter(" and ".join(sorted(faces.splits[pair])) for pair in apart)
    conflicting = sum(len(set(faces.emotions[pair]) - {""}) > 1 for pair in pairs)
    return {
        "pairs": len(pairs),
        "listed": [[faces.paths[row] for row in pair] for pair in pairs],
        "by_splits": dict(sorted(by_splits.items())),
        "other_label": int(conflicting),
        "rule": f"hashes within {NEAR_BITS} of 64 bits, correlation at least {NEAR_CORRELATION}",
    }


def _overlaps(faces: Faces, groups: np.ndarray) -> dict[str, list[str]]:
    """Images of one split with a twin in another; nothing where there are no fixed splits."""
    if faces.description.folds is not None:
        return {}
    return {
        f"{held_out}_in_{seen}": _overlap(faces, groups, held_out, seen) for held_out, seen in PAIRS
    }


def _overlap(faces: Faces, groups: np.ndarray, held_out: str, seen: str) -> list[str]:
    there = set(groups[faces.rows_of(seen)].tolist())
    return [faces.paths[row] for row in faces.rows_of(held_out) if groups[row] in there]


def _votes(faces: Faces) -> dict[str, Any]:
    """Count where votes came from, and describe how they agree with the labels."""
    if faces.votes is None or faces.votes_status is None:
        return {"votes": None, "votes_agreement": None}
    names = Counter(faces.votes_status.tolist())
    return {
        "votes": {status: names[status] for status in STATUSES},
        "votes_agreement": describe_agreement(faces.emotions.tolist(), faces.votes),
    }


def _breakage(
    faces: Faces,
    blank: np.ndarray,
    quarantined: Sequence[BadRecord],
    required_splits: Sequence[str],
) -> list[str]:
    """Reasons for which nothing should be trained or measured on this corpus."""
    broken = []
    for split in required_splits if faces.description.folds is None else ():
        present = set(faces.emotions[faces.rows_of(split)].tolist()) - {""}
        absent = [name for name in faces.classes if name not in present]
        if not len(faces.rows_of(split)):
            # Copies without PrivateTest are common.
            hint = "; without it, set face.result_split: validation" if split == "test" else ""
            broken.append(f"the split {split} has no images{hint}")
        elif not present:
            broken.append(f"no image of the split {split} has a label")
        # Of small data a rare class may be missing where nothing is learnt from it.
        elif absent and (split == "train" or faces.description == PUBLISHED):
            broken.append(f"the split {split} has no image of {', '.join(absent)}")
    total = len(faces) + len(quarantined)
    if len(quarantined) > MAX_QUARANTINED_SHARE * total:
        broken.append(
            f"{len(quarantined)} of {total} images are bad, more than "
            f"{MAX_QUARANTINED_SHARE:.0%}; quarantine.jsonl says where and why"
        )
    if len(blank) > MAX_BLANK_SHARE * len(faces):
        broken.append(f"{len(blank)} of {len(faces)} images are blank")
    return broken


def _compare(
    found: dict[str, Any], expected: Mapping[str, Any], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Hold the findings against the registry's ``expected``, number by number."""
    counts = found["counts"]
    rows = [
        (f"images of {split}", number, counts.get(split, {}).get("images", 0))
        for split, number in expected.get("counts", {}).items()
    ]
    classes = {name: sum(part["classes"][name] for part in counts.values()) for name in names}
    rows += [
        (f"images of class {name}", number, classes.get(name, 0))
        for name, number in expected.get("classes", {}).items()
    ]
    return [
        *compare([*rows, *issue_rows(expected, KNOWN_ISSUES, found)]),
        *share_rows(expected.get("shares", {}), classes, "images"),
    ]

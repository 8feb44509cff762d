"""A configuration for a user's own face images, guessed from a look at their folder or table."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.datasets.look import MOST_CLASSES
from affectlab.datasets.names import name_key
from affectlab.datasets.overlay import (
    FOLDS,
    Overlay,
    ProposedRun,
    counted,
    has_gpu,
    proposed_split,
)
from affectlab.errors import UserError
from affectlab.face.images import claimed_size
from affectlab.face.own import OwnImages
from affectlab.face.photographs import decode_photograph

SIDES = (48, 64, 96, 128)
"""Sides of a network's input that are proposed: the largest that most images have."""

LOOKED_AT = 40
"""So many images are decoded, spread over the data."""

LEAST_FOLDS = 3
"""Of a cross-validation that chooses on a fold of its own."""

COLOURED = 4.0
"""Mean difference of the channels of a pixel from which an image counts as one in colour."""


@dataclass(slots=True)
class _Seen:
    """What was found: the name and class of each image, splits, groups, and what cannot be read.

    Attributes:
        groups: keys of their names, see `name_key`.
    """

    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    splits: Counter[str] = field(default_factory=Counter)
    groups: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)
    coloured: list[bool] = field(default_factory=list)


def overlay(path: Path) -> Overlay:
    """Propose a configuration for the images in the folder or table at *path*.

    Raises:
        UserError: there are no images, or not from 2 to 64 classes.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.is_dir():
        return _proposed(path, path)
    # As a run has it: alone in a folder.
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / path.name).symlink_to(path.resolve())
        return _proposed(path, Path(folder))


def _proposed(path: Path, directory: Path) -> Overlay:
    """What a look at the raw *directory* suggests for the data at *path*."""
    images = OwnImages(directory, {}, "skip")
    seen = _look(images)
    counts = dict(sorted(Counter(seen.labels).items()))
    if not 2 <= len(counts) <= MOST_CLASSES:
        first = f"; the first problem is: {seen.problems[0]}" if seen.problems else ""
        raise UserError(f"{path}: expected 2 to {MOST_CLASSES} classes, found {len(counts)}{first}")
    side, color = _input(seen)
    entry: dict[str, Any] = {"layout": "image_folder"}
    comments = {
        "classes": counted(counts),
        "image": f"most images have at least {side} pixels a side"
        + (" and colours" if color else "; they are grey"),
    }
    if images.group_column is not None:
        entry["columns"] = {"group": images.group_column}
        comments["columns"] = "images of one group stay in one part of the data"
    entry |= {"classes": list(counts), "image": {"size": side, "color": color}}
    if seen.splits:
        parts = ", ".join(f"{split} {count}" for split, count in sorted(seen.splits.items()))
        comments["layout"] = f"it has splits of its own: {parts}"
    else:
        entry["split"] = proposed_split(len(seen.labels))
        if "folds" in entry["split"] and LEAST_FOLDS <= len(seen.groups) < FOLDS:
            entry["split"] = {"folds": len(seen.groups)}
            comments["split"] = f"as many folds as {images.group_column} has values"
        comments["layout"] = f"{len(seen.labels)} images"
    notes = []
    if seen.problems:
        notes.append(
            f"Images that cannot be used: {len(seen.problems)}; the first: {seen.problems[0]}. "
            "Correct them, or set on_bad_record: skip"
        )
    if 0 < len(seen.groups) < LEAST_FOLDS:
        notes.append(
            f"The column {images.group_column} has {len(seen.groups)} values, too few to divide "
            "the images by it. If it is not about persons, rename it"
        )
    return Overlay("face", entry, _runs(), comments, notes=notes, items=seen.names)


def _look(images: OwnImages) -> _Seen:
    seen = _Seen()
    good = []
    for item in images.found():
        label = item.values.get("label")
        if item.problem is not None or label is None or not str(label).strip():
            seen.problems.append(f"{item.file}, {item.place}: {item.problem or 'it has no label'}")
            continue
        seen.names.append(item.name)
        seen.labels.append(str(label))
        if (group := item.group) is not None:
            seen.groups.add(name_key(group))
        if item.split is not None:
            seen.splits[item.split] += 1
        good.append(item)
    for place in np.unique(np.linspace(0, len(good) - 1, LOOKED_AT).astype(int)) if good else ():
        item = good[place]
        try:
            data = item.read()
            seen.sides.append(min(claimed_size(data, item.name)))
            image = decode_photograph(data, item.name, color=True).astype(np.float32)
        except ValueError as error:
            seen.problems.append(f"{item.file}, {item.place}: {error}")
            continue
        seen.coloured.append(float(np.ptp(image, axis=2).mean()) >= COLOURED)
    return seen


def _input(seen: _Seen) -> tuple[int, bool]:
    """The side of a network's input, and whether it has colours."""
    typical = float(np.median(seen.sides)) if seen.sides else SIDES[0]
    side = max((one for one in SIDES if one <= typical), default=SIDES[0])
    return side, bool(seen.coloured) and float(np.mean(seen.coloured)) >= 0.5


def _runs() -> list[ProposedRun]:
    return [
        ProposedRun("tiny", {"like": "tiny"}, "a tiny network; a minute on a CPU"),
        ProposedRun("small", {"like": "small"}, "a small network; minutes on a CPU"),
        ProposedRun(
            "resnet18",
            {"like": "resnet18_tuned"},
            "a pretrained network, 47 MB; select it where there is a GPU",
            selected=has_gpu(),
        ),
    ]

"""Do the classes of a corpus mean what the FER+ taggers saw? A second source for label ids.

Each image has a label and ten taggers' votes. If the ids or folders of a corpus were read in
another order than they were written in, the votes name other classes than the labels do, in the
same way for all images of a class.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.errors import DataError
from affectlab.face.faces import CLASSES, Face
from affectlab.face.votes import Votes, class_votes
from affectlab.files.io import round_significant

logger = logging.getLogger(__name__)

ERROR_RATE = 1e-4
"""Probability up to which labels that agree with the votes may be stopped."""


def agreement_counts(emotions: Sequence[str], votes: np.ndarray) -> np.ndarray:
    """How often the votes name which class, by label.

    Args:
        emotions: class names ``[N]``; empty for an image without a label.
        votes: FER+ votes, int64 ``[N, 10]``, by `votes.TAGS`.

    Returns:
        int64 ``[7, 7]``, label by class with most votes, both in the order of `CLASSES`. Images
        without a label, and those whose votes name no class more often than all others, are left
        out.
    """
    counts = class_votes(votes)
    ranked = np.sort(counts, axis=1)
    clear = ranked[:, -1] > ranked[:, -2]
    table = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    for row in np.flatnonzero(clear).tolist():
        if emotions[row]:
            table[CLASSES.index(emotions[row]), int(counts[row].argmax())] += 1
    return table


def describe_agreement(emotions: Sequence[str], votes: np.ndarray) -> dict[str, Any]:
    """Share of the images of each class whose most votes are for it, and of all; None if unknown.

    Arguments as for `agreement_counts`.
    """
    table = agreement_counts(emotions, votes)

    def share(right: int, total: int) -> float | None:
        return round_significant(right / total, 4) if total else None

    return {
        "images": int(table.sum()),
        "share": share(int(np.trace(table)), int(table.sum())),
        "classes": {
            name: share(int(table[place, place]), int(table[place].sum()))
            for place, name in enumerate(CLASSES)
        },
    }


def other_meaning(table: np.ndarray) -> dict[str, str] | None:
    """Which class each label means by the votes, if that is clearly not what it is called.

    Another order of the classes is taken only where it agrees with the votes on more images than
    the labels do, by more than chance: if the labels were right, the difference of b and a images
    would reach t with a probability of at most exp(-t^2 / (2 (a + b))) (Hoeffding 1963, doi
    10.1080/01621459.1963.10500830), which is divided by the number of orders.

    Args:
        table: as `agreement_counts` gives it.

    Returns:
        Label -> class, of all classes; None if the labels stand.
    """
    from scipy.optimize import linear_sum_assignment

    labels, classes = linear_sum_assignment(table, maximize=True)
    moved = labels != classes
    own = int(table[labels[moved], labels[moved]].sum())
    other = int(table[labels[moved], classes[moved]].sum())
    if other <= own:
        return None
    exponent = (other - own) ** 2 / (2 * (other + own))
    if exponent <= math.lgamma(len(CLASSES) + 1) - math.log(ERROR_RATE):
        return None
    return {CLASSES[a]: CLASSES[b] for a, b in zip(labels, classes, strict=True)}


def check_agreement(faces: Sequence[Face], votes: Votes, path: Path | str) -> None:
    """Stop where the votes contradict the labels of a corpus.

    Args:
        faces: the corpus, in order.
        votes: its votes.
        path: of the corpus, for messages.

    Raises:
        DataError: the votes fit another order of the classes clearly better; the message has both.
    """
    emotions = [face.emotion for face in faces]
    table = agreement_counts(emotions, votes.counts)
    meaning = other_meaning(table)
    if meaning is not None:
        moved = [
            f"{name} -> {other} ({table[CLASSES.index(name), CLASSES.index(other)]} images; "
            f"{table[CLASSES.index(name), CLASSES.index(name)]} as labelled)"
            for name, other in meaning.items()
            if name != other
        ]
        raise DataError(
            path,
            None,
            f"the classes are read as {', '.join(CLASSES)}, but by the FER+ votes the images of "
            f"these are {', '.join(meaning[name] for name in CLASSES)}: {'; '.join(moved)}. "
            "Correct the labels (ids of the CSV files are 0 angry, 1 disgust, 2 fear, 3 happy, 4 "
            "sad, 5 surprise, 6 neutral), or the votes belong to another corpus",
        )
    found = describe_agreement(emotions, votes.counts)
    logger.info(
        "FER+ votes agree with the label of %s of %d images; by class: %s",
        found["share"],
        found["images"],
        ", ".join(f"{name} {share}" for name, share in found["classes"].items()),
    )

"""Agreement of several annotators about classes, the ceiling of a score against their labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.files.io import round_significant

TIE_RULE = "of classes with equal votes, the first in the order of the classes"
"""Which class is the label of an item whose annotators do not decide."""


def most_votes(votes: Mapping[str, int]) -> list[str]:
    """The classes with the most votes, several of them in a tie.

    Args:
        votes: class -> votes, in the order of the classes.
    """
    most = max(votes.values())
    return [name for name, count in votes.items() if count == most]


def shares_of_votes(votes: Mapping[str, int], classes: Sequence[str]) -> list[float]:
    """The share of each class among the votes for an item, in the order of *classes*."""
    total = sum(votes.values())
    return [votes.get(name, 0) / total for name in classes]


def agreement(
    votes: Sequence[Mapping[str, int]], classes: Sequence[str], annotators: int
) -> dict[str, Any]:
    """How far annotators agree.

    Args:
        votes: of each item, class -> votes, in the order of *classes*.
        classes: all of them.
        annotators: how many there are; they need not have voted for every item.

    Returns:
        A JSON object: ``annotators``, ``items``, ``votes``, ``alpha`` (Krippendorff's, nominal;
        None where no item has two votes, or all votes are for one class), ``several`` (items with
        at least two votes), ``unanimous`` (share of these whose votes are all for one class; None
        without any), ``ties``, ``tie_rule``, and a ``sentence`` for the reader.
    """
    several = [one for one in votes if sum(one.values()) > 1]
    unanimous = (
        sum(max(one.values()) == sum(one.values()) for one in several) / len(several)
        if several
        else None
    )
    alpha = _alpha(several, classes)
    ties = sum(len(most_votes(one)) > 1 for one in votes)
    return {
        "annotators": annotators,
        "items": len(votes),
        "votes": sum(sum(one.values()) for one in votes),
        "several": len(several),
        "alpha": None if alpha is None else round_significant(alpha, 6),
        "unanimous": None if unanimous is None else round_significant(unanimous, 6),
        "ties": ties,
        "tie_rule": TIE_RULE,
        "sentence": _sentence(annotators, alpha, unanimous),
    }


def _alpha(votes: Sequence[Mapping[str, int]], classes: Sequence[str]) -> float | None:
    """Krippendorff's alpha for nominal data; None where it is not defined.

    Krippendorff, Content Analysis, 4th edition (2019), chapter 12, doi 10.4135/9781071878781.
    """
    import krippendorff
    import numpy as np

    counts = np.array([[one.get(name, 0) for name in classes] for one in votes])
    # Without two different values there is no disagreement to expect.
    if len(counts) == 0 or np.count_nonzero(counts.sum(axis=0)) < 2:
        return None
    alpha = float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))
    return None if math.isnan(alpha) else alpha


def _sentence(annotators: int, alpha: float | None, unanimous: float | None) -> str:
    if alpha is None or unanimous is None:
        return (
            f"There are {annotators} annotators, but too few items with different labels from "
            "several of them to measure their agreement."
        )
    return (
        f"The {annotators} annotators agree with a Krippendorff's alpha of {alpha:.3f}, where 1 is "
        f"full agreement and 0 is chance. All votes are the same for a share of {unanimous:.3f} of "
        "the items. This agreement is the ceiling of the score: a label that the annotators do not "
        "share cannot be predicted reliably. The majority of several votes is more reliable than "
        "one vote, so a score against it can be somewhat higher."
    )

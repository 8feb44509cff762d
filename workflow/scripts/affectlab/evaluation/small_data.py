"""Sentences on what a measured score on few items, or in a foreign language, cannot show.

What the items can show of the difference of two runs is planned: `affectlab.evaluation.planning`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDE = 0.1
"""From this width of an interval on, a reader is told what it means."""


def small_sample(
    n: int, limits: Sequence[float], *, groups: int | None = None, score: str = "this score"
) -> str | None:
    """What a score on *n* items cannot show; None where its interval is narrow enough.

    Args:
        n: items that were scored.
        limits: both ends of the interval of a score between 0 and 1.
        groups: of items that belong together, such as those of one author; None: not known.
        score: its name.
    """
    width = limits[1] - limits[0]
    if width < WIDE:
        return None
    return (
        f"With {n:,} items{_among(groups, n)} the interval of {score} is {width:.2f} wide. A fixed"
        " value inside it cannot be told apart from the score."
    )


def few_for_correlation(
    n: int, limits: Sequence[float], *, groups: int | None = None
) -> str | None:
    """What a concordance on *n* items cannot show; None where its interval is narrow enough.

    Args:
        n: items that were scored.
        limits: both ends of the interval of a concordance.
        groups: of items that belong together, such as those of one author; None: not known.
    """
    width = limits[1] - limits[0]
    if width < WIDE:
        return None
    return (
        f"With {n:,} items{_among(groups, n)} the interval of the concordance is {width:.2f} wide."
        " A fixed value inside it cannot be told apart from the score."
    )


def foreign_language(
    dataset: Mapping[str, Any] | None, model: Mapping[str, Any] | None
) -> str | None:
    """That a model does not know the language of the data; None if it does, or nobody knows.

    Args:
        dataset: the registry's entry of the data set.
        model: the registry's entry of the pretrained model; None where there is none.
    """
    spoken = (dataset or {}).get("facts", {}).get("languages", ())
    known = (model or {}).get("languages", ())
    if not spoken or not known or set(spoken) & set(known):
        return None
    return (
        f"The pretrained model was made for {_listed(known)}, and these data are in"
        f" {_listed(spoken)}. Expect more of a model that knows the language."
    )


def _among(groups: int | None, n: int) -> str:
    """The number of groups, where they are fewer than the items.

    The interval is over groups, so few of them make it wide however many items there are.
    """
    return "" if groups in (None, n) else f" in {groups:,} groups"


def _listed(codes: Sequence[str]) -> str:
    return " and ".join(f"‘{code}’" for code in codes)

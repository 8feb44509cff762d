"""Which splits a model from elsewhere predicts, and which of their items it may know."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from typing import Any, TypeVar

VALIDATION = "validation"

T = TypeVar("T")


def predicted_once(items: Mapping[str, T], *, folded: bool) -> dict[str, T]:
    """What a model predicts that learns nothing from these data.

    In a cross-validation each item is held out twice: once for validation, once for the test. Such
    a model would predict the same both times, so nothing can be fitted or chosen on validation. Its
    predictions are of the test split alone.

    Args:
        items: held-out split -> its items.
        folded: whether the data have folds.
    """
    return {split: own for split, own in items.items() if not folded or split == "test"}


def splits_left_out(items: Container[str]) -> list[str]:
    """The splits that are not predicted, as `outside.Matched.to_dict` has them.

    Args:
        items: the splits that are.
    """
    return [] if VALIDATION in items else [VALIDATION]


def known_to_others(
    found: Mapping[str, Any], training: Collection[str], *, folded: bool
) -> set[str] | None:
    """Scored items that somebody else's model may know, as far as that can be looked up.

    A model may be trained on the training split of the data. Data with folds have none, so only
    the items that its makers list are known.

    Args:
        found: outside.json of the run.
        training: items that are, or nearly are, in the training split.
        folded: whether the data have folds.

    Returns:
        None where nothing could be looked up.
    """
    listed = set(found["trained_on"])
    return (listed or None) if folded else listed | set(training)

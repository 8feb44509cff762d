"""Which texts are alike, so that they count as one in intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from affectlab.datasets.names import name_key
from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.splits import joined_groups
from affectlab.datasets.texts import text_conditions
from affectlab.emotion.data import Divided, Item, ItemT
from affectlab.errors import UserError
from affectlab.evaluation.conditions import Columns
from affectlab.evaluation.scoring import HELD_OUT

SCORED = ("train", *HELD_OUT)
"""The splits that scoring needs."""


def groups_of(records: Sequence[Item]) -> list[int]:
    """Number the groups of texts: of one author, or nearly the same."""
    authors = [None if record.group is None else name_key(record.group) for record in records]
    return joined_groups(authors, near_groups([record.text for record in records]))


def scored_splits(data: Divided[ItemT]) -> dict[str, list[ItemT]]:
    """Split -> its records, of the splits that scoring needs.

    Raises:
        UserError: a split has no records.
    """
    by_split = {split: data.of_split(split) for split in SCORED}
    if empty := [split for split, own in by_split.items() if not own]:
        raise UserError(f"no records of the split {' and '.join(empty)}")
    return by_split


def numbered_groups(data: Divided[ItemT]) -> dict[str, int]:
    """A number for each scored item; items of one group share one.

    Texts of one held-out split that are nearly the same are a group, and so are those of one
    author. In a cross-validation every text is held out once, so all texts are compared.

    Raises:
        UserError: a split has no records.
    """
    if data.description.folds is not None:
        parts = [data.records]
    else:
        by_split = scored_splits(data)
        parts = [by_split[split] for split in HELD_OUT]
    group: dict[str, int] = {}
    for own in parts:
        first = len(group)
        numbers = groups_of(own)
        group |= {one.id: first + number for one, number in zip(own, numbers, strict=True)}
    return group


def conditions_of(by_split: Mapping[str, Sequence[Item]]) -> dict[str, Columns]:
    """Split -> what is known of its texts without reading them, such as their length."""
    return {split: text_conditions([one.text for one in own]) for split, own in by_split.items()}

"""Splits and folds of cases, and which cases stay together in them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Hashable, Sequence
from dataclasses import replace

from affectlab.datasets.near_texts import near_groups
from affectlab.summary.cases import Case
from affectlab.summary.settings import Split

PUBLISHED_TRAIN_SHARE = 0.85
PUBLISHED_SEED = 42
LENGTH_STRATA = 3


def with_one_group(cases: Sequence[Case], keys: Sequence[Hashable]) -> list[Case]:
    """Give the cases with the same key one group.

    It is named by the smallest name among them, which does not depend on the order of the file.
    """
    names: dict[Hashable, str] = {}
    for case, key in zip(cases, keys, strict=True):
        names[key] = min(case.group, names.get(key, case.group))
    return [replace(case, group=names[key]) for case, key in zip(cases, keys, strict=True)]


def stratified(cases: Sequence[Case], split: Split) -> list[Case]:
    """Give each case its split and its fold, alike in language and length.

    Cases are sorted by language, third of length, and a hash of seed and text. Then they are
    assigned at regular intervals to test, to validation and to each fold. The same file and seed
    give the same splits, whatever the order of its lines. Cases with the same text, or nearly, stay
    together.
    """
    cases = with_one_group(cases, near_groups([case.text for case in cases]))
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    lengths = sorted(len(members[0].text) for members in groups.values())
    bounds = [lengths[len(lengths) * i // LENGTH_STRATA] for i in range(1, LENGTH_STRATA)]

    def key(group: str) -> tuple[str, int, str]:
        first = groups[group][0]
        third = sum(len(first.text) >= bound for bound in bounds)
        return first.language, third, digest(f"{split.seed}:{group}")

    assigned: dict[str, tuple[str, int]] = {}
    kept = 0
    for place, group in enumerate(sorted(groups, key=key)):
        name = "train"
        if _is_due(place, split.test):
            name = "test"
        else:
            if _is_due(kept, split.validation / (1 - split.test)):
                name = "validation"
            kept += 1
        assigned[group] = name, place % split.folds
    return [
        replace(case, split=assigned[case.group][0], fold=assigned[case.group][1]) for case in cases
    ]


def published_split(cases: Sequence[Case], split: Split) -> list[Case]:
    """Make the original's 85/15 split by a shuffle with seed 42; the 15 % are both held-out splits.

    The original chooses and reports on the same held-out part; here it is called test. That
    split may part cases with the same text; the folds, which are ours, do not: groups are
    assigned to them in the order of the shuffle.
    """
    order = list(range(len(cases)))
    random.Random(PUBLISHED_SEED).shuffle(order)
    train = set(order[: int(len(order) * PUBLISHED_TRAIN_SHARE)])
    groups = dict.fromkeys(cases[i].group for i in order)
    folds = {group: place % split.folds for place, group in enumerate(groups)}
    return [
        replace(case, split="train" if i in train else "test", fold=folds[case.group])
        for i, case in enumerate(cases)
    ]


def _is_due(place: int, share: float) -> bool:
    """Whether the item at *place* is one of the evenly spread *share* of all."""
    # The small addition keeps 0.2 * 5 from falling short of 1.
    return int((place + 1) * share + 1e-9) > int(place * share + 1e-9)


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hex."""
    return hashlib.sha256(text.encode()).hexdigest()

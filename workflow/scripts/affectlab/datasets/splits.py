"""Dividing a data set by group: a test and a validation split, or folds.

Every item belongs to a group, and no group is divided. Classes are spread evenly as far as the
groups allow, by scikit-learn's `StratifiedGroupKFold`.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.errors import DataError

SPLITS = ("train", "validation", "test")
PARTS = 20
"""Parts from which shares are put together, so a share is right to 2.5 % of the items."""

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.2
"""Where the entry of the data does not state them."""


@dataclass(frozen=True, slots=True)
class Division:
    """How a data set is divided.

    Attributes:
        splits: of each item, one of `SPLITS`. With folds the first fold is the validation split of
            the model that is kept, and nothing is test.
        folds: fold of each item, from 0; None without cross-validation.
        seed: of what was made at random; None if nothing was.
        sha256: of the items' ids with their splits and folds.
    """

    splits: tuple[str, ...]
    folds: tuple[int, ...] | None
    seed: int | None
    sha256: str


def divide(
    ids: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[Hashable],
    given: Sequence[str | None],
    plan: Mapping[str, Any],
    path: Path | str,
) -> Division:
    """Divide a data set as its entry plans it.

    Args:
        ids: of the items.
        labels: their classes, which are spread evenly.
        groups: their groups.
        given: their splits by a column or a file; None where nothing gives one.
        plan: ``split`` of the data set's entry.
        path: of the data, for messages.

    Raises:
        DataError: a split or fold would be empty, or there are fewer groups than folds.
    """
    seed = plan.get("seed", 0)
    folds: list[int] | None = None
    made: int | None = seed
    if "folds" in plan:
        folds = _folds(labels, groups, plan["folds"], seed, path)
        splits = ["validation" if fold == 0 else "train" for fold in folds]
    elif all(split is None for split in given):
        shares = {name: plan.get(name, share) for name, share in _SHARES.items()}
        splits = _by_shares(labels, groups, shares, seed, path)
    else:
        splits, is_made = _completed(ids, labels, groups, given, plan, path)
        made = seed if is_made else None
    _check(splits, folds, path)
    return Division(
        tuple(splits),
        None if folds is None else tuple(folds),
        made,
        division_digest(ids, splits, folds),
    )


_SHARES = {"test": TEST_SHARE, "validation": VALIDATION_SHARE}


def _completed(
    ids: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[Hashable],
    given: Sequence[str | None],
    plan: Mapping[str, Any],
    path: Path | str,
) -> tuple[list[str], bool]:
    """The given splits; one that is missing is made of training items. Whether one was made."""
    for name, split in zip(ids, given, strict=True):
        if split not in SPLITS:
            raise DataError(path, f"item {name}", f"expected one of {', '.join(SPLITS)} as split")
    splits = [str(split) for split in given]
    if "train" not in splits:
        raise DataError(path, None, "no item is in the split train")
    absent = [name for name in ("test", "validation") if name not in splits]
    for name in absent:
        training = [place for place, split in enumerate(splits) if split == "train"]
        part = _by_shares(
            [labels[place] for place in training],
            [groups[place] for place in training],
            {name: plan.get(name, _SHARES[name])},
            plan.get("seed", 0),
            path,
        )
        for place, split in zip(training, part, strict=True):
            splits[place] = split
    return splits, bool(absent)


def _by_shares(
    labels: Sequence[str],
    groups: Sequence[Hashable],
    shares: Mapping[str, float],
    seed: int,
    path: Path | str,
) -> list[str]:
    parts = min(PARTS, len(set(groups)))
    if parts < len(shares) + 1:
        raise DataError(
            path,
            None,
            f"{len(set(groups))} groups of items cannot be divided into train and "
            f"{' and '.join(shares)}",
        )
    numbers = _folds(labels, groups, parts, seed, path)
    sizes = Counter(numbers)
    order = sorted(sizes)
    splits = ["train"] * len(labels)
    for name, share in shares.items():
        held: set[int] = set()
        # At least one part, and never the last one of those that are left to train on.
        while len(order) > 1 and (not held or _gains(held, order[0], sizes, share, len(labels))):
            held.add(order.pop(0))
        for place, number in enumerate(numbers):
            if number in held:
                splits[place] = name
    return splits


def _gains(held: set[int], part: int, sizes: Counter[int], share: float, total: int) -> bool:
    """Whether one more *part* brings the items held out nearer to their share."""
    now = sum(sizes[number] for number in held)
    return abs(now + sizes[part] - share * total) < abs(now - share * total)


def _folds(
    labels: Sequence[str], groups: Sequence[Hashable], folds: int, seed: int, path: Path | str
) -> list[int]:
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    number_of = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    if len(number_of) < folds:
        problem = f"{len(number_of)} groups of items are too few for {folds} folds"
        raise DataError(path, None, problem)
    numbers = np.array([number_of[group] for group in groups])
    codes = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)[1]
    # With fewer items of each class than parts, scikit-learn refuses even to try.
    if np.bincount(codes).max() < folds:
        codes = np.zeros(len(labels), dtype=np.int64)
    result = np.zeros(len(labels), dtype=np.int64)
    with warnings.catch_warnings():
        # A class with fewer items than folds is the audit's to report.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        for fold, (_, held_out) in enumerate(splitter.split(codes, codes, numbers)):
            result[held_out] = fold
    return [int(fold) for fold in result]


def _check(splits: Sequence[str], folds: Sequence[int] | None, path: Path | str) -> None:
    needed = ("train", "validation") if folds is not None else SPLITS
    if empty := [name for name in needed if name not in splits]:
        raise DataError(path, None, f"no item is in the split {' and '.join(empty)}")


def division_digest(ids: Sequence[str], splits: Sequence[str], folds: Sequence[int] | None) -> str:
    """The SHA-256 of the items' ids with their splits and folds."""
    digest = hashlib.sha256()
    # Line by line, and no list of all lines.
    for place in sorted(range(len(ids)), key=lambda place: ids[place]):
        fold = "" if folds is None else folds[place]
        line = f"{ids[place]}\t{splits[place]}\t{fold}\n"
        digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def joined_groups(*keys: Sequence[Hashable | None]) -> list[int]:
    """Number the groups of items that share a key of any kind; None is shared with nobody.

    Args:
        keys: kinds of keys, each with one of every item: such as their authors, and what they
            read like.
    """
    count = len(keys[0])
    parent = list(range(count))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for kind in keys:
        first: dict[Hashable, int] = {}
        for place, key in enumerate(kind):
            if key is not None:
                one, two = root(first.setdefault(key, place)), root(place)
                parent[max(one, two)] = min(one, two)
    return [root(place) for place in range(count)]

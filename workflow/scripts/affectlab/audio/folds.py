"""Folds of items, with every subject on one side or without regard to subjects."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from affectlab.datasets.numbers import STRATA
from affectlab.datasets.splits import division_digest
from affectlab.errors import UserError
from affectlab.evaluation.stats import Floats, Integers

Fold = tuple[Integers, Integers]


def grouped_folds(
    labels: Integers, groups: Sequence[str] | Integers, folds: int, seed: int
) -> list[Fold]:
    """Make stratified folds that keep every group on one side.

    Raises:
        UserError: there are fewer groups than folds, or so few items of every class but one that
            a training part would hold that class alone.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    subjects = len(set(np.asarray(groups).tolist()))
    if subjects < folds:
        raise UserError(f"{folds} folds need as many subjects; there are {subjects}")
    if np.bincount(labels).max() < folds:
        raise UserError(f"{folds} folds need as many items of a class; no class has them")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Rare classes, of which not every fold has an item, are what the check below is for.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        found = list(splitter.split(np.zeros(len(labels)), labels, groups))
    _check_trainable(labels, [train for train, _ in found])
    return [(train, test) for train, test in found if len(test)]


def random_folds(labels: Integers, folds: int, seed: int) -> list[Fold]:
    """Make stratified folds that ignore who speaks, to show the effect of that leak."""
    from sklearn.model_selection import KFold, StratifiedKFold

    rarest = int(np.bincount(labels)[np.unique(labels)].min())
    kind = StratifiedKFold if rarest >= folds else KFold
    if len(labels) < folds:
        raise UserError(f"{folds} folds need as many items; there are {len(labels)}")
    splitter = kind(folds, shuffle=True, random_state=seed)
    found = list(splitter.split(np.zeros(len(labels)), labels))
    _check_trainable(labels, [train for train, _ in found])
    return found


def number_folds(
    values: Floats, groups: Sequence[str] | Integers | None, folds: int, seed: int
) -> list[Fold]:
    """Make folds over which a number is spread evenly, with every group on one side.

    Items are stratified by bins of equal size, at most `STRATA`, each with an item for every fold.

    Args:
        values: ``[n]``, of the number.
        groups: ``[n]``; None for random folds.
        folds: how many.
        seed: of the folds.

    Raises:
        UserError: there are fewer groups, or items, than folds.
    """
    items = len(values)
    bins = max(1, min(STRATA, items // folds))
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return stratified_folds(ranks * bins // items, groups, folds, seed)


def stratified_folds(
    strata: Integers, groups: Sequence[str] | Integers | None, folds: int, seed: int
) -> list[Fold]:
    """Make folds over which strata are spread evenly, with every group on one side.

    Args:
        strata: ``[n]``, ids; where none has an item for every fold, they are not used.
        groups: ``[n]``; None for random folds.
        folds: how many.
        seed: of the folds.

    Raises:
        UserError: there are fewer groups, or items, than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    items = len(strata)
    subjects = items if groups is None else len(set(np.asarray(groups).tolist()))
    if subjects < folds:
        what = "items" if groups is None else "subjects"
        raise UserError(f"{folds} folds need as many {what}; there are {subjects}")
    if np.bincount(strata).max() < folds:
        strata = np.zeros_like(strata)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Of a rare stratum not every fold has an item.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        found = list(splitter.split(np.zeros(items), strata, groups))
    return [(train, test) for train, test in found if len(test)]


def folds_digest(ids: Sequence[str], folds: Sequence[Fold]) -> str:
    """The SHA-256 of the fold in which each item is scored.

    Args:
        ids: of the items.
        folds: over all of them.
    """
    places = [0] * len(ids)
    for number, (_, test) in enumerate(folds):
        for place in test.tolist():
            places[place] = number
    return division_digest(ids, ["test"] * len(ids), places)


def _check_trainable(labels: Integers, parts: Sequence[Integers]) -> None:
    """See that each training part holds two classes at least."""
    for train in parts:
        if len(np.unique(labels[train])) < 2:
            counts = np.bincount(labels)
            raise UserError(
                f"a training part of {len(parts)} folds holds one class alone: there are too few "
                f"subjects or items of the others ({', '.join(map(str, counts[counts > 0]))} items "
                "a class); take fewer folds, outer and inner"
            )


def make_folds(labels: Integers, groups: Integers | None, folds: int, seed: int) -> list[Fold]:
    """Make random folds if *groups* is None, else grouped ones."""
    if groups is None:
        return random_folds(labels, folds, seed)
    return grouped_folds(labels, groups, folds, seed)

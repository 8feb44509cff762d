"""Conditions of recording that give numbers away, such as a length that tells the arousal.

The counterpart of `affectlab.evaluation.conditions` for numbers: small regression trees predict
each number from a condition alone. Chance is a concordance of 0.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affectlab.datasets.traps import Trap
from affectlab.evaluation import stats
from affectlab.evaluation.conditions import (
    FOLDS,
    LEAF_SHARE,
    LEAST_GAIN,
    MOST_ITEMS,
    MOST_REACHED,
    PERMUTATIONS,
    TREE,
    Columns,
    encode,
    permute,
)
from affectlab.files.io import round_significant

logger = logging.getLogger(__name__)

ALL = "all"
"""All conditions together."""

Folds = Sequence[tuple[stats.Integers, stats.Integers]]


def predict_numbers(train: Columns, values: stats.Floats, test: Columns) -> stats.Floats:
    """Predict numbers from conditions alone, by a small regression tree each: ``[m, D]``.

    Args:
        train: conditions of n training items.
        values: their numbers, ``[n, D]``.
        test: conditions of m items to predict.
    """
    return _trees(encode(train), values, encode(test, train))


def number_giveaways(
    columns: Columns, values: stats.Floats, names: Sequence[str], groups: Sequence[Any], what: str
) -> dict[str, Any]:
    """Measure how well each condition, and all of them, predict each number; warn if clearly.

    The concordance is that of a grouped cross-validation. It is clear if it is at least
    `LEAST_GAIN` and at most `MOST_REACHED` of `PERMUTATIONS` permutations of the items' numbers
    reach it for any number (p at most 0.02).

    Args:
        columns: conditions of all items.
        values: numbers of each item, ``[n, D]``.
        names: of the numbers.
        groups: of each item; a group is on one side of every fold.
        what: of the warning, such as the name of a data set.

    Returns:
        ``concordance`` (number -> condition or ``all`` -> value; None where there are fewer groups
        than folds) and ``clear`` (number -> conditions that give it away; only such numbers).
    """
    from sklearn.model_selection import GroupKFold

    chosen = np.sort(np.random.default_rng(0).permutation(len(values))[:MOST_ITEMS])
    own = np.asarray(values, dtype=np.float64)[chosen]
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1][chosen].astype(np.int64)
    if len(np.unique(numbers)) < FOLDS:
        return {"concordance": None, "clear": {}}
    splitter = GroupKFold(FOLDS, shuffle=True, random_state=0)
    folds = list(splitter.split(own, groups=numbers))
    features = {
        name: encode({name: [given[row] for row in chosen]}) for name, given in columns.items()
    }
    if len(features) > 1:
        features[ALL] = np.concatenate(list(features.values()), axis=1)
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    clear: dict[str, list[str]] = {}
    for condition, table in features.items():
        reached = _cross_validated(table, own, folds)
        exceptional = _beyond_chance(table, own, numbers, folds, reached)
        for name, value, is_clear in zip(names, reached, exceptional, strict=True):
            found[name][condition] = round_significant(float(value), 6)
            if is_clear:
                clear.setdefault(name, []).append(condition)
    for name, conditions in clear.items():
        shown = ", ".join(f"{one} ({found[name][one]:.3f})" for one in conditions)
        logger.warning(
            "%s: recording conditions alone predict %s: concordance of %s. A model may learn the "
            "recording instead of the emotion",
            what,
            name,
            shown,
        )
    return {"concordance": found, "clear": clear}


def condition_traps(clear: Mapping[str, Sequence[str]], what: str) -> list[Trap]:
    """A sentence for each number that conditions give away.

    Args:
        clear: of `number_giveaways`.
        what: an item, such as text.
    """
    traps = []
    for name, conditions in clear.items():
        # Of all together it tells nothing that one alone does not tell.
        shown = [one for one in conditions if one != ALL] or ["all conditions together"]
        sentence = (
            f"The number {name} can be predicted better than by chance from these properties of a"
            f" {what} alone: {', '.join(shown)}. Compare the score with that of the baseline"
            " conditions."
        )
        traps.append(Trap("condition_predicts_number", sentence))
    return traps


def _trees(train: stats.Floats, values: stats.Floats, test: stats.Floats) -> stats.Floats:
    from sklearn.tree import DecisionTreeRegressor

    leaf = max(2, round(LEAF_SHARE * len(values)))
    columns = [
        DecisionTreeRegressor(**TREE, min_samples_leaf=leaf).fit(train, own).predict(test)
        for own in values.T
    ]
    return np.stack(columns, axis=1)


def _cross_validated(table: stats.Floats, values: stats.Floats, folds: Folds) -> stats.Floats:
    """The concordance of each number, ``[D]``, of pooled predictions."""
    predicted = np.zeros(values.shape)
    for train, test in folds:
        predicted[test] = _trees(table[train], values[train], table[test])
    pairs = zip(predicted.T, values.T, strict=True)
    sums = [stats.pair_columns(ours, true).sum(axis=0) for ours, true in pairs]
    return stats.concordance(np.array(sums))


def _beyond_chance(
    table: stats.Floats,
    values: stats.Floats,
    groups: stats.Integers,
    folds: Folds,
    reached: stats.Floats,
) -> list[bool]:
    """Whether each concordance is large, and beyond what permuted numbers reach."""
    possible = reached >= LEAST_GAIN
    _, first, codes = np.unique(values, axis=0, return_index=True, return_inverse=True)
    generator, counts = np.random.default_rng(0), np.zeros(len(reached), dtype=np.int64)
    for _ in range(PERMUTATIONS):
        if not possible.any():
            break
        permuted = values[first[permute(codes.ravel().astype(np.int64), groups, generator)]]
        # The largest of all numbers, since any of them would be reported.
        counts += _cross_validated(table, permuted, folds).max() >= reached
        possible &= counts <= MOST_REACHED
    return [bool(one) for one in possible]

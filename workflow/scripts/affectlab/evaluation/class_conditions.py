"""Conditions that tell whether an item has a class, where items may have any number of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.datasets.traps import Trap
from affectlab.evaluation.conditions import FOLDS, Columns, condition_trap, giveaways

LEAST_OF_CLASS = 2 * FOLDS
"""Items with a class, and without it, from which conditions of the class are measured."""

CLEAR_GAIN = 0.4
"""Share of the way from chance to 1 from which a condition clearly predicts a class.

It is more than with one class for each item, because every class is tested.
"""

PERMUTATIONS = 19
"""Of each class. So few are enough where the gain must be large."""


def class_giveaways(
    columns: Columns,
    sets: Sequence[Sequence[str]],
    names: Sequence[str],
    groups: Sequence[Any],
    what: str,
) -> dict[str, Any]:
    """Measure what conditions tell of each class that is frequent enough: class -> `giveaways`.

    Args:
        columns: conditions of all items.
        sets: the classes of each item.
        names: of the classes.
        groups: of each item; a group is on one side of every fold.
        what: of the warning, such as the name of an experiment.
    """
    counts = Counter(name for own in sets for name in own)
    return {
        name: giveaways(
            columns,
            [name if name in own else f"not {name}" for own in sets],
            groups,
            f"{what}, class {name}",
            least_gain=CLEAR_GAIN,
            permutations=PERMUTATIONS,
        )
        for name in names
        if LEAST_OF_CLASS <= counts[name] <= len(sets) - LEAST_OF_CLASS
    }


def class_condition_traps(
    found: Mapping[str, Any], conditions: Sequence[str], item: str
) -> list[Trap]:
    """Report conditions that predict a class.

    Args:
        found: of `class_giveaways`.
        conditions: names of all conditions.
        item: an item with its article, such as ``a text``.
    """
    traps: list[Trap] = []
    for name, one in found.items():
        traps += condition_trap(one, conditions, item, f"Whether {item} has the class {name}")
    return traps

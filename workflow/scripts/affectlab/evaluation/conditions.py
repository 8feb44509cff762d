"""Conditions of recording that give the class away, such as a sampling rate of one class only.

A condition is a column of numbers (length, brightness) or of names (file format). Conditions are
tabulated by class; a small decision tree shows how well they predict the class.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.datasets.traps import Trap
from affectlab.evaluation import stats
from affectlab.files.io import round_significant

logger = logging.getLogger(__name__)

Columns = Mapping[str, Sequence[float] | Sequence[str]]
"""Name of a condition -> its value for each item; all numbers or all names."""

QUANTILES = (0.05, 0.5, 0.95)
SHOWN_NAMES = 8
"""Names of a condition that a table shows for a class; the others are counted together."""

TREE = {"max_depth": 4, "random_state": 0}
LEAF_SHARE = 0.01
"""Share of the items that a leaf of the tree holds at least, so that no leaf is one item."""

MOST_ITEMS = 2000
"""Items among which the check of an audit draws, so that its cost does not grow."""

FOLDS = 5

ALL = "all"
"""Name of all conditions together."""

PERMUTATIONS = 99
MOST_REACHED = 1
"""Permutations that may predict as well: with few groups one of them can be the labels again."""

LEAST_GAIN = 0.1
"""Share of the way from chance to 1 from which a prediction counts as clearly above chance."""


def by_class(columns: Columns, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Tabulate conditions: class -> condition -> quantiles of numbers, or counts of names."""
    found: dict[str, dict[str, Any]] = {}
    for label in sorted(set(labels)):
        rows = [place for place, name in enumerate(labels) if name == label]
        found[label] = {
            name: _describe([values[row] for row in rows]) for name, values in columns.items()
        }
    return found


def _describe(values: Sequence[float | str]) -> dict[str, Any]:
    if isinstance(values[0], str):
        common = Counter(map(str, values)).most_common()
        shown = dict(sorted(common[:SHOWN_NAMES]))
        rest = sum(count for _, count in common[SHOWN_NAMES:])
        return shown | ({"others": rest} if rest else {})
    numbers = np.asarray(values, dtype=np.float64)
    return {f"{q:g}": round_significant(float(np.quantile(numbers, q)), 5) for q in QUANTILES}


def encode(columns: Columns, known: Columns | None = None) -> npt.NDArray[np.float64]:
    """Encode conditions as numbers ``[n, d]``, a column of 0 and 1 for each name.

    Args:
        columns: conditions of the items.
        known: conditions of the items whose names get a column; *columns* themselves if None.
    """
    known = columns if known is None else known
    parts = []
    for name, values in columns.items():
        if len(known[name]) and isinstance(known[name][0], str):
            names = sorted(set(map(str, known[name])))
            parts.append(np.array([[value == one for one in names] for value in values], float))
        else:
            parts.append(np.asarray(values, dtype=np.float64)[:, None])
    return np.concatenate(parts, axis=1)


def predict(
    train: Columns, labels: stats.Integers, test: Columns, *, balanced: bool
) -> stats.Integers:
    """Predict the class from conditions alone, by a small decision tree: ``[m]`` class ids.

    Args:
        train: conditions of the training items.
        labels: ``[n]``, their class ids.
        test: conditions of the items to predict.
        balanced: whether all classes count alike, as for a mean recall.
    """
    return _tree(encode(train), labels, encode(test, train), balanced)


def _tree(
    train: stats.Floats, labels: stats.Integers, test: stats.Floats, balanced: bool
) -> stats.Integers:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        **TREE,
        min_samples_leaf=max(2, round(LEAF_SHARE * len(labels))),
        class_weight="balanced" if balanced else None,
    )
    return np.asarray(tree.fit(train, labels).predict(test), dtype=np.int64)


def giveaways(
    columns: Columns,
    labels: Sequence[str],
    groups: Sequence[Any],
    what: str,
    *,
    least_gain: float = LEAST_GAIN,
    permutations: int = PERMUTATIONS,
) -> dict[str, Any]:
    """Measure how well each condition, and all of them, predict the class; warn if clearly.

    The balanced accuracy is that of a grouped cross-validation. It counts as clear if it is at
    least *least_gain* of the way from chance to 1 and at most `MOST_REACHED` of `PERMUTATIONS`
    permutations of the labels reach it (p at most 0.02 by default).

    Args:
        columns: conditions of all items.
        labels: class of each item.
        groups: of each item; a group is on one side of every fold.
        what: of the warning, such as the name of a task.
        least_gain: share of the way from chance to 1.
        permutations: of the labels. The share that may reach it is that of `PERMUTATIONS`.

    Returns:
        ``by_class``, ``chance``, ``balanced_accuracy`` (condition or ``all`` -> value), and
        ``clear``, the conditions that give the class away. Values are None where there are fewer
        groups or items of a class than folds.
    """
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    _, numbers = np.unique(np.asarray(groups), return_inverse=True)
    found: dict[str, Any] = {
        "by_class": by_class(columns, labels),
        "chance": round_significant(1 / len(classes), 6),
        "balanced_accuracy": None,
        "clear": [],
    }
    generator = np.random.default_rng(0)
    chosen = np.sort(generator.permutation(len(codes))[:MOST_ITEMS])
    codes, numbers = codes[chosen].astype(np.int64), numbers[chosen].astype(np.int64)
    folds = _folds(codes, numbers)
    if len(classes) < 2 or folds is None:
        return found
    features = {
        name: encode({name: [values[row] for row in chosen]}) for name, values in columns.items()
    }
    if len(features) > 1:
        features[ALL] = np.concatenate(list(features.values()), axis=1)
    least = 1 / len(classes) + least_gain * (1 - 1 / len(classes))
    values = {}
    for name, table in features.items():
        value = _cross_validated(table, codes, folds, len(classes))
        values[name] = round_significant(value, 6)
        if value >= least and not _reached_by_chance(
            table, codes, numbers, folds, value, permutations
        ):
            found["clear"].append(name)
    if found["clear"]:
        shown = ", ".join(f"{name} ({values[name]:.3f})" for name in found["clear"])
        logger.warning(
            "%s: recording conditions alone predict the class: balanced accuracy of %s; chance is "
            "%.3f. A model may learn the recording instead of the emotion",
            what,
            shown,
            1 / len(classes),
        )
    return found | {"balanced_accuracy": values}


def condition_trap(
    found: Mapping[str, Any], names: Sequence[str], item: str, what: str = "The class"
) -> list[Trap]:
    """Report conditions that predict the class.

    Args:
        found: of `giveaways`.
        names: of all conditions.
        item: an item with its article, such as ``a text``.
        what: is predicted.
    """
    if not found["clear"]:
        return []
    # Of all together it tells nothing that one alone does not tell.
    clear = [name for name in found["clear"] if name != ALL] or list(names)
    sentence = (
        f"{what} can be predicted better than by chance from these properties of {item} alone:"
        f" {', '.join(clear)}. A model may learn them instead of the emotion. Compare the score"
        " with that of the baseline conditions."
    )
    return [Trap("condition_predicts_class", sentence)]


def _folds(
    labels: stats.Integers, groups: stats.Integers
) -> list[tuple[stats.Integers, stats.Integers]] | None:
    from sklearn.model_selection import StratifiedGroupKFold

    if len(np.unique(groups)) < FOLDS or np.bincount(labels).max() < FOLDS:
        return None
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(np.zeros(len(labels)), labels, groups))


def _cross_validated(
    table: stats.Floats,
    labels: stats.Integers,
    folds: Sequence[tuple[stats.Integers, stats.Integers]],
    classes: int,
) -> float:
    predicted = np.zeros(len(labels), dtype=np.int64)
    for train, test in folds:
        predicted[test] = _tree(table[train], labels[train], table[test], True)
    confusion = stats.confusion_matrix(labels, predicted, classes)
    return float(stats.balanced_accuracy(confusion))


def _reached_by_chance(
    table: stats.Floats,
    labels: stats.Integers,
    groups: stats.Integers,
    folds: Sequence[tuple[stats.Integers, stats.Integers]],
    value: float,
    permutations: int,
) -> bool:
    """Whether too many permutations of the labels are predicted as well."""
    generator = np.random.default_rng(0)
    classes = int(labels.max()) + 1
    reached = 0
    most = MOST_REACHED * permutations // PERMUTATIONS
    for _ in range(permutations):
        permuted = permute(labels, groups, generator)
        reached += _cross_validated(table, permuted, folds, classes) >= value
        if reached > most:
            return True
    return False


def permute(
    labels: stats.Integers, groups: stats.Integers, generator: np.random.Generator
) -> stats.Integers:
    """Permute labels in a way that respects what is exchangeable.

    Labels that belong to groups are permuted among groups, others within each group.
    """
    names, codes = np.unique(groups, return_inverse=True)
    first = np.array([labels[codes == code][0] for code in range(len(names))])
    if np.array_equal(first[codes], labels):
        return np.asarray(generator.permutation(first)[codes])
    result = labels.copy()
    for code in range(len(names)):
        own = np.flatnonzero(codes == code)
        result[own] = labels[generator.permutation(own)]
    return result

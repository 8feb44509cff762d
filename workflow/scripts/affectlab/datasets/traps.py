"""Known traps of small corpora that an audit finds: each is a sentence for its reader."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from affectlab.datasets.names import name_key

SHOWN = 5
"""So many names are in a sentence."""

MOST_OF_ONE_CLASS = 0.9
"""From this share of its groups on, a class counts as constant per group."""

LEAST_GROUPS = 4
"""Of so few groups it may be chance."""


SPLIT_PAIRS = (("test", "train"), ("validation", "train"), ("test", "validation"))
"""Pairs of splits that must not share a group."""


@dataclass(frozen=True, slots=True)
class Trap:
    """Something about the data that can make a score mean less than it seems.

    Attributes:
        name: of the kind of trap.
        sentence: what was found.
    """

    name: str
    sentence: str


def find_traps(
    labels: Sequence[str],
    groups: Sequence[str | None],
    classes: Sequence[str],
    *,
    folds: int | None,
    what: str,
    group_name: str,
) -> list[Trap]:
    """Look for traps in classes and groups.

    Args:
        labels: class of each item.
        groups: such as the author of each item; None where it is not known.
        classes: all of them.
        folds: of the cross-validation; None without one.
        what: plural name of the items, such as texts.
        group_name: what a group is, such as author.
    """
    known = [name for name in groups if name is not None]
    return [
        *rare_classes(labels, groups, classes, folds or 2, what),
        *spelling_traps(known, group_name),
        *_constant(labels, groups, what, group_name),
    ]


def shared_items(overlap: Mapping[tuple[str, str], int], what: str) -> list[Trap]:
    """Report items that are in two splits.

    Args:
        overlap: two splits -> how many items of the first are in the second, too.
        what: plural name of the items.
    """
    found = [f"{one} and {two}: {count:,}" for (one, two), count in overlap.items() if count]
    if not found:
        return []
    sentence = (
        f"Some {what} are in two splits ({'; '.join(found)}). A model can score well on them by "
        "memory."
    )
    return [Trap("item_in_two_splits", sentence)]


def divided_groups(
    groups: Sequence[str | None],
    splits: Sequence[str | None],
    *,
    what: str,
    group_name: str,
) -> list[Trap]:
    """Report groups that have items in two splits, as splits that the data bring may have.

    Args:
        groups: such as the author of each item; None where it is not known.
        splits: of each item; None where it has none.
        what: plural name of the items, such as texts.
        group_name: what a group is, such as author.
    """
    own: dict[str, set[str]] = defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        if group is not None and split is not None:
            own[split].add(name_key(group))
    counts = {(one, two): len(own[one] & own[two]) for one, two in SPLIT_PAIRS}
    found = [
        f"{one} and {two}: {count:,} of {len(own[one]):,} groups"
        for (one, two), count in counts.items()
        if count
    ]
    if not found:
        return []
    sentence = (
        f"Groups by {group_name} have {what} in two splits ({'; '.join(found)}). A model can score "
        f"well by knowing the group, and the score says little about a new {group_name}."
    )
    return [Trap("group_in_two_splits", sentence)]


def near_items(groups: int, in_training: int, what: str) -> list[Trap]:
    """Report items that are nearly the same.

    Args:
        groups: of such items.
        in_training: how many items are scored by a model that was trained on a near duplicate.
        what: plural name of the items.
    """
    if groups == 0:
        return []
    sentence = (
        f"{groups:,} {'group' if groups == 1 else 'groups'} of {what} read nearly the same: one"
        " template with other names or numbers, or a word changed."
    )
    if in_training:
        times = "once" if in_training == 1 else f"{in_training:,} times"
        sentence += f" A trained model is scored {times} on such a copy of what it learnt from."
    return [Trap("near_duplicates", sentence)]


def rare_classes(
    labels: Sequence[str],
    groups: Sequence[str | None],
    classes: Sequence[str],
    folds: int,
    what: str,
) -> list[Trap]:
    """Report classes with fewer items, or groups, than parts of the data.

    Args:
        labels: class of each item. An item of several classes occurs once for each of them.
        groups: of the same.
        classes: all of them.
        folds: parts of the data.
        what: plural name of the items.
    """
    counts = Counter(labels)
    own_groups: dict[str, set[str]] = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        if group is not None:
            own_groups[label].add(name_key(group))
    found = []
    for name in classes:
        places = len(own_groups[name]) if all(group is not None for group in groups) else None
        least = counts[name] if places is None else min(counts[name], places)
        if least < folds:
            of = "" if places is None else f", of different groups: {places}"
            sentence = (
                f"The class {name} is rare (number of {what}: {counts[name]}{of}). The data have "
                f"{folds} parts, and in some of them it cannot be learnt or tested."
            )
            found.append(Trap("class_smaller_than_folds", sentence))
    return found


def spelling_traps(names: Sequence[str], group_name: str) -> list[Trap]:
    """Report names of groups that differ in case, white space or Unicode form only.

    Args:
        names: the known groups of the items.
        group_name: what a group is, such as author.
    """
    spelled: dict[str, set[str]] = defaultdict(set)
    for name in names:
        spelled[name_key(name)].add(name)
    several = sum(len(own) > 1 for own in spelled.values())
    if not several:
        return []
    # They name people, and the sentence is printed on cards.
    are = "name is" if several == 1 else "names are"
    sentence = (
        f"In the column {group_name}, {several} {are} spelled in more than one way (case, white "
        "space or Unicode form). Each was taken as one when the data were divided."
    )
    return [Trap("name_in_two_spellings", sentence)]


def constant_classes(
    sets: Sequence[Sequence[str]],
    groups: Sequence[str | None],
    classes: Sequence[str],
    what: str,
    group_name: str,
) -> list[Trap]:
    """Report classes that all items of a group have, where any of them has the class.

    Args:
        sets: the classes of each item.
        groups: of each item; None where it is not known.
        classes: all of them.
        what: plural name of the items.
        group_name: what a group is, such as author.
    """
    own: dict[str, list[Sequence[str]]] = defaultdict(list)
    for names, group in zip(sets, groups, strict=True):
        if group is not None:
            own[name_key(group)].append(names)
    several = [found for found in own.values() if len(found) > 1]
    traps = []
    for name in classes:
        having = [found for found in several if any(name in names for names in found)]
        constant = sum(all(name in names for names in found) for found in having)
        if len(having) < LEAST_GROUPS or constant < MOST_OF_ONE_CLASS * len(having):
            continue
        sentence = (
            f"In {constant} of the {len(having)} groups by {group_name} that have the class {name},"
            f" all {what} have it. A model can score well by knowing the group instead of the"
            " emotion."
        )
        traps.append(Trap("label_constant_per_group", sentence))
    return traps


def _constant(
    labels: Sequence[str], groups: Sequence[str | None], what: str, group_name: str
) -> list[Trap]:
    found = constant_groups(labels, groups)
    if found is None:
        return []
    sentence = (
        f"In {found[0]} of {found[1]} groups by {group_name}, all {what} have the same class. "
        "A model can score well by knowing the group instead of the emotion."
    )
    return [Trap("label_constant_per_group", sentence)]


def number_traps(
    values: Sequence[tuple[float, ...]],
    groups: Sequence[str | None],
    names: Sequence[str],
    *,
    what: str,
    group_name: str,
) -> list[Trap]:
    """Look for traps in numbers and groups: spellings, and numbers that are constant per group.

    Args:
        values: numbers of each item.
        groups: such as the author of each item; None where it is not known.
        names: of the numbers.
        what: plural name of the items, such as texts.
        group_name: what a group is, such as author.
    """
    traps = spelling_traps([name for name in groups if name is not None], group_name)
    for place, name in enumerate(names):
        found = constant_groups([own[place] for own in values], groups)
        if found is not None:
            sentence = (
                f"In {found[0]} of {found[1]} groups by {group_name}, all {what} have the same"
                f" {name}. A model can score well by knowing the group instead of the emotion."
            )
            traps.append(Trap("number_constant_per_group", sentence))
    return traps


def constant_groups(
    labels: Sequence[Hashable], groups: Sequence[str | None]
) -> tuple[int, int] | None:
    """Count the groups of several items whose items all have the same label.

    Returns:
        This count, and the number of groups of several items; None where it is no trap.
    """
    own: dict[str, list[Hashable]] = defaultdict(list)
    for label, group in zip(labels, groups, strict=True):
        if group is not None:
            own[name_key(group)].append(label)
    several = [found for found in own.values() if len(found) > 1]
    constant = sum(len(set(found)) == 1 for found in several)
    if len(several) < LEAST_GROUPS or constant < MOST_OF_ONE_CLASS * len(several):
        return None
    return constant, len(several)

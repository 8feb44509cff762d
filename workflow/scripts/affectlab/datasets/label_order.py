"""Do label ids mean the classes that they are read as? Compare their counts with published ones.

A data set that was saved again with its classes in another order still has valid ids. Only the
counts show it. The counts n of the ids are held against the published class shares p by the
multinomial log-likelihood, sum_i n_i log p_i, of the order as read and of other orders. Over all
orders it is largest where counts and shares are sorted alike (rearrangement inequality, Hardy,
Littlewood and Polya, Inequalities, 1934, section 10.2), so no search is needed.

Where the order as read is the true one, the likelihood ratio of any one other order exceeds x with
a probability of at most 1/x (Markov). The limits below add the number of orders that are tried, so
a right order is stopped with a probability below `ERROR_RATE`, whatever the number of items.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.errors import DataError

logger = logging.getLogger(__name__)

ERROR_RATE = 1e-4
"""Probability up to which a right order may be stopped."""

WARNING_RATE = 0.01
"""The same of the warning that another usual order fits better."""

MAX_DISTANCE = {"usual": 0.1, "any": 0.03}
"""Total variation between counts and published shares up to which an order fits them at all, beyond
what the sample size explains. One of a few usual orders (such as by the alphabet) may lie further
off, so that it is found in a part of the data with other shares. The best of all orders comes near
any shares, so it has to fit closely."""

CLEARLY_CLOSER = {"usual": 1 / 3, "any": 1 / 4}
"""The distance of the other order may be so much of that of the order as read."""

LARGEST_ALLOWANCE = 0.01
"""Of the distance that the sample size explains, so much is allowed to the best of all orders."""

LEAST_SHARE = 1e-4
"""Stands for the share of a class that the source does not have at all."""


@dataclass(frozen=True, slots=True)
class OtherOrder:
    """An order of the class names that fits the counts of the ids better than the one as read.

    Attributes:
        names: class names in the order of the ids.
        log_ratio: log-likelihood ratio to the order as read, in nats.
        is_clear: whether it is beyond doubt, so that the data must not be used.
    """

    names: tuple[str, ...]
    log_ratio: float
    is_clear: bool


def published_shares(
    expected: Mapping[str, Any], classes: Sequence[str]
) -> dict[str, float] | None:
    """The share of each class by a registry entry's ``expected``; None where one is not given."""
    given = expected.get("classes") or expected.get("shares") or {}
    total = sum(given.get(name, 0) for name in classes)
    if total <= 0 or any(name not in given for name in classes):
        return None
    return {name: given[name] / total for name in classes}


def better_order(
    counts: Sequence[int], claimed: Sequence[str], shares: Mapping[str, float]
) -> OtherOrder | None:
    """The order of the names that fits the counts of the ids clearly better than *claimed*.

    Args:
        counts: labels of each id, from id 0.
        claimed: class names in the order that the ids are read by.
        shares: published share of each class; their sum is 1.

    Returns:
        The best order with its log-likelihood ratio; None if no order is better by the limits of
        the warning.
    """
    total = sum(counts)
    if total == 0:
        return None
    kinds = len(claimed)
    floored = {name: max(shares[name], LEAST_SHARE) for name in claimed}
    usual = [order for order in _usual_orders(claimed) if order != tuple(claimed)]
    tried = [("usual", order, math.log(len(usual))) for order in usual]
    tried.append(("any", _sorted_order(counts, claimed, floored), math.lgamma(kinds + 1)))
    own = _log_likelihood(counts, claimed, floored)
    found: list[OtherOrder] = []
    for kind, names, penalty in tried:
        ratio = _log_likelihood(counts, names, floored) - own
        for rate, is_clear in ((ERROR_RATE, True), (WARNING_RATE, False)):
            beyond = ratio > penalty - math.log(rate)
            if beyond and _is_closer(kind, counts, names, claimed, shares):
                found.append(OtherOrder(names, ratio, is_clear))
                break
    # Of orders without doubt a usual one, which come first, is the likelier mistake.
    return max(found, key=lambda order: order.is_clear, default=None)


class LabelIds:
    """The labels of a corpus that came as numbers, counted by split and by how they are read."""

    def __init__(self) -> None:
        """Start without labels."""
        self._counts: dict[tuple[str, ...], dict[str, list[int]]] = {}

    def add(self, split: str, order: Sequence[str], number: int) -> None:
        """Count a label *number* of *split* that is read as ``order[number]``."""
        by_split = self._counts.setdefault(tuple(order), {})
        by_split.setdefault(split, [0] * len(order))[number] += 1

    def check(self, path: Path | str, expected: Mapping[str, Any]) -> None:
        """Check each order in which ids were read; see `check_label_order`."""
        for order, by_split in self._counts.items():
            check_label_order(path, by_split, order, expected)


def check_label_order(
    path: Path | str,
    counts: Mapping[str, Sequence[int]],
    claimed: Sequence[str],
    expected: Mapping[str, Any],
) -> None:
    """Stop where the counts of label ids contradict the order in which they are read.

    Args:
        path: of the data, for messages.
        counts: split -> labels of each id, of those labels only that came as numbers.
        claimed: class names in the order that the ids are read by.
        expected: ``expected`` of the data registry, with ``classes`` or ``shares``.

    Raises:
        DataError: the counts of a split, or of all, fit another order of the names clearly better;
            the message has both orders.
    """
    whole = [sum(own) for own in zip(*counts.values(), strict=True)]
    if not any(whole):
        return
    shares = published_shares(expected, claimed)
    if shares is None:
        reason = expected.get("no_classes")
        logger.log(
            logging.INFO if reason else logging.WARNING,
            "%s: the labels are ids, read as %s. %s, so this order is not checked",
            path,
            _listed(claimed),
            reason or "The data set's entry has no expected.classes and no expected.shares",
        )
        return
    for split, own in {"": whole, **counts}.items():
        other = better_order(own, claimed, shares)
        if other is None:
            continue
        problem = _problem(own, claimed, shares, other)
        if other.is_clear:
            raise DataError(path, f"split {split}" if split else None, problem)
        logger.warning("%s%s: %s", path, f", split {split}" if split else "", problem)


def _usual_orders(claimed: Sequence[str]) -> list[tuple[str, ...]]:
    """Orders that programs give classes: by the alphabet, also with neutral first or last."""
    names = sorted(claimed)
    orders = [tuple(names)]
    if "neutral" in names:
        others = [name for name in names if name != "neutral"]
        orders += [(*others, "neutral"), ("neutral", *others)]
    return list(dict.fromkeys(orders))


def _sorted_order(
    counts: Sequence[int], claimed: Sequence[str], shares: Mapping[str, float]
) -> tuple[str, ...]:
    """The order of the largest likelihood: the id with most labels is the commonest class."""
    # Among equal counts the order as read is kept, so that only real differences count.
    ids = sorted(range(len(counts)), key=lambda place: (-counts[place], -shares[claimed[place]]))
    names = sorted(claimed, key=lambda name: -shares[name])
    by_id = dict(zip(ids, names, strict=True))
    return tuple(by_id[place] for place in range(len(counts)))


def _log_likelihood(
    counts: Sequence[int], names: Sequence[str], shares: Mapping[str, float]
) -> float:
    return math.fsum(
        count * math.log(shares[name]) for count, name in zip(counts, names, strict=True)
    )


def _is_closer(
    kind: str,
    counts: Sequence[int],
    names: Sequence[str],
    claimed: Sequence[str],
    shares: Mapping[str, float],
) -> bool:
    """Whether *names* describes the counts well, and *claimed* much worse.

    Data of other origin have other shares: there some order always fits better than the one as
    read, and none fits well.
    """
    total = sum(counts)
    # Mean total variation of a sample of this size from its own distribution.
    noise = sum(math.sqrt(share * (1 - share) / total) for share in shares.values())
    noise *= math.sqrt(1 / (2 * math.pi))
    other, own = (_distance(counts, order, shares) for order in (names, claimed))
    # In a small sample chance alone lets some of all orders come near any shares.
    allowed = noise if kind == "usual" else min(noise, LARGEST_ALLOWANCE)
    return other - noise <= MAX_DISTANCE[kind] and other - allowed <= CLEARLY_CLOSER[kind] * own


def _distance(counts: Sequence[int], names: Sequence[str], shares: Mapping[str, float]) -> float:
    """Total variation between the counts and the shares of the names."""
    total = sum(counts)
    return 0.5 * sum(
        abs(count / total - shares[name]) for count, name in zip(counts, names, strict=True)
    )


def _problem(
    counts: Sequence[int],
    claimed: Sequence[str],
    shares: Mapping[str, float],
    other: OtherOrder,
) -> str:
    total = sum(counts)
    moved = [place for place in range(len(counts)) if claimed[place] != other.names[place]]
    shown = "; ".join(
        f"id {place}: {counts[place]} labels ({counts[place] / total:.3f}), published "
        f"{claimed[place]} {shares[claimed[place]]:.3f}, {other.names[place]} "
        f"{shares[other.names[place]]:.3f}"
        for place in moved[:8]
    )
    return (
        f"the label ids are read as {_listed(claimed)}, but their counts fit the order "
        f"{_listed(other.names)} better (log-likelihood ratio {other.log_ratio:.1f}). {shown}"
        f"{'; ...' if len(moved) > 8 else ''}. Write the labels as class names, or number them in "
        "the first order. If the classes of these data really occur in other shares, change "
        "expected.classes of the data set's entry"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{place} {name}" for place, name in enumerate(names))

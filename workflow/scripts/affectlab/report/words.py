"""Numbers and records as a reader of the report sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.evaluation.baseline_names import CONDITIONS, TEXTS
from affectlab.report import display
from affectlab.report.display import signed, signed_limits

KNOWN_IN_TRAINING = {"item_in_two_splits", "group_in_two_splits"}
"""Names of the traps of an audit that say that test items, or their groups, are in training."""


def interval(limits: Sequence[float], level: float, covers: str) -> str:
    """An interval for the middle of a sentence.

    Args:
        limits: lower and upper limit.
        level: of the interval.
        covers: ``items``, or ``items and seeds``.
    """
    return f"{100 * level:g} % interval over {covers} {display.limits(limits)}"


def difference(pair: Mapping[str, Any], name: str) -> str:
    """A difference of two runs with its interval and what it shows, for the end of a sentence.

    Args:
        pair: of comparison.json.
        name: of the score that is compared.
    """
    entry = pair["differences"][name]
    text = signed(entry["value"])
    if entry["ci"] is None:
        return f"{text}; there are too few groups for an interval"
    limits = signed_limits(entry["ci"])
    if pair["compares"] == "recipes":
        clear = "a clear difference" if entry["significant"] else "not distinguishable"
        return f"{text} (interval over items and seeds {limits}), {clear}"
    found = "differ" if entry["significant"] else "are not distinguishable"
    return (
        f"{text} (interval over items {limits}). These trained models {found} on such items;"
        " a statement about their recipes needs at least three seeds of each"
    )


BASELINES = {
    "all_classes": "all classes for each item",
    "always_neutral": "always neutral",
    "class_shares": "the class shares of the training data",
    "commonest_set": "the most frequent label set",
    "commonest_classes": "the commonest classes of the training data",
    "conditions": "the recording conditions alone",
    "conditions_balanced": "the recording conditions alone",
    "drawn_by_shares": "classes drawn by their shares",
    "duration": "the duration alone",
    "lead": "the beginning of the case",
    "loudness": "the loudness alone",
    "majority_of_each_class": "the classes that most items have",
    "majority": "always guessing the commonest class",
    "nearest": "the references of the most similar training case",
    "tail": "the end of the case",
    "template": "one answer for all cases",
    "textrank": "the most central sentences of the case",
    "training_mean": "the mean of the training labels",
}
"""Trivial baselines as sentences name them."""


def trivial(name: str, experiment: str = "") -> str:
    """A trivial baseline of a record, for the middle of a sentence.

    Args:
        name: of the baseline.
        experiment: that it belongs to; conditions of texts are other ones than of recordings.
    """
    if name in CONDITIONS and experiment in TEXTS:
        return LENGTH
    return BASELINES.get(name, name.replace("_", " "))


LENGTH = "the length and language of the text alone"


def relation(limits: Sequence[float], value: float) -> str:
    """Where a score lies: ``above``, ``below`` or ``not distinguishable from`` a value.

    Args:
        limits: of the interval of the score; a score is above or below if all of this is.
        value: that it is compared with.
    """
    if limits[0] > value:
        return "above"
    return "below" if limits[1] < value else "not distinguishable from"


def count(number: int, what: str) -> str:
    """A number and what it counts, in the plural where it must be."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def unseen(overlap: int, audit: Mapping[str, Any]) -> str:
    """How to call test items: "unseen " only if nothing of them is known from training.

    Args:
        overlap: how many of them are, or nearly are, in the training data.
        audit: audit.json of the data, which tells whether groups such as authors are.
    """
    traps = {trap["name"] for trap in audit.get("traps", ())}
    return "" if overlap or traps & KNOWN_IN_TRAINING else "unseen "


def overlap_sentences(overlap: int, what: str) -> list[str]:
    """A sentence about test items that are in the training data, if there are any.

    Args:
        overlap: how many are, or nearly are.
        what: one of them, such as ``test text``.
    """
    if overlap == 0:
        return []
    verb = "is" if overlap == 1 else "are"
    return [f"{count(overlap, what)} {verb} in the training data as well, or nearly the same."]


def plain(value: Any) -> str:
    """A value of a record for a reader: numbers short, absent ones as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)


def flat(value: Mapping[str, Any], prefix: str = "", joint: str = " ") -> dict[str, Any]:
    """Nested mappings as one, keys joined by *joint*; lists as text."""
    merged: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(item, Mapping):
            merged |= flat(item, f"{name}{joint}", joint)
        elif isinstance(item, list | tuple):
            merged[name] = ", ".join(plain(part) for part in item)
        else:
            merged[name] = item
    return merged

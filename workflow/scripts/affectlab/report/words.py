"""Numbers and records as a reader of the report sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.evaluation.baseline_names import CONDITIONS, TEXTS

KNOWN_IN_TRAINING = {"item_in_two_splits", "group_in_two_splits"}
"""Names of the traps of an audit that say that test items, or their groups, are in training."""


def percent(share: float) -> str:
    """A share as a percentage with one digit."""
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed."""
    return f"{100 * difference:+.1f} points"


def interval(limits: Sequence[float], level: float, covers: str) -> str:
    """Limits of a share, in percent.

    Args:
        limits: lower and upper limit.
        level: of the interval.
        covers: ``items``, or ``items and seeds``.
    """
    return (
        f"{100 * level:g} % interval over {covers} {100 * limits[0]:.1f} to {100 * limits[1]:.1f}"
    )


def difference(pair: Mapping[str, Any], name: str, unit: str = "") -> str:
    """A difference of two runs with its interval and what it shows, for the end of a sentence.

    Args:
        pair: of comparison.json.
        name: a share that is compared.
        unit: follows each number, such as `` points``.
    """
    entry = pair["differences"][name]
    text = f"{100 * entry['value']:+.1f}{unit}"
    if entry["ci"] is None:
        return f"{text}; there are too few groups for an interval"
    low, high = (f"{100 * limit:+.1f}{unit}" for limit in entry["ci"])
    if pair["compares"] == "recipes":
        clear = "a clear" if entry["significant"] else "no clear"
        return f"{text} (interval over items and seeds {low} to {high}), {clear} difference"
    found = "differ" if entry["significant"] else "do not differ significantly"
    return (
        f"{text} (interval over items {low} to {high}). These trained models {found} on such items;"
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


def relation(limits: Sequence[float], value: float, score: float) -> str:
    """Where a score lies: ``above``, ``below`` or ``not clearly above`` a value.

    Args:
        limits: of the interval of the score; it is above if all of the interval is.
        value: that it is compared with.
        score: itself.
    """
    if limits[0] > value:
        return "above"
    return "below" if score < value else "not clearly above"


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

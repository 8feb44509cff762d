"""The 28 published classes, their two orders, and soft labels over classes.

The span corpus and GoEmotions use the same 28 names in different orders: only four positions
agree. Labels are therefore always mapped by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from affectlab.datasets.names import name_key

CLASSES = (
    "admiration",
    "amusement",
    "approval",
    "caring",
    "desire",
    "excitement",
    "gratitude",
    "joy",
    "love",
    "optimism",
    "pride",
    "relief",
    "anger",
    "annoyance",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "fear",
    "grief",
    "nervousness",
    "remorse",
    "sadness",
    "confusion",
    "curiosity",
    "realization",
    "surprise",
    "neutral",
)
"""Class names in the order of the span corpus, which is the order used everywhere here."""

NEUTRAL = CLASSES.index("neutral")

MOST_CLASSES = 64
"""Classes that fit into the embedding, which has so many dimensions."""

GOEMOTIONS_CLASSES = (*sorted(set(CLASSES) - {"neutral"}), "neutral")
"""Class names in the order of GoEmotions' ids: alphabetical, neutral last."""

TOLERANCE = 1e-4
"""How far stored sums and intensities may lie from what they should be."""

GENERATIONS = ("v1", "v2")


def soft_label_of_ids(ids: Iterable[int], names: Sequence[str]) -> list[float]:
    """Equal shares for the classes that *ids* stand for in the order *names*, in our order."""
    chosen = {names[number] for number in ids}
    return [1.0 / len(chosen) if name in chosen else 0.0 for name in CLASSES]


def neutral_of(classes: Sequence[str]) -> int | None:
    """Position of the class that stands for no emotion; None where there is none."""
    return next((n for n, name in enumerate(classes) if name_key(name) == "neutral"), None)


def normalised(label: Sequence[float]) -> list[float]:
    """The label scaled to a sum of 1; it must have a positive sum."""
    total = math.fsum(label)
    return [value / total for value in label]


def intensity_of(label: Sequence[float]) -> float:
    """The strength of a label: its L2 norm, as in generation v2 of the span corpus."""
    return math.hypot(*label)


def top_class(label: Sequence[float]) -> int:
    """Position of the largest value, the first of equals."""
    return max(range(len(label)), key=label.__getitem__)


def label_problem(label: object, classes: Sequence[str]) -> str | None:
    """What keeps *label* from being a soft label over *classes*, or None."""
    if not isinstance(label, list) or len(label) != len(classes):
        found = f"{len(label)} values" if isinstance(label, list) else type(label).__name__
        return f"soft_label: expected a list of {len(classes)} numbers, found {found}"
    for name, value in zip(classes, label, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"soft_label: {name} is no number"
        if not 0.0 <= value <= 1.0 + TOLERANCE:
            return f"soft_label: {name} is {value}, expected 0 to 1"
    if math.fsum(label) <= TOLERANCE:
        return "soft_label: all values are 0"
    return None


def generations_of(label: Sequence[float], intensity: float) -> frozenset[str]:
    """The generations of the span corpus that a label and its intensity are consistent with.

    In v1 labels sum to 1 and the intensity is their largest value; in v2 values are not
    normalised and the intensity is their L2 norm. A label that is 1 for one class fits both; one
    that fits neither gives the empty set.
    """
    fits = set()
    if math.isclose(math.fsum(label), 1.0, abs_tol=len(CLASSES) * TOLERANCE) and math.isclose(
        intensity, max(label), abs_tol=TOLERANCE
    ):
        fits.add("v1")
    if math.isclose(intensity, math.hypot(*label), abs_tol=TOLERANCE):
        fits.add("v2")
    return frozenset(fits)

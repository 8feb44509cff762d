"""What the methods of the summary experiment have in common, and what of a run decides what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BASELINE_METHODS = ("lead", "tail", "textrank", "template", "nearest")
# A model that is not trained has a random part only if its answers are sampled.
UNTRAINED = (*BASELINE_METHODS, "prompt")


def needs_validation(run: Mapping[str, Any]) -> bool:
    """Whether weights are chosen that must not be chosen by the test split."""
    return "training" in run and run.get("protocol") == "corrected"


def training_part(run: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run decides the weights of its adapters.

    How cases are read for an answer, and how it is written, does so only where answers choose the
    weights.
    """
    irrelevant = {"protocol", "seeds"}
    if run["select_by"] == "loss":
        irrelevant |= {"generation", "long_input"}
    return {key: value for key, value in run.items() if key not in irrelevant}

"""The methods of the summary experiment, and what of a run decides the weights of its adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRAINED_METHODS = ("lora", "qlora")
MODEL_METHODS = (*TRAINED_METHODS, "prompt")
"""Methods by which a language model writes the answers."""

BASELINE_METHODS = ("lead", "tail", "textrank", "template", "nearest")


OWN_LAYOUT = "cases"
"""The layout of users' own tables; the others are those of published corpora."""

RESERVED = ("id", "text", "group", "experience_and_reflection")
"""Names that a field of users' own data cannot have: of other columns, and of PsyQA's task."""


def training_part(run: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's block decides the weights of its adapters.

    How cases are read for an answer, and how it is written, does so only where answers choose the
    weights.
    """
    irrelevant = {"protocol", "seeds"}
    if run.get("select_by") != "rouge_l":
        irrelevant |= {"generation", "long_input"}
    return {key: value for key, value in run.items() if key not in irrelevant}

"""Runs that score a classifier from elsewhere as it is, without training."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from affectlab.config.entries import InFolder
from affectlab.config.models import Section, Text

PRETRAINED = "pretrained"
"""The method of these runs, and their block."""


class Pretrained(Section):
    """A classifier that somebody else trained."""

    classes: dict[Text, Text] = Field(
        {},
        description="Its name of a class -> the name in the data. Classes with the same name, "
        "apart from case, need no entry. Several may mean the same; their probabilities add up.",
    )
    onnx: InFolder | None = Field(
        None,
        description="ONNX file in the folder of the model that is run instead of its weights; "
        "null: the weights, or model.onnx or onnx/model.onnx where there are none.",
    )


def pretrained_mistakes(path: str, run: Mapping[str, Any]) -> Iterator[str]:
    """Report what a run on a classifier from elsewhere cannot have.

    Args:
        path: dotted path of the run.
        run: the complete run, or what was given for it.
    """
    if run.get("method") != PRETRAINED:
        return
    seeds = run.get("seeds")
    if isinstance(seeds, list) and len(seeds) > 1:
        yield (
            f"{path}.seeds: nothing is trained, so every seed gives the same; expected one seed, "
            f"found {len(seeds)}"
        )

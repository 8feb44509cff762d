"""The tone experiment's block of the configuration: what it needs, and mistakes in it."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from affectlab.config.checks import selection_mistakes
from affectlab.config.load import as_mapping
from affectlab.config.models import (
    AssetName,
    Bootstrap,
    Run,
    RunName,
    RunNames,
    Section,
    Seeds,
    block,
)
from affectlab.config.registries import Registries, dataset_mistakes

LAYOUTS = frozenset({"tone"})


class ToneRun(Run):
    """One recipe."""

    protocol: Literal["corrected"] = Field(
        "corrected", description="No published recipe is repeated."
    )
    data: AssetName = Field("tone_sample", description="Name of the data set.")
    seeds: Seeds = Field([0], description="No seed changes the model.")
    smoothing: float = Field(1.0, gt=0, description="Added to each count of a word.")


class Block(Section):
    """The tone experiment."""

    selected: RunNames = Field([], min_length=1, description="Runs that are carried out.")
    bootstrap: Bootstrap = block()
    runs: dict[RunName, ToneRun] = Field({}, min_length=1, description="Name -> recipe.")


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.config.experiment.Settings`."""
    runs = as_mapping(block.get("runs"))
    for name, run in runs.items():
        data = as_mapping(run).get("data")
        yield from dataset_mistakes(f"tone.runs.{name}.data", data, registries, LAYOUTS)
    yield from selection_mistakes("tone", block)


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out."""
    return {name: block["runs"][name] for name in block["selected"]}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.config.experiment.Settings`."""
    return {run["data"] for run in selected_runs(block).values()}, set()

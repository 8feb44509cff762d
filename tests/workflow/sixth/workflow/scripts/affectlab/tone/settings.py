"""The tone experiment's block of the configuration: what it needs, and mistakes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from affectlab.config.load import Registries, as_mapping, as_names, dataset_mistakes, unknown_name

LAYOUTS = frozenset({"tone"})


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.config.experiment.Settings`."""
    runs = as_mapping(block.get("runs"))
    for name, run in runs.items():
        data = as_mapping(run).get("data")
        yield from dataset_mistakes(f"tone.runs.{name}.data", data, registries, LAYOUTS)
    for position, name in enumerate(as_names(block.get("selected"))):
        yield from unknown_name(f"tone.selected.{position}", name, runs, "run")


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out."""
    return {name: block["runs"][name] for name in block["selected"]}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.config.experiment.Settings`."""
    return {run["data"] for run in selected_runs(block).values()}, set()

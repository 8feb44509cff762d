"""The entity experiment's block of the configuration: what it needs, and mistakes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from affectlab.config.load import (
    Registries,
    as_mapping,
    as_names,
    block_mistakes,
    dataset_mistakes,
    model_mistakes,
    training_mistakes,
    unknown_name,
)

MODEL_KINDS = frozenset({"text-encoder"})
TEXT_LAYOUT = "goemotions"
LAYOUTS = frozenset({"entity_spans", TEXT_LAYOUT, "goemotions_spans"})
# The block that a run of each method has beside those that all runs have.
METHOD_BLOCKS = {"gbert": {"gbert"}, "vmf": {"vmf"}}


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    runs = as_mapping(block.get("runs"))
    for name, run in runs.items():
        yield from _run_mistakes(f"entity.runs.{name}", as_mapping(run), runs, registries)
    for position, name in enumerate(as_names(block.get("selected"))):
        yield from unknown_name(f"entity.selected.{position}", name, runs, "run")
    split = as_mapping(block.get("split"))
    shares = [
        share
        for share in (split.get("validation"), split.get("test"))
        if isinstance(share, int | float)
    ]
    if sum(shares) >= 1:
        yield "entity.split: validation and test leave nothing to train on"


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out, those that others start from among them."""
    names: dict[str, None] = {}
    for name in block["selected"]:
        if origin := block["runs"][name]["start_from"]:
            names[origin] = None
        names[name] = None
    return {name: block["runs"][name] for name in names}


def stage_data(run: Mapping[str, Any]) -> list[str]:
    """Names of the data sets that a run trains on or is scored on, sorted."""
    return sorted({stage["data"] for stage in run["stages"]})


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    datasets = {name for run in runs for name in stage_data(run)}
    return datasets, {run["model"] for run in runs}


def _run_mistakes(
    path: str, run: Mapping[str, Any], runs: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    yield from block_mistakes(path, run, METHOD_BLOCKS)
    yield from model_mistakes(f"{path}.model", run.get("model"), registries, MODEL_KINDS)
    yield from dataset_mistakes(f"{path}.data", run.get("data"), registries, LAYOUTS)
    vmf = as_mapping(run.get("vmf"))
    least, start = vmf.get("kappa_min"), vmf.get("kappa_start")
    if isinstance(least, int | float) and isinstance(start, int | float) and start <= least:
        yield f"{path}.vmf.kappa_start: must be larger than kappa_min ({least}), found {start}"
    adapted = vmf.get("span_adapter") is not None
    if adapted and run.get("start_from") is None:
        yield (
            f"{path}.vmf.span_adapter: it alone is trained, so the run must start from another one"
        )
    stages = run.get("stages")
    stages = [as_mapping(stage) for stage in stages] if isinstance(stages, list) else []
    for number, stage in enumerate(stages):
        here = f"{path}.stages.{number}"
        yield from dataset_mistakes(f"{here}.data", stage.get("data"), registries, LAYOUTS)
        data = stage.get("data")
        entry = registries.datasets.get(data) if isinstance(data, str) else None
        if adapted and as_mapping(entry).get("layout") == TEXT_LAYOUT:
            yield f"{here}.data: {data!r} has whole texts, and vmf.span_adapter corrects spans"
        yield from training_mistakes(f"{here}.training", stage.get("training"))
        if smoothing := as_mapping(stage.get("training")).get("label_smoothing"):
            yield f"{here}.training.label_smoothing: soft labels need 0, found {smoothing}"
    if stages and stages[-1].get("data") != run.get("data"):
        yield (
            f"{path}.data: {run.get('data')!r} must be the data of the last stage, "
            f"{stages[-1].get('data')!r}, whose validation split chooses the weights"
        )
    origin = run.get("start_from")
    if isinstance(origin, str):
        yield from _origin_mistakes(path, run, origin, runs)


def _origin_mistakes(
    path: str, run: Mapping[str, Any], origin: str, runs: Mapping[str, Any]
) -> Iterator[str]:
    """A run that starts from another one must fit it."""
    yield from unknown_name(f"{path}.start_from", origin, runs, "run")
    if origin not in runs:
        return
    other = as_mapping(runs[origin])
    for key in ("model", "method", "max_length"):
        if other.get(key) != run.get(key):
            yield (
                f"{path}.start_from: {origin!r} has the {key} {other.get(key)!r}, this run "
                f"{run.get(key)!r}"
            )
    vmf, other_vmf = as_mapping(run.get("vmf")), as_mapping(other.get("vmf"))
    if vmf.get("span_adapter") is not None and vmf.get("kappa_min") != other_vmf.get("kappa_min"):
        yield (
            f"{path}.vmf.kappa_min: with a span_adapter it must be that of {origin!r} "
            f"({other_vmf.get('kappa_min')}), found {vmf.get('kappa_min')}"
        )
    if other.get("start_from") is not None:
        yield f"{path}.start_from: {origin!r} itself starts from another run"
    own, theirs = run.get("seeds"), other.get("seeds")
    if isinstance(own, list) and isinstance(theirs, list):
        for seed in own:
            if seed not in theirs:
                yield f"{path}.seeds: {origin!r}, which it starts from, has no seed {seed}"

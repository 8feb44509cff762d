"""The face experiment's block of the configuration: what it needs, and mistakes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from affectlab.config.load import (
    WITHOUT_TOKENS,
    Registries,
    as_mapping,
    as_names,
    block_mistakes,
    dataset_mistakes,
    export_mistakes,
    fixed_mistakes,
    model_mistakes,
    training_mistakes,
    unknown_name,
)

LAYOUTS = frozenset({"fer2013"})
VOTES_LAYOUTS = frozenset({"ferplus"})
MODEL_KINDS = frozenset({"image-encoder"})
# The blocks that a run of each method has beside those that all have.
METHOD_BLOCKS = {"compact": set[str](), "backbone": {"model"}}
# What the network block of each method consists of.
NETWORK_KEYS = {
    "compact": {"widths", "depths", "dropout"},
    "backbone": {"image_size", "dropout"},
}


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    runs = as_mapping(block.get("runs"))
    votes = as_mapping(block.get("votes"))
    for name, run in runs.items():
        path = f"face.runs.{name}"
        yield from _run_mistakes(path, as_mapping(run), votes, registries)
        yield from _leaks(path, as_mapping(run), block.get("result_split"))
    for position, name in enumerate(as_names(block.get("selected"))):
        yield from unknown_name(f"face.selected.{position}", name, runs, "run")
    yield from export_mistakes("face", block, registries)
    for data, source in votes.items():
        path = f"face.votes.{data}"
        yield from dataset_mistakes(path, data, registries, LAYOUTS)
        if source is not None:
            yield from dataset_mistakes(path, source, registries, VOTES_LAYOUTS)


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out."""
    return {name: block["runs"][name] for name in block["selected"]}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    datasets = {run["data"] for run in runs}
    datasets |= {votes for name in datasets if (votes := block["votes"].get(name))}
    return datasets, {run["model"] for run in runs if "model" in run}


def _run_mistakes(
    path: str, run: Mapping[str, Any], votes: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    yield from block_mistakes(path, run, METHOD_BLOCKS)
    yield from training_mistakes(f"{path}.training", run.get("training"))
    yield from fixed_mistakes(
        f"{path}.training", run.get("training"), WITHOUT_TOKENS, "an image net"
    )
    patience = as_mapping(run.get("training")).get("early_stopping_patience")
    if "select_on" in run and run["select_on"] is None and patience is not None:
        yield (
            f"{path}.training.early_stopping_patience: without select_on there is no score that "
            "could stop the training, expected null"
        )
    if "model" in run:
        yield from model_mistakes(f"{path}.model", run["model"], registries, MODEL_KINDS)
    yield from dataset_mistakes(f"{path}.data", run.get("data"), registries, LAYOUTS)
    network = as_mapping(run.get("network"))
    method = run.get("method")
    if isinstance(method, str) and method in NETWORK_KEYS:
        for key in sorted(NETWORK_KEYS[method] - network.keys()):
            yield f"{path}.network.{key}: missing; method {method!r} needs it"
        for key in sorted(network.keys() - NETWORK_KEYS[method]):
            yield f"{path}.network.{key}: does not go with method {method!r}"
    widths, depths = network.get("widths"), network.get("depths")
    if isinstance(widths, list) and isinstance(depths, list) and len(widths) != len(depths):
        yield (
            f"{path}.network.depths: one number per stage: {len(depths)} depths for "
            f"{len(widths)} widths"
        )
    share = as_mapping(run.get("loss")).get("votes_weight")
    data = run.get("data")
    if (
        isinstance(share, int | float)
        and share > 0
        and isinstance(data, str)
        and not votes.get(data)
    ):
        yield f"{path}.loss.votes_weight: above 0, but face.votes names no votes for {data!r}"
    mixing = as_mapping(run.get("augmentation"))
    chances = [mixing.get(key) for key in ("mixup", "cutmix")]
    if sum(chance for chance in chances if isinstance(chance, int | float)) > 1:
        yield f"{path}.augmentation.cutmix: mixup and cutmix are chances, together at most 1"


def _leaks(path: str, run: Mapping[str, Any], result_split: Any) -> Iterator[str]:
    """Report splits that a corrected run is both trained on and scored with."""
    seen = as_names(run.get("train_on"))
    if run.get("protocol") != "corrected":
        return
    if result_split in seen:
        yield (
            f"{path}.train_on: {result_split} is face.result_split, which a corrected run "
            "leaves out"
        )
    elif run.get("select_on") in seen:
        yield f"{path}.select_on: {run['select_on']} is trained on as well, which chooses nothing"

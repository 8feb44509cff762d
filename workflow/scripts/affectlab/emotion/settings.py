"""The emotion experiment's block of the configuration: what it needs, and mistakes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from affectlab.config.load import (
    Registries,
    as_mapping,
    as_names,
    block_mistakes,
    dataset_mistakes,
    export_mistakes,
    model_mistakes,
    training_mistakes,
    unknown_name,
)

LAYOUTS = frozenset({"emotion"})
MODEL_KINDS = frozenset({"text-encoder", "causal-lm"})
# The blocks that a run of each method has beside protocol, method, data and seeds.
METHOD_BLOCKS = {
    "full": {"model", "max_length", "padding", "training"},
    "lora": {"model", "max_length", "padding", "training", "lora"},
    "tfidf": {"tfidf"},
}

# Methods whose model no seed changes: their solver has no random part.
SEEDLESS = ("tfidf",)


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    runs = as_mapping(block.get("runs"))
    for name, run in runs.items():
        yield from _run_mistakes(f"emotion.runs.{name}", as_mapping(run), registries)
    for position, name in enumerate(as_names(block.get("selected"))):
        yield from unknown_name(f"emotion.selected.{position}", name, runs, "run")
    yield from unknown_name("emotion.baseline", block.get("baseline"), runs, "run")
    searched = as_mapping(block.get("label_noise")).get("data")
    yield from dataset_mistakes("emotion.label_noise.data", searched, registries, LAYOUTS)
    selected = [name for name in as_names(block.get("selected")) if name in runs]
    yield from export_mistakes("emotion", block, registries)
    for position, name in enumerate(as_names(block.get("export"))):
        if as_mapping(runs.get(name)).get("method") == "tfidf":
            yield (
                f"emotion.export.{position}: the run {name!r} is no network; only a network "
                "can be exported"
            )
    yield from _baseline_mistakes(block.get("baseline"), selected, runs)


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out, the baseline among them."""
    names = dict.fromkeys([*block["selected"], block["baseline"]])
    return {name: block["runs"][name] for name in names}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    datasets = {run["data"] for run in runs} | {block["label_noise"]["data"]}
    return datasets, {run["model"] for run in runs if "model" in run}


def _run_mistakes(path: str, run: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    yield from block_mistakes(path, run, METHOD_BLOCKS)
    yield from training_mistakes(f"{path}.training", run.get("training"))
    if "model" in run:
        yield from model_mistakes(f"{path}.model", run["model"], registries, MODEL_KINDS)
    yield from dataset_mistakes(f"{path}.data", run.get("data"), registries, LAYOUTS)
    yield from _ngram_mistakes(path, run)


def _ngram_mistakes(path: str, run: Mapping[str, Any]) -> Iterator[str]:
    """The shortest of the word groups must not be longer than the longest."""
    sizes = as_mapping(run.get("tfidf")).get("ngram_range")
    numbers = [size for size in sizes if isinstance(size, int)] if isinstance(sizes, list) else []
    if numbers != sorted(numbers):
        yield f"{path}.tfidf.ngram_range: the first must not be larger, found {sizes}"


def _baseline_mistakes(
    baseline: Any, selected: list[str], runs: Mapping[str, Any]
) -> Iterator[str]:
    """The baseline must be on the data of every run that is held against it."""
    if not isinstance(baseline, str) or baseline not in runs:
        return
    held_on = as_mapping(runs[baseline]).get("data")
    for name in selected:
        data = as_mapping(runs[name]).get("data")
        if data != held_on:
            yield (
                f"emotion.baseline: {baseline!r} is on the data {held_on!r}, but the selected run "
                f"{name!r} is on {data!r}"
            )

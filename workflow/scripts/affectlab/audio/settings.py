"""The audio experiment's block of the configuration: what it needs, and mistakes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.tasks import TASKS
from affectlab.config.load import (
    WITHOUT_TOKENS,
    Registries,
    as_mapping,
    as_names,
    dataset_mistakes,
    fixed_mistakes,
    model_mistakes,
    training_mistakes,
    unknown_name,
)

LAYOUTS = frozenset({"eatd", "ravdess", "emodb", "audio_manifest"})
TASKS_OF = {
    "eatd": {"2dep", "2dep_50", "3emo"},
    "ravdess": {"8emo", "3valence"},
    "emodb": {"7emo", "3valence"},
    "audio_manifest": {"label"},
}
"""Layout -> the tasks for which its clips have labels."""

FIXED = WITHOUT_TOKENS | {"label_smoothing": 0, "head_learning_rate": None}
PROTOCOL_BLOCKS = {"corrected": {"probe"}, "published": {"published", "training"}}


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    encoders = as_mapping(block.get("encoders"))
    for name, encoder in encoders.items():
        yield from _encoder_mistakes(f"audio.encoders.{name}", as_mapping(encoder), registries)
    runs = as_mapping(block.get("runs"))
    for name, run in runs.items():
        yield from _run_mistakes(f"audio.runs.{name}", as_mapping(run), encoders, registries)
    for position, name in enumerate(as_names(block.get("selected"))):
        yield from unknown_name(f"audio.selected.{position}", name, runs, "run")
    yield from unknown_name("audio.baseline", block.get("baseline"), runs, "run")


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out."""
    return {name: block["runs"][name] for name in block["selected"]}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    encoders = [block["encoders"][run["encoder"]] for run in runs]
    return {run["data"] for run in runs}, {one["model"] for one in encoders if "model" in one}


def vector_files(path: str | None) -> list[str]:
    """The files of vectors that were computed elsewhere: ``.npy`` has its ids beside it."""
    if path is None:
        return []
    beside = [str(Path(path).with_suffix(".csv"))] if path.endswith(".npy") else []
    return [path, *beside]


def _encoder_mistakes(
    path: str, encoder: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    kind = KINDS.get(str(encoder.get("kind")))
    if kind is None:
        return
    if "model" in encoder and kind.checkpoint is not None:
        expected = [kind.checkpoint]
        yield from model_mistakes(f"{path}.model", encoder["model"], registries, expected)
    elif "model" in encoder:
        yield f"{path}.model: does not go with the kind {kind.name!r}"
    elif kind.checkpoint is not None:
        yield f"{path}.model: missing; the kind {kind.name!r} needs it"
    if kind.imported != ("path" in encoder):
        yield f"{path}.path: belongs to the kind 'precomputed', and to no other"


def _run_mistakes(
    path: str, run: Mapping[str, Any], encoders: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    yield from unknown_name(f"{path}.encoder", run.get("encoder"), encoders, "encoder")
    yield from dataset_mistakes(f"{path}.data", run.get("data"), registries, LAYOUTS)
    training = f"{path}.training"
    yield from training_mistakes(training, run.get("training"))
    yield from fixed_mistakes(training, run.get("training"), FIXED, "a published head")
    layout = as_mapping(registries.datasets.get(str(run.get("data")))).get("layout")
    task = run.get("task")
    if isinstance(task, str) and layout in TASKS_OF and task not in TASKS_OF[layout]:
        known = ", ".join(sorted(TASKS_OF[layout]))
        yield f"{path}.task: {run['data']!r} has no labels for {task!r}; it has: {known}"
    known_task = TASKS.get(task) if isinstance(task, str) else None
    # Of a manifest's own labels only its records tell.
    by_clip = known_task is not None and known_task.classes and not known_task.of_subject
    if run.get("unit") == "subject" and by_clip:
        yield f"{path}.unit: the clips of a subject differ in {task!r}; expected clip"
    protocol = run.get("protocol")
    if isinstance(protocol, str) and protocol in PROTOCOL_BLOCKS:
        wanted = PROTOCOL_BLOCKS[protocol]
        for key in sorted(wanted - run.keys()):
            yield f"{path}.{key}: missing; the protocol {protocol!r} needs it"
        for key in sorted(({"probe", "published", "training"} - wanted) & run.keys()):
            yield f"{path}.{key}: does not go with the protocol {protocol!r}"
    strengths = as_mapping(run.get("probe")).get("strengths")
    listed = strengths if isinstance(strengths, list) else []
    numbers = [c for c in listed if isinstance(c, int | float)]
    if numbers != sorted(numbers):
        yield f"{path}.probe.strengths: the values of C must rise"

"""The audio experiment's block of the configuration: what it needs, and mistakes in it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.tasks import OWN_TASK, TASKS, TASKS_OF
from affectlab.config.checks import (
    OUTSIDE,
    WITHOUT_TOKENS,
    fixed_mistakes,
    misplaced_keys,
    outside_mistakes,
    selection_mistakes,
    training_mistakes,
)
from affectlab.config.load import as_mapping
from affectlab.config.messages import unknown_name
from affectlab.config.models import (
    DIFFERENT,
    AssetName,
    Bootstrap,
    NotHandedOn,
    Only,
    Outside,
    Run,
    RunName,
    RunNames,
    Section,
    Seeds,
    Text,
    Training,
    absent,
    block,
)
from affectlab.config.other_data import TEST_ON, KnownClasses, OtherData, other_data_mistakes
from affectlab.config.pretrained import PRETRAINED, Pretrained, pretrained_mistakes
from affectlab.config.registries import Registries, dataset_mistakes, model_mistakes

LAYOUTS = frozenset(TASKS_OF)

FIXED = WITHOUT_TOKENS | {"label_smoothing": 0, "head_learning_rate": None}
CORRECTED = Only("protocol", ("corrected",))
PUBLISHED = Only("protocol", ("published",))
WITH_MODEL = Only("kind", tuple(name for name, kind in KINDS.items() if kind.checkpoint))
IMPORTED = Only("kind", tuple(name for name, kind in KINDS.items() if kind.imported))


class Encoder(Section):
    """A frozen encoder."""

    kind: Literal[tuple(KINDS)] = Field(  # type: ignore[valid-type]
        "logmel", description="Which code runs it; precomputed: vectors from a file."
    )
    model: Annotated[AssetName, WITH_MODEL] = absent("Name in models.yaml; for kinds with weights.")
    layers: Literal["last", "all"] = Field(
        "last",
        description="Which layers are stored. Only whisper, qwen2_audio, wav2vec2, hubert and "
        "wavlm have several.",
    )
    padding: Literal["none", "window"] = Field(
        "none",
        description="window: clips are filled up with silence to the encoder's window, as in its "
        "training; none: they are not, which is much faster for short ones. Only for whisper and "
        "qwen2_audio.",
    )
    path: Annotated[Text, IMPORTED] = absent(
        "For precomputed: a file .npz, .npy with a .csv beside it, or .parquet."
    )

    @property
    def checkpoint(self) -> str | None:
        """The model in models.yaml; None for a kind without weights."""
        return self.model if KINDS[self.kind].checkpoint else None


class Probe(Section):
    """For the corrected protocol: nested cross-validation by subject."""

    views: Annotated[list[Literal["layers", "mix"]], *DIFFERENT] = Field(
        ["layers", "mix"],
        min_length=1,
        description="Sets of features: layers: each layer by itself; mix: all side by side.",
    )
    combine: Literal["choose", "blend"] = Field(
        "blend",
        description="What predicts for a run of several views: choose: the one that is best in the "
        "inner folds; blend: all, by the mean of their logits.",
    )
    statistics: Annotated[list[Literal["mean", "std"]], *DIFFERENT] = Field(
        ["mean", "std"],
        min_length=1,
        description="Of an encoder's frames, over a clip; of a kind with one vector a window, the "
        "mean alone.",
    )
    strengths: Annotated[list[Annotated[float, Field(gt=0)]], *DIFFERENT] = Field(
        [1.0e-4, 3.162e-4, 1.0e-3, 3.162e-3, 0.01, 0.03162, 0.1, 0.3162, 1, 3.162, 10, 31.62, 100],
        min_length=1,
        description="Inverse regularisation strengths C, in increasing order. Larger means less "
        "regularisation.",
    )
    outer_folds: int = Field(5, ge=2, le=100, description="Folds that are scored.")
    inner_folds: int = Field(
        5,
        ge=2,
        le=100,
        description="Folds inside the training part of each, which choose view and C.",
    )
    repeats: int = Field(
        10, ge=1, le=1000, description="How often the whole is done with other folds."
    )
    permutations: int = Field(
        1000,
        ge=0,
        le=100_000,
        description="Of the labels, for the permutation test; 0: no test.",
    )
    permutation_strength: float = Field(0.01, gt=0, description="C of that test, fixed beforehand.")


class PublishedProbe(Section):
    """For the published protocol."""

    head: Literal["linear", "mlp"] = Field(
        "mlp", description="linear: one layer; mlp: 512-256-128 with ReLU."
    )
    validation_share: float = Field(
        0.3, gt=0, lt=1, description="Share of the clips that is held out, at random."
    )
    drop_last: bool = Field(
        True,
        description="Leave out the last incomplete batch, of training and of validation.",
    )


TaskName = Literal["2dep", "2dep_50", "3emo", "8emo", "7emo", "3valence", "label"]


class OtherRecordings(OtherData):
    """Another data set that the fitted probe is tested on."""

    task: TaskName | None = Field(
        None,
        description="Which labels of the other data count; null: those of the run's task, or the "
        "only ones there are.",
    )


class AudioRun(Run):
    """One run: question, data, encoder and recipe."""

    method: Literal["probe", "predictions", "pretrained"] = Field(
        "probe",
        description="probe: fit a probe on a frozen encoder; predictions: score a table of "
        "predictions; pretrained: score an audio classifier as it is.",
    )
    task: TaskName = Field(
        "3emo", description="What is asked; each layout of data has labels for some."
    )
    unit: Literal["clip", "subject"] = Field(
        "clip", description="subject: all clips of a subject are pooled into one item."
    )
    data: AssetName = Field("eatd", description="Name in datasets.yaml.")
    encoder: Annotated[RunName, Only("method", ("probe",))] = Field(
        "clap", description="Name under encoders."
    )
    model: Annotated[AssetName, Only("method", (PRETRAINED,))] = Field(
        "", description="The classifier: name in models.yaml."
    )
    seeds: Seeds = Field([0], description="One fit per seed: of folds, or of split and weights.")
    predictions: Annotated[Outside, Only("method", (OUTSIDE,))] = block()
    test_on: Annotated[
        dict[AssetName, OtherRecordings], Only("method", ("probe",)), NotHandedOn()
    ] = TEST_ON
    pretrained: Annotated[Pretrained, Only("method", (PRETRAINED,))] = block()
    probe: Annotated[Probe, CORRECTED] = block()
    published: Annotated[PublishedProbe, PUBLISHED] = block()
    training: Annotated[Training, PUBLISHED] = block(
        epochs=100,
        batch_size=16,
        learning_rate=1.0e-3,
        weight_decay=0.0,
        warmup_steps=0,
        schedule="constant",
        max_grad_norm=1.0e6,
        precision="fp32",
    )

    @property
    def model_name(self) -> str:
        """The encoder or the classifier; the method where there is neither."""
        names = {"probe": self.encoder, PRETRAINED: self.model}
        return names.get(self.method, self.method)


class Block(Section):
    """The audio experiment: probes on frozen audio encoders.

    `training` has `head_learning_rate` and `token_budget` null, `label_smoothing` 0,
    `gradient_checkpointing` and `sparse_embeddings` false. An encoder of a kind with weights needs
    `model`, and `precomputed` needs `path`. Tasks by layout of the data: `eatd` has `2dep`,
    `2dep_50` and `3emo`; `ravdess` has `8emo` and `3valence`; `emodb` has `7emo` and `3valence`;
    `audio_folder` and `audio_manifest` have `label`. `unit: subject` goes with `2dep`, `2dep_50`,
    and with `label` where all clips of a subject have the same. `label` is a class, or with
    `target: classes` of the data several classes, or with `target: numbers` numbers.
    """

    selected: RunNames = Field([], min_length=1, description="Runs that are carried out.")
    baseline: RunName | None = Field(
        None,
        description="Run whose name the comparison carries as the one to beat; null: none.",
    )
    bootstrap: Bootstrap = block()
    clips: Literal["cleaned", "raw"] = Field(
        "cleaned", description="Which files of an EATD corpus: *_out.wav or the raw ones."
    )
    shards: int = Field(
        4, ge=1, le=1000, description="Jobs into which the embedding of a corpus is cut."
    )
    encoders: dict[RunName, Encoder] = Field(
        {}, min_length=1, description="Name of an encoder -> what it is."
    )
    runs: dict[RunName, AudioRun] = Field(
        {}, min_length=1, description="Name of a run -> its recipe."
    )


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    encoders = as_mapping(block.get("encoders"))
    for name, encoder in encoders.items():
        yield from _encoder_mistakes(f"audio.encoders.{name}", as_mapping(encoder), registries)
    runs = as_mapping(block.get("runs"))
    for name, run in runs.items():
        yield from _run_mistakes(f"audio.runs.{name}", as_mapping(run), encoders, registries)
    yield from selection_mistakes("audio", block)
    yield from unknown_name("audio.baseline", block.get("baseline"), runs, "run")


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out."""
    return {name: block["runs"][name] for name in block["selected"]}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    encoders = [block["encoders"][run["encoder"]] for run in runs if "encoder" in run]
    datasets = {name for run in runs for name in (run["data"], *run.get("test_on", ()))}
    return datasets, {one["model"] for one in (*encoders, *runs) if "model" in one}


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
    yield from outside_mistakes(path, run)
    yield from _other_data_mistakes(path, run, registries)
    yield from pretrained_mistakes(path, run)
    if "model" in run:
        yield from model_mistakes(f"{path}.model", run["model"], registries, {"audio-classifier"})
    training = f"{path}.training"
    yield from training_mistakes(training, run.get("training"))
    yield from fixed_mistakes(training, run.get("training"), FIXED, "a published head")
    entry = as_mapping(registries.datasets.get(str(run.get("data"))))
    yield from _target_mistakes(path, run, entry)
    layout, task = entry.get("layout"), run.get("task")
    if (
        isinstance(task, str)
        and isinstance(layout, str)
        and layout in TASKS_OF
        and task not in TASKS_OF[layout]
    ):
        known = ", ".join(sorted(TASKS_OF[layout]))
        yield f"{path}.task: {run['data']!r} has no labels for {task!r}; it has: {known}"
    known_task = TASKS.get(task) if isinstance(task, str) else None
    # Of a manifest's own labels only its records tell.
    by_clip = known_task is not None and known_task.classes and not known_task.of_subject
    if run.get("unit") == "subject" and by_clip:
        yield f"{path}.unit: the clips of a subject differ in {task!r}; expected clip"
    yield from misplaced_keys(path, AudioRun, run)
    strengths = as_mapping(run.get("probe")).get("strengths")
    listed = strengths if isinstance(strengths, list) else []
    numbers = [c for c in listed if isinstance(c, int | float)]
    if numbers != sorted(numbers):
        yield f"{path}.probe.strengths: the values of C must rise"


def _other_data_mistakes(
    path: str, run: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    """Report what is wrong with ``test_on`` of a run, its tasks among it."""
    yield from other_data_mistakes(path, run, registries, LAYOUTS, _known_classes(run))
    for name, given in as_mapping(run.get("test_on")).items():
        layout = as_mapping(registries.datasets.get(name)).get("layout")
        if layout not in LAYOUTS:
            continue
        tasks, task = TASKS_OF[layout], as_mapping(given).get("task")
        if isinstance(task, str) and task in TASKS and task not in tasks:
            yield (
                f"{path}.test_on.{name}.task: {name!r} has no labels for {task!r}; it has: "
                f"{', '.join(sorted(tasks))}"
            )
        elif task is None and task_on(run, given, layout) is None:
            yield (
                f"{path}.test_on.{name}.task: missing; {name!r} has labels for "
                f"{', '.join(sorted(tasks))}"
            )


def task_on(run: Mapping[str, Any], block: Any, layout: str) -> str | None:
    """The task of other data whose labels count; None where several could be meant.

    Args:
        run: the run.
        block: of the other data under ``test_on``.
        layout: of the other data.
    """
    tasks, named = TASKS_OF[layout], as_mapping(block).get("task")
    if named is not None:
        return str(named)
    if run.get("task") in tasks:
        return str(run["task"])
    return tasks[0] if len(tasks) == 1 else None


def _known_classes(run: Mapping[str, Any]) -> KnownClasses:
    """The classes of a task of a data set, where they are known before it is read."""

    def of_entry(entry: Mapping[str, Any], block: Mapping[str, Any]) -> Sequence[str] | None:
        task = run.get("task") if block is run else task_on(run, block, entry["layout"])
        if task == OWN_TASK:
            listed = entry.get("classes")
            return listed if isinstance(listed, list) else None
        known = TASKS.get(task) if isinstance(task, str) else None
        return None if known is None else known.classes

    return of_entry


def _target_mistakes(path: str, run: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
    """Targets of a user's own data that no probe predicts."""
    layout, target, name = entry.get("layout"), entry.get("target", "class"), run.get("data")
    if not isinstance(layout, str) or layout not in LAYOUTS:
        return
    if target == "numbers":
        if run.get("method") == PRETRAINED:
            yield (
                f"{path}.method: {PRETRAINED} is scored on data with one class for each "
                f"recording; the target of {name!r} is numbers"
            )
        if run.get("protocol") == "published":
            yield (
                f"{path}.protocol: the target of {name!r} is numbers, which the published protocol "
                "does not predict; expected corrected"
            )
    elif target == "classes":
        if run.get("method") == PRETRAINED:
            yield (
                f"{path}.method: {PRETRAINED} is scored on data with one class for each recording; "
                f"the target of {name!r} is several classes"
            )
        if run.get("protocol") == "published":
            yield (
                f"{path}.protocol: the target of {name!r} is several classes, which the published "
                "protocol does not predict; expected corrected"
            )
    elif isinstance(as_mapping(entry.get("columns")).get("label"), list):
        yield f"{path}.data: {name!r} has several columns of labels; a probe reads one"

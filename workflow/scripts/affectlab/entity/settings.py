"""The entity experiment's block of the configuration: what it needs, and mistakes in it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from affectlab.config.checks import (
    OUTSIDE,
    misplaced_keys,
    outside_mistakes,
    selection_mistakes,
    training_mistakes,
)
from affectlab.config.load import as_mapping
from affectlab.config.messages import unknown_name
from affectlab.config.models import (
    AssetName,
    Bootstrap,
    Only,
    Outside,
    Run,
    RunName,
    RunNames,
    SameAs,
    Section,
    Seed,
    Share,
    Training,
    block,
)
from affectlab.config.prompts import Prompt, asks_endpoint, prompt_mistakes
from affectlab.config.registries import Registries, dataset_mistakes, model_mistakes
from affectlab.entity.layouts import LAYOUTS, TEXT_LAYOUT

MODEL_KINDS = frozenset({"text-encoder"})
PROMPTED_KINDS = frozenset({"causal-lm"})
TRAINED = Only("method", ("gbert", "vmf"))


class Gbert(Section):
    """The original's head and loss."""

    train_on: Literal["sentence", "span"] = Field(
        "sentence",
        description="sentence: train the embedding of the whole text, as the original does, and "
        "never that of the span.",
    )
    normalise_labels: bool = Field(
        False, description="Scale soft labels to a sum of 1; the original does not."
    )
    kappa_weight: float = Field(0.1, ge=0, description="Weight of the squared error of kappa.")
    auxiliary_weight: float = Field(
        0.05, ge=0, description="Weight of the divergence of the side head of the classes."
    )


class SpanAdapter(Section):
    """For a run that starts from a model of whole texts: only a small network is trained, which
    corrects what that model predicts of spans by the states of all layers of the encoder, of the
    span and of the text around it. null: everything is trained."""

    hidden: int = Field(256, ge=1, description="Width of its hidden layer.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Dropout of its inputs.")


class Weights(Section):
    """Weights of the parts of the loss."""

    cross_entropy: float = Field(1.0, ge=0, description="Soft cross-entropy of the classes.")
    contrast: float = Field(
        0.1, ge=0, description="Supervised contrast of the directions (SINCERE)."
    )
    likelihood: float = Field(
        0.02, ge=0, description="Negative log-likelihood of the class prototypes."
    )
    uniform: float = Field(0.001, ge=0, description="Divergence from the uniform distribution.")


class Vmf(Section):
    """The corrected head and loss."""

    kappa_min: float = Field(1.0, gt=0, description="Smallest concentration.")
    kappa_start: float = Field(
        42.0,
        gt=0,
        description="Mean concentration before training, larger than kappa_min; 42 is a mean "
        "cosine of 0.5.",
    )
    temperature: float = Field(0.1, gt=0, description="Temperature of the contrastive loss.")
    corrupted_share: Share = Field(
        0.5,
        description="Share of the training texts that are trained on a second time with typos or "
        "without some words, so that kappa learns what corruption costs.",
    )
    corrupted_softening: Share = Field(
        0.3,
        description="Share of the way that the labels of corrupted copies are moved towards the "
        "uniform distribution, since corruption makes them less sure.",
    )
    class_weight_cap: float | None = Field(
        None,
        ge=1,
        description="Training targets weigh by the inverse frequency of their classes, a rare "
        "class at most this many times as much as the most frequent one; null: all alike.",
    )
    span_adapter: SpanAdapter | None = Field(
        None, description=" ".join(str(SpanAdapter.__doc__).split())
    )
    weights: Weights = block()


class Stage(Section):
    """One stage."""

    data: Annotated[AssetName, SameAs("data")] = Field("", description="Name in datasets.yaml.")
    entities: int | None = Field(
        None,
        ge=1,
        description="Targets of the training split that are taken, smaller choices being part of "
        "larger ones; null: all.",
    )
    training: Training = block(head_learning_rate=1.0e-3)


class EntityRun(Run):
    """One run."""

    method: Literal["gbert", "vmf", "prompt", "predictions"] = Field(
        "vmf",
        description="gbert: the original's heads and loss; vmf: a von Mises-Fisher likelihood "
        "with a learned concentration; prompt: ask a language model as it is; predictions: score "
        "a table of predictions.",
    )
    model: Annotated[AssetName, Only("method", (*TRAINED.values, "prompt"))] = Field(
        "minilm-l6",
        description="Pretrained encoder: a name in models.yaml. For a prompt a causal-lm, and "
        "without effect where prompt.endpoint is given.",
    )
    data: AssetName = Field(
        "entity", description="Data set that the run is scored on; that of the last stage."
    )
    max_length: Annotated[int, TRAINED] = Field(
        128,
        ge=8,
        le=32768,
        description="Tokens per encoder pass; a longer text is read in windows around its spans.",
    )
    start_from: Annotated[RunName | None, TRAINED] = Field(
        None,
        description="Run whose weights of the same seed this one starts from; null: the "
        "pretrained encoder.",
    )
    gbert: Annotated[Gbert, Only("method", ("gbert",))] = block()
    vmf: Annotated[Vmf, Only("method", ("vmf",))] = block()
    stages: Annotated[list[Stage], TRAINED] = Field(
        [{}],
        validate_default=True,
        min_length=1,
        description="Trainings one after the other, each from the best weights of the one before.",
    )
    prompt: Annotated[Prompt, Only("method", ("prompt",))] = block()
    predictions: Annotated[Outside, Only("method", (OUTSIDE,))] = block()

    @property
    def model_name(self) -> str:
        """What tables call its model; the method where there is none."""
        if self.method == "prompt":
            return self.prompt.model_in_use(self.model)
        return self.model if self.method in TRAINED.values else self.method


class Split(Section):
    """How a corpus without splits of its own is split: grouped by text, stratified by non-neutral
    mass."""

    validation: float = Field(0.15, gt=0, lt=1, description="Share of the texts for validation.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the texts for the test.")
    seed: Seed = Field(
        0, description="Seed of the split, and of the order in which stages take entities."
    )


class Block(Section):
    """The entity experiment: a probabilistic emotion embedding of sentences and spans.

    `label_smoothing` is 0. A run with `vmf.span_adapter` has `start_from` and stages of spans
    alone. The run that it starts from has the same `model`, `method`, `max_length`, seeds and (with
    a `span_adapter`) `kappa_min`, and starts from none itself. The last stage trains on the `data`
    of the run.
    """

    selected: RunNames = Field(
        [],
        min_length=1,
        description="Runs that are carried out, and with them those that they start from.",
    )
    bootstrap: Bootstrap = block()
    split: Split = block()
    corruption_seed: Seed = Field(
        0,
        description="Seed of the typos and left-out words that the test split is corrupted with.",
    )
    runs: dict[RunName, EntityRun] = Field(
        {}, min_length=1, description="Name of a run -> its recipe."
    )


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    runs = as_mapping(block.get("runs"))
    for name, run in runs.items():
        yield from _run_mistakes(f"entity.runs.{name}", as_mapping(run), runs, registries)
    yield from selection_mistakes("entity", block)
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
        if origin := block["runs"][name].get("start_from"):
            names[origin] = None
        names[name] = None
    return {name: block["runs"][name] for name in names}


def stage_data(run: Mapping[str, Any]) -> list[str]:
    """Names of the data sets that a run trains on or is scored on, sorted."""
    # A run that scores a table has no stages.
    return sorted({run["data"], *(stage["data"] for stage in run.get("stages", ()))})


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    datasets = {name for run in runs for name in stage_data(run)}
    return datasets, {run["model"] for run in runs if "model" in run and not asks_endpoint(run)}


def _run_mistakes(
    path: str, run: Mapping[str, Any], runs: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    yield from misplaced_keys(path, EntityRun, run)
    if "model" in run and not asks_endpoint(run):
        kinds = PROMPTED_KINDS if run.get("method") == "prompt" else MODEL_KINDS
        yield from model_mistakes(f"{path}.model", run["model"], registries, kinds)
    yield from outside_mistakes(path, run)
    yield from prompt_mistakes(path, run)
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
        yield from _origin_mistakes(path, run, origin, runs, registries)


def _origin_mistakes(
    path: str,
    run: Mapping[str, Any],
    origin: str,
    runs: Mapping[str, Any],
    registries: Registries,
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
    if _has_seen_folds(run.get("data"), other, registries):
        yield (
            f"{path}.start_from: {origin!r} trains on all folds of {run['data']!r}, because it is "
            f"scored on {other.get('data')!r}; give it the same data"
        )
    own, theirs = run.get("seeds"), other.get("seeds")
    if isinstance(own, list) and isinstance(theirs, list):
        for seed in own:
            if seed not in theirs:
                yield f"{path}.seeds: {origin!r}, which it starts from, has no seed {seed}"


def _has_seen_folds(name: Any, origin: Mapping[str, Any], registries: Registries) -> bool:
    """Whether a run to start from has trained on data *name* without leaving a fold out."""
    entry = as_mapping(registries.datasets.get(name)) if isinstance(name, str) else {}
    if "folds" not in as_mapping(entry.get("split")) or origin.get("data") == name:
        return False
    stages = origin.get("stages")
    stages = [as_mapping(stage) for stage in stages] if isinstance(stages, list) else []
    return any(stage.get("data") == name for stage in stages)

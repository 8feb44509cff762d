"""The face experiment's block of the configuration: what it needs, and mistakes in it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from affectlab.config.checks import (
    OUTSIDE,
    WITHOUT_TOKENS,
    fixed_mistakes,
    misplaced_keys,
    outside_export_mistakes,
    outside_mistakes,
    selection_mistakes,
    training_mistakes,
)
from affectlab.config.load import as_mapping, as_names
from affectlab.config.models import (
    DIFFERENT,
    Bootstrap,
    NotHandedOn,
    Only,
    Outside,
    Run,
    RunName,
    RunNames,
    Section,
    Seed,
    Share,
    Text,
    Training,
    block,
)
from affectlab.config.other_data import TEST_ON, TestOn, other_data_mistakes, stated_classes
from affectlab.config.pretrained import PRETRAINED, Pretrained, pretrained_mistakes
from affectlab.config.registries import (
    Registries,
    dataset_mistakes,
    export_mistakes,
    model_mistakes,
)

PUBLISHED_LAYOUT = "fer2013"
OWN_LAYOUT = "image_folder"
IMAGE_LAYOUTS = frozenset({PUBLISHED_LAYOUT, OWN_LAYOUT})
VOTES_LAYOUTS = frozenset({"ferplus"})
LAYOUTS = IMAGE_LAYOUTS | VOTES_LAYOUTS
MODEL_KINDS = frozenset({"image-encoder"})
COMPACT = Only("method", ("compact",))
WITH_MODEL = Only("method", ("backbone", PRETRAINED))
NETWORKS = Only("method", ("compact", "backbone"))
Positive = Annotated[int, Field(ge=1)]


class Network(Section):
    """The network."""

    widths: Annotated[list[Positive], COMPACT] = Field(
        [32, 64, 176],
        min_length=1,
        description="compact: channels of each stage; each stage but the first halves the size.",
    )
    depths: Annotated[list[Positive], COMPACT] = Field(
        [1, 2, 2], min_length=1, description="compact: residual blocks of each stage."
    )
    image_size: Annotated[int, Only("method", ("backbone",))] = Field(
        224,
        ge=16,
        le=4096,
        description="backbone: side that images are enlarged to, in pixels.",
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="Share of the features that is dropped in training."
    )


class Augmentation(Section):
    """Random changes of training images."""

    shift: Share = Field(0.0, description="Largest shift, as a share of the side.")
    rotation: float = Field(0.0, ge=0, le=180, description="Largest turn, in degrees.")
    scale: Share = Field(0.0, description="Largest change of size, as a share (on a log scale).")
    light: Share = Field(
        0.0, description="Largest change of contrast (log scale); half of it for brightness."
    )
    flip: Share = Field(0.0, description="Chance of the mirror image.")
    erasing: Share = Field(0.0, description="Chance that a rectangle is covered.")
    mixup: Share = Field(0.0, description="Chance that a batch is blended with itself, shuffled.")
    cutmix: Share = Field(
        0.0, description="Chance that rectangles of the shuffled batch are pasted in."
    )
    alpha: float = Field(
        1.0, gt=0, description="Both parameters of the Beta distribution of the blend's weight."
    )


class Loss(Section):
    """What is minimised besides cross-entropy."""

    votes_weight: Share = Field(
        0.0,
        description="Share of each class target that follows the FER+ votes instead of the label.",
    )
    affect_weight: float = Field(
        0.1, ge=0, description="Weight of the squared errors of valence and arousal."
    )
    proxy_weight: float = Field(
        0.05, ge=0, description="Weight of the absolute errors of the two proxies."
    )


class FaceRun(Run):
    """One run."""

    method: Literal["compact", "backbone", "predictions", "pretrained"] = Field(
        "compact",
        description="compact: our own small network; backbone: an image network of transformers; "
        "predictions: score a table of predictions; pretrained: score an image classifier as it "
        "is.",
    )
    model: Annotated[Text, WITH_MODEL] = Field("resnet-18", description="Name in models.yaml.")
    data: Text = Field("fer2013", description="Name in datasets.yaml.")
    train_on: Annotated[list[Literal["train", "validation", "test"]], *DIFFERENT] = Field(
        ["train"],
        min_length=1,
        description="Splits that are trained on; the published run takes all of them.",
    )
    select_on: Annotated[Literal["validation", None], NETWORKS] = Field(
        "validation",
        description="Split whose accuracy decides which weights are kept; null: the last ones are.",
    )
    test_time: Annotated[Literal["none", "flip", "ten_crop"], NETWORKS] = Field(
        "none",
        description="What of an image the network is shown: the image; its mirror image too; or "
        "five crops, each with its mirror image.",
    )
    network: Annotated[Network, NETWORKS] = block()
    augmentation: Annotated[Augmentation, NETWORKS] = block()
    loss: Annotated[Loss, NETWORKS] = block()
    training: Annotated[Training, NETWORKS] = block()
    predictions: Annotated[Outside, Only("method", (OUTSIDE,))] = block()
    test_on: Annotated[TestOn, NETWORKS, NotHandedOn()] = TEST_ON
    pretrained: Annotated[Pretrained, Only("method", (PRETRAINED,))] = block()

    @property
    def model_name(self) -> str:
        """The pretrained model; the method where there is none."""
        return self.model if self.method in WITH_MODEL.values else self.method


class Labels(Section):
    """How the proxy labels are made."""

    formulas: Literal["original_code", "documented_weights"] = Field(
        "original_code",
        description="As the original program computed them, or as its description weighs them.",
    )
    affect: Literal["auto", "metadata", "votes", "circumplex"] = Field(
        "auto",
        description="Where valence and arousal come from: the corpus, FER+ votes, the label's "
        "coordinates; auto: the first of these there is.",
    )
    max_missing_share: Share = Field(
        0.05,
        description="Share of images that may lack emotion, valence or arousal before the check "
        "fails.",
    )


class BlurTest(Section):
    """The same faces with worse pictures."""

    images: int = Field(500, ge=50, description="Faces that are drawn from the result split.")
    seed: Seed = Field(0, description="Seed of the draw.")


class Block(Section):
    """The face experiment: classes of face images; of FER2013 the proxies called IQ and EQ, too.

    `training` has `token_budget` null, `gradient_checkpointing` and `sparse_embeddings` false. A
    `corrected` run is trained neither on `face.result_split` nor on the split in `select_on`.
    `mixup` and `cutmix` are together at most 1. Without `select_on`, `early_stopping_patience` is
    null.
    """

    selected: RunNames = Field([], min_length=1, description="Runs that are carried out.")
    export: RunNames = Field(
        [],
        description="Runs whose first seed is exported to ONNX and int8, if they are carried out.",
    )
    result_split: Literal["validation", "test"] = Field(
        "test",
        description="Split whose scores are the result. The official one is test (PrivateTest); "
        "validation is for copies of the data without it, and then also chose the weights.",
    )
    votes: dict[str, Text | None] = Field(
        {}, description="Data set -> data set with its FER+ votes; null, or not named: it has none."
    )
    labels: Labels = block()
    blur_test: BlurTest = block()
    bootstrap: Bootstrap = block()
    runs: dict[RunName, FaceRun] = Field({}, min_length=1, description="Recipes by name.")


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    runs = as_mapping(block.get("runs"))
    votes = as_mapping(block.get("votes"))
    for name, run in runs.items():
        path = f"face.runs.{name}"
        yield from _run_mistakes(path, as_mapping(run), votes, registries)
        yield from _leaks(path, as_mapping(run), block.get("result_split"))
        yield from _own_data_mistakes(path, as_mapping(run), block.get("result_split"), registries)
    yield from selection_mistakes("face", block)
    yield from export_mistakes("face", block, registries)
    yield from outside_export_mistakes("face", block)
    for data, source in votes.items():
        path = f"face.votes.{data}"
        yield from dataset_mistakes(path, data, registries, {PUBLISHED_LAYOUT})
        if source is not None:
            yield from dataset_mistakes(path, source, registries, VOTES_LAYOUTS)


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out."""
    return {name: block["runs"][name] for name in block["selected"]}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    datasets = {name for run in runs for name in (run["data"], *run.get("test_on", ()))}
    datasets |= {votes for name in datasets if (votes := block["votes"].get(name))}
    return datasets, {run["model"] for run in runs if "model" in run}


def _run_mistakes(
    path: str, run: Mapping[str, Any], votes: Mapping[str, Any], registries: Registries
) -> Iterator[str]:
    yield from misplaced_keys(path, FaceRun, run)
    yield from outside_mistakes(path, run)
    yield from other_data_mistakes(
        path, run, registries, IMAGE_LAYOUTS, lambda entry, _: stated_classes(entry)
    )
    yield from pretrained_mistakes(path, run)
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
        kinds = {"image-classifier"} if run.get("method") == PRETRAINED else MODEL_KINDS
        yield from model_mistakes(f"{path}.model", run["model"], registries, kinds)
    yield from dataset_mistakes(f"{path}.data", run.get("data"), registries, IMAGE_LAYOUTS)
    network = as_mapping(run.get("network"))
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


def _own_data_mistakes(
    path: str, run: Mapping[str, Any], result_split: Any, registries: Registries
) -> Iterator[str]:
    """Report what an entry asks for that its layout, or this experiment, does not have."""
    data = run.get("data")
    entry = as_mapping(registries.datasets.get(str(data)))
    if entry.get("layout") == PUBLISHED_LAYOUT:
        for key in ("image", "split", "columns", "classes"):
            if key in entry:
                yield (
                    f"{path}.data: {data!r} has the layout {PUBLISHED_LAYOUT}, where {key} is "
                    f"fixed; leave it out, or use the layout {OWN_LAYOUT}"
                )
    if entry.get("target", "class") != "class":
        yield (
            f"{path}.data: {data!r} has the target {entry['target']}, expected class; valence and "
            "arousal beside a class need no target"
        )
    if "folds" in as_mapping(entry.get("split")) and result_split == "validation":
        yield (
            f"{path}.data: {data!r} is cross-validated, so face.result_split cannot be validation; "
            "expected test"
        )


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

"""The emotion experiment's block of the configuration: what it needs, and mistakes in it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from affectlab.config.checks import (
    OUTSIDE,
    WITHOUT_TRAINING,
    misplaced_keys,
    outside_mistakes,
    selection_mistakes,
    training_mistakes,
)
from affectlab.config.load import as_mapping, as_names
from affectlab.config.messages import unknown_name
from affectlab.config.models import (
    AssetName,
    Bootstrap,
    Lora,
    NotHandedOn,
    Only,
    Outside,
    Run,
    RunName,
    RunNames,
    Section,
    Seed,
    Training,
    block,
)
from affectlab.config.other_data import TEST_ON, TestOn, other_data_mistakes, stated_classes
from affectlab.config.pretrained import PRETRAINED, Pretrained, pretrained_mistakes
from affectlab.config.prompts import Prompt, asks_endpoint, prompt_mistakes
from affectlab.config.registries import (
    Registries,
    dataset_mistakes,
    export_mistakes,
    model_mistakes,
)

LAYOUTS = frozenset({"emotion", "table"})
MODEL_KINDS = frozenset({"text-encoder", "causal-lm"})
KINDS_OF = {"prompt": frozenset({"causal-lm"}), PRETRAINED: frozenset({"text-classifier"})}
"""Method -> kinds of models, where it is not `MODEL_KINDS`."""

NETWORKS = Only("method", ("full", "lora"))


class Tfidf(Section):
    """TF-IDF and multinomial logistic regression."""

    ngram_range: list[Annotated[int, Field(ge=1, le=5)]] = Field(
        [1, 1], min_length=2, max_length=2, description="Shortest and longest word n-gram."
    )
    min_df: int = Field(2, ge=1, description="Texts that an n-gram must occur in.")
    sublinear_tf: bool = Field(True, description="Use 1 + log(count) instead of the count.")
    C: float = Field(3.0, gt=0, description="Inverse strength of the L2 penalty.")
    class_weight: Literal["balanced", None] = Field(
        "balanced", description="Weigh each class by the inverse of its frequency, or not."
    )


class EmotionRun(Run):
    """One run: data, model and recipe."""

    method: Literal["full", "lora", "tfidf", "prompt", "predictions", "pretrained"] = Field(
        "full",
        description="full: fine-tune every weight; lora: train low-rank adapters; tfidf: word "
        "counts and logistic regression; prompt: ask a language model as it is; predictions: "
        "score a table of predictions; pretrained: score a text classifier as it is.",
    )
    model: Annotated[AssetName, Only("method", ("full", "lora", "prompt", PRETRAINED))] = Field(
        "minilm-l6",
        description="Name in models.yaml; for a prompt a causal-lm, and without effect where "
        "prompt.endpoint is given; for pretrained a text-classifier.",
    )
    data: AssetName = Field("emotion", description="Name in datasets.yaml.")
    max_length: Annotated[int, NETWORKS] = Field(
        128, ge=8, le=32768, description="Tokens after which a text is cut."
    )
    padding: Annotated[Literal["dynamic", "max_length"], NETWORKS] = Field(
        "dynamic",
        description="dynamic: to the longest of the batch; max_length: always to max_length.",
    )
    lora: Annotated[Lora, Only("method", ("lora",))] = block()
    training: Annotated[Training, NETWORKS] = block()
    tfidf: Annotated[Tfidf, Only("method", ("tfidf",))] = block()
    prompt: Annotated[Prompt, Only("method", ("prompt",))] = block()
    predictions: Annotated[Outside, Only("method", ("predictions",))] = block()
    test_on: Annotated[TestOn, Only("method", ("full", "lora", "tfidf")), NotHandedOn()] = TEST_ON
    pretrained: Annotated[Pretrained, Only("method", (PRETRAINED,))] = block()

    @property
    def model_name(self) -> str:
        """What tables call its model: a pretrained one, or the method."""
        if self.method == "prompt":
            return self.prompt.model_in_use(self.model)
        return self.model if self.is_network or self.method == PRETRAINED else self.method

    @property
    def is_network(self) -> bool:
        """Whether it fine-tunes a pretrained network."""
        return self.method in NETWORKS.values


class LabelNoise(Section):
    """Search for wrong labels by confident learning, in every data set that a run is on."""

    folds: int = Field(5, ge=2, le=50, description="Folds of the out-of-fold probabilities.")
    seed: Seed = Field(0, description="Seed of the folds.")


class Block(Section):
    """The emotion experiment: one class or several of each text, or numbers such as valence."""

    selected: RunNames = Field([], min_length=1, description="Runs that are carried out.")
    baseline: RunName | None = Field(
        None,
        description="Run that every other on the same data is compared with. Null, or one on other "
        "data than the selected runs: the first selected run of method tfidf.",
    )
    export: RunNames = Field(
        [],
        description="Runs whose first seed is exported to ONNX and int8, if they are carried out.",
    )
    bootstrap: Bootstrap = block()
    label_noise: LabelNoise = block()
    runs: dict[RunName, EmotionRun] = Field(
        {}, min_length=1, description="Name of a run -> its recipe."
    )


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    runs = as_mapping(block.get("runs"))
    for name, run in runs.items():
        yield from _run_mistakes(f"emotion.runs.{name}", as_mapping(run), registries)
    yield from selection_mistakes("emotion", block)
    if block.get("baseline") is not None:
        yield from unknown_name("emotion.baseline", block["baseline"], runs, "run")
    yield from export_mistakes("emotion", block, registries)
    for position, name in enumerate(as_names(block.get("export"))):
        run = as_mapping(runs.get(name))
        if run.get("method") not in NETWORKS.values:
            yield (
                f"emotion.export.{position}: the run {name!r} is no network; only a network "
                "can be exported"
            )
        elif _target_of(run, registries) == "numbers":
            yield (
                f"emotion.export.{position}: the run {name!r} predicts numbers; only networks for "
                "classes can be exported"
            )


def baseline_in_use(block: Mapping[str, Any]) -> str | None:
    """The run that others are compared with; None if no selected run can be it."""
    runs, selected, named = block["runs"], block["selected"], block["baseline"]
    if named is not None and runs[named]["data"] in {runs[name]["data"] for name in selected}:
        return str(named)
    return next((name for name in selected if runs[name]["method"] == "tfidf"), None)


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out, the baseline among them."""
    baseline = baseline_in_use(block)
    names = dict.fromkeys([*block["selected"], *([] if baseline is None else [baseline])])
    return {name: block["runs"][name] for name in names}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    datasets = {name for run in runs for name in (run["data"], *run.get("test_on", ()))}
    return datasets, {run["model"] for run in runs if "model" in run and not asks_endpoint(run)}


def _run_mistakes(path: str, run: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    yield from misplaced_keys(path, EmotionRun, run)
    yield from training_mistakes(f"{path}.training", run.get("training"))
    if "model" in run and not asks_endpoint(run):
        kinds = KINDS_OF.get(str(run.get("method")), MODEL_KINDS)
        yield from model_mistakes(f"{path}.model", run["model"], registries, kinds)
    yield from dataset_mistakes(f"{path}.data", run.get("data"), registries, LAYOUTS)
    method = run.get("method")
    needs_class = method in WITHOUT_TRAINING and method != OUTSIDE
    if needs_class and _target_of(run, registries) not in (None, "class"):
        yield (
            f"{path}.method: {method} needs data with one class for each text; the target of "
            f"{run['data']!r} is {_target_of(run, registries)}"
        )
    yield from outside_mistakes(path, run)
    yield from prompt_mistakes(path, run)
    yield from other_data_mistakes(
        path, run, registries, LAYOUTS, lambda entry, _: stated_classes(entry)
    )
    yield from pretrained_mistakes(path, run)
    yield from _ngram_mistakes(path, run)


def _target_of(run: Mapping[str, Any], registries: Registries) -> Any:
    """What is predicted on the data of a run; None where the entry leaves it open."""
    return as_mapping(registries.datasets.get(str(run.get("data")))).get("target")


def _ngram_mistakes(path: str, run: Mapping[str, Any]) -> Iterator[str]:
    """The shortest of the word groups must not be longer than the longest."""
    sizes = as_mapping(run.get("tfidf")).get("ngram_range")
    numbers = [size for size in sizes if isinstance(size, int)] if isinstance(sizes, list) else []
    if numbers != sorted(numbers):
        yield f"{path}.tfidf.ngram_range: the first must not be larger, found {sizes}"

"""The summary experiment's block of the configuration: what it needs, and mistakes in it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from affectlab.config.checks import (
    OUTSIDE,
    fixed_mistakes,
    misplaced_keys,
    outside_mistakes,
    selection_mistakes,
    training_mistakes,
)
from affectlab.config.load import as_mapping, as_names
from affectlab.config.messages import unknown_name
from affectlab.config.models import (
    DIFFERENT,
    AssetName,
    Bootstrap,
    Lora,
    Only,
    Outside,
    Precision,
    Run,
    RunName,
    RunNames,
    Section,
    Seed,
    Seeds,
    Text,
    Training,
    block,
)
from affectlab.config.prompts import ChatEndpoint, address_mistakes, template_mistakes
from affectlab.config.registries import Registries, dataset_mistakes, model_mistakes
from affectlab.summary.methods import (
    BASELINE_METHODS,
    MODEL_METHODS,
    OWN_LAYOUT,
    RESERVED,
    TRAINED_METHODS,
)

LAYOUTS = frozenset({"longemotion", "psyqa", OWN_LAYOUT})

PROMPTED = Only("method", MODEL_METHODS)
TRAINED = Only("method", TRAINED_METHODS)
MODEL_KINDS = frozenset({"causal-lm"})
SCORING_KINDS = frozenset({"text-encoder"})
SCORING_MODELS = ("bertscore_model", "nli_model")

# What adapters that act on the answer alone need of the run's other keys.
ANSWER_SCOPE = {"loss": "answer", "packing": True, "merge": False}

# What the common training block has to hold for a language model, whose head is its own.
FIXED = {"head_learning_rate": None, "label_smoothing": 0, "sparse_embeddings": False}


class Generation(Section):
    """How answers are generated."""

    sample: bool = Field(
        False,
        description="false: always the likeliest token (deterministic); true: sample with the "
        "three settings below.",
    )
    temperature: float = Field(
        1.0,
        gt=0,
        description="Softens (above 1) or sharpens the probabilities that are sampled from.",
    )
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Sample from the likeliest tokens that together have this probability.",
    )
    top_k: int = Field(50, ge=1, description="Sample from this many of the likeliest tokens.")
    repetition_penalty: float = Field(
        1.0, ge=1, description="Divides the scores of tokens that have occurred; 1: none."
    )
    batch_tokens: int = Field(32768, ge=1, description="Prompt tokens per batch, padding included.")
    precision: Precision = Field(
        "auto", description="auto: bf16 where the hardware gains by it, else fp32."
    )
    decoding: Literal["repaired", "constrained"] = Field(
        "repaired",
        description="repaired: the model writes freely, and fields are looked for in an answer "
        "that is not the JSON asked for; constrained: it can write nothing but that JSON, each "
        "field at most its share of max_answer_tokens (no effect on the reflection task).",
    )


class SummaryRun(Run):
    """One run: data, method and recipe."""

    method: Literal[
        "lora", "qlora", "prompt", "lead", "tail", "textrank", "template", "nearest", "predictions"
    ] = Field(
        "lora",
        description="lora: train low-rank adapters; qlora: the same on 4-bit weights; prompt: the "
        "model as it is; the others need no model: beginning of the case, end of the reflection, "
        "central sentences, one answer for all, references of the most similar training case; "
        "predictions: score a table of summaries.",
    )
    data: AssetName = Field("longemotion", description="Name in datasets.yaml.")
    fold: int | None = Field(
        None,
        ge=0,
        description="Fold of the cross-validation that is the test split; null: the fixed split.",
    )
    seeds: Seeds = Field([42], description="One training and generation per seed.")
    model: Annotated[AssetName, PROMPTED] = Field(
        "smollm2-135m", description="Name in models.yaml; a chat model."
    )
    prompt: Annotated[Literal["v1"], PROMPTED] = Field(
        "v1", description="Version of the prompt templates."
    )
    # What rules and stored models hold under this name is the text of the file.
    prompt_template: Annotated[Text | None, PROMPTED] = Field(
        None,
        description="File with a prompt of your own, from the folder in which you start Snakemake: "
        "{text} stands for the text, {field} for the names of the fields; null: the shipped one.",
    )
    max_length: Annotated[int, PROMPTED] = Field(
        8192,
        ge=256,
        le=131072,
        description="Tokens of prompt and answer together, and of a packed row.",
    )
    max_answer_tokens: Annotated[int, PROMPTED] = Field(
        512, ge=1, description="Tokens after which an answer ends."
    )
    long_input: Annotated[Literal["head_tail", "map_reduce"], PROMPTED] = Field(
        "head_tail",
        description="What becomes of a case that is too long: head_tail cuts out its middle; "
        "map_reduce has the model take notes of its parts first (when generating; training cuts).",
    )
    loss: Annotated[Literal["answer", "all"], TRAINED] = Field(
        "answer", description="Tokens that the loss covers: the answer's, or the prompt's as well."
    )
    adapter_scope: Annotated[Literal["all", "answer"], TRAINED] = Field(
        "all",
        description="Tokens that the adapters act on: all, or the answer's and those that open it. "
        "The states of a prompt then do not depend on the adapters: they are computed once, not in "
        "every epoch, and kept on disk while the run is trained.",
    )
    packing: Annotated[bool, TRAINED] = Field(
        True,
        description="true: several cases in one row, none of which sees another; false: one case a "
        "row, padded to max_length.",
    )
    select_by: Annotated[Literal["loss", "rouge_l"], TRAINED] = Field(
        "loss",
        description="What decides which weights are kept, on held-out cases: the loss per token of "
        "the answers, or ROUGE-L of answers that are written at each evaluation as after training. "
        "With rouge_l the history has their ROUGE and the share in the form asked for.",
    )
    merge: Annotated[bool, TRAINED] = Field(
        False, description="Store the model with its adapter folded in, next to the adapter."
    )
    lora: Annotated[Lora, TRAINED] = block()
    training: Annotated[Training, TRAINED] = block()
    generation: Annotated[Generation, PROMPTED] = block()
    predictions: Annotated[Outside, Only("method", (OUTSIDE,))] = block()

    @property
    def has_model(self) -> bool:
        """Whether a language model writes the answers."""
        return self.method in MODEL_METHODS

    @property
    def is_four_bit(self) -> bool:
        """Whether the weights that the adapters belong to are held in 4 bits."""
        return self.method == "qlora"

    @property
    def prompt_tokens(self) -> int:
        """Tokens that a prompt can have: what the longest answer leaves of ``max_length``."""
        return self.max_length - self.max_answer_tokens


class Split(Section):
    """How cases without a published split are divided."""

    validation: float = Field(
        0.1, gt=0, lt=1, description="Share of the cases that chooses the weights."
    )
    test: float = Field(0.2, gt=0, lt=1, description="Share of the cases that is scored.")
    folds: int = Field(5, ge=3, le=50, description="Folds of the cross-validation.")
    seed: Seed = Field(42, description="Seed of splits and folds.")


class Judge(ChatEndpoint):
    """Judge of the summaries behind an OpenAI-compatible endpoint; null: none."""

    price_per_million_tokens: float | None = Field(
        None, ge=0, description="For the costs in the record; null: not known."
    )


class Block(Section):
    """The summary experiment: summaries of cases.

    `training` has `head_learning_rate` null, `label_smoothing` 0 and `sparse_embeddings` false.
    `adapter_scope: answer` needs `loss: answer`, `packing: true` and `merge: false`. `qlora` needs
    `merge: false` too: its scores are those of 4-bit weights with adapters, and a merged model
    would be another one.
    """

    selected: RunNames = Field([], min_length=1, description="Runs that are carried out.")
    baseline: RunName = Field(
        "tail",
        description="Run that every other run on the same cases is compared with. One on other "
        "data than the selected runs: the first selected run without a model, if there is one.",
    )
    bootstrap: Bootstrap = block()
    split: Split = block()
    cross_validation: dict[
        RunName, Annotated[list[RunName], *DIFFERENT, Field(min_length=3, description="The runs.")]
    ] = Field(
        {},
        description="Name -> runs that differ in their fold alone, one for each fold: their "
        "answers are scored together, over all cases.",
    )
    judge: Judge | None = Field(None, description=str(Judge.__doc__))
    bertscore_model: AssetName | None = Field(
        None, description="Text encoder of models.yaml for BERTScore; null: none."
    )
    nli_model: AssetName | None = Field(
        None,
        description="Classifier of models.yaml with a class of entailment, which tells whether "
        "the case supports a summary's sentences; null: none.",
    )
    runs: dict[RunName, SummaryRun] = Field(
        {}, min_length=1, description="Name of a run -> its recipe."
    )


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    runs = as_mapping(block.get("runs"))
    folds = as_mapping(block.get("split")).get("folds")
    for name, run in runs.items():
        yield from _run_mistakes(f"summary.runs.{name}", as_mapping(run), folds, registries)
    yield from selection_mistakes("summary", block)
    yield from unknown_name("summary.baseline", block.get("baseline"), runs, "run")
    for key in SCORING_MODELS:
        yield from model_mistakes(f"summary.{key}", block.get(key), registries, SCORING_KINDS)
    for name, members in as_mapping(block.get("cross_validation")).items():
        yield from _pool_mistakes(f"summary.cross_validation.{name}", as_names(members), block)
    yield from address_mistakes("summary.judge", block.get("judge"))
    split = as_mapping(block.get("split"))
    shares = [split.get(name) for name in ("validation", "test")]
    if sum(share for share in shares if isinstance(share, float)) >= 1:
        yield "summary.split: validation and test leave nothing to train on"


def baseline_in_use(block: Mapping[str, Any]) -> str:
    """The run that others are compared with.

    It is the configured one if that is on data of a selected run, else the first selected run
    without a model, else the first one on a table of summaries; without such a run the configured
    one after all.
    """
    runs, selected, named = block["runs"], block["selected"], str(block["baseline"])
    if runs[named]["data"] in {runs[name]["data"] for name in selected}:
        return named
    for methods in (BASELINE_METHODS, (OUTSIDE,)):
        if plain := [name for name in selected if runs[name]["method"] in methods]:
            return plain[0]
    return named


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out, the baseline among them."""
    names = dict.fromkeys([*block["selected"], baseline_in_use(block)])
    return {name: block["runs"][name] for name in names}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    models = {run["model"] for run in runs if "model" in run}
    models |= {block[key] for key in SCORING_MODELS if block[key] is not None}
    return {run["data"] for run in runs}, models


def _pool_mistakes(path: str, members: Sequence[str], block: Mapping[str, Any]) -> Iterator[str]:
    """Runs that are scored together: one recipe, every fold once."""
    runs = as_mapping(block.get("runs"))
    for position, name in enumerate(members):
        yield from unknown_name(
            f"{path}.{position}", name, as_names(block.get("selected")), "selected run"
        )
    recipes = [as_mapping(runs.get(name)) for name in members]
    folds = as_mapping(block.get("split")).get("folds")
    found = [recipe.get("fold") for recipe in recipes]
    if isinstance(folds, int) and sorted(map(str, found)) != sorted(map(str, range(folds))):
        yield f"{path}: expected a run for each fold from 0 to {folds - 1}, found folds {found}"
    first = {key: value for key, value in recipes[0].items() if key != "fold"} if recipes else {}
    for name, recipe in zip(members, recipes, strict=True):
        if differing := [key for key in first if recipe.get(key) != first[key]]:
            yield f"{path}: {name} differs from {members[0]} in {' and '.join(differing)}"


def _run_mistakes(
    path: str, run: Mapping[str, Any], folds: Any, registries: Registries
) -> Iterator[str]:
    yield from misplaced_keys(path, SummaryRun, run)
    yield from outside_mistakes(path, run)
    if as_mapping(run.get(OUTSIDE)).get("allow_missing") is True:
        yield f"{path}.{OUTSIDE}.allow_missing: every case needs a summary; expected false"
    yield from training_mistakes(f"{path}.training", run.get("training"))
    if "model" in run:
        yield from model_mistakes(f"{path}.model", run["model"], registries, MODEL_KINDS)
    yield from dataset_mistakes(f"{path}.data", run.get("data"), registries, LAYOUTS)
    yield from fixed_mistakes(f"{path}.training", run.get("training"), FIXED, "a language model")
    if run.get("adapter_scope") == "answer":
        for name, needed in ANSWER_SCOPE.items():
            if run.get(name, needed) != needed:
                yield f"{path}.{name}: adapter_scope answer needs {str(needed).lower()}"
    if run.get("method") == "qlora" and run.get("merge") is True:
        yield (
            f"{path}.merge: method qlora needs false: the run's scores are those of 4-bit weights "
            "with adapters, and a merged model, whose weights are whole, would be another one"
        )
    longest, answer = run.get("max_length"), run.get("max_answer_tokens")
    if isinstance(longest, int) and isinstance(answer, int) and 2 * answer > longest:
        yield (
            f"{path}.max_answer_tokens: {answer} is more than half of max_length ({longest}), "
            "which holds the case as well"
        )
    fold = run.get("fold")
    if isinstance(fold, int) and isinstance(folds, int) and fold >= folds:
        yield f"{path}.fold: summary.split.folds is {folds}, so the last fold is {folds - 1}"
    entry = as_mapping(registries.datasets.get(str(run.get("data"))))
    if fold is not None and entry.get("layout") == OWN_LAYOUT:
        yield (
            f"{path}.fold: data of the layout {OWN_LAYOUT} are divided by their entry; state "
            f"datasets.{run.get('data')}.split.folds, and leave this key out"
        )
    if taken := [name for name in as_names(entry.get("fields")) if name in RESERVED]:
        yield (
            f"{path}.data: a field of {run.get('data')} is called {taken[0]!r}, which stands for "
            "something else; choose another name, and map it to the column under columns"
        )
    own_folds = as_mapping(entry.get("split")).get("folds")
    if entry.get("layout") == OWN_LAYOUT and own_folds == 2:
        yield (
            f"{path}.data: of two folds one is scored and one chooses the weights, so nothing is "
            f"left to train on; datasets.{run.get('data')}.split.folds needs at least 3"
        )
    yield from template_mistakes(f"{path}.prompt_template", run.get("prompt_template"))
    # Only trained runs have a training block.
    chooses_weights = "training" in run and run.get("protocol") == "corrected"
    if chooses_weights and fold is None and entry.get("layout") == "psyqa":
        yield (
            f"{path}.fold: PsyQA's published split has no validation cases, so the weights would "
            "be chosen by the test split; a run of the corrected protocol needs a fold"
        )

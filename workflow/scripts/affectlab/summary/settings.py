"""The summary experiment's block of the configuration: what it needs, and mistakes in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from affectlab.config.load import (
    Registries,
    as_mapping,
    as_names,
    block_mistakes,
    dataset_mistakes,
    fixed_mistakes,
    model_mistakes,
    training_mistakes,
    unknown_name,
)
from affectlab.files.urls import redact

LAYOUTS = frozenset({"longemotion", "psyqa"})

PROMPTED = {"model", "prompt", "max_length", "max_answer_tokens", "long_input", "generation"}
TRAINED = PROMPTED | {
    "loss",
    "adapter_scope",
    "packing",
    "select_by",
    "merge",
    "lora",
    "training",
}
BASELINE_METHODS = ("lead", "tail", "textrank", "template", "nearest")
# A model that is not trained has a random part only if its answers are sampled.
UNTRAINED = (*BASELINE_METHODS, "prompt")

MODEL_KINDS = frozenset({"causal-lm"})
SCORING_KINDS = frozenset({"text-encoder"})
SCORING_MODELS = ("bertscore_model", "nli_model")

# The keys that a run of each method has beside protocol, method, data, fold and seeds.
METHOD_BLOCKS = {
    "lora": TRAINED,
    "qlora": TRAINED,
    "prompt": PROMPTED,
    **{method: set() for method in BASELINE_METHODS},
}

# What adapters that act on the answer alone need of the run's other keys.
ANSWER_SCOPE = {"loss": "answer", "packing": True, "merge": False}

# What the common training block has to hold for a language model, whose head is its own.
FIXED = {"head_learning_rate": None, "label_smoothing": 0, "sparse_embeddings": False}


def mistakes(block: Mapping[str, Any], registries: Registries) -> Iterator[str]:
    """See `affectlab.experiments.Settings`."""
    runs = as_mapping(block.get("runs"))
    folds = as_mapping(block.get("split")).get("folds")
    for name, run in runs.items():
        yield from _run_mistakes(f"summary.runs.{name}", as_mapping(run), folds, registries)
    for position, name in enumerate(as_names(block.get("selected"))):
        yield from unknown_name(f"summary.selected.{position}", name, runs, "run")
    yield from unknown_name("summary.baseline", block.get("baseline"), runs, "run")
    for key in SCORING_MODELS:
        yield from model_mistakes(f"summary.{key}", block.get(key), registries, SCORING_KINDS)
    for name, members in as_mapping(block.get("cross_validation")).items():
        yield from _pool_mistakes(f"summary.cross_validation.{name}", as_names(members), block)
    address = as_mapping(block.get("judge")).get("base_url")
    if isinstance(address, str) and redact(address) != address:
        yield (
            f"summary.judge.base_url: {redact(address)} holds a password or key, which results and "
            "logs would show; name an environment variable in summary.judge.api_key_variable"
        )
    split = as_mapping(block.get("split"))
    shares = [split.get(name) for name in ("validation", "test")]
    if sum(share for share in shares if isinstance(share, float)) >= 1:
        yield "summary.split: validation and test leave nothing to train on"


def selected_runs(block: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> recipe of the runs that are carried out, the baseline among them."""
    names = dict.fromkeys([*block["selected"], block["baseline"]])
    return {name: block["runs"][name] for name in names}


def needed_assets(block: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """See `affectlab.experiments.Settings`."""
    runs = selected_runs(block).values()
    models = {run["model"] for run in runs if "model" in run}
    models |= {block[key] for key in SCORING_MODELS if block[key] is not None}
    return {run["data"] for run in runs}, models


def needs_validation(run: Mapping[str, Any]) -> bool:
    """Whether weights are chosen that must not be chosen by the test split."""
    return "training" in run and run.get("protocol") == "corrected"


def training_part(run: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run decides the weights of its adapters.

    How cases are read for an answer, and how it is written, does so only where answers choose the
    weights.
    """
    irrelevant = {"protocol", "seeds"}
    if run["select_by"] == "loss":
        irrelevant |= {"generation", "long_input"}
    return {key: value for key, value in run.items() if key not in irrelevant}


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
    yield from block_mistakes(path, run, METHOD_BLOCKS)
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
    if needs_validation(run) and fold is None and entry.get("layout") == "psyqa":
        yield (
            f"{path}.fold: PsyQA's published split has no validation cases, so the weights would "
            "be chosen by the test split; a run of the corrected protocol needs a fold"
        )

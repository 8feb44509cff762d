"""Mistakes in the summary block, and what it needs."""

from pathlib import Path

import pytest

from affectlab.config.registries import load_registries
from affectlab.experiments import read_config
from affectlab.summary.methods import training_part
from affectlab.summary.settings import (
    mistakes,
    needed_assets,
)

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def block():
    return read_config(PROJECT)["summary"]


def found(block):
    return list(mistakes(block, load_registries(PROJECT, {})))


@pytest.mark.parametrize("name", ["config", "cpu", "demo"])
def test_shipped_blocks_have_none(name):
    overlays = [] if name == "config" else [PROJECT / "config" / f"{name}.yaml"]
    assert found(read_config(PROJECT, overlays)["summary"]) == []


@pytest.mark.parametrize(
    ("run", "changes", "expected"),
    [
        ("qwen2_fields", {"max_answer_tokens": 5000}, "max_answer_tokens: 5000 is more than half"),
        ("qwen2_fields", {"model": "qwen2-7b"}, "no model is called 'qwen2-7b'; did you mean"),
        (
            "qwen2_fields",
            {"data": "emotion"},
            "has the layout 'emotion', which the summary",
        ),
        ("lead", {"fold": 5}, "summary.split.folds is 5, so the last fold is 4"),
        ("qwen2_fields", {"merge": True}, "merge: method qlora needs false: the run's scores are"),
        ("lead", {"merge": True}, "merge: does not go with method 'lead'"),
    ],
)
def test_a_mistake_is_named_with_its_path(block, run, changes, expected):
    block["runs"][run] |= changes
    assert any(f"summary.runs.{run}" in line and expected in line for line in found(block))


def test_no_sound_run_chooses_its_weights_by_the_test_split(block):
    run = block["runs"]["qwen2_fields"] | {"data": "psyqa"}
    block["runs"]["fields_of_psyqa"] = run
    assert found(block) == [
        "summary.runs.fields_of_psyqa.fold: PsyQA's published split has no validation cases, so "
        "the weights would be chosen by the test split; a run of the corrected protocol needs "
        "a fold"
    ]
    block["runs"]["fields_of_psyqa"] = run | {"fold": 0}
    assert found(block) == []


def test_a_language_model_has_no_other_head(block):
    training = block["runs"]["qwen2_fields"]["training"] | {"sparse_embeddings": True}
    block["runs"]["qwen2_fields"] |= {"training": training}
    assert found(block) == [
        "summary.runs.qwen2_fields.training.sparse_embeddings: a language model needs false, "
        "found true"
    ]


def test_shares_leave_something_to_train_on(block):
    block["split"] |= {"validation": 0.5, "test": 0.5}
    assert found(block) == ["summary.split: validation and test leave nothing to train on"]


def test_folds_that_are_scored_together_fit(block):
    names = [f"fold{number}" for number in range(5)]
    for number, name in enumerate(names):
        block["runs"][name] = block["runs"]["qwen2_fields"] | {"fold": number}
    block["selected"] = [*block["selected"], *names]
    block["cross_validation"] = {"folds": names}
    assert found(block) == []
    block["runs"]["fold3"] |= {"max_answer_tokens": 300}
    block["cross_validation"]["short"] = names[:3]
    block["selected"].remove("fold4")
    assert found(block) == [
        "summary.cross_validation.folds.4: no selected run is called 'fold4'; did you mean "
        "'fold3'?",
        "summary.cross_validation.folds: fold3 differs from fold0 in max_answer_tokens",
        "summary.cross_validation.short: expected a run for each fold from 0 to 4, found folds "
        "[0, 1, 2]",
    ]


def test_adapters_of_the_answer_need_what_goes_with_them(block):
    run = block["runs"]["smollm2_fields"]
    assert run["adapter_scope"] == "answer"
    run |= {"loss": "all", "packing": False, "merge": True}
    assert found(block) == [
        "summary.runs.smollm2_fields.loss: adapter_scope answer needs answer",
        "summary.runs.smollm2_fields.packing: adapter_scope answer needs true",
        "summary.runs.smollm2_fields.merge: adapter_scope answer needs false",
    ]


def test_adapters_of_plain_weights_may_be_merged(block):
    block["runs"]["qwen2_fields"] |= {"method": "lora", "merge": True}
    assert found(block) == []


def test_needed_assets_follow_the_selection(block):
    block |= {"selected": ["smollm2_fields"], "baseline": "psyqa_lead"}
    assert needed_assets(block) == ({"longemotion", "psyqa"}, {"smollm2-135m"})
    block |= {"bertscore_model": "minilm-l6"}
    assert needed_assets(block)[1] == {"minilm-l6", "smollm2-135m"}


@pytest.mark.parametrize("key", ["generation", "long_input"])
def test_how_answers_come_about_trains_nothing_again_unless_they_choose_the_weights(block, key):
    run = block["runs"]["qwen2_fields"]
    changes = {
        "generation": run["generation"] | {"batch_tokens": 1},
        "long_input": "map_reduce",
    }
    assert run[key] != changes[key]
    other = run | {key: changes[key], "seeds": [9]}
    assert run["select_by"] == "loss"
    assert training_part(run) == training_part(other)
    by_answers = {"select_by": "rouge_l"}
    assert training_part(run | by_answers) != training_part(other | by_answers)
    assert training_part(run) != training_part(run | {"loss": "all"})

"""Mistakes in the entity block that its model cannot tell."""

from pathlib import Path

import pytest

from affectlab.config.registries import load_registries
from affectlab.entity.settings import EntityRun, Stage, mistakes
from affectlab.experiments import read_config

PROJECT = Path(__file__).parents[2]


def found(block):
    return list(mistakes(block, load_registries(PROJECT, {})))


@pytest.mark.parametrize("name", ["config", "cpu", "demo"])
def test_shipped_blocks_have_none(name):
    overlays = [] if name == "config" else [PROJECT / "config" / f"{name}.yaml"]
    assert found(read_config(PROJECT, overlays)["entity"]) == []


def test_a_setting_that_would_do_nothing_is_refused():
    block = read_config(PROJECT)["entity"]
    run = block["runs"]["goemotions_minilm"]
    run["stages"][0]["training"] = run["stages"][0]["training"] | {"label_smoothing": 0.1}
    assert found(block) == [
        "entity.runs.goemotions_minilm.stages.0.training.label_smoothing: soft labels need 0, "
        "found 0.1"
    ]


def test_an_adapter_needs_spans_and_a_model_of_texts():
    block = read_config(PROJECT)["entity"]
    run = block["runs"]["spans_minilm"]
    run["stages"] = [run["stages"][0] | {"data": "goemotions"}]
    run |= {"data": "goemotions", "start_from": None}
    assert found(block) == [
        "entity.runs.spans_minilm.vmf.span_adapter: it alone is trained, so the run must start "
        "from another one",
        "entity.runs.spans_minilm.stages.0.data: 'goemotions' has whole texts, and "
        "vmf.span_adapter corrects spans",
    ]


def test_an_adapter_keeps_the_least_concentration_of_whole_texts():
    block = read_config(PROJECT)["entity"]
    run = block["runs"]["spans_minilm"]
    run["vmf"] = run["vmf"] | {"kappa_min": 2.0}
    assert found(block) == [
        "entity.runs.spans_minilm.vmf.kappa_min: with a span_adapter it must be that of "
        "'goemotions_minilm' (1.0), found 2.0"
    ]


def test_the_first_concentration_is_above_the_least():
    block = read_config(PROJECT)["entity"]
    block["runs"]["goemotions_minilm"]["vmf"] = {"kappa_min": 50.0, "kappa_start": 42.0}
    # Their adapters would have to have the same.
    for run in ("spans_minilm", "weak_spans_minilm"):
        block["runs"][run]["vmf"]["span_adapter"] = None
    assert found(block) == [
        "entity.runs.goemotions_minilm.vmf.kappa_start: must be larger than kappa_min (50.0), "
        "found 42.0"
    ]


def test_the_stage_of_a_run_that_lists_none_is_typed():
    (stage,) = EntityRun().stages
    assert stage == Stage()


def test_a_model_that_has_seen_all_folds_is_no_start():
    """Its predictions of a fold that is held out would be by heart."""
    own = {"mine": {"path": "mine.jsonl", "layout": "spans", "split": {"folds": 3}}}
    registries = load_registries(PROJECT, {"datasets": own})
    block = read_config(PROJECT)["entity"]
    base = block["runs"]["goemotions_minilm"]
    stage = base["stages"][0]
    block["runs"]["first"] = base | {"stages": [stage | {"data": "mine"}, stage]}
    block["runs"]["second"] = base | {
        "data": "mine",
        "stages": [stage | {"data": "mine"}],
        "start_from": "first",
    }
    assert list(mistakes(block, registries)) == [
        "entity.runs.second.start_from: 'first' trains on all folds of 'mine', because it is "
        "scored on 'goemotions'; give it the same data"
    ]
    block["runs"]["first"]["data"] = "mine"
    block["runs"]["first"]["stages"].pop()
    assert list(mistakes(block, registries)) == []

"""Runs that take over from others, defaults, and what an overlay of a few lines comes to."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from affectlab.config.configuration import resolve
from affectlab.config.load import load_config, merge
from affectlab.errors import ConfigError
from affectlab.experiments import blocks_of, read_config, validate_config

PROJECT = Path(__file__).parents[2]


def resolved(text):
    """The complete configuration with the overlay *text*, checked."""
    return validate_config(merge(load_config(PROJECT), yaml.safe_load(text)), PROJECT)[0]


def mistakes_of(text):
    with pytest.raises(ConfigError) as caught:
        resolved(text)
    return str(caught.value).split("\n  ")[1:]


def test_a_run_of_ones_own_takes_at_most_six_lines():
    text = (
        "emotion:\n  selected: [mine]\n  export: []\n  runs:\n    mine: {like: minilm, seeds: [1]}"
    )
    assert len(text.splitlines()) <= 6
    emotion = resolved(text)["emotion"]
    assert emotion["runs"]["mine"] == emotion["runs"]["minilm"] | {"seeds": [1]}
    emotion = resolved(
        "emotion: {selected: [mine], export: [], "
        "runs: {mine: {like: minilm, training: {epochs: 2}}}}"
    )["emotion"]
    minilm = emotion["runs"]["minilm"]
    expected = minilm | {"training": minilm["training"] | {"epochs": 2}}
    assert emotion["runs"]["mine"] == expected
    # Snakemake compares params by their text.
    assert json.dumps(emotion["runs"]["mine"]) == json.dumps(expected)


def test_a_run_needs_nothing_at_all():
    runs = resolved("emotion: {runs: {mine: {}}}")["emotion"]["runs"]
    assert runs["mine"]["method"] == "full"
    assert runs["mine"]["training"]["epochs"] == 3
    assert "lora" not in runs["mine"]


def test_the_order_of_keys_does_not_matter():
    first = resolved("face: {runs: {mine: {like: compact, seeds: [1], test_time: flip}}}")
    other = resolved("face: {runs: {mine: {test_time: flip, seeds: [1], like: compact}}}")
    assert json.dumps(first) == json.dumps(other)


def test_chains_lists_and_nulls():
    text = """
    entity:
      runs:
        third: {like: second, vmf: {temperature: 0.2}}
        second: {like: spans_minilm, start_from: null, vmf: {span_adapter: null}, seeds: [7]}
    """
    runs = resolved(text)["entity"]["runs"]
    assert runs["third"] == runs["second"] | {"vmf": runs["second"]["vmf"] | {"temperature": 0.2}}
    assert runs["second"]["start_from"] is None
    assert runs["second"]["vmf"]["span_adapter"] is None
    assert (runs["second"]["seeds"], runs["spans_minilm"]["seeds"]) == ([7], [13, 42, 71])


def test_data_of_stages_are_those_of_the_run():
    text = "entity: {runs: {mine: {like: spans_minilm, data: goemotions_spans}}}"
    runs = resolved(text)["entity"]["runs"]
    assert [stage["data"] for stage in runs["mine"]["stages"]] == ["goemotions_spans"]
    assert [stage["data"] for stage in runs["spans_minilm"]["stages"]] == ["entity"]


def test_a_run_of_another_method_takes_over_what_both_have():
    text = """
    summary: {runs: {mine: {like: qwen2_fields, method: prompt}}}
    face: {runs: {mine: {like: compact, method: backbone, network: {dropout: 0.5}}}}
    audio: {runs: {mine: {like: eatd_3emo_clap, protocol: published}}}
    """
    config = resolved(text)
    mine, fields = config["summary"]["runs"]["mine"], config["summary"]["runs"]["qwen2_fields"]
    assert mine == {key: fields[key] for key in mine} | {"method": "prompt"}
    assert "training" not in mine
    assert config["face"]["runs"]["mine"]["network"] == {"image_size": 224, "dropout": 0.5}
    assert {"published", "training"} <= set(config["audio"]["runs"]["mine"])
    # What it has of its own is reported.
    assert mistakes_of(
        "summary: {runs: {mine: {like: qwen2_fields, method: lead, merge: true}}}"
    ) == ["summary.runs.mine.merge: does not go with method 'lead'"]


def test_an_overlay_may_change_the_run_that_others_are_like():
    text = "emotion: {runs: {mine: {like: minilm}, minilm: {training: {epochs: 9}}}}"
    runs = resolved(text)["emotion"]["runs"]
    assert runs["mine"]["training"]["epochs"] == 9


def test_resolving_again_changes_nothing():
    config = read_config(PROJECT, [PROJECT / "config" / "demo.yaml"])
    before = copy.deepcopy(config)
    assert resolve(config, blocks_of()) == (before, [])


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("{mine: {like: minilmm}}", "mine.like: no other run is called 'minilmm'; did you mean"),
        ("{mine: {like: mine}}", "mine.like: no other run is called 'mine'"),
        ("{mine: {like: 3}}", "mine.like: expected string or null, found 3"),
        ("{mine: {like: [tfidf]}}", 'mine.like: expected string or null, found ["tfidf"]'),
        ("{mine: {like: minilm, epochs: 3}}", "mine.epochs: unknown key"),
    ],
)
def test_a_mistake_is_named(run, expected):
    [mistake] = mistakes_of(f"emotion: {{runs: {run}}}")
    assert mistake.startswith(f"emotion.runs.{expected}")


def test_circles_are_named():
    assert mistakes_of(
        "emotion: {runs: {a: {like: b}, b: {like: c}, c: {like: a}, d: {like: a}}}"
    ) == [
        "emotion.runs.a.like: a circle: a -> b -> c -> a",
        "emotion.runs.b.like: a circle: b -> c -> a -> b",
        "emotion.runs.c.like: a circle: c -> a -> b -> c",
    ]


def test_chains_longer_than_the_stack_are_resolved():
    runs = {f"run{number}": {"like": f"run{number - 1}"} for number in range(1, 1200)}
    config = merge(load_config(PROJECT), {"emotion": {"runs": {"run0": {"like": "minilm"}} | runs}})
    complete, mistakes = resolve(config, blocks_of())
    assert mistakes == []
    runs = complete["emotion"]["runs"]
    assert runs["run1199"] == runs["minilm"]


@pytest.mark.parametrize("broken", [None, 3, "x", [], {"runs": {"a": 1}}, {"runs": {"a": None}}])
def test_what_is_of_the_wrong_kind_is_left_for_the_checks(broken):
    config = load_config(PROJECT)
    config["emotion"] = broken
    complete, mistakes = resolve(config, blocks_of())
    assert mistakes == []
    expected = broken["runs"] if isinstance(broken, dict) else broken
    found = complete["emotion"]
    assert (found["runs"] if isinstance(broken, dict) else found) == expected

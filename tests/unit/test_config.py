"""The configuration and the registries: every shipped file is valid, every mistake is named."""

import copy
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from affectlab.config.checks import type_mistakes
from affectlab.config.configuration import configuration
from affectlab.config.entries import KINDS
from affectlab.config.load import dump_yaml, load_config, load_yaml, merge
from affectlab.config.models import Training, json_schema
from affectlab.config.registries import load_registries
from affectlab.emotion.settings import baseline_in_use, selected_runs
from affectlab.errors import ConfigError, DataError
from affectlab.experiments import (
    EXPERIMENTS,
    blocks_of,
    experiments_without,
    needed_assets,
    read_config,
    validate_config,
)

PROJECT = Path(__file__).parents[2]
SCHEMAS = {
    path.name: json.loads(path.read_text())
    for path in sorted((PROJECT / "workflow" / "schemas").glob("*.json"))
}
MODELS = {
    "configuration": json_schema(configuration(blocks_of())),
    **{name: json_schema(kind) for name, kind in KINDS.items()},
}


@pytest.fixture
def config():
    return read_config(PROJECT)


def mistakes_of(config):
    """The lines of the error, without its heading."""
    with pytest.raises(ConfigError) as caught:
        validate_config(config, PROJECT)
    heading, *lines = str(caught.value).split("\n  ")
    assert heading.startswith(("1 mistake ", f"{len(lines)} mistakes "))
    return lines


@pytest.mark.parametrize("overlay", [None, "cpu", "demo"])
def test_every_shipped_config_is_valid(overlay):
    overlays = [PROJECT / "config" / f"{overlay}.yaml"] if overlay else []
    validate_config(load_config(PROJECT, overlays), PROJECT)


@pytest.mark.parametrize("name", [*SCHEMAS, *MODELS])
def test_every_schema_is_valid_and_closed(name):
    schema = (SCHEMAS | MODELS)[name]
    Draft202012Validator.check_schema(schema)

    def check(part, where):
        if isinstance(part, dict):
            if isinstance(part.get("properties"), dict) and part.get("type") == "object":
                # A choice by `kind` is closed in its branches.
                closed = "additionalProperties" in part or "allOf" in part
                assert closed, f"{where} takes any key"
                assert part.get("additionalProperties") is not True, where
            for key, below in part.items():
                check(below, f"{where}.{key}")
        elif isinstance(part, list):
            for position, below in enumerate(part):
                check(below, f"{where}.{position}")

    check(schema, name)


def test_every_key_is_explained_and_in_the_complete_config(config):
    schema = MODELS["configuration"]
    assert set(schema["properties"]) == set(config)
    assert set(schema["properties"]["experiments"]["items"]["enum"]) == set(EXPERIMENTS)
    for name, part in MODELS.items():
        for block, entry in {name: part, **part["$defs"]}.items():
            for key, below in entry.get("properties", {}).items():
                inner = part["$defs"].get(below.get("$ref", "").rpartition("/")[2], {})
                told = below.get("description") or inner.get("description")
                assert told or key == "kind", f"{block}.{key}"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["dataroot"], "x", "dataroot: unknown key; did you mean 'data_root'?"),
        (["experiments"], ["emotoin"],
         f"experiments.0: expected one of {', '.join(EXPERIMENTS)}, found "
         "\"emotoin\"; did you mean 'emotion'?"),
        (["experiments"], [], "experiments: expected at least 1, found 0"),
        (["on_bad_record"], "Fail", "on_bad_record: expected one of fail, skip, found \"Fail\"; "
         "did you mean 'fail'?"),
        (["emotion", "selectd"], [], "emotion.selectd: unknown key; did you mean 'selected'?"),
        (["emotion", "selected"], ["minilm", "tfdif"],
         "emotion.selected.1: no run is called 'tfdif'; did you mean 'tfidf'?"),
        (["emotion", "export"], ["tfidf"],
         "emotion.export.0: the run 'tfidf' is no network; only a network can be exported"),
        (["emotion", "bootstrap", "level"], 95,
         "emotion.bootstrap.level: expected less than 1, found 95"),
        (["emotion", "runs", "minilm", "training", "epochs"], 3.0,
         "emotion.runs.minilm.training.epochs: expected integer, found 3.0"),
        (["emotion", "runs", "tfidf", "tfidf", "ngram_range"], [2, 1],
         "emotion.runs.tfidf.tfidf.ngram_range: the first must not be larger, found [2, 1]"),
        (["emotion", "runs", "minilm", "model"], "resnet-18",
         "emotion.runs.minilm.model: 'resnet-18' is of the kind image-encoder, expected "
         "causal-lm or text-encoder"),
        (["summary", "runs", "qwen2_fields", "model"], "minilm-l6",
         "summary.runs.qwen2_fields.model: 'minilm-l6' is of the kind text-encoder, expected "
         "causal-lm"),
        (["summary", "bertscore_model"], "whisper-base",
         "summary.bertscore_model: 'whisper-base' is of the kind audio-encoder, expected "
         "text-encoder"),
        (["audio", "encoders", "afclap", "model"], "whisper-base",
         "audio.encoders.afclap.model: 'whisper-base' is of the kind audio-encoder, expected "
         "audio-checkpoint"),
        (["audio", "runs", "ravdess_8emo_whisper", "unit"], "subject",
         "audio.runs.ravdess_8emo_whisper.unit: the clips of a subject differ in '8emo'; "
         "expected clip"),
        (["audio", "runs", "eatd_3emo_afclap_published", "training", "gradient_checkpointing"],
         True, "audio.runs.eatd_3emo_afclap_published.training.gradient_checkpointing: a published "
         "head needs false, found true"),
        (["face", "runs", "vit", "training", "token_budget"], 800,
         "face.runs.vit.training.token_budget: an image net needs null, found 800"),
        # More than NumPy takes.
        (["face", "runs", "vit", "seeds"], [2**32],
         "face.runs.vit.seeds.0: expected at most 4294967295, found 4294967296"),
        (["face", "blur_test", "seed"], 2**32,
         "face.blur_test.seed: expected at most 4294967295, found 4294967296"),
        (["emotion", "runs", "minilm", "model"], "minilm",
         "emotion.runs.minilm.model: no model is called 'minilm'; did you mean 'minilm-l6'?"),
        (["emotion", "runs", "minilm", "data"], "emotions",
         "emotion.runs.minilm.data: no data set is called 'emotions'; did you mean 'emotion'?"),
        (["emotion", "runs", "minilm", "seeds"], [1, 1],
         "emotion.runs.minilm.seeds: the same value stands here twice: [1, 1]"),
        (["emotion", "runs", "minilm", "training", "learning_rate"], "2e-4",
         "emotion.runs.minilm.training.learning_rate: expected number, found \"2e-4\"; "
         "to YAML that is a text, write 0.0002"),
        (["emotion", "runs", "minilm", "training", "epochs"], "3",
         "emotion.runs.minilm.training.epochs: expected integer, found \"3\"; write 3 without "
         "quotes, in a --configfile: inside --config KEY={...} every value is a text"),
        (["emotion", "runs", "minilm", "training", "gradient_checkpointing"], "false",
         "emotion.runs.minilm.training.gradient_checkpointing: expected boolean, found \"false\"; "
         "write false without quotes, in a --configfile: inside --config KEY={...} every value is "
         "a text"),
        (["emotion", "runs", "minilm", "training", "epochs"], "3e0",
         "emotion.runs.minilm.training.epochs: expected integer, found \"3e0\""),
        (["emotion", "runs", "tfidf", "tfidf", "class_weight"], "None",
         "emotion.runs.tfidf.tfidf.class_weight: expected one of balanced, null, found \"None\""),
        (["emotion", "runs", "minilm", "training", "warmup_steps"], 500.0,
         "emotion.runs.minilm.training.warmup_steps: with a point it is a share of all steps, "
         "at most 1.0; found 500.0"),
        (["emotion", "runs", "minilm", "lora"],
         {"rank": 8, "alpha": 16, "dropout": 0, "target_modules": ["query"]},
         "emotion.runs.minilm.lora: does not go with method 'full'"),
    ],
)  # fmt: skip
def test_one_mistake_is_named_with_its_path_and_the_nearest_name(config, path, value, expected):
    *above, key = path
    block = config
    for name in above:
        block = block[name]
    block[key] = value
    assert expected in mistakes_of(config)


def test_a_missing_key_has_its_default(config):
    del config["emotion"]["runs"]["minilm"]["training"]["epochs"]
    del config["emotion"]["runs"]["minilm"]["model"]
    del config["summary"]["baseline"]
    del config["emotion"]["baseline"]
    complete, _ = validate_config(config, PROJECT)
    assert complete["emotion"]["runs"]["minilm"]["training"]["epochs"] == 3
    assert complete["emotion"]["runs"]["minilm"]["model"] == "minilm-l6"
    assert complete["summary"]["baseline"] == "tail"
    assert complete["emotion"]["baseline"] is None


def test_a_missing_key_without_default_is_named(config):
    config["summary"]["judge"] = {"model": "large"}
    del config["audio"]["encoders"]["clap"]["model"]
    assert mistakes_of(config) == [
        "summary.judge.base_url: missing",
        "audio.encoders.clap.model: missing; the kind 'clap' needs it",
    ]


def test_all_mistakes_come_at_once(config):
    config["dataroot"] = "x"
    config["emotion"]["bootstrap"]["resample"] = 5
    config["emotion"]["runs"]["mpnet"]["model"] = "mpnet-bas"
    config["emotion"]["runs"]["tfidf"]["tfidf"]["C"] = -1
    config["datasets"] = {"mine": {"title": 3}}
    lines = mistakes_of(config)
    for start in (
        "dataroot: unknown key",
        "emotion.bootstrap.resample: unknown key; did you mean 'resamples'?",
        "emotion.runs.mpnet.model: no model is called 'mpnet-bas'; did you mean 'mpnet-base'?",
        "emotion.runs.tfidf.tfidf.C: expected more than 0, found -1",
        "datasets.mine.title: expected string, found 3",
        "datasets.mine.licence: missing",
    ):
        assert any(line.startswith(start) for line in lines), start


@pytest.mark.parametrize("broken", [None, 3, "x", [], {"runs": None}, {"runs": {"a": 1}}])
def test_a_block_of_the_wrong_kind_is_a_mistake_not_a_crash(config, broken):
    config["emotion"] = broken
    assert mistakes_of(config)


def test_the_baseline_must_be_a_run(config):
    config["emotion"]["baseline"] = "tfdif"
    assert mistakes_of(config) == [
        "emotion.baseline: no run is called 'tfdif'; did you mean 'tfidf'?"
    ]


@pytest.mark.parametrize(
    ("selected", "baseline", "expected"),
    [
        (["minilm", "tfidf"], "minilm", "minilm"),
        (["minilm", "tfidf"], None, "tfidf"),
        (["minilm"], "tfidf", "tfidf"),
        # Of runs on a user's own data, the shipped baseline is none.
        (["mine_tiny", "mine_tfidf"], "tfidf", "mine_tfidf"),
        (["mine_tiny"], "tfidf", None),
    ],
)
def test_the_baseline_is_on_the_data_of_the_runs(config, selected, baseline, expected):
    for name, like in (("mine_tiny", "minilm"), ("mine_tfidf", "tfidf")):
        own = config["emotion"]["runs"][like] | {"data": "emotion_sample"}
        config["emotion"]["runs"][name] = own
    config["emotion"] |= {"selected": selected, "baseline": baseline, "export": []}
    complete, _ = validate_config(config, PROJECT)
    assert baseline_in_use(complete["emotion"]) == expected
    runs = selected_runs(complete["emotion"])
    assert set(runs) == {*selected, *([expected] if expected else [])}


def test_an_export_must_be_a_run_and_need_not_be_selected(config):
    config["emotion"]["selected"] = ["mpnet", "tfidf"]
    config["face"]["export"] = ["compact", "vit"]
    validate_config(config, PROJECT)
    config["face"]["export"] = ["compcat"]
    assert mistakes_of(config) == [
        "face.export.0: no run is called 'compcat'; did you mean 'compact'?"
    ]


def test_an_export_that_no_onnx_file_can_hold_is_refused_before_it_is_trained(config):
    config["emotion"]["export"] = ["minilm", "qwen3_lora"]
    assert mistakes_of(config) == [
        "emotion.export.1: the 596,049,920 weights of qwen3-0.6b are 2.4 GB in float32, and one "
        "ONNX file holds 2.1 GB",
    ]


def test_a_config_can_add_a_data_set_and_a_model(config):
    registries = load_registries(PROJECT, config)
    config["datasets"] = {"mine": registries.datasets["emotion"] | {"title": "Mine"}}
    config["models"] = {"own": registries.models["minilm-l6"] | {"sources": []}}
    config["emotion"]["runs"] |= {
        "own_run": config["emotion"]["runs"]["minilm"] | {"model": "own", "data": "mine"}
    }
    _, extended = validate_config(config, PROJECT)
    assert extended.datasets["mine"]["title"] == "Mine"
    assert extended.models["own"]["sources"] == []
    assert "emotion" in extended.datasets


def test_a_gated_data_set_must_say_whom_to_ask(config):
    entry = copy.deepcopy(load_registries(PROJECT, config).datasets["emotion"])
    config["datasets"] = {"closed": entry | {"access": "gated", "sources": []}}
    assert mistakes_of(config) == ["datasets.closed.ask: missing"]
    config["datasets"]["closed"]["ask"] = "its authors"
    validate_config(config, PROJECT)


@pytest.mark.parametrize(
    ("registry", "key", "value", "expected"),
    [
        ("datasets", "version", 1.0, "version: expected string, found 1.0; put it into quotes"),
        ("datasets", "layout", "emotoin", "layout: expected one of fer2013, "),
        ("datasets", "layout", "emotoin", "; did you mean 'emotion'?"),
        ("datasets", "access", True, "access: expected one of open, gated, found true"),
        ("datasets", "sources", [], "sources: expected at least 1, found 0"),
        ("datasets", "sources", [{"kind": "sample", "generator": "emotions"}],
         "sources.0.generator: expected one of face, "),
        ("datasets", "sources", [{"kind": "package"}],
         "sources.0.kind: expected one of hub, sample, url, found \"package\""),
        ("datasets", "sources", [{}], "sources.0.kind: missing"),
        ("datasets", "sources", [{"kind": "sample", "seed": 1}], "sources.0.generator: missing"),
        ("datasets", "sources", ["x"], "sources.0: expected object, found \"x\""),
        ("datasets", "language", "arabic", "\"arabic\" is not an ISO 639 code such as ar"),
        ("datasets", "files", {"../x": None}, "files: \"../x\" is not of the form ^(?!/)"),
        ("datasets", "files", {"x": "12"}, "files.x: \"12\" is not of the form ^[0-9a-f]{64}$"),
        ("datasets", "expected", {"counts": {"train": -1}},
         "expected.counts.train: expected at least 0, found -1"),
        ("models", "size_mb", 0, "size_mb: expected more than 0, found 0"),
        ("models", "parameters", "22M", "parameters: expected integer, found \"22M\""),
    ],
)  # fmt: skip
def test_a_mistake_in_an_entry_of_ones_own_is_named(config, registry, key, value, expected):
    known = load_registries(PROJECT, config)
    entry = {"datasets": known.datasets["emotion"], "models": known.models["minilm-l6"]}[registry]
    config[registry] = {"mine": copy.deepcopy(entry) | {key: value}}
    [mistake] = mistakes_of(config)
    assert mistake.startswith(f"{registry}.mine.{key}")
    assert expected in mistake


@pytest.mark.parametrize("name", ["Mine", "my run", "mine\n", "1st"])
def test_the_name_of_a_run_has_a_form(config, name):
    config["emotion"]["runs"][name] = config["emotion"]["runs"]["tfidf"]
    [mistake] = mistakes_of(config)
    assert mistake == f"emotion.runs: {json.dumps(name)} is not of the form ^[a-z][a-z0-9_]*$"


def test_a_branch_is_no_revision(config):
    entry = copy.deepcopy(load_registries(PROJECT, config).models["minilm-l6"])
    entry["sources"] = [{**entry["sources"][0], "revision": "main"}]
    config["models"] = {"floating": entry}
    (line,) = mistakes_of(config)
    assert line.startswith('models.floating.sources.0.revision: "main" is not of the form')


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        ((), True, "True: to YAML this key is true, not a text; put it into quotes"),
        (("emotion", "runs"), 2024, "emotion.runs.2024: to YAML this key is 2024, not a text"),
        (("datasets",), 7, "datasets.7: to YAML this key is 7, not a text"),
    ],
)
def test_a_key_that_is_no_text_is_named(config, path, key, expected):
    block = config
    for name in path:
        block = block.setdefault(name, {})
    block[key] = config["emotion"]["runs"]["minilm"]
    with pytest.raises(ConfigError, match=re.escape(expected)):
        validate_config(config, PROJECT)


@pytest.mark.parametrize("name", ["data_root", "model_root"])
def test_a_folder_of_local_copies_that_is_not_there_is_named(config, tmp_path, name):
    config[name] = str(tmp_path)
    validate_config(config, PROJECT)
    config[name] = str(tmp_path / "dtaa")
    with pytest.raises(ConfigError, match=f"{name}: no folder .*dtaa', seen from /"):
        validate_config(config, PROJECT)


def test_a_folder_of_local_copies_that_may_not_be_entered_is_named(config, tmp_path, monkeypatch):
    config["data_root"] = str(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(ConfigError, match=f"data_root: the folder '{tmp_path}' may not be entered"):
        validate_config(config, PROJECT)


def test_merge_does_as_snakemake_does():
    snakemake_utils = pytest.importorskip("snakemake.utils")
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1, "e": {"f": {"g": 1}}}
    overlay = {"a": {"c": [3], "x": {"y": 1}}, "d": {"z": 1}, "e": {"f": {"h": 2}}}
    theirs = copy.deepcopy(base)
    snakemake_utils.update_config(theirs, overlay)
    before = copy.deepcopy(base)
    assert merge(base, overlay) == theirs
    assert base == before


def test_experiments_are_told_by_what_they_need(config):
    config["experiments"] = ["emotion", "face", "audio"]
    assert experiments_without(config, {("dataset", "fer2013")}) == ["emotion", "audio"]
    assert experiments_without(config, {("dataset", "eatd"), ("model", "minilm-l6")}) == ["face"]
    # A model of that name is not the data set.
    assert experiments_without(config, {("model", "emotion")}) == config["experiments"]


def test_needed_assets_follow_the_selection(config):
    config["experiments"] = ["emotion"]
    assert needed_assets(config) == (
        ["emotion"],
        ["minilm-l6", "mpnet-base", "qwen3-0.6b", "smollm2-135m"],
    )
    config["emotion"] |= {"selected": ["minilm"], "baseline": "tfidf"}
    assert needed_assets(config) == (["emotion"], ["minilm-l6"])
    assert list(selected_runs(config["emotion"])) == ["minilm", "tfidf"]


def test_the_stored_config_reads_back_as_it_was(config):
    text = dump_yaml(config)
    assert yaml.safe_load(text) == config
    assert "&" not in text
    assert text == dump_yaml(yaml.safe_load(text))


def test_a_key_written_twice_is_an_error(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a:\n  b: 1\n  b: 2\n")
    with pytest.raises(ConfigError, match=r"x\.yaml, line 3, column 3: the key 'b' stands here"):
        load_yaml(path)


def test_a_merge_key_may_be_overridden(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: &a {b: 1, c: 2}\nd: {<<: *a, b: 3}\n")
    assert load_yaml(path)["d"] == {"b": 3, "c": 2}


def test_broken_yaml_is_named_with_its_line(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: [1, 2\nb: 3\n")
    with pytest.raises(ConfigError, match=r"x\.yaml, line 2"):
        load_yaml(path)


def test_an_overlay_must_be_a_mapping_and_exist(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_config(PROJECT, [path])
    with pytest.raises(DataError, match="no such file"):
        load_config(PROJECT, [tmp_path / "absent.yaml"])


def test_a_broken_registry_is_named_by_its_file(tmp_path):
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    models = load_yaml(PROJECT / "config" / "models.yaml")
    models["minilm-l6"]["kind"] = "encoder"
    (tmp_path / "config" / "models.yaml").write_text(yaml.safe_dump(models))
    with pytest.raises(ConfigError, match=r"config/models\.yaml: minilm-l6\.kind: expected one of"):
        validate_config(load_config(tmp_path), tmp_path)


def test_reference_results_name_known_data_and_unique_ids(config):
    registries = load_registries(PROJECT, config)
    identifiers = [entry["id"] for entry in registries.reference_results]
    assert len(identifiers) == len(set(identifiers))
    assert {entry["data"] for entry in registries.reference_results} <= set(registries.datasets)
    for entry in registries.reference_results:
        assert set(entry.get("runs", [])) <= set(config[entry["experiment"]]["runs"])


def test_a_template_that_was_not_filled_in_is_named_with_its_place(tmp_path):
    (tmp_path / "mine.yaml").write_text("experiments: [emotion]\ndata_root: {{home}}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml, line 2, column 13: a key must be a text"):
        load_config(PROJECT, [tmp_path / "mine.yaml"])


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_numbers_are_finite(number):
    [mistake] = type_mistakes(Training, yaml.safe_load(f"head_learning_rate: {number}"))
    assert mistake.startswith("head_learning_rate: expected number or null, found ")

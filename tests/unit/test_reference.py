"""What is generated from the models is what is committed, and explains every key."""

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from affectlab.config.load import load_config, load_yaml, merge
from affectlab.config.reference import generate
from affectlab.experiments import EXPERIMENTS, read_config, validate_config

PROJECT = Path(__file__).parents[2]
GENERATED = generate(EXPERIMENTS)
PAGE = GENERATED["docs/reference/configuration.md"]
DEFAULTS = yaml.safe_load(GENERATED["config/defaults.yaml"])
SCHEMA = json.loads(GENERATED["config/affectlab.schema.json"])


@pytest.mark.parametrize("name", GENERATED)
def test_the_committed_file_is_up_to_date(name):
    committed = (PROJECT / name).read_text(encoding="utf-8")
    assert committed == GENERATED[name], "run `make reference`"


def paths(value, path=""):
    """The dotted path of every key in the complete configuration, names of runs left open."""
    for key, below in value.items() if isinstance(value, dict) else ():
        free = path.rpartition(".")[2] in ("runs", "encoders")
        where = f"{path}.<name>" if free else f"{path}.{key}".lstrip(".")
        yield from () if free else [where]
        if where not in ("datasets", "models", "face.votes"):
            yield from paths(below, where)
    for below in value if isinstance(value, list) else ():
        yield from paths(below, f"{path}.<number>")


def test_every_key_of_the_complete_configuration_is_explained():
    overlays = [PROJECT / "config" / "demo.yaml"]
    explained = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert set(paths(read_config(PROJECT, overlays))) <= set(explained)


def test_every_explanation_is_complete():
    for row in re.findall(r"^\| `.*$", PAGE, re.MULTILINE):
        assert re.fullmatch(r"\| `[^`]+` \| [^|]+ \| [^|]* \| [^|]+ \|", row), row


@pytest.mark.parametrize("overlay", [None, "cpu", "demo", "gbert_updates"])
def test_editors_take_the_shipped_files(overlay):
    Draft202012Validator.check_schema(SCHEMA)
    name = overlay or "config"
    errors = Draft202012Validator(SCHEMA).iter_errors(
        load_yaml(PROJECT / "config" / f"{name}.yaml")
    )
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("number", [0, 2])
def test_the_examples_of_the_page_are_valid(number):
    examples = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    example = yaml.safe_load(examples[number])
    validate_config(merge(load_config(PROJECT), example), PROJECT)
    assert list(Draft202012Validator(SCHEMA).iter_errors(example)) == []


def test_editors_mark_mistakes():
    text = "emotion: {runs: {mine: {like: minilm, epochs: 3}, Bad: {}}, selected: tfidf}"
    errors = list(Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(text)))
    assert len(errors) == 3


def test_a_run_without_keys_is_what_the_defaults_show(tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("".join(f"{name}: {{runs: {{mine: {{}}}}}}\n" for name in EXPERIMENTS))
    complete, _ = validate_config(read_config(PROJECT, [overlay]), PROJECT)
    for name in EXPERIMENTS:
        shown = DEFAULTS[name]["runs"]["<name>"]
        run = complete[name]["runs"]["mine"]

        def check(found, expected):
            if isinstance(found, dict):
                for key, below in found.items():
                    if key != "data":
                        check(below, expected[key])
            elif isinstance(found, list) and found and isinstance(found[0], dict):
                check(found[0], expected[0])
            else:
                assert found == expected

        check(run, shown)

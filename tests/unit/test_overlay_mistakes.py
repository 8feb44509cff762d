"""Overlays that are empty, or indented with tabs."""

from pathlib import Path

import pytest

from affectlab.config.load import load_config, parse_yaml
from affectlab.errors import ConfigError
from affectlab.experiments import validate_config

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("emotion:\n\tselected: [tfidf]\n", "line 2, column 1"),
        ("emotion:\n  selected: [tfidf]\n\texport: []\n", "line 3, column 1"),
        ("emotion:\n  runs:\n  \ttfidf: 1\n  \tminilm: 2\n", "line 3, column 3"),
        ("a:\n  b: 1\n  \tc: 2\n", "line 3, column 3"),
    ],
)
def test_a_tab_is_named_with_its_place(text, place):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "mine.yaml")
    assert str(caught.value) == f"mine.yaml, {place}: a tab; indent with spaces"


def test_a_tab_elsewhere_is_no_mistake():
    assert parse_yaml("a:\t1 # x\ty\nb: 'c\td'\n", "x") == {"a": 1, "b": "c\td"}
    with pytest.raises(ConfigError, match="stands here twice"):
        parse_yaml("a:\t1\na:\t2\n", "x")


@pytest.mark.parametrize("text", ["", "\n", "# emotion:\n", "---\n", "null\n"])
def test_an_empty_overlay_is_called_empty(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml: no keys here, the file is empty or has"):
        load_config(PROJECT, [tmp_path / "mine.yaml"])


@pytest.mark.parametrize("key", ["2020-01-01", "!!binary aGk=", "2.5", "~"])
def test_a_block_whose_keys_are_no_texts_is_a_mistake_with_a_place(tmp_path, key):
    (tmp_path / "mine.yaml").write_text(f"experiments: {{{key}: 1}}\nsimilar_names: {{{key}: 1}}\n")
    with pytest.raises(ConfigError, match="similar_names"):
        validate_config(load_config(PROJECT, [tmp_path / "mine.yaml"]), PROJECT)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            "emotion: {runs: {minilm: {training: {like: mpnet}}}}",
            "emotion.runs.minilm.training.like",
        ),
        ("emotion: {like: face}", "emotion.like"),
        ("emotion: {bootstrap: {like: x}}", "emotion.bootstrap.like"),
        ("like: x", "like"),
    ],
)
def test_like_outside_a_run_is_a_mistake(tmp_path, text, path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"{path}: unknown key"):
        validate_config(load_config(PROJECT, [tmp_path / "mine.yaml"]), PROJECT)

"""A model directory can hold Python code; affectlab never runs it and never asks about it."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModel

from affectlab.assets.safe_loading import from_config, from_directory
from affectlab.errors import UserError

PROJECT = Path(__file__).resolve().parents[2]
LOADERS = {"from_pretrained", "from_config"}
SWITCH = "trust_remote_code"
CALL = re.compile(r"\.(?:from_pretrained|from_config)\(")
SPY = """
from pathlib import Path
Path({marker!r}).write_text("ran")
class Spy: pass
"""


def calls_without_switch(source: str) -> list[int]:
    """Lines of the loading calls of Python code that do not pass ``trust_remote_code=False``."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOADERS
        and not any(
            keyword.arg == SWITCH
            and isinstance(keyword.value, ast.Constant)
            and keyword.value.value is False
            for keyword in node.keywords
        )
    ]


def texts_without_switch(text: str) -> list[str]:
    """The same of a template or a page, which is no Python as a whole."""
    found = []
    for call in CALL.finditer(text):
        depth, end = 1, call.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        if f"{SWITCH}=False" not in text[call.start() : end]:
            found.append(text[call.start() : end])
    return found


def test_the_search_finds_what_it_looks_for():
    assert calls_without_switch("A.from_pretrained(x, trust_remote_code=False)") == []
    for bad in ("A.from_pretrained(x)", "A.from_config(x, trust_remote_code=True)"):
        assert calls_without_switch(bad) == [1]
        assert texts_without_switch(f"so: {bad} and on") != []
    assert texts_without_switch("A.from_pretrained(f(x), trust_remote_code=False)") == []


@pytest.mark.parametrize("folder", ["workflow", "benchmarks", "rules"])
def test_no_call_lets_a_checkpoint_run_code(folder):
    found = {
        f"{path.relative_to(PROJECT)}:{line}"
        for path in (PROJECT / folder).rglob("*.py")
        for line in calls_without_switch(path.read_text(encoding="utf-8"))
    }
    assert not found


def test_no_template_or_page_shows_such_a_call():
    paths = [
        *(PROJECT / "workflow").rglob("*.j2"),
        *(PROJECT / "docs").rglob("*.md"),
        *(PROJECT / "rules").rglob("*.smk"),
        PROJECT / "README.md",
    ]
    found = {
        (path.name, call)
        for path in paths
        for call in texts_without_switch(path.read_text(encoding="utf-8"))
    }
    assert not found
    assert any(CALL.search(path.read_text(encoding="utf-8")) for path in paths)


def hostile(directory: Path, auto_map: dict[str, object], **changes: str) -> Path:
    """Put code into a checkpoint, and return the file that it writes when it runs."""
    marker = directory.parent / "ran.txt"
    (directory / "spy.py").write_text(SPY.format(marker=str(marker)))
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((directory / name).read_text())
        (directory / name).write_text(json.dumps(content | changes | {"auto_map": auto_map}))
    return marker


def affectlab(*arguments: str, lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "affectlab", *arguments],
        input=lines,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


@pytest.fixture
def checkpoint(tmp_path):
    """A tiny trained model of the emotion experiment."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from affectlab.emotion.data import CLASSES
    from affectlab.samples import models

    models.write_tiny_bert(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    names = dict(enumerate(CLASSES))
    AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "model",
        num_labels=6,
        id2label=names,
        label2id={name: number for number, name in names.items()},
        pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


EVERYTHING = {
    "AutoConfig": "spy.Spy",
    "AutoModel": "spy.Spy",
    "AutoModelForSequenceClassification": "spy.Spy",
    "AutoTokenizer": ["spy.Spy", "spy.Spy"],
}


def test_code_of_a_model_is_not_run_when_a_text_begins_with_y(checkpoint):
    """transformers asks on standard input, which is where the texts come from."""
    marker = hostile(checkpoint, EVERYTHING, model_type="spy", tokenizer_class="Spy")
    done = affectlab("predict", "emotion", "--model", str(checkpoint), "-", lines="y\ny\ny\n")
    assert not marker.exists()
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    line = done.stderr
    assert str(checkpoint) in line
    assert "never run" in line


def test_a_model_that_needs_no_code_is_used_though_it_brings_some(checkpoint, monkeypatch):
    from affectlab.emotion.predict import EmotionClassifier

    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
    marker = hostile(checkpoint, EVERYTHING)
    assert len(EmotionClassifier.from_directory(checkpoint).predict(["y"])) == 1
    assert not marker.exists()


def test_code_of_a_stored_backbone_is_not_run(tmp_path, monkeypatch):
    """config.json of the face experiment holds the configuration of the backbone."""
    from transformers import AutoModel

    from affectlab.assets.safe_loading import from_config
    from affectlab.errors import UserError

    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
    settings = {"model_type": "whisper_encoder_x", "auto_map": {"AutoModel": "spy.Spy"}}
    with pytest.raises((UserError, ValueError)):
        from_config(AutoModel, settings, tmp_path)
    # A type that has a configuration but no network of its own.
    settings["model_type"] = "vision-encoder-decoder"
    with pytest.raises((UserError, ValueError)):
        from_config(AutoModel, settings, tmp_path)


@pytest.mark.parametrize("found", ["XLORA", "PROMPT_TUNING", None, 3])
def test_an_adapter_of_another_type_is_refused(tmp_path, found):
    """Other types of PEFT load tokenizers and models that their settings name."""
    from affectlab.errors import UserError
    from affectlab.models.text_models import load_adapter

    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": found}))
    with pytest.raises(UserError, match="expected peft_type 'LORA'"):
        load_adapter(None, tmp_path)


def test_settings_with_more_layers_than_any_network_are_refused_at_once():
    settings = {"model_type": "resnet", "depths": [1, 2**31], "hidden_sizes": [8, 8]}
    with pytest.raises(UserError, match="m: depths: 2147483648 layers; at most 10000 are read"):
        from_config(AutoModel, settings, "m")


def test_a_checkpoint_with_more_layers_than_any_network_is_refused_at_once(tmp_path):
    settings = {"model_type": "bert", "text_config": {"num_hidden_layers": 2**31}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="num_hidden_layers: 2147483648 layers; at most 10000"):
        from_directory(AutoModel, tmp_path)

"""Spans and texts of the entity experiment by a language model that is prompted."""

import json

import pytest
from local_server import body, in_turn, serve
from pyarrow import parquet

from affectlab.config.prompts import Prompt, PromptEndpoint
from affectlab.datasets.description import Description
from affectlab.entity.data import Data, Record, Target
from affectlab.entity.prompt import classify
from affectlab.entity.settings import EntityRun
from affectlab.files.io import read_json
from affectlab.samples.models import write_tiny_qwen3

CLASSES = ("anger", "joy", "neutral")
PATH = "/v1/chat/completions"


def chat(text):
    content = {"choices": [{"message": {"content": text}}], "usage": {"total_tokens": 9}}
    return body(json.dumps(content).encode())


def record(number, split, label, *, whole=False, fold=None):
    text = f"the cat saw {number} birds"
    span = (None, None) if whole else (4, 7)
    target = Target(f"t{number}", *span, tuple(map(float, label)), 1.0)
    return Record(f"r{number}", text, split, (target,), fold=fold)


def data_of(*, whole=False, folds=None):
    splits = ["train", "train", "validation", "test", "test"]
    labels = [(0, 0, 1), (0, 0, 1), (0, 1, 0), (0, 0.3, 0.7), (1, 0, 0)]
    fold = [None] * 5 if folds is None else [number % folds for number in range(5)]
    records = [
        record(number, split, label, whole=whole, fold=place)
        for number, (split, label, place) in enumerate(zip(splits, labels, fold, strict=True))
    ]
    return Data(Description(CLASSES, language="en", folds=folds), records)


def classified(data, folder, prompt, model=None):
    classify(
        data,
        EntityRun(method="prompt", model="tiny", data="mine", prompt=prompt),
        "it",
        model_directory=model,
        threads=1,
        work_directory=folder / "work",
        predictions_path=folder / "predictions.parquet",
        record_path=folder / "outside.json",
    )
    rows = parquet.read_table(folder / "predictions.parquet").to_pylist()
    return {(row["split"], row["id"]): row for row in rows}, read_json(folder / "outside.json")


@pytest.fixture
def server():
    with serve() as running:
        yield running


def endpoint(server):
    block = PromptEndpoint(base_url=f"{server.url}/v1", model="m", attempts=1, wait_seconds=0)
    return Prompt(endpoint=block)


def test_a_local_model_has_probabilities_of_spans(tmp_path):
    write_tiny_qwen3(tmp_path / "tiny")
    rows, about = classified(
        data_of(), tmp_path, Prompt(precision="fp32", max_length=400), tmp_path / "tiny"
    )
    assert list(rows) == [("validation", "t2"), ("test", "t3"), ("test", "t4")]
    for row in rows.values():
        assert set(row) == {"id", "split", "variant", "probabilities"}
        assert sum(row["probabilities"]) == pytest.approx(1)
    assert (about["kind"], about["probabilities"], about["asked"]) == ("prompt", True, 3)
    assert about["splits_left_out"] == []
    assert not list((tmp_path / "work").glob("*"))


def test_every_target_of_folds_is_predicted_once(tmp_path):
    write_tiny_qwen3(tmp_path / "tiny")
    rows, about = classified(
        data_of(folds=2), tmp_path, Prompt(precision="fp32", max_length=400), tmp_path / "tiny"
    )
    assert about["asked"] == 5
    assert list(rows) == [("test", f"t{number}") for number in range(5)]
    assert about["splits_left_out"] == ["validation"]


def test_an_endpoint_is_asked_about_spans_of_the_test_split(server, tmp_path):
    server.replies[PATH] = in_turn(chat("Joy."), chat("no idea"))
    rows, about = classified(data_of(), tmp_path, endpoint(server))
    # t3 is neutral; t4 is anger, so that its invalid answer is entered as the commonest class.
    assert {key: row["prediction"] for key, row in rows.items()} == {
        ("test", "t3"): ["joy"],
        ("test", "t4"): ["neutral"],
    }
    assert (about["invalid"], about["probabilities"]) == (1, False)
    assert about["splits_left_out"] == ["validation"]
    content = json.loads(server.posted[0])["messages"][0]["content"]
    assert content.endswith("Text:\nthe cat saw 3 birds\n\nPart:\ncat")


def test_texts_with_several_classes_are_asked_about_as_a_whole(server, tmp_path):
    server.replies[PATH] = chat("no idea")
    rows, _ = classified(data_of(whole=True), tmp_path, endpoint(server))
    # t3 has joy and neutral: anger alone is wrong.
    assert rows["test", "t3"]["prediction"] == ["anger"]
    assert "Part:" not in json.loads(server.posted[0])["messages"][0]["content"]

"""BERTScore and inference, against counting by hand, on tiny random models."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from affectlab.errors import UserError
from affectlab.files.io import read_jsonl, write_jsonl
from affectlab.samples.models import write_tiny_bert
from affectlab.samples.summary import write_longemotion
from affectlab.summary import neural
from affectlab.summary.baselines import write_baseline
from affectlab.summary.convert import Outputs, convert
from affectlab.summary.neural import (
    bert_scores,
    entailed_sentences,
    entailment_class,
    score_run,
)
from affectlab.summary.settings import Split


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("bert")
    write_tiny_bert(path)
    return path


@pytest.fixture(scope="module")
def encoder(directory):
    return AutoTokenizer.from_pretrained(directory), AutoModel.from_pretrained(directory).eval()


def states(text, tokenizer, network):
    """Token vectors without the special tokens at both ends, as NumPy arrays."""
    with torch.inference_mode():
        found = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, 1:-1].numpy()
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_bertscore_by_its_definition(encoder):
    reference, prediction = "i feel so low today", "today i am sad and tired"
    (found,) = bert_scores([(reference, prediction)], *encoder)
    x, y = states(reference, *encoder), states(prediction, *encoder)
    recall = np.mean([max(a @ b for b in y) for a in x])
    precision = np.mean([max(a @ b for b in x) for a in y])
    assert found == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-5)


def test_bertscore_of_equal_and_empty_texts(encoder):
    assert bert_scores([("i feel", "i feel"), ("i feel", "")], *encoder) == pytest.approx([1, 0])


class Classifier:
    """Finds entailment where the claim's first word stands in the premise."""

    device = torch.device("cpu")

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.config = type("Config", (), {"id2label": {0: "contradiction", 1: "ENTAILMENT"}})
        self.premises = []

    def __call__(self, input_ids, token_type_ids, attention_mask):
        rows = []
        for ids, kinds in zip(input_ids.tolist(), token_type_ids.tolist(), strict=True):
            premise = [i for i, kind in zip(ids, kinds, strict=True) if kind == 0]
            claim = [i for i, kind in zip(ids, kinds, strict=True) if kind == 1]
            self.premises.append(self.tokenizer.decode(premise))
            rows.append([0.0, 1.0] if claim[0] in premise else [1.0, 0.0])
        return type("Output", (), {"logits": torch.tensor(rows)})


def test_a_sentence_is_held_against_the_most_similar_ones(encoder):
    classifier = Classifier(encoder[0])
    source = "i feel sad. i went home. happy days came. nobody called. angry words fell."
    claims = ["happy days came.", "furious they were."]
    found = entailed_sentences(claims, source, "en", encoder[0], classifier)
    assert found == (1, 2)
    assert "happy days came" in classifier.premises[0]
    assert entailed_sentences([], source, "en", encoder[0], classifier) == (0, 0)


def test_a_classifier_without_entailment():
    assert entailment_class({0: "neutral", 1: "Entailment"}) == 1
    with pytest.raises(UserError, match="expected one class called entailment"):
        entailment_class({0: "LABEL_0", 1: "LABEL_1"})


@pytest.fixture
def scoring(tmp_path):
    """What `score_run` needs of a run but the models: 4 test cases and their summaries."""
    write_longemotion(tmp_path / "raw", cases=20)
    split = Split(validation=0.2, seed=0)
    paths = {f"{name}_path": tmp_path / name for name in ("records", "predictions", "details")}
    outputs = Outputs(paths["records_path"], tmp_path / "q", tmp_path / "description.json")
    convert(tmp_path / "raw", outputs, {"layout": "longemotion"}, split=split)
    write_baseline("nearest", fold=None, **paths)
    return paths | {
        "fold": None,
        "level": 0.95,
        "threads": 1,
        "output_path": tmp_path / "neural.json",
    }


def test_a_run_is_scored(directory, scoring):
    score_run(**scoring, bertscore_model=directory, nli_model=None)
    found = json.loads(scoring["output_path"].read_text())["metrics"]
    assert set(found) == {"bertscore"}
    low, high = found["bertscore"]["ci"]
    assert 0 < low <= found["bertscore"]["value"] <= high < 1


def test_fields_are_joined_in_the_language_of_the_references(directory, scoring, monkeypatch):
    rows = [row | {"language": "mixed"} for row in read_jsonl(scoring["records_path"])]
    write_jsonl(scoring["records_path"], rows)
    seen = []
    monkeypatch.setattr(neural, "bert_scores", lambda pairs, *_: seen.extend(pairs) or [1.0] * 4)
    score_run(**scoring, bertscore_model=directory, nli_model=None)
    known = {" ".join(row["references"].values()) for row in rows}
    assert len(seen) == 4
    assert all(text in known for pair in seen for text in pair)


def test_an_encoder_needs_no_pooler(directory, scoring, tmp_path):
    folder = shutil.copytree(directory, tmp_path / "bert")
    stored = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in stored.items() if "pooler" not in name}
    assert len(kept) < len(stored)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    values = []
    for model in (directory, folder):
        score_run(**scoring, bertscore_model=model, nli_model=None)
        values.append(json.loads(scoring["output_path"].read_text()))
    assert values[0] == values[1]


def test_a_classifier_without_a_trained_head_is_refused(directory, scoring):
    with pytest.raises(UserError, match="text classifier: the checkpoint lacks 2 of its weights"):
        score_run(**scoring, bertscore_model=None, nli_model=directory)
    assert not scoring["output_path"].exists()

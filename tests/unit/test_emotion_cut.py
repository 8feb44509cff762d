"""Texts that are longer than what a model reads: warned of, counted, and in the card."""

from __future__ import annotations

import json
import logging
import warnings

import pytest
import torch
from emotion_tables import described
from test_cards import DATASET, MODEL, RECIPE, make_record

from affectlab.cli import main
from affectlab.emotion import model as networks
from affectlab.emotion.card import card
from affectlab.emotion.data import CLASSES, read_data
from affectlab.emotion.evaluate import reading, results_text
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.predict_records import predict_records
from affectlab.emotion.settings import EmotionRun
from affectlab.models.text_models import load_tokenizer
from affectlab.samples.models import write_tiny_bert

LIMIT = 16
SHORT = "i feel so glad"
LONG = "i went to the shop and then i walked home " * 10 + "and then i felt so angry"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    base, folder = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("model")
    write_tiny_bert(base)
    tokenizer = load_tokenizer(base)
    tokenizer.model_max_length = LIMIT
    torch.manual_seed(0)
    networks.load_network(
        base, tokenizer, CLASSES, dtype=torch.float32, device=torch.device("cpu")
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def exactly(tokenizer, tokens):
    return " ".join(["i"] * (tokens - tokenizer.num_special_tokens_to_add()))


def test_a_text_that_is_cut_is_warned_of(directory):
    classifier = EmotionClassifier.from_directory(directory)
    tokenizer = load_tokenizer(directory)
    with pytest.warns(UserWarning, match="1 text is longer than the model's 16 tokens.*text 2"):
        found = classifier.predict([SHORT, LONG, exactly(tokenizer, LIMIT)])
    assert [one.cut for one in found] == [False, True, False]
    assert classifier.max_length == LIMIT
    with pytest.warns(UserWarning, match="2 texts are longer than the model's 16 tokens.*text 6"):
        classifier.predict([LONG, exactly(tokenizer, LIMIT + 1)], first=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict([SHORT])


def test_the_command_warns_on_standard_error(directory, capsys, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join([SHORT, SHORT, LONG]))
    command = ["predict", "emotion", "--model", str(directory), "--batch-size", "2"]
    assert main([*command, "--file", str(file)]) == 0
    output = capsys.readouterr()
    lines = [json.loads(line) for line in output.out.splitlines()]
    assert [line.get("cut") for line in lines] == [None, None, True]
    assert output.err.splitlines() == [
        "affectlab: 1 text is longer than the model's 16 tokens, so the end was not read: text 3"
    ]


def test_texts_of_an_evaluation_that_were_cut_are_counted(directory, tmp_path, caplog):
    records = tmp_path / "records.jsonl"
    rows = [
        {"id": f"{split}-{number}", "text": text, "label": "joy", "split": split}
        for split in ("train", "validation", "test")
        for number, text in enumerate((SHORT, LONG, SHORT, LONG), start=1)
    ]
    records.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    predictions = tmp_path / "predictions.jsonl"
    with caplog.at_level(logging.WARNING):
        predict_records(
            data=read_data(records, described(tmp_path)),
            model_directory=directory,
            predictions_path=predictions,
            splits=["validation", "test"],
            threads=1,
        )
    assert "4 of 8 texts are longer than max_length (16 tokens)" in caplog.text
    found = reading(predictions, EmotionRun(max_length=LIMIT))
    assert found == {"max_length": LIMIT, "cut_texts": 2, "test_texts": 4}
    record = make_record() | {"details": {"reading": found}}
    text = card(record, [], RECIPE, DATASET, MODEL)
    assert "reads the first 16 tokens" in text
    assert "2 of the 4 scored texts are longer" in text
    assert "reads the first" not in card(make_record(), [], RECIPE, DATASET, MODEL)
    written = results_text(record | {"comparisons": []})
    assert "reads up to 16 tokens of a text; 2 of 4 scored texts are longer" in written

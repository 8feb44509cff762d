"""The entity experiment's networks, from a checkpoint to predictions, files and commands."""

import copy
import csv
import io
import json
import math
import os
import re
import shutil
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from blocks import changed
from card_checks import check_front_matter, prose
from example_programs import run_example
from page_words import raw_keys
from predictor_checks import check_predictor
from safetensors.torch import load_file, save_file
from scipy.special import softmax
from scored_runs import scored_run
from sklearn.metrics import f1_score

from affectlab import cli
from affectlab.config.models import Bootstrap, Training
from affectlab.entity import embeddings, encoding, losses, original, stored_states, updates
from affectlab.entity import model as networks
from affectlab.entity import report as section
from affectlab.entity import train as training
from affectlab.entity.audit import write_audit
from affectlab.entity.card import write_card
from affectlab.entity.compare import compare
from affectlab.entity.convert import convert
from affectlab.entity.data import Record, Target, of_split, read_data, read_records, targets_of
from affectlab.entity.embeddings import largest, write_embeddings
from affectlab.entity.evaluate import evaluate
from affectlab.entity.heads import KAPPA_SCALE, Embedding, Heads
from affectlab.entity.labels import CLASSES, NEUTRAL
from affectlab.entity.methods import soft_labels
from affectlab.entity.predict import GbertPredictor, predict_records
from affectlab.entity.queries import EntityEmotion, Query
from affectlab.entity.settings import (
    Block,
    EntityRun,
    Gbert,
    SpanAdapter,
    Split,
    Stage,
    Vmf,
    Weights,
)
from affectlab.entity.stages import encode_records
from affectlab.errors import UserError
from affectlab.files.io import read_json, write_json, write_jsonl
from affectlab.models import devices
from affectlab.models.text_models import load_tokenizer
from affectlab.report.display import term
from affectlab.report.errors import SHOWN
from affectlab.report.results import SeedResult
from affectlab.samples.entity import write_goemotions, write_spans
from affectlab.samples.models import write_tiny_bert, write_tiny_roberta
from affectlab.training.outputs import Outputs

pytestmark = pytest.mark.usefixtures("edited_models")

CPU = torch.device("cpu")
SCHEMAS = Path(__file__).parents[2] / "workflow" / "schemas"
TRAINING = Training(
    epochs=2,
    batch_size=16,
    learning_rate=1.0e-3,
    head_learning_rate=3.0e-3,
    weight_decay=0.01,
    warmup_steps=2,
    schedule="linear",
    precision="fp32",
    early_stopping_patience=3,
    checkpoint_minutes=60,
    sparse_embeddings=True,
)
VMF = Vmf(
    kappa_min=1.0,
    kappa_start=42.0,
    temperature=0.1,
    corrupted_share=0.25,
    corrupted_softening=0.3,
    class_weight_cap=4.0,
)
GBERT = Gbert(train_on="sentence", normalise_labels=False, kappa_weight=0.1, auxiliary_weight=0.05)
STILL = changed(TRAINING, learning_rate=1e-12, head_learning_rate=1e-12, epochs=1)
"""Leaves the weights as they are."""
RUNS = {
    "vmf": EntityRun(
        method="vmf",
        protocol="corrected",
        model="bert",
        data="spans",
        max_length=64,
        vmf=VMF,
        stages=[
            Stage(data="sentences", training=TRAINING),
            Stage(data="spans", training=changed(TRAINING, ema_decay=0.9)),
        ],
    ),
    "gbert": EntityRun(
        method="gbert",
        protocol="published",
        model="roberta",
        data="spans",
        max_length=64,
        gbert=GBERT,
        stages=[
            Stage(
                data="spans",
                entities=count,
                training=changed(
                    TRAINING, epochs=1, gradient_accumulation=2, gradient_checkpointing=True
                ),
            )
            for count in (20, None)
        ],
    ),
}
BOOTSTRAP = Bootstrap(resamples=100, level=0.9, seed=0)
TEXT = "Ada was in love with the old map."


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("entity")
    write_spans(folder / "raw_spans", seed=1, texts=90)
    write_goemotions(folder / "raw_sentences", seed=1, train=80, validation=30, test=30)
    for name, layout, split in (
        ("spans", "entity_spans", Split(validation=0.2, test=0.3)),
        ("sentences", "goemotions", None),
    ):
        convert(
            folder / f"raw_{name}",
            folder / f"{name}.jsonl",
            folder / f"{name}.quarantine.jsonl",
            folder / f"{name}.json",
            entry={"layout": layout},
            on_bad_record="fail",
            split=split,
        )
    write_tiny_bert(folder / "bert")
    write_tiny_roberta(folder / "roberta")
    return folder


def train(work: Path, name: str, folder: Path, **changes) -> Path:
    run = RUNS[name]
    arguments = {
        "records_paths": {data: work / f"{data}.jsonl" for data in ("sentences", "spans")},
        "description_paths": {data: work / f"{data}.json" for data in ("sentences", "spans")},
        "base_model": work / run.model,
        "start_from": None,
        "run": run,
        "subset_seed": 0,
        "seed": 3,
        "threads": 1,
        "outputs": Outputs(folder / "model", folder / "history.csv", folder / "training.json"),
        "fold": None,
    }
    training.train(**arguments | changes)
    return folder


@pytest.fixture(scope="module")
def trained(work) -> dict[str, Path]:
    return {name: train(work, name, work / "runs" / name) for name in RUNS}


@pytest.fixture(scope="module")
def predictor(trained) -> GbertPredictor:
    return GbertPredictor.from_checkpoint(trained["vmf"] / "model", device="cpu")


# Tokens and offsets


@pytest.mark.parametrize("model", ["bert", "roberta"])
def test_spans_are_found_by_offset_beside_emoji_and_cjk(work, model):
    tokenizer = load_tokenizer(work / model)
    text = "😀 花子 met Ada; Ada felt 😀 fine."
    start = text.rindex("Ada")
    rows, cut = encoding.encode(tokenizer, [text], [[(start, start + 3), (2, 4)]], max_length=64)
    assert cut == []
    (row,) = rows
    offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    for (_, first, last), (left, right) in zip(
        row.spans, [(start, start + 3), (2, 4)], strict=True
    ):
        assert offsets[first][0] == left
        assert offsets[last - 1][1] == right


def test_many_spans_of_a_text_cost_one_pass_and_windows_cut_none(work):
    tokenizer = load_tokenizer(work / "bert")
    words = [f"word{n:02d}" for n in range(40)]
    text = " ".join(words)
    spans = [(7 * n, 7 * n + 6) for n in (0, 1, 20, 21, 39)]
    (row,), _ = encoding.encode(tokenizer, [text], [spans], max_length=512)
    assert [target for target, _, _ in row.spans] == [0, 1, 2, 3, 4]
    rows, _ = encoding.encode(tokenizer, [text], [spans], max_length=40)
    assert 1 < len(rows) <= 4
    whole = tokenizer(text)["input_ids"]
    for row in rows:
        assert len(row.token_ids) <= 40
        assert (row.token_ids[0], row.token_ids[-1]) == (whole[0], whole[-1])
        for target, first, last in row.spans:
            left, right = spans[target]
            expected = tokenizer(text[left:right], add_special_tokens=False)["input_ids"]
            assert row.token_ids[first:last] == expected
    with pytest.raises(UserError, match="does not fit into max_length 16"):
        encoding.encode(tokenizer, [text], [[(0, len(text))]], max_length=16)
    rows, cut = encoding.encode(tokenizer, [text], [[None]], max_length=16)
    assert (len(rows[0].token_ids), cut) == (16, [0])


def test_more_tokens_than_the_encoder_takes_are_refused(work):
    with pytest.raises(UserError, match="at most 512"):
        encoding.encode(load_tokenizer(work / "bert"), [TEXT], [[None]], max_length=513)


def test_batches_give_what_single_spans_give(work):
    """Pooling over a batch with padding is the mean over each span's own tokens."""
    tokenizer = load_tokenizer(work / "bert")
    encoder = networks.load_encoder(work / "bert", device=CPU).eval()
    torch.manual_seed(0)
    network = networks.EmotionEmbedder(
        encoder, Heads(48, method="vmf", classes=len(CLASSES))
    ).eval()
    texts = [TEXT, "The letter, Ada said, is long gone and nobody minds."]
    spans = [[(0, 3), (21, 32), None], [(12, 15)]]
    rows, _ = encoding.encode(tokenizer, texts, spans, max_length=64)
    batch = encoding.collator(rows, None, pad_id=tokenizer.pad_token_id)(np.array([0, 1]))
    with torch.inference_mode():
        mu, kappa, logits, _ = network(batch)
        for row in rows:
            ids = torch.tensor([row.token_ids])
            states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            heads = network.heads
            hidden = torch.nn.functional.gelu(heads.hidden(states[0]))
            for target, first, last in row.spans:
                direction = heads.direction(hidden[first:last]).mean(dim=0)
                expected = direction / direction.norm()
                torch.testing.assert_close(mu[target], expected, atol=1e-5, rtol=1e-4)
                energy = heads.energy(hidden[first:last]).mean() * KAPPA_SCALE
                wanted = 1.0 + torch.nn.functional.softplus(energy)
                torch.testing.assert_close(kappa[target], wanted, atol=1e-3, rtol=1e-4)
    assert 30 < kappa.mean().item() < 55
    assert logits.shape == (4, len(CLASSES))


@pytest.mark.parametrize("write", [write_tiny_bert, write_tiny_roberta], ids=["bert", "roberta"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_last_layer_is_computed_for_tokens_of_spans_alone(tmp_path, write, checkpointing):
    """With the same embeddings and gradients; whole texts read all of its output."""
    write(tmp_path / "base")
    tokenizer = load_tokenizer(tmp_path / "base")
    texts = [TEXT, "The letter, Ada said, is long gone and nobody minds."]
    spans = [[(21, 32), (0, 3), (23, 32)], [(12, 15)]]
    labels = np.eye(4, len(CLASSES), dtype=np.float32)
    found = []
    for shortened in (True, False):
        encoder = networks.load_encoder(tmp_path / "base", device=CPU).eval()
        torch.manual_seed(0)
        network = networks.EmotionEmbedder(
            encoder, Heads(48, method="vmf", classes=len(CLASSES))
        ).eval()
        network.shortened &= shortened
        if checkpointing:
            encoder.activation_checkpointing_enable({"use_reentrant": False})
            network.train()
            for module in network.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        lengths = []
        encoder.encoder.layer[-1].register_forward_hook(
            lambda _, __, output, lengths=lengths: lengths.append(output.shape[1])
        )
        rows, _ = encoding.encode(tokenizer, texts, spans, max_length=64)
        batch = encoding.collator(rows, labels, pad_id=tokenizer.pad_token_id)(np.array([1, 0]))
        outputs = network(batch)
        losses.corrected_loss(VMF)(outputs, batch["labels"]).sum().backward()
        found.append((outputs, {n: p.grad for n, p in network.named_parameters()}))
        longest = batch["input_ids"].shape[1]
        inside = [sum(last - first for _, first, last in row.spans[:2]) for row in rows]
        assert set(lengths) == {max(inside) if shortened else longest}
        assert 2 * max(inside) < longest
        whole, _ = encoding.encode(tokenizer, texts, [[None], [None]], max_length=64)
        lengths.clear()
        network(encoding.collator(whole, None, pad_id=tokenizer.pad_token_id)(np.array([0, 1])))
        assert lengths == [max(len(row.token_ids) for row in whole)]
    (ours, gradients), (plain, expected) = found
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize(("budget", "rows_at_most"), [(64, 8), (10_000, 3)])
def test_batches_on_a_processor_are_small_whatever_they_hold(
    trained, monkeypatch, budget, rows_at_most
):
    network, tokenizer, _ = networks.load_model(trained["vmf"] / "model", device=CPU)
    texts = [" ".join([TEXT] * (1 + number % 3)) for number in range(9)]
    rows, _ = encoding.encode(tokenizer, texts, [[None]] * 9, max_length=512)
    sizes = []

    def watched(batch):
        sizes.append(tuple(batch["input_ids"].shape))
        return network(batch)[:3]

    def ask(batch_size):
        sizes.clear()
        how = {"pad_id": tokenizer.pad_token_id, "dtype": torch.float32, "device": CPU}
        return networks.embed_rows(watched, rows, batch_size=batch_size, **how)

    alone = ask(1)
    assert len(sizes) == 9
    monkeypatch.setattr(networks, "CPU_TOKENS", budget)
    for one, other in zip(ask(rows_at_most), alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, rtol=1e-4)
    assert sum(count for count, _ in sizes) == 9
    assert all(count == 1 or count * length <= budget for count, length in sizes)
    assert max(count for count, _ in sizes) == min(rows_at_most, max(1, budget // sizes[0][1]))


def test_each_row_of_a_batch_keeps_its_tokens_spans_and_labels(work):
    """Whatever the order of the rows: label k is that of target k, and no two are equal."""
    tokenizer = load_tokenizer(work / "bert")
    texts = ["Ada is sad.", "The old map of Jun is gone for good.", "Greta met Mia.", "No letter."]
    words = [["Ada"], ["old map", "Jun", "gone"], ["Greta", "Mia"], ["letter"]]
    spans = [
        [(text.index(word), text.index(word) + len(word)) for word in inside]
        for text, inside in zip(texts, words, strict=True)
    ]
    rows, _ = encoding.encode(tokenizer, texts, spans, max_length=64)
    labels = np.eye(7, len(CLASSES), dtype=np.float32)
    order = [2, 0, 1]
    batch = encoding.collator(rows, labels, pad_id=tokenizer.pad_token_id)(np.array(order))
    for place, number in enumerate(order):
        size = int(batch["attention_mask"][place].sum())
        assert batch["input_ids"][place, :size].tolist() == tokenizer(texts[number])["input_ids"]
        assert (batch["input_ids"][place, size:] == tokenizer.pad_token_id).all()
    assert batch["targets"].tolist() == [4, 5, 0, 1, 2, 3]
    assert batch["labels"].argmax(dim=1).tolist() == [4, 5, 0, 1, 2, 3]
    flat = batch["input_ids"].flatten()[batch["tokens"]]
    found = torch.tensor_split(flat, batch["offsets"][1:])
    for ids, word in zip(found, ["Greta", "Mia", "Ada", "old map", "Jun", "gone"], strict=True):
        assert ids.tolist() == tokenizer(word, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(("least", "start"), [(1.0, 42.0), (1.0, 1.5), (5.0, 7.0)])
def test_the_concentration_starts_where_it_is_told_to(least, start):
    heads = Heads(48, method="vmf", classes=len(CLASSES), kappa_min=least, kappa_start=start)
    torch.nn.init.zeros_(heads.energy.weight)
    found = heads(*heads.pool(torch.randn(1, 4, 48), torch.arange(4), torch.tensor([0])))
    assert found.kappa.item() == pytest.approx(start, rel=1e-5)


def test_the_sound_prototypes_stand_apart_and_stay_where_they_are(trained):
    network, _, _ = networks.load_model(trained["vmf"] / "model", device=CPU, training=True)
    assert "heads.prototypes" not in dict(network.named_parameters())
    # So that a coordinate of mu is the cosine to a class, as the documentation says.
    torch.testing.assert_close(network.heads.directions(), torch.eye(28, 64), rtol=0, atol=0)


def test_the_published_prototypes_are_learned(trained):
    network, _, _ = networks.load_model(trained["gbert"] / "model", device=CPU, training=True)
    assert network.heads.prototypes.requires_grad
    assert dict(network.named_parameters())["heads.prototypes"].shape == (28, 64)


def test_the_published_concentration_is_the_maximum_over_tokens(work):
    torch.manual_seed(0)
    heads = Heads(48, method="gbert", classes=len(CLASSES))
    states = torch.randn(1, 6, 48)
    found = heads(*heads.pool(states, torch.arange(1, 5), torch.tensor([0])))
    energy = torch.nn.functional.softplus(heads.energy(states[0, 1:5])).max()
    torch.testing.assert_close(found.kappa[0], 1 + 50 * energy)


# Training


def test_a_run_leaves_model_history_and_facts(trained):
    for name, folder in trained.items():
        files = {path.name for path in (folder / "model").iterdir()}
        assert {"config.json", "model.safetensors", "heads.safetensors", "gbert.json"} <= files
        facts = read_json(folder / "training.json")
        assert len(facts["stages"]) == 2
        rows = (folder / "history.csv").read_text().splitlines()
        assert rows[0].startswith("step,epoch,split,loss")
        steps = [int(row.split(",")[0]) for row in rows[1:]]
        assert steps == sorted(steps)
        assert not (folder / "work" / "checkpoints").exists(), name


def test_the_published_log_shows_the_loss_times_the_accumulated_batches(trained):
    header, *rows = (trained["gbert"] / "history.csv").read_text().splitlines()
    columns = header.split(",")
    logged = [dict(zip(columns, row.split(","), strict=True)) for row in rows]
    for row in logged:
        if row["split"] == "train":
            assert float(row["logged_loss"]) == pytest.approx(2 * float(row["loss"]))


def test_the_published_run_is_validated_as_it_is_trained(work, trained):
    """On whole sentences: the weights that are kept are those of the least loss there."""
    network, tokenizer, _ = networks.load_model(trained["gbert"] / "model", device=CPU)
    held_out = of_split(read_records(work / "spans.jsonl", CLASSES), "validation")
    rows = encode_records(tokenizer, held_out, 64)
    labels = soft_labels(held_out, len(CLASSES), scaled=False)
    collate = encoding.collator(rows, labels, pad_id=tokenizer.pad_token_id, whole_texts=True)
    batch = collate(np.arange(len(rows)))
    with torch.inference_mode():
        expected = (
            losses.published_loss(GBERT, NEUTRAL)(network(batch), batch["labels"]).mean().item()
        )
    header, *lines = (trained["gbert"] / "history.csv").read_text().splitlines()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    losses_seen = [
        float(row["loss"]) for row in rows if row["split"] == "validation" and row["stage"] == "2"
    ]
    assert min(losses_seen) == pytest.approx(expected, rel=1e-4)


def test_only_the_published_run_trains_on_whole_sentences(work, monkeypatch):
    seen = {}
    collator = encoding.collator

    def spy(rows, labels, *, pad_id, whole_texts=False):
        if labels is not None:
            seen.setdefault(labels.sum(axis=1).round(4).max(), set()).add(whole_texts)
        return collator(rows, labels, pad_id=pad_id, whole_texts=whole_texts)

    monkeypatch.setattr(encoding, "collator", spy)
    for name in RUNS:
        seen.clear()
        train(work, name, work / "spied" / name)
        assert set().union(*seen.values()) == {name == "gbert"}
        # Labels of v2 sum to less than 1 here unless they are scaled.
        assert (1.0 in seen) or name == "gbert"


def test_labels_of_corrupted_copies_are_moved_towards_the_uniform_distribution(
    work, tmp_path, monkeypatch
):
    seen = []
    collator = encoding.collator

    def spy(rows, labels, **options):
        if labels is not None:
            seen.append(labels)
        return collator(rows, labels, **options)

    monkeypatch.setattr(encoding, "collator", spy)
    vmf = changed(VMF, corrupted_share=1.0, corrupted_softening=0.3, class_weight_cap=None)
    train(work, "vmf", tmp_path, run=changed(RUNS["vmf"], vmf=vmf))
    clean, copied = np.split(seen[-1].astype("float64"), 2)
    np.testing.assert_allclose(copied.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(copied.min(axis=1), 0.3 / 28, rtol=1e-5)
    np.testing.assert_allclose(copied - 0.3 / 28, 0.7 * clean, atol=1e-6)


def test_no_corrupted_copies_are_no_obstacle(work, tmp_path):
    vmf = changed(VMF, corrupted_share=0.0)
    assert (train(work, "vmf", tmp_path, run=changed(RUNS["vmf"], vmf=vmf)) / "model").is_dir()


def test_an_interrupted_run_goes_on_to_the_same_bytes(work, trained, tmp_path, monkeypatch):
    """The second stage is broken off; the first is not trained again."""
    from affectlab.training import loop as loop

    fit, calls = loop.fit, []

    def failing(*arguments, **options):
        calls.append(options["checkpoint_directory"].name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(loop, "fit", failing)
    with pytest.raises(KeyboardInterrupt):
        train(work, "vmf", tmp_path)
    assert not (tmp_path / "model").exists()
    train(work, "vmf", tmp_path)
    assert calls == ["stage0", "stage1", "stage1"]
    for name in ("model/model.safetensors", "model/heads.safetensors", "model/gbert.json"):
        assert (tmp_path / name).read_bytes() == (trained["vmf"] / name).read_bytes()


def test_a_run_starts_from_another_one(work, trained, tmp_path):
    base = trained["vmf"] / "model"
    run = changed(RUNS["vmf"], stages=[Stage(data="spans", training=STILL)])
    train(work, "vmf", tmp_path, run=run, start_from=base)
    before, after = (
        GbertPredictor.from_checkpoint(folder, device="cpu").embed([TEXT])[0]
        for folder in (base, tmp_path / "model")
    )
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_run_that_starts_from_another_one_keeps_its_own_least_kappa(work, trained, tmp_path):
    """What it is trained and calibrated with is what its stored model gives."""
    run = changed(
        RUNS["vmf"],
        vmf=changed(VMF, kappa_min=9.0),
        stages=[Stage(data="spans", entities=20, training=STILL)],
    )
    train(work, "vmf", tmp_path, run=run, start_from=trained["vmf"] / "model")
    rows = (tmp_path / "history.csv").read_text().splitlines()
    place = rows[0].split(",").index("kappa")
    told = float(next(row for row in rows if ",validation," in row).split(",")[place])
    held_out = of_split(read_records(work / "spans.jsonl", CLASSES), "validation")
    network, tokenizer, _ = networks.load_model(tmp_path / "model", device=CPU)
    stored = networks.embed_rows(
        networks.without_prototypes(network),
        encode_records(tokenizer, held_out, 64),
        pad_id=tokenizer.pad_token_id,
        batch_size=64,
        dtype=torch.float32,
        device=CPU,
    )[1]
    assert stored.mean() == pytest.approx(told, rel=1e-4)


@pytest.fixture(scope="module")
def sentences(work) -> Path:
    """A model of whole sentences, with thresholds."""
    run = changed(RUNS["vmf"], data="sentences", stages=RUNS["vmf"].stages[:1])
    return train(work, "vmf", work / "runs" / "sentences", run=run)


ADAPTED = changed(VMF, span_adapter=SpanAdapter(hidden=32, dropout=0.5))


def train_adapter(work, sentences, folder, *, vmf=ADAPTED, **training) -> Path:
    """A small network for spans upon the model of sentences."""
    stages = [Stage(data="spans", training=changed(TRAINING, **training))]
    run = changed(RUNS["vmf"], vmf=vmf, stages=stages)
    return train(work, "vmf", folder, run=run, start_from=sentences / "model")


@pytest.fixture(scope="module")
def adapted(work, sentences) -> Path:
    return train_adapter(work, sentences, work / "runs" / "adapted", epochs=6)


def test_an_adapter_changes_spans_and_leaves_whole_texts_alone(sentences, adapted):
    before, after = (
        GbertPredictor.from_checkpoint(folder / "model", device="cpu")
        for folder in (sentences, adapted)
    )
    queries = [TEXT, (TEXT, "Ada"), ("No more of this!", None)]
    told, found = before.predict(queries), after.predict(queries)
    assert [told[0], told[2]] == [found[0], found[2]]
    assert not np.allclose(told[1].mu, found[1].mu, atol=0.02)
    stored = read_json(adapted / "model" / "gbert.json")
    assert stored["heads"]["adapter"] == {"layers": 2, "hidden": 32, "dropout": 0.5}
    old = read_json(sentences / "model" / "gbert.json")["calibration"]
    assert stored["calibration"]["texts"] == old["texts"]
    assert old["spans"] == old["texts"] | {"thresholds": None}
    assert stored["calibration"]["texts"]["thresholds"] is not None
    assert stored["calibration"]["spans"]["thresholds"] is None


def test_an_adapter_trained_in_bfloat16_rounds_nothing_else(work, sentences, tmp_path):
    train_adapter(work, sentences, tmp_path, epochs=1, precision="bf16")
    before, after = (
        GbertPredictor.from_checkpoint(folder / "model", device="cpu").predict(TEXT)
        for folder in (sentences, tmp_path)
    )
    assert before == after


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_states_that_are_kept_teach_an_adapter_what_the_encoder_would(
    work, sentences, tmp_path, monkeypatch, precision
):
    asked = []
    pooled = networks.EmotionEmbedder.pooled

    def counted(network, batch):
        asked[-1] += len(batch["targets"])
        return pooled(network, batch)

    monkeypatch.setattr(networks.EmotionEmbedder, "pooled", counted)
    histories, adapters = [], []
    for place, room in enumerate((stored_states.LARGEST_BYTES, 1000)):
        asked.append(0)
        monkeypatch.setattr(stored_states, "LARGEST_BYTES", room)
        folder = train_adapter(
            work, sentences, tmp_path / str(place), epochs=3, precision=precision
        )
        with (folder / "history.csv").open() as lines:
            histories.append([float(row["loss"]) for row in csv.DictReader(lines)])
        network, *_ = networks.load_model(folder / "model", device=CPU)
        adapters.append(network.heads.adapter.hidden.weight.detach())
    rough = precision == "bf16"
    assert histories[0] == pytest.approx(histories[1], rel=0.02 if rough else 1e-4)
    torch.testing.assert_close(*adapters, atol=0.01 if rough else 1e-4, rtol=0)
    assert len(histories[0]) == 6
    targets = len(targets_of(read_records(work / "spans.jsonl", CLASSES)))
    # Training and validation once, validation once more to calibrate; else in each epoch.
    assert asked[0] < 2 * targets < asked[1]


def test_contrast_within_shares_of_a_batch_is_warned_of(work, sentences, tmp_path, monkeypatch):
    from affectlab.training import distributed

    warned = []
    monkeypatch.setattr(distributed, "warn_of_shares", warned.append)
    train_adapter(work, sentences, tmp_path / "with", epochs=1)
    assert warned == ["contrast"]
    without = changed(ADAPTED, weights=Weights(contrast=0.0))
    train_adapter(work, sentences, tmp_path / "without", vmf=without, epochs=1)
    assert warned == ["contrast"]


def test_an_adapter_learns(adapted):
    with (adapted / "history.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    for split in ("train", "validation"):
        losses = [float(row["loss"]) for row in rows if row["split"] == split]
        assert min(losses) < losses[0]


def test_an_adapter_begins_without_a_correction(trained):
    """Afterwards, with other weights, its correction of a span is worked out by hand."""
    network, tokenizer, _ = networks.load_model(trained["vmf"] / "model", device=CPU)
    rows, _ = encoding.encode(tokenizer, [TEXT, "So?"], [[(0, 6), None], [None]], max_length=64)
    batch = encoding.collator(rows, None, pad_id=tokenizer.pad_token_id)(np.array([1, 0]))
    with torch.inference_mode():
        plain = network(batch)
        network.add_adapter(hidden=7, dropout=0.0)
        for old, new in zip(plain, network.eval()(batch), strict=True):
            torch.testing.assert_close(new, old)
        adapter = network.heads.adapter
        torch.nn.init.normal_(adapter.output.weight)
        found = network(batch)
        states = network.encoder(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            output_hidden_states=True,
        ).hidden_states[1:]
        length = int(batch["attention_mask"][1].sum())
        span = next(row for row in rows if len(row.token_ids) == length).spans[0]
        means = [layer[1, span[1] : span[2]].mean(dim=0) for layer in states]
        means += [layer[1, :length].mean(dim=0) for layer in states]
        inputs = torch.cat([(m - m.mean()) / (m.var(correction=0) + 1e-5).sqrt() for m in means])
        corrections = adapter.output(
            torch.nn.functional.gelu(adapter.hidden(10.0 * inputs / inputs.norm()))
        )
    place = batch["targets"].tolist().index(0)
    torch.testing.assert_close(
        found.logits[place] - network.heads._side_head(8.0 * found.mu[place]), corrections[65:]
    )
    others = [other for other in range(3) if other != place]
    torch.testing.assert_close(found.mu[others], plain.mu[others])


def test_only_the_adapter_is_trained_and_nothing_else_drops_out(trained):
    network, *_ = networks.load_model(trained["vmf"] / "model", device=CPU, training=True)
    network.add_adapter(hidden=7, dropout=0.5)
    network.train()
    names = {name for name, p in network.named_parameters() if p.requires_grad}
    assert names
    assert all(name.startswith("heads.adapter.") for name in names)
    dropping = [name for name, module in network.named_modules() if module.training]
    assert dropping
    assert not any(name.startswith("encoder") for name in dropping)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("train_on", ["sentence", "span"])
def test_the_switches_say_what_the_published_recipe_is_trained_by(
    work, tmp_path, train_on, normalise
):
    gbert = changed(GBERT, train_on=train_on, normalise_labels=normalise)
    stages = [Stage(data="spans", entities=20, training=STILL)]
    train(work, "gbert", tmp_path, run=changed(RUNS["gbert"], gbert=gbert, stages=stages))
    rows = (tmp_path / "history.csv").read_text().splitlines()
    place = rows[0].split(",").index("loss")
    told = float(next(row for row in rows if ",validation," in row).split(",")[place])
    held_out = of_split(read_records(work / "spans.jsonl", CLASSES), "validation")
    labels = np.array([target.label for target in targets_of(held_out)])
    assert np.ptp(labels.sum(axis=1)) > 0.3, "sums that differ, for normalising to matter"
    if normalise:
        labels /= labels.sum(axis=1, keepdims=True)
    predictor = GbertPredictor.from_checkpoint(tmp_path / "model", device="cpu")
    found = predictor.raw(
        [record.text for record in held_out for _ in record.targets],
        [t.span if train_on == "span" else None for t in targets_of(held_out)],
    )
    embedding = Embedding(*map(torch.from_numpy, found), predictor._network.heads.directions())
    each = losses.published_loss(gbert, NEUTRAL)(embedding, torch.from_numpy(labels).float())
    assert float(each.mean()) == pytest.approx(told, rel=1e-3)


def test_texts_are_needed_in_every_split(work, tmp_path):
    lines = (work / "spans.jsonl").read_text().splitlines()
    kept = [line for line in lines if '"split": "validation"' not in line]
    (tmp_path / "spans.jsonl").write_text("\n".join(kept))
    paths = {"spans": tmp_path / "spans.jsonl", "sentences": work / "sentences.jsonl"}
    with pytest.raises(UserError, match="no texts to validation on"):
        train(work, "gbert", tmp_path, records_paths=paths)


# Predicting


def test_a_prediction_is_whole_and_json_able(predictor):
    answer = predictor.predict("I love this movie!")
    assert math.hypot(*answer.mu) == pytest.approx(1.0, abs=1e-5)
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)
    assert answer.kappa > 0
    assert len(json.loads(json.dumps(answer.to_dict()))["mu"]) == 64
    assert answer.top(28)[0][1] >= answer.top(28)[27][1]
    assert answer.span is None


def test_a_model_of_sentences_decides_on_every_class_that_reaches_its_threshold(predictor):
    spans = predictor.predict("I love this movie!")
    assert spans.labels == (spans.label,)
    ranked = [name for name, _ in spans.top(28)]
    lowest = spans.probabilities[ranked[2]]
    sentences = copy.copy(predictor)
    texts = predictor._description.calibration["texts"] | {"thresholds": [lowest] * 28}
    calibration = predictor._description.calibration | {"texts": texts}
    sentences._description = replace(predictor._description, calibration=calibration)
    assert sentences.predict("I love this movie!").labels == tuple(ranked[:3])
    assert sentences.predict("I love this movie!").label == ranked[0]
    texts["thresholds"] = [1.0] * 28
    assert sentences.predict("I love this movie!").labels == (ranked[0],)


def test_the_largest_values_come_first_and_equal_ones_in_their_order():
    generator = np.random.default_rng(0)
    for size in (1, 5, 200):
        values = generator.integers(0, 20, size).astype(np.float32)
        for k in (1, 4, size, size + 3):
            expected = np.argsort(-values, kind="stable")[:k]
            np.testing.assert_array_equal(largest(values, k), expected)
    assert largest(np.empty(0, np.float32), 3).shape == (0,)


def test_spans_of_one_text_are_answered_together_as_alone(predictor):
    queries = [Query(TEXT, "Ada"), "Greta is sad.", Query(TEXT, "the old map"), Query(TEXT)]
    together = predictor.predict(queries)
    for query, answer in zip(queries, together, strict=True):
        alone = predictor.predict(*([query] if isinstance(query, str) else query))
        np.testing.assert_allclose(alone.mu, answer.mu, atol=1e-5)
        assert alone.kappa == pytest.approx(answer.kappa, rel=1e-4)
    assert together[2].span == (21, 32)
    mu, kappa = predictor.embed([TEXT])
    np.testing.assert_allclose(mu[0], together[3].mu, atol=1e-5)
    assert kappa[0] == pytest.approx(together[3].kappa, rel=1e-4)


def test_several_threads_may_ask(predictor, monkeypatch):
    """Which tokens the last layer computes is a state of the network."""
    read_last_layer_at = networks.read_last_layer_at

    def slowly(*arguments):
        read_last_layer_at(*arguments)
        time.sleep(0.1)

    queries = [Query(TEXT, "Ada"), Query(f"{TEXT} {TEXT}", "the old map", 21)]
    expected = [predictor.predict(*query) for query in queries]
    monkeypatch.setattr(networks, "read_last_layer_at", slowly)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda query: predictor.predict(*query), queries))
    assert found == expected


def test_an_ambiguous_span_warns_and_takes_the_first(predictor):
    text = "Ada met Ada."
    with pytest.warns(UserWarning, match="more than once"):
        first = predictor.predict(text=text, span_text="Ada")
    assert first.span == (0, 3)
    assert predictor.predict(text=text, span_text="Ada", char_start=8).span == (8, 11)


@pytest.mark.parametrize(
    ("text", "span", "problem"),
    [
        (TEXT * 20, TEXT * 15, r"a span of \d+ tokens does not fit into max_length 64"),
        # What the tokenizer drops: a space of no width.
        ("Ada \u200b slept.", "\u200b", "no token stands at 4..5 of its text"),
    ],
)
def test_a_span_that_cannot_be_read_is_named(
    work, trained, predictor, tmp_path, text, span, problem
):
    """By the number of its query, or by its id, wherever else its text is asked for."""
    queries = [Query(text), TEXT, Query(text, text[:3], 0), Query(text, span, text.index(span))]
    with pytest.raises(UserError, match=f"^text 4: {problem}"):
        predictor.predict(queries)
    start = text.index(span)
    places = [(0, 3), (start, start + len(span))]
    label = tuple(np.eye(len(CLASSES))[0])
    targets = [Target(f"00007.{n}", *place, label, 1.0) for n, place in enumerate(places)]
    records = [
        Record("00006", TEXT, "validation", (Target("00006.0", 0, 3, label, 1.0),)),
        Record("00007", text, "validation", tuple(targets)),
    ]
    with pytest.raises(UserError, match=rf"^target 00007\.1: {problem}"):
        encode_records(load_tokenizer(work / "bert"), records, 64)
    write_jsonl(tmp_path / "records.jsonl", (record.to_dict() for record in records))
    with pytest.raises(UserError, match=rf"^target 00007\.1, clean: {problem}"):
        predict_records(
            records_path=tmp_path / "records.jsonl",
            description_path=work / "spans.json",
            fold=None,
            model_directory=trained["vmf"] / "model",
            base_model=work / "bert",
            predictions_path=tmp_path / "predictions.parquet",
            corruption_seed=0,
            threads=1,
        )


def test_an_offset_of_numpy_is_a_whole_number(predictor):
    """As tables have them; the answer is JSON-able all the same."""
    found = predictor.predict("Ada met Ada.", "Ada", np.int64(8))
    assert json.loads(json.dumps(found.to_dict()))["span"] == [8, 11]


def test_a_whole_text_that_is_too_long_is_cut_with_a_warning(predictor, recwarn):
    long = TEXT * 20
    with pytest.warns(
        UserWarning, match=r"^text 2: longer than the model's 64 tokens, .*as 1 more"
    ):
        predictor.embed([TEXT, long, long])
    recwarn.clear()
    predictor.predict(long, "Ada", 0)
    predictor.predict(TEXT)
    assert not recwarn.list


def test_no_texts_have_no_embeddings(predictor):
    mu, kappa = predictor.embed([])
    assert (mu.shape, kappa.shape) == ((0, 64), (0,))
    assert predictor.predict([]) == []
    with pytest.raises(TypeError, match="not one string"):
        predictor.embed(TEXT)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (Query(float("nan")), "text 1: expected a string, found float"),
        (float("nan"), "text 1: expected a string, found float"),
        (Query("half \ud83d"), "text 1: holds half a surrogate pair"),
        (Query(TEXT, 3), "span_text is no string, but int"),
        (Query(TEXT, "Ada", 0.0), "char_start 0.0 is no whole number"),
        (Query("My Mum.", "y", True), "char_start True is no whole number"),
        (Query("My Mum.", "y", np.True_), "char_start np.True_ is no whole number"),
        (Query(TEXT, "Ada", np.array([0])), r"char_start array\(\[0\]\) is no whole number"),
        (Query(" "), "text 1: is empty"),
        (Query(TEXT, "dog"), "'dog' is not in the text"),
        (Query(TEXT, "Ada", 2), "does not stand at 2"),
        (Query(TEXT, "Ada", -3), "does not stand at -3"),
        (Query(TEXT, ""), "the span is empty"),
        (Query(TEXT, None, 3), "char_start without span_text"),
    ],
)
def test_a_bad_query_is_named(predictor, query, problem):
    with pytest.raises(UserError, match=problem):
        predictor.predict([query])


def test_a_directory_without_a_model_is_refused(tmp_path, trained):
    with pytest.raises(UserError, match="no such checkpoint"):
        GbertPredictor.from_checkpoint(tmp_path / "nothing")
    with pytest.raises(UserError, match="no model of the entity experiment here"):
        GbertPredictor.from_checkpoint(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(trained["vmf"] / "model", broken)
    (broken / "heads.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(UserError, match=r"heads\.safetensors: cannot be loaded"):
        GbertPredictor.from_checkpoint(broken)
    save_file({"prototypes": torch.zeros(27, 64)}, broken / "heads.safetensors")
    with pytest.raises(UserError, match=r'loaded: Missing key\(s\) .*"hidden\.weight", .* \.\.\.$'):
        GbertPredictor.from_checkpoint(broken)
    stored = read_json(broken / "gbert.json")
    write_json(broken / "gbert.json", stored | {"heads": {"width": 3}})
    with pytest.raises(UserError, match=r"cannot be loaded: .*'width'"):
        GbertPredictor.from_checkpoint(broken)
    for wrong in ({"max_length": None}, {"calibration": {"temperature": 2.0}}, {"method": "bert"}):
        write_json(broken / "gbert.json", stored | wrong)
        with pytest.raises(UserError, match=rf"gbert\.json: {next(iter(wrong))}: expected"):
            GbertPredictor.from_checkpoint(broken)
    write_json(broken / "gbert.json", stored | {"classes": ["joy"]})
    with pytest.raises(UserError, match="expected 2 to 64 different names"):
        GbertPredictor.from_checkpoint(broken)
    for corrupted in ({**stored, "kind": "new"}, {"classes": list(CLASSES)}, ["vmf"]):
        write_json(broken / "gbert.json", corrupted)
        with pytest.raises(UserError, match=r"gbert\.json: expected calibration, classes"):
            GbertPredictor.from_checkpoint(broken)


def test_an_encoder_that_lacks_weights_is_refused(work, trained, tmp_path):
    """They would be drawn at random."""
    for name, folder in (("base", work / "bert"), ("model", trained["vmf"] / "model")):
        shutil.copytree(folder, tmp_path / name)
        weights = load_file(tmp_path / name / "model.safetensors")
        # The pooling layer is read by nobody.
        kept = {key: value for key, value in weights.items() if "pooler" not in key}
        save_file(kept, tmp_path / name / "model.safetensors", {"format": "pt"})
        networks.load_encoder(tmp_path / name, device=CPU)
        del kept["encoder.layer.1.output.dense.bias"]
        save_file(kept, tmp_path / name / "model.safetensors", {"format": "pt"})
        with pytest.raises(UserError, match=r"lacks 1 of its weights, encoder\.layer\.1\.output"):
            networks.load_encoder(tmp_path / name, device=CPU)
    with pytest.raises(UserError, match="as a text encoder: the checkpoint lacks"):
        GbertPredictor.from_checkpoint(tmp_path / "model")


# Original checkpoints


def original_state(network: networks.EmotionEmbedder) -> dict[str, torch.Tensor]:
    """The weights under names as the original project gives them."""
    names = {
        "encoder.": "encoder.",
        "heads.hidden.": "mu_head.0.",
        "heads.direction.": "mu_head.2.",
        "heads.energy.": "energy_head.",
        "heads.auxiliary.0.": "aux_head.0.",
        "heads.auxiliary.2.": "aux_head.2.",
        "heads.prototypes": "emotion_prototypes",
    }
    state = {}
    for name, tensor in network.state_dict().items():
        prefix = next(prefix for prefix in names if name.startswith(prefix))
        state[name.replace(prefix, names[prefix], 1)] = tensor
    return state | {"encoder.pooler.dense.weight": torch.zeros(48, 48)}


def test_an_original_checkpoint_is_loaded_and_converted(work, trained, tmp_path, capsys):
    network, _, _ = networks.load_model(trained["gbert"] / "model", device=CPU)
    path = tmp_path / "best_model.pt"
    torch.save({"model_state_dict": original_state(network)}, path)
    theirs = GbertPredictor.from_checkpoint(path, work / "roberta", "cpu")
    mu, _ = theirs.embed([TEXT])
    ours, _ = GbertPredictor.from_checkpoint(trained["gbert"] / "model", device="cpu").embed([TEXT])
    np.testing.assert_allclose(mu, ours, atol=1e-6)
    converted = tmp_path / "converted"
    told = ask(capsys, "convert-gbert", path, "--encoder", work / "roberta", "--output", converted)
    assert told == f"{converted}\n"
    again = GbertPredictor.from_checkpoint(converted, device="cpu")
    assert again.fingerprint() == theirs.fingerprint()
    np.testing.assert_allclose(again.embed([TEXT])[0], ours, atol=1e-6)
    with pytest.raises(UserError, match="model_name"):
        GbertPredictor.from_checkpoint(path)


def test_code_in_a_checkpoint_is_not_run(work, tmp_path):
    sign = tmp_path / "was run"

    class Carrier:
        def __reduce__(self):
            return os.mkdir, (str(sign),)

    torch.save({"model_state_dict": {"encoder.weight": Carrier()}}, tmp_path / "best_model.pt")
    with pytest.raises(UserError, match="not a state dict of tensors"):
        original.load_original(tmp_path / "best_model.pt", work / "roberta", device=CPU)
    assert not sign.exists()


def test_a_foreign_checkpoint_is_refused(work, trained, tmp_path):
    network, _, _ = networks.load_model(trained["gbert"] / "model", device=CPU)
    state = original_state(network)
    path = tmp_path / "best_model.pt"
    for broken, problem in (
        ({**state, "strange.weight": torch.zeros(1)}, "strange.weight has no place"),
        ({**state, "old_prototypes": torch.zeros(28, 64)}, "a second tensor of prototypes"),
        ({k: v for k, v in state.items() if "prototypes" not in k}, "heads.prototypes"),
        ({k: v for k, v in state.items() if "mu_head.2" not in k}, "expected 2 linear layers"),
        (
            {k: v[:9] if k.startswith("encoder.enc") else v for k, v in state.items()},
            r"architecture: size mismatch for encoder\..*\[9\b",
        ),
        ({"epoch": 3}, "expected a state dict"),
        ({1: torch.zeros(1)}, "expected a state dict"),
    ):
        torch.save(broken, path)
        with pytest.raises(UserError, match=problem) as caught:
            original.load_original(path, work / "roberta", device=CPU)
        assert len(str(caught.value).splitlines()) == 1
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="not a state dict of tensors"):
        original.load_original(path, work / "roberta", device=CPU)
    with pytest.raises(UserError, match=r"nothing\.pt: no such checkpoint"):
        original.load_original(tmp_path / "nothing.pt", work / "roberta", device=CPU)


def test_a_converted_model_replaces_nothing_but_a_model(work, trained, tmp_path):
    network, _, _ = networks.load_model(trained["gbert"] / "model", device=CPU)
    path = tmp_path / "best_model.pt"
    torch.save(original_state(network), path)
    with pytest.raises(UserError, match="is there already, and is no model of this experiment"):
        original.convert_original(path, work / "roberta", tmp_path)
    assert path.exists()
    (tmp_path / "model").mkdir()
    for _ in range(2):
        original.convert_original(path, work / "roberta", tmp_path / "model")
        assert (tmp_path / "model" / "gbert.json").exists()


# Scoring and cards


@pytest.fixture(scope="module")
def scored(work, trained) -> dict[str, Path]:
    write_json(work / "manifest.json", {"files": [], "source": {"kind": "sample"}})
    for name, folder in trained.items():
        run = RUNS[name]
        predict_records(
            records_path=work / "spans.jsonl",
            description_path=work / "spans.json",
            fold=None,
            model_directory=folder / "model",
            base_model=work / run.model,
            predictions_path=folder / "predictions.parquet",
            corruption_seed=0,
            threads=1,
        )
        evaluate(
            scored_run(
                folder,
                run,
                name=name,
                seed=3,
                bootstrap=BOOTSTRAP,
                training_path=folder / "training.json",
                manifest_path=work / "manifest.json",
            ),
            predictions_path=folder / "predictions.parquet",
            records_path=work / "spans.jsonl",
            description_path=work / "spans.json",
            model_directories=[folder / "model"],
            figures=folder / "figures",
        )
    return trained


def test_stored_predictions_are_those_of_the_predictor(work, scored):
    table = pyarrow.parquet.read_table(scored["vmf"] / "predictions.parquet").to_pylist()
    rows = {(row["id"], row["variant"]): row for row in table}
    predictor = GbertPredictor.from_checkpoint(scored["vmf"] / "model", device="cpu")
    record = next(r for r in read_records(work / "spans.jsonl", CLASSES) if r.split == "test")
    target = record.targets[1]
    answer = predictor.predict(
        record.text, record.text[target.start : target.end], char_start=target.start
    )
    row = rows[target.id, "clean"]
    assert row["kappa"] == pytest.approx(answer.kappa, rel=1e-4)
    np.testing.assert_allclose(row["mu"], answer.mu, atol=1e-5)
    assert rows[target.id, "typos"]["pooled"] is None
    assert len(row["pooled"]) == 48


def test_a_run_is_scored_with_baselines_and_intervals(scored):
    record = read_json(scored["vmf"] / "metrics.json")
    accuracy = record["metrics"]["accuracy"]
    assert accuracy["baseline"]["name"] == "always_neutral"
    assert accuracy["ci"][0] <= accuracy["value"] <= accuracy["ci"][1]
    assert record["metrics"]["retrieval_map"]["baseline"]["name"] == "encoder_pooled"
    assert sum(map(sum, record["confusion_matrix"])) == record["data"]["n"]
    assert read_json(scored["gbert"] / "metrics.json")["details"]["kappa_scale"] is None
    for name in ("kappa", "map", "reliability"):
        assert (scored["vmf"] / "figures" / f"{name}.svg").stat().st_size > 0


def test_whole_texts_are_scored_by_the_thresholds_of_their_classes(work, sentences, tmp_path):
    records_path, model_directory = work / "sentences.jsonl", sentences / "model"
    predict_records(
        records_path=records_path,
        description_path=work / "sentences.json",
        fold=None,
        model_directory=model_directory,
        base_model=work / "bert",
        predictions_path=tmp_path / "predictions.parquet",
        corruption_seed=0,
        threads=1,
    )
    write_json(tmp_path / "manifest.json", {"files": [], "source": {"kind": "sample"}})
    evaluate(
        scored_run(
            tmp_path,
            changed(RUNS["vmf"], data="sentences"),
            training_path=sentences / "training.json",
            manifest_path=tmp_path / "manifest.json",
        ),
        predictions_path=tmp_path / "predictions.parquet",
        records_path=records_path,
        description_path=work / "sentences.json",
        model_directories=[model_directory],
        figures=tmp_path / "figures",
    )
    record = read_json(tmp_path / "metrics.json")
    table = pyarrow.parquet.read_table(tmp_path / "predictions.parquet").to_pylist()
    answers = {row["id"]: row["probabilities"] for row in table if row["variant"] == "clean"}
    targets = targets_of(of_split(read_records(records_path, CLASSES), "test"))
    truth = np.array([target.label for target in targets]) > 0
    stored = read_json(model_directory / "gbert.json")["calibration"]["texts"]
    probabilities = softmax(
        np.log([answers[target.id] for target in targets]) / stored["temperature"], axis=1
    )
    decided = probabilities >= np.array(stored["thresholds"])
    likeliest = np.eye(len(CLASSES), dtype=bool)[probabilities.argmax(axis=1)]
    decided |= likeliest & ~decided.any(axis=1, keepdims=True)
    assert (decided != likeliest).any()
    expected = f1_score(
        truth, decided, average="macro", labels=np.flatnonzero(truth.any(axis=0)), zero_division=0
    )
    assert record["metrics"]["macro_f1"]["value"] == pytest.approx(expected)
    loss = -(truth / truth.sum(axis=1, keepdims=True) * np.log(probabilities)).sum(axis=1).mean()
    assert record["metrics"]["nll_calibrated"]["value"] == pytest.approx(loss)
    assert record["details"]["thresholds"] == pytest.approx(stored["thresholds"])
    assert "confusion_matrix" not in record


@pytest.fixture(scope="module")
def comparison(work, scored) -> Path:
    compare(
        metrics_paths=[folder / "metrics.json" for folder in scored.values()],
        predictions_paths=[folder / "predictions.parquet" for folder in scored.values()],
        model_directories=[[folder / "model"] for folder in scored.values()],
        records_paths={"spans": work / "spans.jsonl"},
        description_paths={"spans": work / "spans.json"},
        bootstrap=BOOTSTRAP,
        schema=SCHEMAS / "comparison.schema.json",
        output_path=work / "comparison.json",
    )
    return work / "comparison.json"


def test_runs_are_compared_on_the_same_targets(comparison):
    record = read_json(comparison)
    values = {run["run"]: run["metrics"]["macro_f1"]["mean"] for run in record["runs"]}
    (pair,) = record["pairs"]
    assert pair["differences"]["macro_f1"]["value"] == pytest.approx(
        values["vmf"] - values["gbert"], abs=1e-7
    )


def test_the_report_shows_the_figures_and_every_score_of_each_run(
    work, scored, comparison, tmp_path
):
    shutil.copy(comparison, tmp_path / "comparison.json")
    for name, folder in scored.items():
        shutil.copytree(folder, tmp_path / name / "seed3", ignore=shutil.ignore_patterns("model"))
    (tmp_path / "data" / "spans").mkdir(parents=True)
    shutil.copy(work / "spans.jsonl", tmp_path / "data" / "spans" / "records.jsonl")
    shutil.copy(work / "spans.json", tmp_path / "data" / "spans" / "description.json")
    write_audit(
        read_data(work / "spans.jsonl", work / "spans.json"),
        work / "spans.quarantine.jsonl",
        tmp_path / "data" / "spans" / "audit.json",
        layout="entity_spans",
        expected={},
    )
    updates.draw(
        tmp_path / "figures" / "updates",
        [
            updates.read_course(folder / "metrics.json", folder / "history.csv")
            for folder in scored.values()
        ],
    )
    runs = {name: changed(run, seeds=[3]) for name, run in RUNS.items()}
    block = Block(selected=list(RUNS), runs=runs)
    made = section.section(tmp_path, block, [], [])
    page, best = "".join(made.parts.values()), made.best
    records = {name: read_json(folder / "metrics.json") for name, folder in scored.items()}
    shown = {name: {} for name in RUNS}
    for part in re.findall(r"<table>.*?</table>", made.parts["scores"], re.DOTALL):
        columns, *rows = ET.fromstring(part).iter("tr")
        names = [cell.text for cell in columns][1:-1]
        for run, *cells, n in rows:
            assert n.text == str(records[run.text]["data"]["n"])
            shown[run.text] |= zip(names, [cell.findtext("b") for cell in cells], strict=True)
    for run, found in shown.items():
        assert {"accuracy", "macro-F1", term("kappa_cosine_gap"), term("retrieval_map")} <= set(
            found
        )
        metrics = {term(name): entry for name, entry in records[run]["metrics"].items()}
        shown_values = {name: value.replace("−", "-") for name, value in found.items()}
        assert shown_values == {name: f"{metrics[name]['value']:.3f}" for name in found}
        for figure in ("kappa", "map", "reliability"):
            key = f"{tmp_path.name}-{run}-{figure}"
            shown_figure = re.search(f'<figure id="{key}">.*?</figure>', page, re.DOTALL)
            if shown_figure is None:
                assert run == best
                assert key in {one.key for one in made.figures}
                assert f'<a href="#{key}">' in page
            else:
                assert f'aria-label="{run}: {section.FIGURES[figure]}"' in shown_figure[0]
    assert raw_keys(page + " ".join(made.sentences)) == set()
    data = records[best]["data"]
    wrong = round((1 - records[best]["metrics"]["accuracy"]["value"]) * data["n"])
    shown_wrong = min(wrong, SHOWN)
    assert f"the surest first: {shown_wrong} of {wrong}</span>" in made.parts["errors"]
    assert not any(record.text in page for record in read_records(work / "spans.jsonl", CLASSES))
    generated = section.section(tmp_path, block, [], ["spans"]).parts["errors"]
    assert any(record.text in generated for record in read_records(work / "spans.jsonl", CLASSES))
    drawn = re.search('<figure id="entity-figure-updates">.*?</figure>', page, re.DOTALL)
    courses = re.findall("<text [^>]*>([^<]*, seed 3)</text>", drawn[0])
    assert courses == [f"{run}, seed 3" for run in scored if run in RUNS]


def test_what_the_original_printed_and_is_no_score_stands_beside_it(scored):
    for name, folder in scored.items():
        metrics = read_json(folder / "metrics.json")
        seed = SeedResult(folder=folder, metrics=metrics, run_record={}, export=None)
        run = {"run": name, "protocol": "published", "data": "made"}
        found = {"test": {}, "validation": {}}
        for score in section._of_the_original(run, [seed, seed]):
            found[score.split][score.metric] = score.value
        assert found["test"]["mean_kappa"] == pytest.approx(metrics["details"]["mean_kappa"])
        # The original's numbers are of its validation set.
        kappa = found["validation"].pop("mean_kappa")
        assert kappa == pytest.approx(metrics["details"]["validation_mean_kappa"])
        assert kappa != pytest.approx(metrics["details"]["mean_kappa"], rel=1e-9)
        if name == "vmf":
            assert not found["validation"]
            continue
        with (folder / "history.csv").open() as stream:
            rows = [row for row in csv.DictReader(stream) if row["split"] == "validation"]
        losses_of_stage_2 = [float(row["loss"]) for row in rows if row["stage"] == "2"]
        assert found["validation"] == {"validation_loss": pytest.approx(min(losses_of_stage_2))}


def write_cards(scored, folder, name, *, kind="sample", weak=False, **changes) -> str:
    """The card of a run whose data come from a source of that kind."""
    entry = {
        "title": "A corpus",
        "version": "1",
        "licence": "MIT",
        "terms": "none",
        "citation": "nobody",
        "sources": [{"kind": kind}],
    }
    audit = {"weak_labels": weak, "expected": [{"what": "spans", "status": "differs"}]}
    write_json(folder / "audit.json", audit)
    write_card(
        audit_paths={"spans": folder / "audit.json"},
        metrics_path=scored[name] / "metrics.json",
        recipe=changed(RUNS[name], **changes),
        datasets={"spans": entry},
        model={
            "title": "A tiny BERT",
            "licence": "MIT",
            "sources": [{"kind": "hub", "repo": "owner/tiny-bert"}],
        },
        card_path=folder / "model_card.md",
        example_path=folder / "inference_example.py",
        licence_path=folder / "LICENSE.md",
    )
    return (folder / "model_card.md").read_text()


@pytest.mark.parametrize("name", RUNS)
def test_the_example_answers_as_the_predictor(scored, tmp_path, name):
    write_cards(scored, tmp_path, name)
    shutil.copytree(scored[name] / "model", tmp_path / "model")
    predictor = GbertPredictor.from_checkpoint(tmp_path / "model")

    def compare(line: str, answer: EntityEmotion) -> str:
        found = json.loads(line)
        assert dict(found["top"]) == pytest.approx(dict(answer.top(3)), abs=1e-4)
        assert found["kappa"] == pytest.approx(answer.kappa, rel=1e-3)
        return found.get("text") or found["span"]

    (line,) = run_example(tmp_path, TEXT)
    assert compare(line, predictor.predict(TEXT)) == TEXT
    *whole, span = run_example(tmp_path)
    assert len({compare(line, predictor.predict(json.loads(line)["text"])) for line in whole}) == 2
    assert compare(span, predictor.predict("The cat was happy.", "cat")) == "cat"


@pytest.mark.parametrize("name", RUNS)
def test_the_card_says_what_was_measured_and_what_not_to_do(scored, tmp_path, name):
    card = write_cards(scored, tmp_path, name)
    metrics = read_json(scored[name] / "metrics.json")["metrics"]
    for score in ("accuracy", "top3_accuracy", "non_neutral_recall", "kappa_falls_typos"):
        assert f"| {metrics[score]['value']:.3f} |" in card
    assert "Article 5(1)(f)" in card
    assert "it differs in spans." in card
    assert "show nothing about language" in card
    assert "trained further" not in card
    # Tables are blocks: no blank line between their rows.
    assert "|\n\n|" not in card
    assert "\n\n\n" not in prose(card)
    assert check_front_matter(card).data.base_model == "owner/tiny-bert"
    if name == "vmf":
        rank = f"{metrics['kappa_entropy_spearman']['value']:+.3f}".replace("-", "−")
        assert f"Its rank correlation with the entropy of the label is {rank}" in card
        assert "| sentences | all | " in card
    else:
        assert "kappa was trained towards the strength of the label" in card
        assert "| spans | 20 | 1 | " in card


def test_the_card_says_that_labels_are_weak_and_where_weights_come_from(scored, tmp_path):
    card = write_cards(scored, tmp_path, "vmf", kind="url", weak=True, start_from="other")
    assert "The labels of spans are weak" in card
    assert "The weights of the run `other` were trained further." in card
    assert "show nothing about language" not in card
    assert "are weak" not in write_cards(scored, tmp_path, "vmf", kind="url")


def test_the_card_says_what_an_adapter_leaves_alone(scored, tmp_path):
    card = write_cards(scored, tmp_path, "vmf", start_from="other", vmf=ADAPTED)
    assert "The weights of the run `other` are in it unchanged" in card
    assert "trained further" not in card


# Command line


def ask(capsys, *arguments: object) -> str:
    assert cli.main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_the_commands(trained, tmp_path, capsys):
    model = trained["vmf"] / "model"
    common = ("--model", model, "--device", "cpu")
    line = json.loads(ask(capsys, "predict", "entity", *common, "--span", "Ada", TEXT))
    assert line["span"] == [0, 3]
    assert len(line["probabilities"]) == 3
    line = json.loads(ask(capsys, "predict", "entity", *common, "--embedding", TEXT))
    assert len(line["mu"]) == 64
    texts = [TEXT, "Greta is sad about the letter.", "Jun mended the bridge."]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    table = tmp_path / "embeddings.parquet"
    ask(capsys, "embed", *common, "--file", tmp_path / "texts.txt", "--output", table)
    assert pyarrow.parquet.read_table(table)["text"].to_pylist() == texts
    found = json.loads(
        ask(capsys, "nearest", *common, "--embeddings", table, "--top-k", 2, texts[1])
    )
    assert found["nearest"][0]["text"] == texts[1]
    assert found["nearest"][0]["cosine"] == pytest.approx(1.0, abs=1e-5)
    assert len(found["nearest"]) == 2


def test_bfloat16_is_asked_for_and_answers_nearly_the_same(trained, capsys, monkeypatch):
    def answer(*arguments: str) -> tuple[np.ndarray, float, float]:
        command = ("predict", "entity", "--model", trained["vmf"] / "model", "--embedding")
        line = json.loads(ask(capsys, *command, "--top-k", 28, "--device", "cpu", *arguments, TEXT))
        return np.array(line["mu"]), line["kappa"], line["probabilities"][CLASSES[0]]

    direction, kappa, probability = answer()
    coarse, coarse_kappa, coarse_probability = answer("--precision", "bf16")
    assert 0 < np.abs(coarse - direction).max() < 0.02
    assert np.linalg.norm(coarse) == pytest.approx(1.0, abs=1e-5)
    assert coarse_kappa == pytest.approx(kappa, rel=0.02)
    assert coarse_probability == pytest.approx(probability, rel=0.05)
    for gains, expected in ((True, coarse), (False, direction)):
        monkeypatch.setattr(devices, "gains_by_bf16", lambda _, gains=gains: gains)
        np.testing.assert_array_equal(answer("--precision", "auto")[0], expected)


def test_embeddings_of_another_model_are_told_apart(work, trained, tmp_path, capsys):
    table = tmp_path / "embeddings.parquet"
    ask(capsys, "embed", "--model", trained["gbert"] / "model", "--output", table, TEXT)
    arguments = ["nearest", "--model", str(trained["vmf"] / "model"), "--embeddings", str(table)]
    assert cli.main([*arguments, TEXT]) == 2
    assert "these are embeddings by another model" in capsys.readouterr().err


def test_embeddings_of_no_known_model_are_searched_with_a_warning(trained, tmp_path, capsys):
    table = tmp_path / "embeddings.parquet"
    common = ("--model", trained["vmf"] / "model")
    ask(capsys, "embed", *common, "--output", table, TEXT)
    search = [str(word) for word in ("nearest", *common, "--embeddings", table, TEXT)]
    assert cli.main(search) == 0
    known = capsys.readouterr()
    assert known.err == ""
    bare = pyarrow.parquet.read_table(table).replace_schema_metadata(None)
    pyarrow.parquet.write_table(bare, table)
    assert cli.main(search) == 0
    unknown = capsys.readouterr()
    assert unknown.out == known.out
    (line,) = unknown.err.splitlines()
    assert line.startswith(f"affectlab: {table}: does not say which model made these embeddings")


@pytest.mark.parametrize(
    ("name", "column", "problem"),
    [
        ("text", pyarrow.array([b"caf\xe9"]).view(pyarrow.string()), "UTF8"),
        ("mu", pyarrow.array([[math.nan] * 64]), "mu holds what is no finite number"),
        ("mu", pyarrow.array([[math.inf] * 64]), "mu holds what is no finite number"),
    ],
)
def test_corrupted_embeddings_are_refused(trained, tmp_path, capsys, name, column, problem):
    table = tmp_path / "embeddings.parquet"
    common = ("--model", trained["vmf"] / "model")
    ask(capsys, "embed", *common, "--output", table, TEXT)
    whole = pyarrow.parquet.read_table(table)
    place = whole.schema.get_field_index(name)
    pyarrow.parquet.write_table(whole.set_column(place, name, column), table)
    search = [str(word) for word in ("nearest", *common, "--embeddings", table, TEXT)]
    assert cli.main(search) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "not a table written by `affectlab embed`" in line
    assert problem in line


def test_embeddings_are_written_by_parts(trained, tmp_path, predictor, monkeypatch):
    """Answers of all texts at once would take 11 KB a text."""
    texts = [TEXT, "Greta is sad.", "love " * 200, TEXT, "Jun mended the bridge."]
    whole, parts = tmp_path / "whole.parquet", tmp_path / "parts.parquet"
    with pytest.warns(UserWarning, match="^text 3: longer than"):
        write_embeddings(predictor, texts, whole, batch_size=64)
    monkeypatch.setattr(embeddings, "EMBEDDED_TOGETHER", 2)
    with pytest.warns(UserWarning, match="^text 3: longer than"):
        write_embeddings(predictor, texts, parts, batch_size=64)
    first, second = map(pyarrow.parquet.ParquetFile, (whole, parts))
    assert (first.num_row_groups, second.num_row_groups) == (1, 3)
    assert first.schema_arrow.equals(second.schema_arrow, check_metadata=True)
    assert second.read()["text"].to_pylist() == texts
    for name in ("mu", "kappa"):
        values = [np.array(table.read()[name].to_pylist()) for table in (first, second)]
        np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-6)
    with pytest.raises(UserError, match="text 5: is empty"):
        write_embeddings(predictor, [*texts[:2], TEXT, TEXT, ""], parts, batch_size=64)
    assert second.read().num_rows == len(texts)


def test_an_empty_pipe_is_embedded_and_searched(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    table = tmp_path / "embeddings.parquet"
    common = ("--model", trained["vmf"] / "model")
    ask(capsys, "embed", *common, "--output", table, "-")
    assert pyarrow.parquet.read_schema(table).field("label").type == "string"
    assert ask(capsys, "nearest", *common, "--embeddings", table, "-") == ""
    assert json.loads(ask(capsys, "nearest", *common, "--embeddings", table, TEXT))["nearest"] == []


def test_warnings_of_the_commands_are_one_line(trained, capsys):
    model = str(trained["vmf"] / "model")
    arguments = ["predict", "entity", "--model", model, "--span", "Ada", "Ada met Ada."]
    for _ in range(2):
        assert cli.main(arguments) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("affectlab: text 1: 'Ada' stands in the text more than once")


def test_a_text_of_a_later_batch_is_named_by_its_own_number(trained, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text(f"{TEXT}\n{TEXT}\n{'love ' * 200}\n")
    common = ("--model", trained["vmf"] / "model", "--batch-size", 2)
    arguments = ("predict", "entity", *common, "--file", tmp_path / "texts.txt")
    assert cli.main([str(argument) for argument in arguments]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("affectlab: text 3: longer than the model's 64 tokens")


def test_misuse_of_the_commands_is_told(trained, tmp_path, capsys):
    model = str(trained["vmf"] / "model")
    assert cli.main(["predict", "entity", "--model", model]) == 2
    assert cli.main(["predict", "entity", "--model", model, "--span", "a", "b", "c"]) == 2
    (tmp_path / "x.parquet").write_text("no table")
    arguments = ["nearest", "--model", model, "--embeddings", str(tmp_path / "x.parquet"), "a"]
    assert cli.main(arguments) == 2
    assert "not a table written by" in capsys.readouterr().err
    other = pyarrow.table({"text": ["a"], "label": ["joy"], "mu": [0.5]})
    pyarrow.parquet.write_table(other, tmp_path / "x.parquet")
    assert cli.main(arguments) == 2
    assert "not a table written by" in capsys.readouterr().err
    (tmp_path / "x.parquet").unlink()
    assert cli.main(arguments) == 2
    assert "x.parquet: no such file" in capsys.readouterr().err
    assert cli.main(["embed", "--model", "nothing", "--output", str(tmp_path), "a"]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert cli.main(["predict", "entity", "--model", model, "caf\udce9"]) == 1
    assert "text 1: expected UTF-8, found byte 0xe9" in capsys.readouterr().err
    (tmp_path / "best_model.pt").touch()
    assert cli.main(["predict", "entity", "--model", str(tmp_path / "best_model.pt"), "a"]) == 2
    assert (
        "name the folder of its pretrained encoder (model_name, --encoder)"
        in capsys.readouterr().err
    )


def test_a_bad_line_does_not_stop_the_rest(trained, tmp_path, capsys, monkeypatch):
    model = str(trained["vmf"] / "model")
    lines = b"calm\ncaf\xe9\n\n" + TEXT.encode() + b"\n" + b"love " * 200 + b"\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines), "utf-8"))
    assert cli.main(["predict", "entity", "--model", model, "-"]) == 1
    told = capsys.readouterr()
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [row.get("text", row.get("error", ""))[:12] for row in rows] == [
        "calm",
        "expected UTF",
        "is empty",
        TEXT[:12],
        "love love lo",
    ]
    for place in (
        "standard input, line 2: expected UTF-8, found byte 0xe9",
        "standard input, line 3: is empty",
        "text 5: longer than",
    ):
        assert place in told.err
    assert told.err.splitlines()[-1] == "affectlab: 2 texts could not be read"
    (tmp_path / "texts.txt").write_bytes(lines)
    table = tmp_path / "embeddings.parquet"
    arguments = ["embed", "--model", model, "--output", str(table)]
    assert cli.main([*arguments, "--file", str(tmp_path / "texts.txt")]) == 1
    assert "texts.txt, line 2: expected UTF-8" in capsys.readouterr().err
    assert pyarrow.parquet.read_table(table)["text"].to_pylist()[:2] == ["calm", TEXT]
    assert cli.main(["nearest", "--model", model, "--embeddings", str(table), "", "calm"]) == 1
    assert "text 1: is empty" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["vmf", "gbert"])
def test_it_is_a_predictor_like_the_others(trained, kind):
    queries = [TEXT, Query("The cat was happy.", "cat")]
    check_predictor(GbertPredictor, trained[kind] / "model", queries)
    check_predictor(GbertPredictor, trained[kind] / "model", queries[::-1])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        # Only a span in a longer text needs it.
        ({"attention_probs_dropout_prob": float("nan")}, "RuntimeError: dropout"),
        ({"num_hidden_layers": 0}, "IndexError"),
    ],
)
def test_settings_that_no_encoder_can_have_are_refused_at_loading(
    trained, tmp_path, settings, problem
):
    broken = tmp_path / "broken"
    shutil.copytree(trained["vmf"] / "model", broken, ignore=shutil.ignore_patterns("SHA256SUMS"))
    stored = read_json(broken / "config.json")
    (broken / "config.json").write_text(json.dumps(stored | settings))
    with pytest.raises(UserError, match=f"files fit each other; found {problem}"):
        GbertPredictor.from_checkpoint(broken)

"""The emotion experiment's networks, from a checkpoint to predictions, exports and commands."""

import csv
import io
import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from blocks import changed
from emotion_tables import converted, data_in, described
from emotion_tables import outputs_in as tables_in
from predictor_checks import check_predictor
from safetensors.torch import load_file
from scipy.special import softmax
from scipy.stats import entropy
from torch import nn
from transformers import pipeline

from affectlab import cli
from affectlab.config.models import Lora, Training
from affectlab.emotion import model as networks
from affectlab.emotion.data import CLASSES, read_data
from affectlab.emotion.export import export, measure
from affectlab.emotion.objectives import class_scores
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.predict_records import predict_records
from affectlab.emotion.settings import EmotionRun
from affectlab.emotion.train import train_network
from affectlab.emotion.train_tfidf import train_tfidf
from affectlab.errors import UserError
from affectlab.files.io import read_json, read_jsonl, write_json
from affectlab.models.onnx_export import onnx_inference
from affectlab.models.text_models import add_lora, load_tokenizer
from affectlab.samples.emotion import write_corpus
from affectlab.samples.models import write_tiny_bert, write_tiny_qwen3
from affectlab.training.outputs import Outputs

pytestmark = pytest.mark.usefixtures("edited_models")

CPU = torch.device("cpu")
TEXTS = ["i feel glad", "i am feeling rather low and lonely today", "i feel angry at you"]
TRAINING = Training(
    epochs=1,
    batch_size=16,
    learning_rate=3.0e-3,
    warmup_steps=2,
    precision="fp32",
    checkpoint_minutes=60,
)
RUNS = {
    "full": EmotionRun(
        method="full",
        max_length=64,
        # With fewer it gives all texts the same answer.
        training=changed(TRAINING, sparse_embeddings=True, epochs=30),
    ),
    "lora": EmotionRun(
        method="lora",
        max_length=48,
        padding="max_length",
        lora=Lora(rank=4, alpha=8, target_modules=["q_proj", "v_proj"]),
        training=changed(TRAINING, gradient_checkpointing=True),
    ),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("emotion")


@pytest.fixture(scope="module")
def records(work: Path) -> Path:
    write_corpus(work / "raw", seed=1, train=240, validation=48, test=60)
    return converted(work / "raw", work).records


@pytest.fixture(scope="module")
def bases(work: Path) -> dict[str, Path]:
    write_tiny_bert(work / "bert", seed=0)
    write_tiny_qwen3(work / "qwen3", seed=0)
    return {"full": work / "bert", "lora": work / "qwen3"}


def outputs_in(folder: Path) -> Outputs:
    return Outputs(folder / "model", folder / "history.csv", folder / "training.json")


def train(records: Path, base: Path, method: str, folder: Path) -> Path:
    train_network(
        records_path=records,
        description_path=records.with_name("description.json"),
        base_model=base,
        run=RUNS[method],
        seed=3,
        threads=1,
        outputs=outputs_in(folder),
    )
    return folder


@pytest.fixture(scope="module")
def trained(work, records, bases) -> dict[str, Path]:
    return {
        method: train(records, bases[method], method, work / "runs" / method) for method in RUNS
    }


@pytest.mark.parametrize("method", RUNS)
def test_a_run_leaves_an_ordinary_checkpoint(trained, method):
    folder = trained[method]
    classify = pipeline("text-classification", str(folder / "model"), top_k=None, device="cpu")
    theirs = {row["label"]: row["score"] for row in classify([TEXTS[1]])[0]}
    assert set(theirs) == set(CLASSES)
    ours = EmotionClassifier.from_directory(folder / "model").predict([TEXTS[1]])[0]
    assert ours.probabilities == pytest.approx(theirs, abs=1e-5)
    facts = read_json(folder / "training.json")
    assert facts["steps"] == 15 * RUNS[method].training.epochs
    assert facts["peak_memory_mb"] > 50
    assert facts["packages"]["torch"] == version("torch")
    assert (folder / "history.csv").read_text().startswith("step,epoch,split,loss,accuracy")
    assert not (folder / "work" / "checkpoints").exists()
    assert list((folder / "work" / "tensorboard").iterdir())


def test_full_fine_tuning_changes_every_part_of_the_network(trained, bases):
    before = load_file(bases["full"] / "model.safetensors")
    after = load_file(trained["full"] / "model" / "model.safetensors")
    changed = {name for name, old in before.items() if not torch.equal(old, after[f"bert.{name}"])}
    assert any("word_embeddings" in name for name in changed)
    assert any("attention" in name for name in changed)


def test_full_fine_tuning_learns_more_than_how_frequent_the_classes_are(trained, records):
    """As it could not from texts with the labels of others."""
    labels = [row["label"] for row in read_jsonl(records) if row["split"] == "train"]
    _, counts = np.unique(labels, return_counts=True)
    with (trained["full"] / "history.csv").open() as table:
        losses = [float(row["loss"]) for row in csv.DictReader(table) if row["split"] == "train"]
    assert losses[-1] < 0.7 * entropy(counts)


@pytest.mark.parametrize("method", RUNS)
def test_the_stored_weights_are_those_of_the_best_validation(trained, records, method):
    model = EmotionClassifier.from_directory(trained[method] / "model")
    members = [row for row in read_jsonl(records) if row["split"] == "validation"]
    predictions = model.predict([row["text"] for row in members])
    answers = list(zip(predictions, [row["label"] for row in members], strict=True))
    with (trained[method] / "history.csv").open() as table:
        history = [row for row in csv.DictReader(table) if row["split"] == "validation"]
    best_step = read_json(trained[method] / "training.json")["best_step"]
    [best] = [row for row in history if int(row["step"]) == best_step]
    assert float(best["accuracy"]) == max(float(row["accuracy"]) for row in history)
    assert float(best["accuracy"]) == pytest.approx(
        np.mean([prediction.label == label for prediction, label in answers])
    )
    assert float(best["loss"]) == pytest.approx(
        -np.mean([np.log(prediction.probabilities[label]) for prediction, label in answers]),
        rel=1e-4,
    )


def test_equal_runs_give_equal_files(trained, records, bases, tmp_path):
    again = train(records, bases["full"], "full", tmp_path)
    for name in ("history.csv", "model/model.safetensors"):
        assert (again / name).read_bytes() == (trained["full"] / name).read_bytes()


def test_the_merged_lora_is_the_adapter_on_its_base(trained, bases):
    from peft import PeftModel

    model = trained["lora"] / "model"
    tokenizer = load_tokenizer(model)
    load = {"dtype": torch.float32, "device": CPU}
    base = networks.load_network(bases["lora"], tokenizer, CLASSES, **load)
    adapter = PeftModel.from_pretrained(base, str(model / "adapter")).eval()
    merged = networks.load_network(model, tokenizer, CLASSES, **load).eval()
    untouched = networks.load_network(bases["lora"], tokenizer, CLASSES, **load)
    untouched.score.load_state_dict(merged.score.state_dict())
    ids = networks.encode(tokenizer, TEXTS, max_length=48)
    logits = [
        networks.predict_logits(
            network.eval(),
            ids,
            pad_id=tokenizer.pad_token_id,
            batch_size=2,
            dtype=torch.float32,
            device=CPU,
        )
        for network in (adapter, merged, untouched)
    ]
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-4)
    assert np.abs(logits[1] - logits[2]).max() > 1e-3


def test_lora_trains_adapters_and_head_only(bases):
    tokenizer = load_tokenizer(bases["lora"])
    network = add_lora(
        networks.load_network(
            bases["lora"], tokenizer, CLASSES, dtype=torch.bfloat16, device=CPU, training=True
        ),
        RUNS["lora"].lora,
        task="SEQ_CLS",
    )
    batch = networks.collator(
        networks.encode(tokenizer, TEXTS, max_length=48),
        np.array([1, 0, 3]),
        pad_id=tokenizer.pad_token_id,
    )(np.arange(3))
    loss = networks.cross_entropy_sum(0.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss(network, batch).backward()
    trainable = {n: p for n, p in network.named_parameters() if p.requires_grad}
    assert all("lora_" in name or "score" in name for name in trainable)
    assert {p.dtype for p in trainable.values()} == {torch.float32}
    # lora_A has no gradient yet, since lora_B starts at zero.
    for part in ("lora_B", "score"):
        gradients = [p.grad.abs().max().item() for n, p in trainable.items() if part in n]
        assert gradients
        assert min(gradients) > 0
    assert len([n for n in trainable if "lora_B" in n]) == 2 * network.config.num_hidden_layers


@pytest.mark.parametrize("pad_to", [None, 48])
def test_a_batch_holds_each_text_with_its_own_label(bases, pad_to):
    tokenizer = load_tokenizer(bases["full"])
    pad = tokenizer.pad_token_id
    ids = networks.encode(tokenizer, TEXTS, max_length=48)
    length = pad_to or max(map(len, ids))
    labels = np.array([1, 0, 3])
    collate = networks.collator(ids, labels, pad_id=pad, pad_to=pad_to)
    chosen = np.array([2, 0, 1])
    batch = collate(chosen)
    assert batch["labels"].tolist() == labels[chosen].tolist()
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, length)
    for row, index in enumerate(chosen):
        padding = length - len(ids[index])
        assert batch["input_ids"][row].tolist() == ids[index] + [pad] * padding
        assert batch["attention_mask"][row].tolist() == [1] * len(ids[index]) + [0] * padding


def test_an_unknown_lora_target_is_named(bases):
    tokenizer = load_tokenizer(bases["lora"])
    network = networks.load_network(
        bases["lora"], tokenizer, CLASSES, dtype=torch.float32, device=CPU
    )
    lora = changed(RUNS["lora"].lora, target_modules=["q_proj", "no_such_proj"])
    with pytest.raises(UserError, match=r"lora\.target_modules: .*no_such_proj"):
        add_lora(network, lora, task="SEQ_CLS")


def test_a_model_directory_without_tokenizer_is_refused(bases, tmp_path):
    shutil.copy(bases["full"] / "config.json", tmp_path)
    shutil.copy(bases["full"] / "model.safetensors", tmp_path)
    with pytest.raises(UserError, match=r"no tokenizer in this model directory: expected one of"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "half"])
def test_an_unreadable_checkpoint_is_refused(bases, tmp_path, damage):
    folder = tmp_path / "model"
    shutil.copytree(bases["full"], folder)
    weights = folder / "model.safetensors"
    if damage == "missing":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    tokenizer = load_tokenizer(folder)
    with pytest.raises(UserError, match="cannot be loaded as a text classifier"):
        networks.load_network(folder, tokenizer, CLASSES, dtype=torch.float32, device=CPU)


def test_logits_do_not_depend_on_the_batch_a_text_is_in(trained):
    model = trained["full"] / "model"
    tokenizer = load_tokenizer(model)
    network = networks.load_network(
        model, tokenizer, CLASSES, dtype=torch.float32, device=CPU
    ).eval()
    ids = networks.encode(tokenizer, TEXTS, max_length=64)
    together, alone = (
        networks.predict_logits(
            network,
            ids,
            pad_id=tokenizer.pad_token_id,
            batch_size=size,
            dtype=torch.float32,
            device=CPU,
        )
        for size in (3, 1)
    )
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_loss_is_pytorchs_label_smoothed_cross_entropy():
    class Constant(nn.Module):
        def forward(self, input_ids, attention_mask):
            return type("Output", (), {"logits": torch.tensor([[2.0, 0.0, -1.0]]).repeat(2, 1)})

    batch = {"input_ids": None, "attention_mask": None, "labels": torch.tensor([0, 2])}
    log_p = np.log(softmax([2.0, 0.0, -1.0]))
    smooth = 0.3
    by_hand = -sum((1 - smooth) * log_p[k] + smooth * log_p.mean() for k in (0, 2))
    loss = networks.cross_entropy_sum(smooth)(Constant(), batch)
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)


def test_validation_scores_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(200, 6)), generator.integers(0, 6, 200)
    predictions = logits.argmax(1)
    assert class_scores(logits, labels) == pytest.approx(
        {
            "loss": log_loss(labels, softmax(logits, axis=1), labels=range(6)),
            "accuracy": accuracy_score(labels, predictions),
            "macro_f1": f1_score(labels, predictions, average="macro"),
        }
    )


def test_predictions_are_stored_per_record(trained, records, tmp_path):
    path = tmp_path / "predictions.jsonl"
    predict_records(
        data=data_in(records.parent),
        model_directory=trained["full"] / "model",
        predictions_path=path,
        splits=["validation", "test"],
        threads=1,
    )
    rows = list(read_jsonl(path))
    known = {row["id"]: row for row in read_jsonl(records) if row["split"] != "train"}
    assert [row["id"] for row in rows] == list(known)
    classifier = EmotionClassifier.from_directory(trained["full"] / "model")
    for row in rows:
        [alone] = classifier.predict([known[row["id"]]["text"]])
        assert row["probabilities"] == pytest.approx(alone.probabilities, rel=1e-4)
        assert row["label"] == known[row["id"]]["label"]
        assert sum(row["probabilities"].values()) == pytest.approx(1.0, abs=1e-6)
        assert row["prediction"] == max(row["probabilities"], key=row["probabilities"].get)


def test_bfloat16_is_asked_for_and_answers_nearly_the_same(trained):
    exact, coarse = (
        EmotionClassifier.from_directory(trained["full"] / "model", device="cpu", precision=name)
        .predict(["i feel glad"])[0]
        .probabilities
        for name in ("fp32", "bf16")
    )
    assert coarse == pytest.approx(exact, rel=0.05)
    assert coarse != pytest.approx(exact, rel=1e-6)


def test_a_tfidf_run_needs_no_pytorch(records, tmp_path):
    import subprocess
    import sys

    code = f"""
import sys
from pathlib import Path
from affectlab.emotion.data import read_data
from affectlab.emotion.settings import EmotionRun, Tfidf
from affectlab.emotion.train_tfidf import train_tfidf
from affectlab.emotion.predict import EmotionClassifier
from affectlab.training.outputs import Outputs
folder = Path({str(tmp_path)!r})
run = EmotionRun(method="tfidf", tfidf=Tfidf(min_df=1, class_weight=None))
records = Path({str(records)!r})
train_tfidf(data=read_data(records, records.with_name("description.json")), run=run, seed=0,
            outputs=Outputs(folder / "model", folder / "history.csv", folder / "training.json"))
prediction = EmotionClassifier.from_directory(folder / "model").predict(["i feel glad"])[0]
assert abs(sum(prediction.probabilities.values()) - 1) < 1e-9
assert "torch" not in sys.modules, "torch was imported"
"""
    scripts = Path(cli.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(scripts)})
    assert "validation" in (tmp_path / "history.csv").read_text()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_table_without_a_split_is_refused(records, tmp_path, split):
    path = tmp_path / "records.jsonl"
    rows = [json.dumps(row) for row in read_jsonl(records) if row["split"] != split]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"no records in the {split} split"):
        train_tfidf(
            data=read_data(path, records.with_name("description.json")),
            run=EmotionRun(method="tfidf"),
            seed=0,
            outputs=outputs_in(tmp_path),
        )
    assert list(tmp_path.iterdir()) == [path]


def test_a_classifier_refuses_what_it_cannot_use(trained, tmp_path):
    classifier = EmotionClassifier.from_directory(trained["full"] / "model")
    with pytest.raises(UserError, match="text 2: is empty"):
        classifier.predict(["fine", "  "])
    assert classifier.predict("one text") == classifier.predict(["one text"])[0]
    with pytest.raises(UserError, match="text 1: is empty"):
        classifier.predict("")
    assert classifier.predict([]) == []
    with pytest.raises(UserError, match="no such model directory"):
        EmotionClassifier.from_directory(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no model here, expected .*; did you mean .*/model\?"):
        EmotionClassifier.from_directory(trained["full"])
    with pytest.raises(UserError, match=r"no model here, expected .* or tfidf\.json$"):
        EmotionClassifier.from_directory(tmp_path)


@pytest.mark.parametrize(
    "names",
    [[f"LABEL_{number}" for number in range(6)], ["joy"] * 6, [*CLASSES[:5], None], []],
    ids=["made up by transformers", "twice", "no name", "none"],
)
def test_a_model_without_names_of_classes_is_refused(trained, tmp_path, names):
    folder = tmp_path / "model"
    shutil.copytree(trained["full"] / "model", folder)
    config = read_json(folder / "config.json")
    config["id2label"] = {str(i): name for i, name in enumerate(names)}
    write_json(folder / "config.json", config)
    with pytest.raises(UserError, match=r"id2label is .* not a model of the emotion experiment"):
        EmotionClassifier.from_directory(folder)


def test_a_model_that_was_trained_on_other_classes_predicts_these(records, bases, tmp_path):
    classes = ("anger", "calm", "joy", "other")
    rows = [row | {"label": classes[n % 4]} for n, row in enumerate(read_jsonl(records))]
    table = tables_in(tmp_path).records
    table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    described(tmp_path, classes)
    quick = changed(RUNS["full"], training=TRAINING)
    train_network(
        records_path=table,
        description_path=tmp_path / "description.json",
        base_model=bases["full"],
        run=quick,
        seed=3,
        threads=1,
        outputs=outputs_in(tmp_path),
    )
    classifier = EmotionClassifier.from_directory(tmp_path / "model")
    assert classifier.classes == classes
    assert tuple(classifier.predict("i feel glad").probabilities) == classes


DAMAGE = {
    "config in half": ("config.json", lambda whole: whole[:40], "config.json, line"),
    "config is a list": ("config.json", lambda _: b"[1]", "id2label is []"),
    "classes are a list": (
        "config.json",
        lambda whole: json.dumps(json.loads(whole) | {"id2label": ["a"]}).encode(),
        "id2label is []",
    ),
    "unknown architecture": (
        "config.json",
        lambda whole: whole.replace(b'"bert"', b'"frobnicate"'),
        "frobnicate",
    ),
    "tokenizer in half": (
        "tokenizer.json",
        lambda whole: whole[: len(whole) // 2],
        "the tokenizer cannot be loaded",
    ),
    "weights in half": (
        "model.safetensors",
        lambda whole: whole[: len(whole) // 2],
        "cannot be loaded as a text classifier",
    ),
}


@pytest.mark.parametrize(("file", "harm", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_corrupt_model_is_one_clear_error(trained, tmp_path, capsys, file, harm, message):
    folder = tmp_path / "model"
    shutil.copytree(trained["full"] / "model", folder)
    (folder / file).write_bytes(harm((folder / file).read_bytes()))
    status, lines, error = run_cli(capsys, "predict", "emotion", "--model", str(folder), "so glad")
    assert (status, lines) == (2, [])
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_weights_of_another_network_are_refused_not_made_up(trained, tmp_path):
    """transformers would draw the missing ones at random, and say so in a table alone."""
    folder = tmp_path / "model"
    shutil.copytree(trained["full"] / "model", folder)
    shutil.copy(trained["lora"] / "model" / "model.safetensors", folder)
    with pytest.raises(UserError, match=r"the checkpoint lacks \d+ of its weights, "):
        EmotionClassifier.from_directory(folder)


def test_a_model_cuts_texts_where_its_training_did(trained):
    limit = RUNS["full"].max_length
    model = trained["full"] / "model"
    assert load_tokenizer(model).model_max_length == limit
    classifier = EmotionClassifier.from_directory(model)
    head = "glad " * limit
    cut, longer = classifier.predict([head + "sad", head + "angry fear " * 600])
    assert cut.probabilities == pytest.approx(longer.probabilities, rel=1e-5)


def test_a_length_beyond_the_model_is_refused(records, bases, tmp_path):
    run = changed(RUNS["full"], max_length=513)
    with pytest.raises(UserError, match="max_length is 513, but the model takes at most 512"):
        train_network(
            records_path=records,
            description_path=records.with_name("description.json"),
            base_model=bases["full"],
            run=run,
            seed=3,
            threads=1,
            outputs=outputs_in(tmp_path),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_classifier_takes_what_data_frames_hold(trained):
    import pandas as pd

    classifier = EmotionClassifier.from_directory(trained["full"] / "model")
    expected = classifier.predict(TEXTS)
    for texts in (pd.Series(TEXTS, index=[5, 6, 7]), np.array(TEXTS), tuple(TEXTS)):
        assert classifier.predict(texts) == expected
    assert classifier.predict(pd.Series([], dtype=str)) == []
    with pytest.raises(TypeError, match="text 2: expected a string, found float"):
        classifier.predict(["fine", float("nan")])
    with pytest.raises(UserError, match="text 1: holds half a surrogate pair"):
        classifier.predict(["tr\udce8s"])


def test_an_adapter_cut_in_half_is_named_and_nothing_exported(trained, bases, records, tmp_path):
    shutil.copytree(trained["lora"] / "model", tmp_path / "model")
    weights = tmp_path / "model" / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(UserError, match="adapter: cannot be loaded as an adapter"):
        export(
            model_directory=tmp_path / "model",
            base_model=bases["lora"],
            records_path=records,
            description_path=records.with_name("description.json"),
            max_length=48,
            threads=1,
            onnx_path=tmp_path / "model.onnx",
            int8_path=tmp_path / "model.int8.onnx",
            summary_path=tmp_path / "export.json",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("method", RUNS)
def test_exports_give_the_same_answers(trained, bases, records, tmp_path, method):
    export(
        model_directory=trained[method] / "model",
        base_model=bases[method],
        records_path=records,
        description_path=records.with_name("description.json"),
        max_length=48,
        threads=1,
        onnx_path=tmp_path / "model.onnx",
        int8_path=tmp_path / "model.int8.onnx",
        summary_path=tmp_path / "export.json",
    )
    summary = read_json(tmp_path / "export.json")
    formats = summary["formats"]
    members = [row for row in read_jsonl(records) if row["split"] == "test"]
    classifier = EmotionClassifier.from_directory(trained[method] / "model")
    alone = [classifier.predict([row["text"]])[0] for row in members]
    correct = [found.label == row["label"] for found, row in zip(alone, members, strict=True)]
    assert (summary["split"], summary["n"]) == ("test", len(members))
    plain = ["adapter", "merged"] if method == "lora" else ["pytorch"]
    assert list(formats) == sorted([*plain, "onnx", "onnx_int8"])
    for name in (*plain, "onnx"):
        assert formats[name]["max_probability_difference"] < 1e-4
        assert formats[name]["accuracy"] == pytest.approx(np.mean(correct))
    tokenizer = load_tokenizer(trained[method] / "model")
    _, probabilities = measure(
        onnx_inference(tmp_path / "model.onnx", 1),
        networks.encode(tokenizer, [row["text"] for row in members], max_length=48),
        np.zeros(len(members), dtype=np.int64),
        tokenizer.pad_token_id,
    )
    expected = [list(found.probabilities.values()) for found in alone]
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    assert 0 < formats["onnx_int8"]["max_probability_difference"] < 0.2
    assert formats["onnx_int8"]["bytes"] < formats["onnx"]["bytes"]
    for name in (*plain, "onnx"):
        assert formats[name]["batch_spread"]["largest"] < 1e-4
        assert formats[name]["batch_spread"]["changed_decisions"] == 0
    # Padding and neighbours widen the range that int8 activations share.
    spread = formats["onnx_int8"]["batch_spread"]
    assert spread["items"] == min(len(members), 256)
    assert 1e-4 < spread["largest"] < 0.5
    assert 0 < spread["mean"] < spread["largest"]


def run_cli(capsys, *arguments: str) -> tuple[int, list[dict], str]:
    status = cli.main(arguments)
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_the_command_line_takes_texts_files_and_stdin(trained, tmp_path, capsys, monkeypatch):
    model = str(trained["full"] / "model")
    base = ["predict", "emotion", "--model", model, "--top-k", "2", "--batch-size", "2"]
    status, from_arguments, _ = run_cli(capsys, *base, *TEXTS)
    assert status == 0
    assert [row["text"] for row in from_arguments] == TEXTS
    for row in from_arguments:
        assert next(iter(row["probabilities"])) == row["label"]
        assert len(row["probabilities"]) == 2
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    assert run_cli(capsys, *base, "--file", str(tmp_path / "texts.txt"))[1] == from_arguments
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(TEXTS)))
    assert run_cli(capsys, *base, "-")[1] == from_arguments
    coarse = run_cli(capsys, *base, "--precision", "bf16", *TEXTS)[1]
    assert coarse != from_arguments
    assert [row["label"] for row in coarse] == [row["label"] for row in from_arguments]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either texts"),
        (["--file", "nowhere.txt"], "nowhere.txt: no such file"),
        (["--file", "/dev/null"], "/dev/null: the file is empty"),
    ],
)
def test_misuse_of_the_command_line_is_one_clear_line(trained, capsys, arguments, message):
    model = str(trained["full"] / "model")
    status, answers, error = run_cli(capsys, "predict", "emotion", "--model", model, *arguments)
    assert status == 2
    assert answers == []
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_bad_line_does_not_stop_the_rest(trained, tmp_path, capsys, monkeypatch):
    model = str(trained["full"] / "model")
    base = ["predict", "emotion", "--model", model, "--batch-size", "2"]
    (tmp_path / "texts.txt").write_bytes(b"so glad\n\ntr\xe8s bien\nso sad\n\n")
    status, lines, error = run_cli(capsys, *base, "--file", str(tmp_path / "texts.txt"))
    assert status == 1
    assert [line.get("text") for line in lines] == ["so glad", None, None, "so sad"]
    assert [line.get("error") for line in lines][1] == "is empty"
    for place in ("texts.txt, line 2: is empty", "texts.txt, line 3: expected UTF-8, found"):
        assert place in error
    assert error.splitlines()[-1] == "affectlab: 2 texts could not be read"
    monkeypatch.setattr("sys.stdin", io.StringIO("so glad\n\nso sad\n"))
    status, lines, error = run_cli(capsys, *base, "-")
    assert (status, len(lines)) == (1, 3)
    status, lines, _ = run_cli(capsys, *base, "tr\udce8s bien", "so sad", "")
    assert (status, [line.get("text") for line in lines]) == (1, [None, "so sad", None])


def test_check_lists_what_the_configuration_needs(capsys, tmp_path):
    check = ["check", "--resources", str(tmp_path), "--config", f"data_root={tmp_path}"]
    assert cli.main([*check, "experiments=[emotion]"]) == 0
    assert "qwen3-0.6b" in capsys.readouterr().out
    # Corpora that must be asked for are missing, and that is its status.
    assert cli.main(check) == 1
    assert re.search(r"^missing +data set +eatd ", capsys.readouterr().out, re.MULTILINE)
    # What was fetched lies where the configuration has it.
    manifest = tmp_path / "elsewhere" / "models" / "qwen3-0.6b" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"files": [], "source": {"kind": "hub"}}')
    places = f"pathvars={{resources: {tmp_path / 'elsewhere'}}}"
    assert cli.main(["check", "--config", "experiments=[emotion]", places]) == 0
    assert re.search(r"^present +model +qwen3-0.6b", capsys.readouterr().out, re.MULTILINE)
    assert cli.main(["check", "--config", "data_rot=nowhere"]) == 2
    assert "did you mean 'data_root'" in capsys.readouterr().err
    assert cli.main(["check", "--config", "experiments=[emotion"]) == 2
    assert "--config experiments=[emotion: the value is not valid YAML" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_classifier_is_a_predictor_like_the_others(trained, method):
    check_predictor(EmotionClassifier, trained[method] / "model", TEXTS)


def test_a_table_of_texts_becomes_a_table_of_all_classes(trained, tmp_path):
    source, out = tmp_path / "tweets.csv", tmp_path / "out.csv"
    rows = [{"id": f"n{number}", "tweet": text} for number, text in enumerate([*TEXTS, ""])]
    with source.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "tweet"])
        writer.writeheader()
        writer.writerows(rows)
    command = ["predict", "emotion", "--model", str(trained["full"] / "model"), "--id", "id"]
    options = ["--file", source, "--column", "tweet", "--format", "csv", "--output", out]
    assert cli.main([*command, *map(str, options)]) == 1
    with out.open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    for text, row in zip(TEXTS, found, strict=False):
        shares = {name: float(row[f"probabilities.{name}"]) for name in CLASSES}
        assert (row["text"], row["label"]) == (text, max(shares, key=shares.__getitem__))
    assert found[-1]["error"] == "is empty"

"""One flipped bit in any stored file is found by whoever reads the file next."""

import hashlib
import os
import random
import shutil
import subprocess

import numpy as np
import pytest
import torch
from emotion_tables import converted, data_in
from safetensors.numpy import load_file, save_file
from torch import nn

from affectlab.assets.fetch import fetch_model
from affectlab.assets.manifest import manifest_directory
from affectlab.audio import model as probe
from affectlab.audio.embedding import _read_cache
from affectlab.audio.encoders.checkpoints import load_complete
from affectlab.audio.store import Embeddings, read_embeddings, write_embeddings
from affectlab.config.models import Lora
from affectlab.emotion import tfidf
from affectlab.emotion.settings import Tfidf
from affectlab.entity import model as entity
from affectlab.entity.heads import Heads
from affectlab.errors import DataError, UserError
from affectlab.face import data as face_data
from affectlab.face import labels as face_labels
from affectlab.face import model as face
from affectlab.face.convert import convert
from affectlab.face.interface import Interface
from affectlab.face.settings import FaceRun, Labels, Network
from affectlab.files import integrity
from affectlab.files.io import (
    read_json,
    read_jsonl,
    sealed_path,
    sealed_writer,
    write_json,
    write_jsonl,
)
from affectlab.files.text import read_text
from affectlab.models import onnx_export, text_models
from affectlab.samples import emotion as emotion_samples
from affectlab.samples import face as face_samples
from affectlab.samples.models import write_tiny_bert
from affectlab.training.checkpoints import CheckpointFolder, TrainingState
from affectlab.training.weights import MasterWeights, WeightAverage

CPU = torch.device("cpu")


def flipped(path, seed):
    """Flip one bit of a file, and keep its length and its times."""
    content = bytearray(path.read_bytes())
    place = random.Random(f"{path.name}{seed}").randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def is_found(read, path, seeds=range(3)):
    """Check that *read* works, and reports each of some flipped bits of *path*."""
    read()
    whole = path.read_bytes()
    for seed in seeds:
        flipped(path, seed)
        with pytest.raises(UserError):
            read()
        path.write_bytes(whole)
    read()


# --- single files --------------------------------------------------------------------------------


def test_records(tmp_path):
    emotion_samples.write_corpus(tmp_path / "raw", train=60, validation=20, test=20)
    outputs = converted(tmp_path / "raw", tmp_path)
    records = outputs.records
    is_found(lambda: data_in(tmp_path), records)
    is_found(lambda: data_in(tmp_path), outputs.description)
    is_found(lambda: list(read_jsonl(records)), integrity.digest_path(records))


def test_faces(tmp_path):
    counts = {"Training": 8, "PublicTest": 8, "PrivateTest": 8}
    face_samples.write_corpus(tmp_path / "raw", 0, "csv", counts)
    paths = {"faces_path": tmp_path / "faces.npy", "metadata_path": tmp_path / "metadata.csv"}
    convert(
        raw_directory=tmp_path / "raw",
        votes_directory=None,
        quarantine_path=tmp_path / "bad.jsonl",
        description_path=tmp_path / "description.json",
        entry={"layout": "fer2013"},
        **paths,
    )
    for path in paths.values():
        is_found(lambda: face_data.read_faces(*paths.values()), path)
    labels = tmp_path / "labels.csv"
    face_labels.write_labels(**paths, labels_path=labels, settings=Labels(), threads=1)
    is_found(lambda: face_labels.read_labels(labels), labels)


def test_embeddings(tmp_path):
    path = tmp_path / "embeddings.npz"
    vectors = np.random.default_rng(0).random((4, 1, 2, 8)).astype(np.float32)
    names = tuple("abcd")
    stored = Embeddings(names, names, names, ("last",), vectors, {"encoder": {"kind": "logmel"}})
    write_embeddings(path, stored)
    is_found(lambda: read_embeddings(path), path)
    assert np.array_equal(read_embeddings(path).vectors, vectors)


def test_cached_embeddings_are_made_again(tmp_path):
    from affectlab.audio.embedding import _write_part

    _write_part(tmp_path, {"a": np.ones((1, 2, 8), np.float32)}, {"version": 1})
    (part,) = tmp_path.glob("*.npz")
    assert set(_read_cache(tmp_path, {"version": 1})) == {"a"}
    flipped(part, 0)
    assert _read_cache(tmp_path, {"version": 1}) == {}


def test_json(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"value": 0.5}, sealed=True)
    is_found(lambda: read_json(path), path)


def test_onnx(tmp_path):
    path = tmp_path / "model.onnx"
    network = nn.Linear(4, 2).eval()
    onnx_export.write_onnx(
        network,
        {"x": torch.zeros(2, 4)},
        path,
        dynamic=(0,),
        output="y",
        check=[torch.ones(3, 4)],
    )
    is_found(lambda: onnx_export.onnx_inference(path, 1), path)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)


def training_state():
    network = Small()
    weights = MasterWeights(network, torch.float32)
    optimizer = torch.optim.AdamW(network.parameters())
    state = TrainingState(
        weights=weights,
        average=WeightAverage(weights, None),
        optimizers=[optimizer],
        device=CPU,
    )
    network.layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return state


def test_checkpoints(tmp_path):
    folder, state = CheckpointFolder(tmp_path, "owner"), training_state()
    folder.save_best(state)
    folder.save(state)
    for path, read in (
        (folder.checkpoint, lambda: folder.restore(state)),
        (tmp_path / "best-0.safetensors", lambda: folder.load_best(state)),
    ):
        read()
        whole = path.read_bytes()
        for seed in range(5):
            flipped(path, seed)
            with pytest.raises(UserError, match="corrupt"):
                read()
            path.write_bytes(whole)
        read()


def test_best_weights_that_are_removed_take_their_digest_with_them(tmp_path):
    folder, state = CheckpointFolder(tmp_path, "owner"), training_state()
    for step in (0, 1, 2):
        state.progress.best_step = step
        folder.save_best(state)
        folder.save(state)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".best-1.safetensors.sha256",
        ".best-2.safetensors.sha256",
        ".checkpoint.pt.sha256",
        "best-1.safetensors",
        "best-2.safetensors",
        "checkpoint.pt",
    ]


# --- model directories ---------------------------------------------------------------------------


def every_file_is_found(directory, read):
    names = sorted(p.relative_to(directory) for p in directory.rglob("*") if p.is_file())
    assert integrity.SUMS in map(str, names)
    for name in names:
        is_found(read, directory / name, seeds=range(1))


def test_probe(tmp_path):
    facts = dict.fromkeys(probe.FIELDS, "any") | {
        "temperature": 1.0,
        "classes": ["a", "b"],
        "statistics": ["mean"],
        "encoder": {"kind": "logmel"},
        "task": "label",
        "unit": "clip",
        "view": "last",
        "warning": probe.WARNING,
    }
    ones = np.ones(5, np.float32)
    model = probe.ProbeModel(ones, ones, [(np.ones((5, 2), np.float32), ones[:2])], facts)
    probe.save(model, tmp_path / "model")
    every_file_is_found(tmp_path / "model", lambda: probe.load(tmp_path / "model"))


def test_tfidf(tmp_path):
    pipeline = tfidf.build_pipeline(Tfidf(min_df=1))
    pipeline.fit(["so sad", "what joy", "very sad"], ["sadness", "joy", "sadness"])
    tfidf.save(pipeline, tmp_path / "model")
    every_file_is_found(tmp_path / "model", lambda: tfidf.load(tmp_path / "model"))


def face_network():
    run = FaceRun(network=Network(widths=[8], depths=[1], dropout=0.0))
    return face.build_network(run, None, Interface()), run


def test_face_network(tmp_path):
    face.save_network(*face_network(), tmp_path / "model")
    every_file_is_found(tmp_path / "model", lambda: face.load_network(tmp_path / "model"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_tiny_bert(folder / "bert")
    return folder / "bert"


def load_text_model(directory):
    from transformers import AutoModel

    text_models.load_tokenizer(directory)
    return text_models.load_pretrained(
        directory, AutoModel, purpose="a text model", settings={}, dtype=torch.float32, device=CPU
    )


def test_text_model(bert, tmp_path):
    with sealed_path(tmp_path / "model") as fresh:
        shutil.copytree(bert, fresh)
    every_file_is_found(tmp_path / "model", lambda: load_text_model(tmp_path / "model"))


def test_adapter(bert, tmp_path):
    lora = Lora(rank=2, alpha=4, target_modules=["query", "value"])
    network = text_models.add_lora(load_text_model(bert), lora, task="SEQ_CLS")
    with sealed_path(tmp_path / "model") as fresh:
        network.save_pretrained(fresh / "adapter")
    adapter = tmp_path / "model" / "adapter"
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        is_found(
            lambda: text_models.load_adapter(load_text_model(bert), adapter), adapter / name, [0]
        )


def test_entity_model(bert, tmp_path):
    encoder = entity.load_encoder(bert, device=CPU)
    network = entity.EmotionEmbedder(encoder, Heads(48, method="vmf", classes=3))
    heads = {"kappa_min": 1.0, "kappa_start": 42.0}
    description = entity.Description("vmf", "bert", 64, heads, None, ("calm", "joy", "rage"))
    entity.save_model(tmp_path / "model", network, text_models.load_tokenizer(bert), description)
    every_file_is_found(
        tmp_path / "model", lambda: entity.load_model(tmp_path / "model", device=CPU)
    )


def test_fetched_model(tmp_path):
    entry = {"sources": [{"kind": "sample", "generator": "bert"}], "kind": "text"}
    manifest = tmp_path / "bert" / "manifest.json"
    fetch_model("bert", entry, manifest, generators={"bert": write_tiny_bert})
    folder = manifest_directory(manifest)
    is_found(lambda: manifest_directory(manifest), folder / "model.safetensors", [0])
    is_found(lambda: manifest_directory(manifest), manifest, [0])
    # A predictor may be given the folder alone.
    is_found(lambda: load_text_model(folder), folder / "tokenizer.json", [0])
    listed = [file["path"] for file in read_json(manifest)["files"]]
    assert "model.safetensors" in listed
    assert integrity.SUMS not in listed


# --- what stays possible -------------------------------------------------------------------------


@pytest.fixture
def stored_probe(tmp_path):
    test_probe(tmp_path)
    return tmp_path / "model"


def test_a_moved_directory_is_still_checked(stored_probe, tmp_path):
    moved = tmp_path / "elsewhere" / "mine"
    moved.parent.mkdir()
    stored_probe.rename(moved)
    every_file_is_found(moved, lambda: probe.load(moved))


def test_a_list_is_read_by_sha256sum(stored_probe, tmp_path):
    with sealed_writer(tmp_path / "a.txt") as stream:
        stream.write("text")
    for folder, name in ((stored_probe, integrity.SUMS), (tmp_path, ".a.txt.sha256")):
        done = subprocess.run(["sha256sum", "--check", "--strict", name], cwd=folder, check=False)
        assert done.returncode == 0


def test_what_others_made_is_loaded_without_a_list(bert):
    assert not (bert / integrity.SUMS).exists()
    load_text_model(bert)


def test_who_changed_a_file_on_purpose_is_told_what_to_do(stored_probe):
    facts = stored_probe / probe.FACTS
    facts.write_text(facts.read_text().replace('"a"', '"angry"'))
    with pytest.raises(DataError, match=rf"changed on purpose, delete .*{integrity.SUMS}"):
        probe.load(stored_probe)
    (stored_probe / integrity.SUMS).unlink()
    assert probe.load(stored_probe).facts["classes"] == ["angry", "b"]


def test_a_file_that_is_gone_is_named(stored_probe):
    (stored_probe / probe.WEIGHTS).unlink()
    with pytest.raises(DataError, match=r"probe\.safetensors: no such file, but .* lists it"):
        integrity.check_directory(stored_probe)


def test_notes_may_be_added(stored_probe):
    (stored_probe / "README.md").write_text("mine")
    (stored_probe / ".snakemake_timestamp").touch()
    probe.load(stored_probe)


def test_a_list_that_names_other_folders_is_refused(stored_probe):
    (stored_probe / integrity.SUMS).write_text(f"{'0' * 64}  ../../etc/passwd\n")
    with pytest.raises(DataError, match="line 1: expected a SHA-256 sum and the name of a file"):
        probe.load(stored_probe)


def test_a_file_is_read_once_in_each_process(stored_probe, monkeypatch):
    probe.load(stored_probe)
    read = []
    monkeypatch.setattr(integrity, "sha256_file", read.append)
    integrity.check_directory(stored_probe)
    assert read == []


def test_a_file_whose_writer_was_killed_before_its_digest_is_read(tmp_path, monkeypatch):
    """Neither refused for the digest of the file before it, nor for want of one."""
    path = tmp_path / "records.jsonl"
    write_jsonl(path, [{"a": 1}], sealed=True)

    def killed(path, text):
        assert path == integrity.digest_path(tmp_path / "records.jsonl")
        raise KeyboardInterrupt

    monkeypatch.setattr("affectlab.files.io.write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        write_jsonl(path, [{"a": 2}], sealed=True)
    assert list(read_jsonl(path)) == [{"a": 2}]


def test_files_are_the_same_bytes_with_a_digest_and_without(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1}, sealed=True)
    write_json(tmp_path / "b.json", {"x": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    digest = hashlib.sha256((tmp_path / "a.json").read_bytes()).hexdigest()
    assert read_text(tmp_path / ".a.json.sha256") == f"{digest}  a.json\n"


# --- weights that are not finite -----------------------------------------------------------------


def poisoned(path, name, value):
    """Set one weight, as damage that a converter did would: no list knows better."""
    (path.parent / integrity.SUMS).unlink(missing_ok=True)
    tensors = load_file(path)
    tensors[name] = tensors[name].copy()
    tensors[name].flat[0] = value
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(bert, tmp_path, value):
    shutil.copytree(bert, tmp_path / "bert")
    name = "encoder.layer.1.output.dense.weight"
    poisoned(tmp_path / "bert" / "model.safetensors", name, value)
    with pytest.raises(DataError, match=f"the weights {name} hold NaN or infinity"):
        load_text_model(tmp_path / "bert")


def test_probes_that_are_not_finite_are_refused(stored_probe):
    poisoned(stored_probe / probe.WEIGHTS, "layers.0.bias", np.nan)
    with pytest.raises(DataError, match=r"the weights layers\.0\.bias hold NaN"):
        probe.load(stored_probe)


def test_other_models_that_are_not_finite_are_refused(tmp_path):
    test_tfidf(tmp_path / "tfidf")
    poisoned(tmp_path / "tfidf" / "model" / tfidf.WEIGHTS_FILE, "idf", np.inf)
    with pytest.raises(DataError, match="the weights idf hold NaN"):
        tfidf.load(tmp_path / "tfidf" / "model")
    network, run = face_network()
    face.save_network(network, run, tmp_path / "face")
    name = next(iter(network.state_dict()))
    poisoned(tmp_path / "face" / face.WEIGHTS_NAME, name, np.nan)
    with pytest.raises(DataError, match=f"the weights {name} hold NaN"):
        face.load_network(tmp_path / "face")
    state = {name: tensor.clone() for name, tensor in Small().state_dict().items()}
    state["layer.bias"][0] = torch.inf
    with pytest.raises(DataError, match=r"the weights layer\.bias hold NaN"):
        load_complete(Small(), state, tmp_path)


def test_adapters_and_heads_that_are_not_finite_are_refused(bert, tmp_path):
    test_adapter(bert, tmp_path / "lora")
    adapter = tmp_path / "lora" / "model" / "adapter"
    (adapter.parent / integrity.SUMS).unlink()
    weights = load_file(adapter / "adapter_model.safetensors")
    poisoned(adapter / "adapter_model.safetensors", next(iter(weights)), np.nan)
    with pytest.raises(DataError, match=r"lora_[AB]\S* hold NaN"):
        text_models.load_adapter(load_text_model(bert), adapter)
    test_entity_model(bert, tmp_path / "entity")
    poisoned(tmp_path / "entity" / "model" / entity.HEADS_FILE, "energy.weight", np.nan)
    with pytest.raises(DataError, match=r"the weights energy\.weight hold NaN"):
        entity.load_model(tmp_path / "entity" / "model", device=CPU)

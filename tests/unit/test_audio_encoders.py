"""Tiny random checkpoints go through the code that loads the published ones."""

import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from affectlab.audio.embedding import embed_waves
from affectlab.audio.encoders import afclap, registry
from affectlab.audio.encoders.base import Moments, merge
from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.encoders.registry import load_encoder
from affectlab.errors import DataError, UserError
from affectlab.samples import audio_models


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoders")
    audio_models.write_tiny_whisper(folder / "whisper")
    audio_models.write_tiny_qwen2_audio(folder / "qwen2_audio")
    audio_models.write_tiny_clap(folder / "clap")
    audio_models.write_tiny_ge2e(folder / "ge2e")
    return folder


def load(checkpoints, kind, **options):
    return load_encoder(kind, None if kind == "logmel" else checkpoints / kind, **options)


def noise(seconds, rate, seed=0):
    generator = np.random.default_rng(seed)
    return (0.1 * generator.standard_normal(int(seconds * rate))).astype(np.float32)


def cosine(first, second):
    first, second = first.reshape(len(first), -1), second.reshape(len(second), -1)
    return (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


@pytest.mark.parametrize("kind", ["whisper", "qwen2_audio", "clap", "ge2e", "logmel"])
def test_the_answer_does_not_depend_on_the_batch(checkpoints, kind):
    encoder = load(checkpoints, kind, layers="all")
    waves = [noise(s, encoder.rate, n) for n, s in enumerate((0.7, 1.33, 0.2))]
    together = embed_waves(waves, encoder)
    alone = np.concatenate([embed_waves([wave], encoder) for wave in waves])
    assert together.shape == (3, len(encoder.layers), 2, encoder.dim)
    assert cosine(together, alone).min() >= 0.99999
    np.testing.assert_allclose(together, alone, atol=2e-5)


@pytest.mark.parametrize("kind", ["whisper", "qwen2_audio", "clap", "ge2e", "logmel"])
def test_a_coarser_precision_gives_nearly_the_same_vectors(checkpoints, kind):
    encoder = load(checkpoints, kind, device="cpu")
    waves = [noise(s, encoder.rate, n) for n, s in enumerate((0.7, 1.33))]
    exact = embed_waves(waves, encoder)
    coarse = embed_waves(waves, load(checkpoints, kind, device="cpu", precision="bf16"))
    assert coarse.dtype == np.float32
    assert cosine(exact, coarse).min() > 0.99
    assert np.array_equal(exact, coarse) == (kind == "logmel")


@pytest.mark.parametrize("kind", ["whisper", "qwen2_audio", "clap", "ge2e", "logmel"])
def test_one_vector_a_window_has_no_deviation(checkpoints, kind):
    encoder = load(checkpoints, kind)
    found = encoder.embed([noise(0.7, encoder.rate)])
    assert found.std.any() == (not KINDS[kind].one_vector)


@pytest.mark.parametrize("kind", ["whisper", "qwen2_audio", "clap", "ge2e", "logmel"])
def test_a_repeated_run_gives_the_same_bytes(checkpoints, kind):
    encoders = [load(checkpoints, kind) for _ in range(2)]
    waves = [noise(s, encoders[0].rate, n) for n, s in enumerate((0.5, 2.1))]
    first, second = (embed_waves(waves, encoder) for encoder in encoders)
    assert first.tobytes() == second.tobytes()


def test_a_padded_window_is_what_transformers_computes(checkpoints):
    from transformers import WhisperFeatureExtractor, WhisperModel

    wave = noise(1.0, 16000)
    encoder = load(checkpoints, "whisper", layers="all", padding="window")
    found = encoder.embed([wave])
    extractor = WhisperFeatureExtractor.from_pretrained(checkpoints / "whisper")
    model = WhisperModel.from_pretrained(checkpoints / "whisper").encoder.eval()
    features = extractor(wave, sampling_rate=16000, return_tensors="pt").input_features
    with torch.inference_mode():
        expected = model(features, output_hidden_states=True)
    sounding = expected.last_hidden_state[0, :50]
    np.testing.assert_allclose(found.mean[0, -1], sounding.mean(0), atol=1e-4)
    np.testing.assert_allclose(found.std[0, -1], sounding.std(0, correction=0), atol=1e-4)
    np.testing.assert_allclose(
        found.mean[0, 0], expected.hidden_states[1][0, :50].mean(0), atol=1e-4
    )


def test_the_tower_of_qwen2_audio_is_what_transformers_computes(checkpoints):
    from transformers import Qwen2AudioForConditionalGeneration, WhisperFeatureExtractor

    wave = noise(1.0, 16000)
    found = load(checkpoints, "qwen2_audio", padding="window").embed([wave])
    whole = Qwen2AudioForConditionalGeneration.from_pretrained(checkpoints / "qwen2_audio").eval()
    extractor = WhisperFeatureExtractor.from_pretrained(checkpoints / "qwen2_audio")
    features = extractor(wave, sampling_rate=16000, return_tensors="pt").input_features
    tower = next(m for m in whole.modules() if type(m).__name__ == "Qwen2AudioEncoder")
    with torch.inference_mode():
        expected = tower(features).last_hidden_state[0, :25]
    np.testing.assert_allclose(found.mean[0, -1], expected.mean(0), atol=1e-4)


def test_clap_is_what_transformers_computes(checkpoints):
    from transformers import ClapFeatureExtractor, ClapModel

    wave = noise(1.0, 48000)
    encoder = load(checkpoints, "clap")
    found = encoder.embed([wave]).mean[0, 0]
    model = ClapModel.from_pretrained(checkpoints / "clap").eval()
    extractor = ClapFeatureExtractor.from_pretrained(checkpoints / "clap")
    inputs = extractor(wave, sampling_rate=48000, return_tensors="pt")
    with torch.inference_mode():
        pooled = model.audio_model(
            input_features=inputs["input_features"].float(),
            is_longer=torch.zeros(1, 1, dtype=torch.bool),
        ).pooler_output
        expected = torch.nn.functional.normalize(model.audio_projection(pooled)[0], dim=-1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def laion_names(state):
    """The tensors of a transformers CLAP under the names of LAION's code."""
    joined = {}
    for name, tensor in state.items():
        for ours, theirs in (
            ("audio_model.audio_encoder.", "module.audio_branch."),
            ("audio_projection.linear1.", "module.audio_projection.0."),
            ("audio_projection.linear2.", "module.audio_projection.2."),
            (".attention.output.dense.", ".attn.proj."),
            (".attention.self.", ".attn."),
            (".intermediate.dense.", ".mlp.fc1."),
            (".output.dense.", ".mlp.fc2."),
            (".layernorm_before.", ".norm1."),
            (".layernorm_after.", ".norm2."),
            (".batch_norm.", ".bn0."),
        ):
            name = name.replace(ours, theirs)
        joined[name] = tensor
    for name in [n for n in joined if ".query." in n]:
        parts = [joined.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        joined[name.replace("query", "qkv")] = torch.cat(parts)
    return joined


def test_a_checkpoint_of_af_clap_is_mapped_by_name(checkpoints, tmp_path, monkeypatch):
    own = load(checkpoints, "clap")
    state = laion_names(own._network.state_dict())
    state["module.text_branch.unused"] = torch.zeros(1)
    torch.save({"state_dict": state}, tmp_path / "epoch_15.pt")
    monkeypatch.setattr(afclap, "AFCLAP_AUDIO", audio_models.CLAP_AUDIO)
    encoder = load_encoder("afclap", tmp_path)
    assert (encoder.rate, encoder.window) == (16000, 160000)
    for name, tensor in own._network.state_dict().items():
        assert torch.equal(encoder._network.state_dict()[name], tensor), name
    assert encoder.embed([noise(0.5, 16000)]).mean.shape == (1, 1, 16)


def test_an_incomplete_checkpoint_of_af_clap_is_refused(checkpoints, tmp_path, monkeypatch):
    state = laion_names(load(checkpoints, "clap")._network.state_dict())
    del state["module.audio_projection.0.weight"]
    torch.save({"state_dict": state}, tmp_path / "epoch_15.pt")
    monkeypatch.setattr(afclap, "AFCLAP_AUDIO", audio_models.CLAP_AUDIO)
    with pytest.raises(UserError, match=r"lacks 1 tensors: audio_projection\.linear1\.weight"):
        load_encoder("afclap", tmp_path)


def test_the_published_af_clap_has_the_published_sizes():
    from transformers import ClapAudioConfig, ClapAudioModelWithProjection

    with torch.device("meta"):
        model = ClapAudioModelWithProjection(ClapAudioConfig(**afclap.AFCLAP_AUDIO))
    assert model.audio_projection.linear1.weight.shape == (2048, 2048)
    assert len(model.audio_model.audio_encoder.layers[2].blocks) == 12


@pytest.mark.parametrize(
    ("kind", "other"), [("whisper", "clap"), ("clap", "whisper"), ("ge2e", "qwen2_audio")]
)
def test_a_directory_of_another_class_is_refused(checkpoints, kind, other):
    with pytest.raises(UserError, match="expected a model of the type"):
        load_encoder(kind, checkpoints / other)


def test_a_missing_tensor_is_not_made_up(checkpoints, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(checkpoints / "whisper" / "model.safetensors")
    name = next(n for n in state if n.endswith("layers.1.fc1.weight") and "encoder" in n)
    del state[name]
    save_file(state, tmp_path / "model.safetensors")
    for file in ("config.json", "preprocessor_config.json"):
        (tmp_path / file).write_bytes((checkpoints / "whisper" / file).read_bytes())
    with pytest.raises(UserError, match=r"lacks 1 tensors: layers\.1\.fc1\.weight"):
        load_encoder("whisper", tmp_path)


def shard_of_the_tower(folder):
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    return folder / next(f for n, f in index["weight_map"].items() if "audio_tower" in n)


@pytest.mark.parametrize(
    ("kind", "file", "content", "message"),
    [
        ("whisper", "preprocessor_config.json", None, "it has no preprocessor_config.json"),
        ("clap", "preprocessor_config.json", b"<html>", r"preprocessor_config.json, line 1.*JSON"),
        ("whisper", "config.json", b"<html>", r"config\.json, line 1.*not valid JSON"),
        ("whisper", "config.json", b"[]", r"config\.json: expected a JSON object"),
        ("whisper", "model.safetensors", b"<html>" * 50, "expected a whole safetensors file"),
        ("whisper", "model.safetensors", None, r"has no weights \(model\.safetensors\)"),
        ("qwen2_audio", "model.safetensors.index.json", b"<html>", "not valid JSON"),
        ("qwen2_audio", "model.safetensors.index.json", b"{}", "expected a weight_map"),
        ("qwen2_audio", shard_of_the_tower, None, "no such file; the index"),
        ("qwen2_audio", shard_of_the_tower, b"cut", "expected a whole safetensors file"),
        ("ge2e", "config.json", b'{"model_type": "ge2e"}', "lacks hidden_size, num_layers"),
    ],
)
def test_a_spoilt_directory_is_named(checkpoints, tmp_path, kind, file, content, message):
    folder = tmp_path / "model"
    shutil.copytree(checkpoints / kind, folder)
    path = file(folder) if callable(file) else folder / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        load_encoder(kind, folder)
    assert str(folder) in str(error.value)


class Execution:
    """What a pickled file may do when it is opened carelessly."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "content", ["<html>", [1, 2], {"state_dict": 1}, {"state_dict": {"a": 1}}, Execution]
)
def test_a_checkpoint_of_other_things_than_tensors_is_named(tmp_path, content):
    path = tmp_path / "epoch_15.pt"
    if content == "<html>":
        path.write_text(content)
    else:
        executed = tmp_path / "executed"
        torch.save(content(executed) if content is Execution else content, path)
    with pytest.raises(UserError, match=r"epoch_15\.pt: (not a checkpoint|expected a state_dict)"):
        load_encoder("afclap", tmp_path)
    assert not (tmp_path / "executed").exists()


def test_only_the_shards_of_the_tower_are_opened(checkpoints, tmp_path):
    source = checkpoints / "qwen2_audio"
    weight_map = json.loads((source / "model.safetensors.index.json").read_text())["weight_map"]
    needed = {file for name, file in weight_map.items() if "audio_tower" in name}
    assert len(needed) < len(set(weight_map.values()))
    for path in source.iterdir():
        if path.suffix != ".safetensors" or path.name in needed:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert load_encoder("qwen2_audio", tmp_path).dim == 32


def test_long_clips_are_cut_into_windows(checkpoints):
    encoder = load(checkpoints, "ge2e")
    wave = noise(4.0, 16000)
    pieces = [wave[start : start + encoder.window] for start in range(0, 64000, encoder.window)]
    moments = encoder.embed(pieces)
    expected = np.average(moments.mean[:, 0], axis=0, weights=[len(p) for p in pieces])
    np.testing.assert_allclose(embed_waves([wave], encoder)[0, 0, 0], expected, atol=1e-5)


def test_merged_moments_are_those_of_all_frames():
    frames = np.random.default_rng(0).standard_normal((30, 1, 5)).astype(np.float32)
    parts = np.split(frames, [8, 20])
    moments = Moments(
        np.stack([part.mean(0) for part in parts]),
        np.stack([part.std(0) for part in parts]),
        np.array([8.0, 12.0, 10.0]),
    )
    merged = merge([moments.row(place) for place in range(3)])
    np.testing.assert_allclose(merged.mean[0], frames.mean(0), atol=1e-6)
    np.testing.assert_allclose(merged.std[0], frames.std(0), atol=1e-6)


def test_egemaps_says_how_to_get_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    message = r"allows research only: `pip .* with --use-conda into .* envs/audio\.yaml"
    with pytest.raises(UserError, match=message):
        load_encoder("egemaps", None)


def test_an_unknown_kind_is_named(tmp_path):
    with pytest.raises(UserError, match="known are whisper"):
        load_encoder("wav2vec", tmp_path)
    with pytest.raises(UserError, match="precomputed reads stored vectors"):
        load_encoder("precomputed", None)
    with pytest.raises(UserError, match="whisper needs the directory"):
        load_encoder("whisper", None)


def test_each_kind_has_one_encoder():
    names = sorted(name for name, kind in KINDS.items() if not kind.imported)
    assert sorted(registry.ENCODERS) == names
    for name, encoder in registry.ENCODERS.items():
        assert encoder.kind is KINDS[name]
        # One without weights takes no arguments.
        taken = inspect.signature(encoder).parameters
        assert bool(taken) == (KINDS[name].checkpoint is not None)
        assert ("every_layer" in taken) == KINDS[name].layered
        assert ("pad" in taken) == (KINDS[name] in registry.TOWERS)


def test_properties_of_the_kinds_load_nothing_heavy():
    program = (
        "import sys, affectlab.audio.encoders.kinds;"
        "print([n for n in ('torch', 'numpy', 'transformers') if n in sys.modules])"
    )
    folder = Path(registry.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=folder
    )
    assert done.stdout.strip() == "[]"


def test_the_spectrogram_is_librosas_definition():
    """A tone falls into the band that holds its frequency."""
    from affectlab.audio.encoders.mel import mel_spectrogram

    time = np.arange(16000) / 16000
    wave = torch.as_tensor(np.sin(2 * np.pi * 1000 * time), dtype=torch.float32)[None]
    mel = mel_spectrogram(wave, 16000, 40, 400, 160)
    assert mel.shape == (1, 40, 101)
    # Slaney's scale: 200/3 Hz per mel below 1000 Hz, so 40 bands to 8 kHz are 45.2 / 41 mel apart.
    assert abs(int(mel[0, :, 50].argmax()) + 1 - 15 / (45.245 / 41)) <= 1


def test_an_extractor_that_gives_more_frames_than_positions_is_named(checkpoints, monkeypatch):
    tower = load(checkpoints, "qwen2_audio")
    monkeypatch.setattr(tower, "_positions", 1)
    with pytest.raises(DataError, match="extractor and encoder differ: "):
        tower.embed([np.zeros(tower.rate, dtype=np.float32)])

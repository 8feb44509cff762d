"""wav2vec 2.0, HuBERT and WavLM: tiny twins with random weights, against transformers itself."""

import json

import numpy as np
import pytest
import torch
import transformers

from affectlab.audio.embedding import embed_waves
from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.encoders.registry import load_encoder
from affectlab.errors import UserError

NETWORKS = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8, 8],
    "conv_kernel": [10, 8],
    "conv_stride": [8, 8],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
}
FORMS = {
    "base": {"feat_extract_norm": "group", "do_stable_layer_norm": False},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}


def write_twin(folder, kind, form, head="Model"):
    """A checkpoint in the form of the published ones."""
    config = getattr(transformers, f"{NETWORKS[kind]}Config")(**SIZES, **FORMS[form])
    torch.manual_seed(0)
    getattr(transformers, f"{NETWORKS[kind]}{head}")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def noise(seconds, seed):
    generator = np.random.default_rng(seed)
    return (0.3 + 0.1 * generator.standard_normal(int(seconds * 16_000))).astype(np.float32)


@pytest.fixture(params=[(kind, form) for kind in NETWORKS for form in FORMS])
def twin(request, tmp_path):
    return request.param[0], write_twin(tmp_path / "twin", *request.param)


def test_the_vectors_are_those_of_transformers(twin):
    kind, folder = twin
    encoder = load_encoder(kind, folder, layers="all", device="cpu")
    assert (encoder.rate, encoder.layers, encoder.dim) == (16_000, ("layer1", "layer2"), 16)
    wave = noise(0.5, 0)
    found = encoder.embed([wave])
    features = transformers.AutoFeatureExtractor.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = features(wave, sampling_rate=16_000, return_tensors="pt").input_values
    # The preprocessor takes the mean away.
    assert abs(float(inputs.mean())) < 1e-4
    with torch.inference_mode():
        states = network(inputs, output_hidden_states=True)
    expected = [states.hidden_states[1], states.last_hidden_state]
    for place, state in enumerate(expected):
        np.testing.assert_allclose(found.mean[0, place], state[0].mean(dim=0), atol=1e-5)
        deviation = state[0].std(dim=0, correction=0)
        np.testing.assert_allclose(found.std[0, place], deviation, atol=1e-5)
    assert found.weight.tolist() == [len(expected[0][0])]


def test_the_answer_does_not_depend_on_the_batch(twin):
    kind, folder = twin
    encoder = load_encoder(kind, folder, layers="all", device="cpu")
    # The last one is shorter than a frame.
    waves = [noise(seconds, n) for n, seconds in enumerate((0.7, 1.33, 0.2, 0.003))]
    together = embed_waves(waves, encoder)
    alone = np.concatenate([embed_waves([wave], encoder) for wave in waves])
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_one_layer_is_the_last(twin):
    kind, folder = twin
    wave = [noise(0.4, 0)]
    every = embed_waves(wave, load_encoder(kind, folder, layers="all", device="cpu"))
    last = embed_waves(wave, load_encoder(kind, folder, device="cpu"))
    np.testing.assert_allclose(last[:, 0], every[:, -1], atol=1e-6)
    assert KINDS[kind].layered


def test_a_fine_tuned_checkpoint_is_read(tmp_path):
    write_twin(tmp_path / "ctc", "wav2vec2", "base", "ForCTC")
    assert load_encoder("wav2vec2", tmp_path / "ctc", device="cpu").dim == 16


def test_another_type_is_refused(tmp_path):
    write_twin(tmp_path / "twin", "hubert", "base")
    with pytest.raises(UserError, match="expected a model of the type wav2vec2, found 'hubert'"):
        load_encoder("wav2vec2", tmp_path / "twin")


def test_incomplete_weights_are_refused(tmp_path):
    folder = write_twin(tmp_path / "twin", "wavlm", "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(UserError, match=r"lacks .* tensors, such as encoder"):
        load_encoder("wavlm", folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="has no weights"):
        load_encoder("wavlm", folder)

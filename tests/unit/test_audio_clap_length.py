"""The vectors of CLAP models have length 1, as those of LAION's code and of transformers."""

import numpy as np
import pytest
import torch

from affectlab.audio.embedding import embed_waves
from affectlab.audio.encoders import afclap
from affectlab.audio.encoders.registry import load_encoder
from affectlab.samples import audio_models


def noise(seconds, rate):
    generator = np.random.default_rng(0)
    return (0.1 * generator.standard_normal(int(seconds * rate))).astype(np.float32)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clap")
    audio_models.write_tiny_clap(folder)
    return folder


def test_a_vector_is_what_get_audio_features_of_transformers_gives(directory):
    from transformers import ClapFeatureExtractor, ClapModel

    wave = noise(1.0, 48_000)
    found = load_encoder("clap", directory).embed([wave]).mean[0, 0]
    inputs = ClapFeatureExtractor.from_pretrained(directory)(
        wave, sampling_rate=48_000, return_tensors="pt"
    )
    model = ClapModel.from_pretrained(directory).eval()
    with torch.inference_mode():
        expected = model.get_audio_features(
            input_features=inputs["input_features"].float(),
            is_longer=torch.zeros(1, 1, dtype=torch.bool),
        ).pooler_output[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_vector_of_af_clap_has_length_one(directory, tmp_path, monkeypatch):
    network = load_encoder("clap", directory)._network
    torch.save({"state_dict": network.state_dict()}, tmp_path / "epoch_16.pt")
    monkeypatch.setattr(afclap, "AFCLAP_AUDIO", audio_models.CLAP_AUDIO)
    found = load_encoder("afclap", tmp_path).embed([noise(0.5, 16_000)]).mean[0, 0]
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-6)


def test_a_long_clip_is_the_mean_of_its_windows_not_normalised_again(directory):
    encoder = load_encoder("clap", directory)
    first, second = noise(10.0, 48_000), noise(10.0, 48_000)[::-1].copy()
    found = embed_waves([np.concatenate([first, second])], encoder)[0, 0, 0]
    expected = encoder.embed([first, second]).mean[:, 0].mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.linalg.norm(found) < 0.9999

"""Memory does not grow with the length of a recording."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from affectlab.audio import embedding, measures
from affectlab.audio.encoders.base import Moments

RATE = 8_000
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    minute = (3000 * np.random.default_rng(0).standard_normal((60 * RATE, 2))).astype(np.int16)
    for minutes in (2, 8):
        with soundfile.SoundFile(folder / f"{minutes}.wav", "w", RATE, 2) as stream:
            for _ in range(minutes):
                stream.write(minute)
    return folder


def peak(work):
    """Highest memory in use while *work* runs, in bytes; NumPy reports what it allocates."""
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_audit_holds_no_whole_recording(recordings):
    short, long = (
        peak(lambda path=recordings / f"{minutes}.wav": measures.measure(path, "clip"))
        for minutes in (2, 8)
    )
    assert long - short < 1 * MEBIBYTE


class Mean:
    """An encoder that computes next to nothing."""

    rate, window, layers, dim = 16_000, 16_000, ("mean",), 1

    def embed(self, batch):
        means = np.array([[[piece.mean()]] for piece in batch], dtype=np.float32)
        return Moments(means, 0 * means, np.array([float(len(piece)) for piece in batch]))


def test_an_embedding_holds_no_whole_recording(recordings, monkeypatch):
    monkeypatch.setattr(embedding, "PART_SECONDS", 30.0)
    encoder = Mean()
    short, long = (
        peak(
            lambda path=recordings / f"{minutes}.wav": list(embedding.embed_files([path], encoder))
        )
        for minutes in (2, 8)
    )
    assert long - short < 1 * MEBIBYTE


def test_a_recording_embedded_in_parts_is_that_embedded_at_once(recordings, monkeypatch):
    encoder = Mean()
    path = recordings / "2.wav"
    [whole] = embedding.embed_files([path], encoder)
    monkeypatch.setattr(embedding, "PART_SECONDS", 7.0)
    [parts] = embedding.embed_files([path], encoder)
    np.testing.assert_allclose(parts.vectors, whole.vectors, atol=1e-5)

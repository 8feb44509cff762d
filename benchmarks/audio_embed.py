"""Embedding speed: batches without padding against one clip at a time padded to 30 s.

    python benchmarks/audio_embed.py CHECKPOINT [--clips 24] [--seconds 3.5] [--folder WAVS]
                                                [--rounds 3]

CHECKPOINT is a Whisper directory. Both sides compute every layer in float32 and take turns; the
median round counts. Without --folder the clips are noise, which costs what speech costs.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from affectlab.audio.embedding import embed_waves
from affectlab.audio.encoders.registry import load_encoder
from affectlab.audio.waveform import read_audio

RATE = 16_000


def peer(network, extractor, waves):
    """One clip at a time, padded to 30 s, by transformers itself."""
    with torch.inference_mode():
        for wave in waves:
            inputs = extractor(wave, sampling_rate=RATE, return_tensors="pt").input_features
            network(inputs, output_hidden_states=True)


def seconds(work):
    """How long *work* takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main():
    """Run both on the same clips and print seconds of work per second of audio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=3.5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.folder is None:
        generator = np.random.default_rng(0)
        length = int(options.seconds * RATE)
        waves = [
            (0.1 * generator.standard_normal(length)).astype(np.float32)
            for _ in range(options.clips)
        ]
    else:
        files = sorted(options.folder.rglob("*.wav"))[: options.clips]
        waves = [read_audio(path, RATE) for path in files]
    audio = sum(len(wave) for wave in waves) / RATE
    encoder = load_encoder("whisper", options.checkpoint, layers="all")
    padded = load_encoder("whisper", options.checkpoint, layers="all", padding="window")
    extractor = WhisperFeatureExtractor.from_pretrained(options.checkpoint, trust_remote_code=False)
    embed_waves(waves, encoder)
    peer(padded._network, extractor, waves[:2])
    rounds = [
        (
            seconds(lambda: embed_waves(waves, encoder)) / audio,
            seconds(lambda: peer(padded._network, extractor, waves)) / audio,
        )
        for _ in range(options.rounds)
    ]
    ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    threads = torch.get_num_threads()
    print(f"{threads} threads, {len(waves)} clips, {audio:.0f} s of audio, medians of")
    print(", ".join(f"{own:.4f} against {other:.4f}" for own, other in rounds))
    print(f"affectlab, without padding   {ours:.4f} s per s")
    print(f"one at a time, padded 30 s   {theirs:.4f} s per s")
    print(f"ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main()

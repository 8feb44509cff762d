"""Small spoken corpora in the layouts of EATD-Corpus and EMO-DB, made by formant synthesis.

Each volunteer has a voice of their own (pitch, vocal tract length) and answers three prompts. The
prompt changes pitch, range and pace, so that it can be learnt; the depression score flattens
the melody and slows the pace a little. None of it says anything about people.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from affectlab.files.io import atomic_path, write_text

RATE = 16_000
SUBJECTS = 24
PROMPTS = {"negative": (0.88, 0.7, 0.85), "neutral": (1.0, 1.0, 1.0), "positive": (1.18, 1.6, 1.2)}
"""Prompt -> factors on pitch, on its range, and on pace."""

EMOTIONS = {
    "W": (1.25, 1.8, 1.1),
    "L": (0.9, 0.5, 0.8),
    "E": (0.95, 0.8, 0.9),
    "A": (1.35, 1.2, 1.2),
    "F": (1.3, 1.7, 1.1),
    "T": (0.85, 0.5, 0.75),
    "N": (1.0, 1.0, 1.0),
}
"""Letter of EMO-DB -> the same three factors."""

VOWELS = (
    (730, 1090, 2440),
    (530, 1840, 2480),
    (270, 2290, 3010),
    (570, 840, 2410),
    (300, 870, 2240),
)
"""Formants in Hz of five vowels (Peterson and Barney 1952)."""

BANDWIDTHS = (80.0, 100.0, 140.0)
SYLLABLES = "天气很好今天我们去看书然后回家吃饭"
SYLLABLE_SECONDS = 0.2

Samples = npt.NDArray[np.float64]


def write_corpus(directory: Path | str, seed: int = 0, subjects: int = SUBJECTS) -> None:
    """Write the corpus: folders ``t_<n>`` and ``v_<n>``, numbers not contiguous.

    The same seed gives the same bytes; an existing *directory* is replaced as a whole.

    Args:
        directory: where it goes.
        seed: of everything.
        subjects: how many volunteers; at least 4.
    """
    generator = np.random.default_rng(seed)
    numbers = np.sort(generator.choice(np.arange(1, 5 * subjects), subjects, replace=False))
    with atomic_path(directory) as temporary:
        temporary.mkdir()
        for place, number in enumerate(numbers):
            split = "t" if place % 2 == 0 else "v"
            # Pairs of one t and one v, so that both splits have volunteers of either kind.
            depressed = (place // 2) % 3 == 0
            raw = int(generator.integers(43, 60) if depressed else generator.integers(22, 40))
            _write_subject(temporary / f"{split}_{number}", raw, depressed, generator)


def write_emodb(directory: Path | str, seed: int = 0, speakers: int = 4) -> None:
    """Write a corpus as EMO-DB has it: ``wav/03a01Fa.wav``, every speaker in every emotion once.

    The same seed gives the same bytes; an existing *directory* is replaced as a whole.

    Args:
        directory: where it goes.
        seed: of everything.
        speakers: how many; their numbers begin at 3, as the corpus' do.
    """
    generator = np.random.default_rng(seed)
    with atomic_path(directory) as temporary:
        (temporary / "wav").mkdir(parents=True)
        for speaker in range(3, 3 + speakers):
            pitch, tract = float(generator.uniform(95, 240)), float(generator.uniform(0.88, 1.14))
            for place, (letter, (height, spread, speed)) in enumerate(EMOTIONS.items(), start=1):
                voice = speak(6, pitch * height, 0.08 * spread, speed, tract, generator)
                name = f"{speaker:02d}a{place:02d}{letter}a.wav"
                _write_wav(temporary / "wav" / name, voice)


def _write_subject(
    folder: Path, raw_score: int, depressed: bool, generator: np.random.Generator
) -> None:
    folder.mkdir()
    pitch = float(generator.uniform(95, 240))
    tract = float(generator.uniform(0.88, 1.14))
    melody = 0.6 if depressed else 1.0
    pace = 0.9 if depressed else 1.0
    for prompt, (height, spread, speed) in PROMPTS.items():
        count = int(generator.integers(6, 10))
        voice = speak(
            count,
            pitch * height * generator.uniform(0.96, 1.04),
            0.08 * spread * melody,
            speed * pace,
            tract,
            generator,
        )
        noise = 0.002 * generator.standard_normal(len(voice))
        _write_wav(folder / f"{prompt}_out.wav", voice)
        silence = np.zeros(RATE // 4)
        _write_wav(folder / f"{prompt}.wav", np.concatenate([silence, voice + noise, silence]))
        text = "".join(generator.choice(list(SYLLABLES), count))
        write_text(folder / f"{prompt}.txt", text + "\n")
    write_text(folder / "label.txt", f"{raw_score}.0\n")
    write_text(folder / "new_label.txt", f"{1.25 * raw_score:g}\n")


def speak(
    syllables: int,
    pitch: float,
    spread: float,
    speed: float,
    tract: float,
    generator: np.random.Generator,
) -> Samples:
    """Synthesise vowels: a pulse train of moving pitch through three resonances each.

    Args:
        syllables: how many vowels.
        pitch: mean fundamental frequency in Hz.
        spread: how far it moves, as a share of it.
        speed: 1 is five syllables a second.
        tract: factor on the formants; shorter vocal tracts have higher ones.
        generator: of vowels and melody.

    Returns:
        Samples at 16 kHz, peak below 1.
    """
    length = int(SYLLABLE_SECONDS * RATE / speed)
    targets = pitch * (1 + spread * generator.standard_normal(syllables + 1))
    melody = np.interp(
        np.arange(syllables * length) / length, np.arange(syllables + 1), np.maximum(targets, 50)
    )
    phase = np.cumsum(melody / RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.003 * generator.standard_normal(len(phase))
    envelope = np.sin(np.linspace(0, np.pi, length)) ** 0.5
    parts = []
    for place in range(syllables):
        part = pulses[place * length : (place + 1) * length]
        vowel = VOWELS[int(generator.integers(len(VOWELS)))]
        for formant, bandwidth in zip(vowel, BANDWIDTHS, strict=True):
            part = _resonate(part, formant * tract, bandwidth)
        parts.append(part * envelope)
    voice = np.concatenate(parts)
    return np.asarray(0.5 * voice / np.abs(voice).max())


def _resonate(samples: Samples, frequency: float, bandwidth: float) -> Samples:
    """A second-order resonator (Klatt 1980, equation 1)."""
    from scipy.signal import lfilter

    decay = np.exp(-np.pi * bandwidth / RATE)
    second = 2 * decay * np.cos(2 * np.pi * frequency / RATE)
    third = -(decay**2)
    return np.asarray(lfilter([1 - second - third], [1, -second, -third], samples))


def _write_wav(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes(np.clip(32767 * samples, -32768, 32767).astype("<i2").tobytes())

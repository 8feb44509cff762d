"""What one recording is like: decoded once, and described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from affectlab.audio.levels import Levels, decibels
from affectlab.audio.outlines import Outline
from affectlab.audio.waveform import Mixture, open_recording
from affectlab.files.io import round_significant


@dataclass(frozen=True, slots=True)
class Measure:
    """What one file is like: length, levels (dB below full scale), silence, clipping, contents.

    ``rate``, ``channels`` and ``format`` (container and coding) are those of the original file.
    ``silent``: no sound is left after the channels were mixed. ``cancelling``: the channels cancel
    each other when they are mixed. ``sha256`` is of the rate and the decoded samples, so that the
    same audio in another format, or under another header, has the same.
    """

    id: str
    seconds: float
    rate: int
    channels: int
    format: str
    rms_db: float
    peak_db: float
    silent_share: float
    clipped_samples: int
    silent: bool
    cancelling: bool
    sha256: str


def condition_columns(measures: Sequence[Measure]) -> dict[str, list[float] | list[str]]:
    """The conditions of recording of clips, as `evaluation.conditions` takes them."""
    return {
        "rate": [str(one.rate) for one in measures],
        "channels": [str(one.channels) for one in measures],
        "format": [one.format for one in measures],
        "seconds": [one.seconds for one in measures],
        "rms_db": [one.rms_db for one in measures],
        "peak_db": [one.peak_db for one in measures],
    }


def measure(path: Path, name: str) -> Measure:
    """Decode one file and describe it.

    Args:
        path: of the file.
        name: id of the clip.

    Raises:
        DataError: it cannot be read.
    """
    return _decoded(path, name, outlined=False)[0]


def measure_and_outline(path: Path, name: str) -> tuple[Measure, npt.NDArray[np.float32]]:
    """Decode one file once: its description, and its outline by which near copies are found.

    Raises:
        DataError: it cannot be read.
    """
    found, outline = _decoded(path, name, outlined=True)
    assert outline is not None
    return found, outline.vector()


def _decoded(path: Path, name: str, *, outlined: bool) -> tuple[Measure, Outline | None]:
    mixture = Mixture()
    with open_recording(path) as recording:
        levels = Levels(recording.rate)
        outline = Outline(recording.rate) if outlined else None
        for block in recording.blocks(mixture):
            levels.add(block)
            if outline is not None:
                outline.add(block)
    levels.end()
    found = Measure(
        id=name,
        seconds=round_significant(levels.seconds, 6),
        rate=recording.rate,
        channels=recording.channels,
        format=recording.format,
        rms_db=decibels(levels.rms),
        peak_db=decibels(levels.peak),
        silent_share=round_significant(levels.silent_share, 4),
        clipped_samples=levels.clipped,
        silent=mixture.silent,
        cancelling=mixture.cancelling,
        sha256=levels.sha256,
    )
    return found, outline

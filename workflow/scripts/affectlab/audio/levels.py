"""How loud a recording is over time, measured block by block."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt

from affectlab.audio.waveform import Samples

FRAME_SECONDS = 0.025
SILENCE_DB = -40.0
"""Below the loudest frame of a clip, in dB: a frame so quiet counts as silent."""

CLIPPED_FROM = 0.999
"""Of full scale: what an ordinary recording reaches by clipping alone."""

CLIPPED_RUN = 3
"""Samples in a row at full scale that count as clipping; a single one may be a true peak."""

QUIET_DB = -120.0
"""Stands for the level of digital silence, whose logarithm does not exist."""


class Levels:
    """Length, levels, silence, clipping and contents of a recording.

    Attributes:
        count: samples so far.
        peak: highest absolute value so far, full scale is 1.
        clipped: samples in runs of at least `CLIPPED_RUN` at full scale, of complete runs.
    """

    def __init__(self, rate: int) -> None:
        self.count = 0
        self.peak = 0.0
        self.clipped = 0
        self._rate = rate
        self._width = max(1, int(FRAME_SECONDS * rate))
        self._square = 0.0
        self._frames: list[npt.NDArray[np.float64]] = []
        self._rest = np.empty(0, dtype=np.float32)
        # Samples at full scale at the end of the last block: their run may go on.
        self._run = 0
        self._digest = hashlib.sha256(f"{rate} ".encode())

    def add(self, block: Samples) -> None:
        """Add the next samples, mono float32."""
        self._digest.update(block.tobytes())
        self.count += len(block)
        absolute = np.abs(block)
        self.peak = max(self.peak, float(absolute.max(initial=0.0)))
        self._square += float((block.astype(np.float64) ** 2).sum())
        self._count_clipped(absolute >= CLIPPED_FROM)
        joined = np.concatenate([self._rest, block])
        whole = len(joined) // self._width * self._width
        frames = joined[:whole].reshape(-1, self._width).astype(np.float64)
        self._frames.append((frames**2).mean(axis=1))
        self._rest = joined[whole:]

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.count / self._rate

    @property
    def rms(self) -> float:
        """Root of the mean square, full scale is 1."""
        return math.sqrt(self._square / self.count)

    @property
    def silent_share(self) -> float:
        """Share of the frames that lie `SILENCE_DB` below the loudest one."""
        powers = np.concatenate(self._frames)
        if len(powers) == 0:
            powers = np.array([(self._rest.astype(np.float64) ** 2).mean()])
        loudest = powers.max()
        silent = powers < loudest * 10 ** (SILENCE_DB / 10) if loudest > 0 else powers == 0
        return float(silent.mean())

    @property
    def sha256(self) -> str:
        """Of the rate and the samples."""
        return self._digest.hexdigest()

    def end(self) -> None:
        """Count a run of clipped samples that lasts to the end of the recording."""
        self._count_clipped(np.zeros(1, dtype=np.bool_))

    def _count_clipped(self, full: npt.NDArray[np.bool_]) -> None:
        # The run before the block stands for at most as many samples as decide whether it counts.
        before = min(self._run, CLIPPED_RUN)
        marks = np.concatenate([[0], np.ones(before, np.int8), full.astype(np.int8), [0]])
        edges = np.flatnonzero(np.diff(marks))
        starts, ends = edges[::2], edges[1::2]
        lengths = ends - starts
        if before and len(lengths):
            lengths[0] += self._run - before
        last = bool(full[-1])
        self._run = int(lengths[-1]) if last else 0
        finished = lengths[:-1] if last else lengths
        self.clipped += int(finished[finished >= CLIPPED_RUN].sum())


def decibels(amplitude: float) -> float:
    """Level of an amplitude, full scale is 0 dB; at least `QUIET_DB`."""
    level = 20 * math.log10(amplitude) if amplitude > 0 else QUIET_DB
    return round(max(level, QUIET_DB), 3)

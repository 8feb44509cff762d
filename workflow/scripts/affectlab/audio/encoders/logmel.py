"""Statistics of the log-mel spectrogram, an encoder without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from affectlab.audio.encoders.base import Moments
from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.encoders.mel import mel_spectrogram
from affectlab.audio.waveform import Samples

RATE = 16_000
WINDOW_SECONDS = 30
BANDS = 80
FLOOR = 1e-10
"""Below any sound that is recorded; its logarithm exists."""


class LogMel:
    """See `affectlab.audio.encoders.base.Encoder`: the floor that a learned encoder must beat."""

    kind = KINDS["logmel"]

    def __init__(self) -> None:
        self.rate = RATE
        self.window = WINDOW_SECONDS * RATE
        self.layers: tuple[str, ...] = ("logmel",)
        self.dim = BANDS
        self.settings: dict[str, Any] = {"kind": self.kind.name}

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows; see the protocol."""
        pieces = [self._describe(piece) for piece in batch]
        mean, std = (np.stack(column)[:, None, :] for column in zip(*pieces, strict=True))
        frames = np.array([1 + len(piece) // 160 for piece in batch], dtype=np.float64)
        return Moments(mean, std, frames)

    def _describe(self, piece: Samples) -> tuple[np.ndarray, np.ndarray]:
        mel = mel_spectrogram(torch.as_tensor(piece)[None], RATE, BANDS, 400, 160)[0]
        logarithm = torch.log10(torch.clamp(mel, min=FLOOR))
        return logarithm.mean(dim=1).numpy(), logarithm.std(dim=1, correction=0).numpy()

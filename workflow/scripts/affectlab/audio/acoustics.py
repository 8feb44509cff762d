"""Encoders without weights: statistics of the log-mel spectrogram, and eGeMAPS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from affectlab.audio.encoders import Moments
from affectlab.audio.waveform import Samples
from affectlab.errors import UserError

RATE = 16_000
WINDOW_SECONDS = 30
LOGMEL_BANDS = 80
FLOOR = 1e-10
"""Below any sound that is recorded; its logarithm exists."""

EGEMAPS_FEATURES = 88


def mel_spectrogram(
    waves: torch.Tensor, rate: int, bands: int, window: int, hop: int
) -> torch.Tensor:
    """Power mel spectrogram with Slaney's bands, as librosa computes it.

    Args:
        waves: ``[batch, samples]``.
        rate: in Hz.
        bands: number of mel bands, from 0 Hz to half the rate.
        window: length of the (Hann) analysis window in samples.
        hop: samples from frame to frame.

    Returns:
        ``[batch, bands, 1 + samples // hop]``.
    """
    spectrum = torch.stft(
        waves,
        window,
        hop,
        window=torch.hann_window(window),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return torch.as_tensor(_filters(rate, bands, window)).T @ (spectrum.abs() ** 2)


@cache
def _filters(rate: int, bands: int, window: int) -> np.ndarray:
    from transformers.audio_utils import mel_filter_bank

    return mel_filter_bank(
        num_frequency_bins=window // 2 + 1,
        num_mel_filters=bands,
        min_frequency=0.0,
        max_frequency=rate / 2,
        sampling_rate=rate,
        norm="slaney",
        mel_scale="slaney",
    ).astype(np.float32)


class LogMel:
    """See `affectlab.audio.encoders.Encoder`: the floor that a learned encoder must beat."""

    def __init__(self) -> None:
        self.rate = RATE
        self.window = WINDOW_SECONDS * RATE
        self.layers: tuple[str, ...] = ("logmel",)
        self.dim = LOGMEL_BANDS
        self.settings: dict[str, Any] = {"kind": "logmel"}

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows; see the protocol."""
        pieces = [self._describe(piece) for piece in batch]
        mean, std = (np.stack(column)[:, None, :] for column in zip(*pieces, strict=True))
        frames = np.array([1 + len(piece) // 160 for piece in batch], dtype=np.float64)
        return Moments(mean, std, frames)

    def _describe(self, piece: Samples) -> tuple[np.ndarray, np.ndarray]:
        mel = mel_spectrogram(torch.as_tensor(piece)[None], RATE, LOGMEL_BANDS, 400, 160)[0]
        logarithm = torch.log10(torch.clamp(mel, min=FLOOR))
        return logarithm.mean(dim=1).numpy(), logarithm.std(dim=1, correction=0).numpy()


class EGemaps:
    """The 88 features of eGeMAPS (Eyben et al. 2016, doi 10.1109/TAFFC.2015.2457417).

    opensmile is not installed with affectlab, since its licence allows research only.
    """

    def __init__(self) -> None:
        try:
            import opensmile
        except ImportError as error:
            raise UserError(
                "eGeMAPS needs the package opensmile, whose licence allows research only: "
                "`pip install opensmile==2.6.0` if its terms suit you, with --use-conda into the "
                "environment of envs/audio.yaml (`snakemake --use-conda --list-conda-envs` says "
                "where it is)"
            ) from error
        self._smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv02,
            feature_level=opensmile.FeatureLevel.Functionals,
        )
        self.rate = RATE
        self.window = WINDOW_SECONDS * RATE
        self.layers: tuple[str, ...] = ("functionals",)
        self.dim = EGEMAPS_FEATURES
        self.settings: dict[str, Any] = {"kind": "egemaps"}

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows; see the protocol."""
        rows = [self._smile.process_signal(piece, RATE).to_numpy()[0] for piece in batch]
        mean = np.nan_to_num(np.stack(rows).astype(np.float32))[:, None, :]
        return Moments(mean, np.zeros_like(mean), np.array([len(p) / RATE for p in batch]))

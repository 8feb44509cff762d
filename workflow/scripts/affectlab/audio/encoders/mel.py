"""The mel spectrogram that several encoders start from."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch


def mel_spectrogram(
    waves: torch.Tensor, rate: int, bands: int, window: int, hop: int
) -> torch.Tensor:
    """Compute a power mel spectrogram with Slaney's bands, as librosa does.

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

"""The interface of frozen audio encoders, and how windows of a clip become one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from affectlab.audio.encoders.kinds import Kind
from affectlab.audio.waveform import Samples

Vectors = npt.NDArray[np.float32]


class Moments(NamedTuple):
    """Moments of windows or clips over their frames.

    Attributes:
        mean: ``[n, layers, dim]`` float32.
        std: the same shape; all 0 for a window of a kind with `Kind.one_vector`.
        weight: ``[n]`` float64, how much each counts when several are merged (its frames).
    """

    mean: Vectors
    std: Vectors
    weight: npt.NDArray[np.float64]

    def row(self, place: int) -> Moments:
        """Return the moments of one item."""
        one = slice(place, place + 1)
        return Moments(self.mean[one], self.std[one], self.weight[one])


class Encoder(Protocol):
    """A frozen encoder.

    Attributes:
        kind: its kind.
        rate: sampling rate that it expects, in Hz.
        window: longest piece that it takes at once, in samples.
        layers: names of the layers that it gives.
        dim: features per layer.
        settings: all that decides its numbers in addition to its weights, JSON-able.
    """

    kind: Kind
    rate: int
    window: int
    layers: tuple[str, ...]
    dim: int
    settings: dict[str, Any]

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows of at most `window` samples; the result does not depend on the batch."""


def merge(windows: Sequence[Moments]) -> Moments:
    """Merge the moments of windows into those of their clip, as if it had been one window.

    For a kind with `Kind.one_vector` the deviation is the one between windows. It is 0 for a clip
    of one window, whatever the clip contains, so no probe uses it.

    Returns:
        Moments of one item: mean and standard deviation over all frames of all windows.
    """
    weight = np.concatenate([window.weight for window in windows])
    means = np.concatenate([window.mean for window in windows]).astype(np.float64)
    deviations = np.concatenate([window.std for window in windows]).astype(np.float64)
    share = (weight / weight.sum())[:, None, None]
    mean = (share * means).sum(axis=0, keepdims=True)
    squares = (share * (deviations**2 + means**2)).sum(axis=0, keepdims=True)
    std = np.sqrt(np.maximum(squares - mean**2, 0.0))
    return Moments(
        mean.astype(np.float32),
        std.astype(np.float32),
        weight.sum(keepdims=True),
    )

"""Frozen audio encoders behind one interface, and how windows of a clip become one vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from affectlab.audio.waveform import Samples
from affectlab.errors import UserError, reading

Vectors = npt.NDArray[np.float32]


class Moments(NamedTuple):
    """What an encoder says of windows or clips, over its frames.

    Attributes:
        mean: ``[n, layers, dim]`` float32.
        std: the same shape; all 0 for a window of a kind in `ONE_VECTOR`.
        weight: ``[n]`` float64, how much each counts when several are merged (its frames).
    """

    mean: Vectors
    std: Vectors
    weight: npt.NDArray[np.float64]

    def row(self, place: int) -> Moments:
        """The moments of one item."""
        one = slice(place, place + 1)
        return Moments(self.mean[one], self.std[one], self.weight[one])


class Encoder(Protocol):
    """A frozen encoder.

    Attributes:
        rate: sampling rate that it expects, in Hz.
        window: longest piece that it takes at once, in samples.
        layers: names of the layers that it gives.
        dim: features per layer.
        settings: all that decides its numbers beside its weights, JSON-able.
    """

    rate: int
    window: int
    layers: tuple[str, ...]
    dim: int
    settings: dict[str, Any]

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows of at most `window` samples; the answer does not depend on the batch."""


def merge(windows: Sequence[Moments]) -> Moments:
    """The moments of a whole clip from those of its windows, as if it had been one.

    Of a kind in `ONE_VECTOR` the deviation is that between windows: 0 for a clip of one, whatever
    is said in it. No probe is given it.

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


KINDS = ("whisper", "qwen2_audio", "clap", "afclap", "ge2e", "egemaps", "logmel")
WITHOUT_WEIGHTS = ("egemaps", "logmel")
ONE_VECTOR = ("clap", "afclap", "ge2e", "egemaps", "precomputed")
"""Kinds that give one vector a window, or a clip, and so have no frames to deviate."""


def load_encoder(
    kind: str, directory: Path | None, *, layers: str = "last", padding: str = "none"
) -> Encoder:
    """Load an encoder.

    Args:
        kind: one of `KINDS`.
        directory: its checkpoint; None for those without weights.
        layers: ``last`` or ``all``, for those that have layers to choose from.
        padding: ``none``, or ``window`` to fill every window up with silence first, for those
            that can do without.

    Raises:
        UserError: the directory holds another kind of model, or incomplete weights.
    """
    if kind in WITHOUT_WEIGHTS:
        from affectlab.audio import acoustics

        if kind == "logmel":
            return acoustics.LogMel()
        return acoustics.EGemaps()
    if directory is None:
        raise UserError(f"an encoder of kind {kind} needs the directory of its checkpoint")
    if kind in ("whisper", "qwen2_audio"):
        from affectlab.audio.towers import Tower

        def tower() -> Encoder:
            return Tower(directory, kind, every_layer=layers == "all", pad=padding == "window")

        return _usable(tower, directory)
    if kind in ("clap", "afclap"):
        from affectlab.audio.clap import Clap

        return _usable(lambda: Clap(directory, kind), directory)
    if kind == "ge2e":
        from affectlab.audio.ge2e import Ge2e

        return Ge2e(directory)
    raise UserError(f"unknown kind of encoder {kind!r}; known are {', '.join(KINDS)}")


def _usable(build: Callable[[], Encoder], directory: Path) -> Encoder:
    """An encoder, tried on silence: its network and its feature extractor may not fit each other.

    Args:
        build: makes the encoder.
        directory: of its checkpoint.

    Raises:
        DataError: they do not.
    """
    # The extractor of CLAP draws from NumPy's own generator.
    state = np.random.get_state()
    try:
        with reading(directory, "an encoder whose files fit each other"):
            encoder = build()
            encoder.embed([np.zeros(encoder.rate // 10, dtype=np.float32)])
    finally:
        np.random.set_state(state)
    return encoder

"""The encoder of each kind: `load_encoder`.

Importing this module loads torch; the properties of the kinds are in `kinds`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.audio.encoders.afclap import AfClap
from affectlab.audio.encoders.base import Encoder
from affectlab.audio.encoders.clap import Clap
from affectlab.audio.encoders.egemaps import EGemaps
from affectlab.audio.encoders.ge2e import Ge2e
from affectlab.audio.encoders.kinds import find_kind
from affectlab.audio.encoders.logmel import LogMel
from affectlab.audio.encoders.qwen2_audio import Qwen2Audio
from affectlab.audio.encoders.speech import Hubert, Wav2Vec2, WavLm
from affectlab.audio.encoders.whisper import Whisper
from affectlab.errors import UserError, reading
from affectlab.models.devices import Precision

ENCODERS: dict[str, Callable[..., Encoder]] = {
    one.kind.name: one
    for one in (
        *(Whisper, Qwen2Audio, Wav2Vec2, Hubert, WavLm),
        *(Clap, AfClap, Ge2e, EGemaps, LogMel),
    )
}
TOWERS = (Whisper.kind, Qwen2Audio.kind)


def load_encoder(
    kind: str,
    directory: Path | None,
    *,
    layers: str = "last",
    padding: str = "none",
    device: str | None = None,
    precision: Precision = "fp32",
) -> Encoder:
    """Load an encoder.

    Args:
        kind: name of a kind that computes its vectors.
        directory: its checkpoint; None for those without weights.
        layers: ``last`` or ``all``, for those that have layers to choose from.
        padding: ``none``, or ``window`` to fill every window up with silence first, for those
            that do not need it.
        device: a PyTorch device name, for those with a checkpoint; by default the GPU if there is
            one, and the CPU for GE2E.
        precision: of the matrix products of those with a checkpoint.

    Raises:
        UserError: the directory holds another kind of model, or incomplete weights.
    """
    found = find_kind(kind)
    if found.imported:
        raise UserError(f"an encoder of kind {kind} reads stored vectors and cannot compute any")
    if found.checkpoint is None:
        return ENCODERS[kind]()
    if directory is None:
        raise UserError(f"an encoder of kind {kind} needs the directory of its checkpoint")
    options: dict[str, Any] = {"device": device, "precision": precision}
    if found.layered:
        options["every_layer"] = layers == "all"
    if found in TOWERS:
        options["pad"] = padding == "window"
    return _usable(partial(ENCODERS[kind], directory, **options), directory)


def _usable(build: Callable[[], Encoder], directory: Path) -> Encoder:
    """Build an encoder and run it on silence: its network and its features may not fit.

    Args:
        build: makes the encoder.
        directory: of its checkpoint.

    Raises:
        DataError: they do not fit each other.
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

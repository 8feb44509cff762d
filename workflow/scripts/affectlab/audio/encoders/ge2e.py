"""The GE2E speaker encoder (Wan et al. 2018, arXiv 1710.10467) with resemblyzer's weights.

Three LSTM layers over 40 mel bands, a linear layer with ReLU, and a vector of length 1. Unlike
the original's, this preprocessing neither cuts silence out nor makes quiet clips louder: loudness
is left as it is in all encoders, and the audit tells how much of a clip is silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from affectlab.audio.encoders.base import Moments
from affectlab.audio.encoders.checkpoints import load_part, read_config
from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.encoders.mel import mel_spectrogram
from affectlab.audio.waveform import Samples
from affectlab.errors import UserError
from affectlab.models.devices import Precision, autocast, compute_dtype, named_device

RATE = 16_000
MELS = 40
FRAMES = 160
"""Frames (of 10 ms) of a window, as in training."""

MOST = 4096
"""Of units and layers: memory for them is taken before the weights are looked at."""


class Ge2eNetwork(nn.Module):
    """From mel frames ``[batch, frames, 40]`` to vectors of length 1, ``[batch, hidden]``."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, hidden, layers, batch_first=True)
        self.linear = nn.Linear(hidden, hidden)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        _, (last, _) = self.lstm(mels)
        return functional.normalize(functional.relu(self.linear(last[-1])), dim=1)


def _onednn_has_lstm(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether oneDNN computes an LSTM in *dtype* on this processor; of bfloat16, not all do."""
    network = nn.LSTM(1, 1).to(device)
    try:
        with torch.inference_mode(), autocast(dtype, device):
            network(torch.zeros(1, 1, 1, device=device))
    except RuntimeError:
        return False
    return True


class Ge2e:
    """See `affectlab.audio.encoders.base.Encoder`: one vector for each window of 1.6 s."""

    kind = KINDS["ge2e"]

    def __init__(
        self, directory: Path, *, device: str | None = None, precision: Precision = "fp32"
    ) -> None:
        config = read_config(directory, ["ge2e"])
        missing = {"hidden_size", "num_layers"} - config.keys()
        if missing:
            raise UserError(f"{directory}: its config.json lacks {', '.join(sorted(missing))}")
        for name in ("hidden_size", "num_layers"):
            if type(config[name]) is not int or not 1 <= config[name] <= MOST:
                raise UserError(
                    f"{directory / 'config.json'}: {name}: expected a whole number from 1 to "
                    f"{MOST}, found {config[name]!r}"
                )
        self.dim = config["hidden_size"]
        self._network = Ge2eNetwork(self.dim, config["num_layers"]).eval()
        load_part(self._network, directory, [""])
        # A network this small gains nothing by a GPU.
        self._device = named_device(device or "cpu")
        self._dtype = compute_dtype(precision, self._device)
        self._network.to(self._device)
        self._onednn = _onednn_has_lstm(self._dtype, self._device)
        self.rate = RATE
        self.window = FRAMES * RATE // 100
        self.layers: tuple[str, ...] = ("speaker",)
        self.settings: dict[str, Any] = {"kind": self.kind.name}

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows; see the protocol. A short one is filled up with silence."""
        padded = np.stack([np.pad(piece, (0, self.window - len(piece))) for piece in batch])
        mels = mel_spectrogram(torch.as_tensor(padded), RATE, MELS, 400, 160)[:, :, :FRAMES]
        with (
            torch.inference_mode(),
            autocast(self._dtype, self._device),
            nullcontext() if self._onednn else torch.backends.mkldnn.flags(enabled=False),
        ):
            vectors = self._network(mels.permute(0, 2, 1).to(self._device)).float().cpu().numpy()
        mean = vectors[:, None, :]
        seconds = np.array([len(piece) / RATE for piece in batch])
        return Moments(mean, np.zeros_like(mean), seconds)

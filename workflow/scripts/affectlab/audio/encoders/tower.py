"""The encoders of Whisper and of Qwen2-Audio: one architecture, every layer of it.

Both were trained on windows of 30 s filled up with silence. Here a window is as long as its
sound: the convolutions see zeros beyond the end, as they do at the end of a full window, and
attention does not see the rest of the batch's padding. That is what makes short clips cheap; the
numbers differ from those of a padded window, since attention then also looks at the silence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from affectlab.audio.encoders.base import Moments
from affectlab.audio.encoders.checkpoints import load_part, read_config, read_features
from affectlab.audio.encoders.kinds import Kind
from affectlab.audio.waveform import Samples
from affectlab.errors import DataError, reading
from affectlab.models.devices import Precision, autocast, compute_dtype, named_device

FRAME_STRIDE = 2
"""Spectrogram frames per encoder frame: the second convolution halves the rate."""


class Tower(ABC):
    """See `affectlab.audio.encoders.base.Encoder`.

    Layer i is the output of transformer block i, counted from 1. The last one is normalised as the
    model hands it on.

    Attributes:
        kind: its kind.
        model_types: accepted values of ``model_type`` in the config.json of a checkpoint.
        prefixes: of the encoder's tensors in the published checkpoints.
        pooled: frames of which the last layer makes one.
    """

    kind: Kind
    model_types: ClassVar[tuple[str, ...]]
    prefixes: ClassVar[tuple[str, ...]]
    pooled: ClassVar[int] = 1

    def __init__(
        self,
        directory: Path,
        *,
        every_layer: bool,
        pad: bool,
        device: str | None = None,
        precision: Precision = "fp32",
    ) -> None:
        from transformers import WhisperFeatureExtractor

        self._device = named_device(device)
        self._dtype = compute_dtype(precision, self._device)
        # A window is filled up to whole frames of the last layer.
        self._stride = FRAME_STRIDE * self.pooled
        self._network = self._load(directory).to(self._device).eval()
        self._features = read_features(WhisperFeatureExtractor, directory)
        self._pad = pad
        self._every_layer = every_layer
        config = self._network.config
        self.rate = int(self._features.sampling_rate)
        self._directory = directory
        self._positions = positions = int(config.max_source_positions)
        self.window = positions * FRAME_STRIDE * self._features.hop_length
        last = config.encoder_layers
        self.layers = tuple(f"layer{i}" for i in (range(1, last + 1) if every_layer else [last]))
        self.dim = int(config.d_model)
        self.settings: dict[str, Any] = {
            "kind": self.kind.name,
            "layers": "all" if every_layer else "last",
            "padding": "window" if pad else "none",
        }

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows; see the protocol."""
        step = FRAME_STRIDE * self._features.hop_length
        # Frames that hold sound; a frame that sound only begins to fill counts.
        frames = [-(-len(piece) // step) for piece in batch]
        spectra = [self._spectrum(piece) for piece in batch]
        longest = max(spectrum.shape[1] for spectrum in spectra)
        if longest > self._positions * FRAME_STRIDE:
            problem = f"{longest} frames a window, {self._positions * FRAME_STRIDE} at most"
            raise DataError(self._directory, None, f"extractor and encoder differ: {problem}")
        inputs = torch.zeros(len(batch), spectra[0].shape[0], longest)
        filled = torch.zeros(len(batch), longest)
        for row, spectrum in enumerate(spectra):
            inputs[row, :, : spectrum.shape[1]] = spectrum
            filled[row, : spectrum.shape[1]] = 1.0
        with torch.inference_mode(), autocast(self._dtype, self._device):
            hidden = self._hidden(inputs.to(self._device), filled.to(self._device))
            counts = [torch.tensor(frames, device=self._device)] * len(hidden)
            counts[-1] = -(-counts[-1] // self.pooled)
            moments = [frame_moments(*layer) for layer in zip(hidden, counts, strict=True)]
            means, deviations = zip(*moments, strict=True)
        return Moments(
            torch.stack(means, dim=1).float().cpu().numpy(),
            torch.stack(deviations, dim=1).float().cpu().numpy(),
            np.asarray(frames, dtype=np.float64),
        )

    @abstractmethod
    def _network_of(self, config: Mapping[str, Any]) -> nn.Module:
        """Build the encoder alone, with random weights, from a checkpoint's config.json."""

    def _pool(self, states: torch.Tensor) -> torch.Tensor:
        """Pool the frames ``[batch, frames, dim]`` of the last layer before they are normalised."""
        return states

    def _load(self, directory: Path) -> nn.Module:
        """Load the encoder alone, with its weights in float32."""
        found = read_config(directory, self.model_types)
        what = f"the settings of a network of the type {self.model_types[0]}"
        with reading(directory / "config.json", what):
            network = self._network_of(found)
        network = network.float()
        load_part(network, directory, self.prefixes)
        return network

    def _spectrum(self, piece: Samples) -> torch.Tensor:
        """Log-mel spectrogram ``[mels, frames]`` of one window by itself."""
        step = self._stride * self._features.hop_length
        length = self.window if self._pad else -(-len(piece) // step) * step
        padded = np.pad(piece, (0, length - len(piece)))
        found = self._features(
            padded, sampling_rate=self.rate, padding=False, truncation=False, return_tensors="pt"
        )
        return torch.as_tensor(found.input_features[0])

    def _hidden(self, inputs: torch.Tensor, filled: torch.Tensor) -> list[torch.Tensor]:
        """Hidden states ``[batch, frames, dim]`` of the chosen layers."""
        network: Any = self._network
        states = functional.gelu(network.conv1(inputs)) * filled[:, None]
        states = functional.gelu(network.conv2(states)).permute(0, 2, 1)
        states = states + network.embed_positions.weight[: states.shape[1]]
        unseen = filled[:, None, None, ::FRAME_STRIDE] == 0
        mask = None
        if unseen.any():
            lowest = torch.finfo(states.dtype).min
            mask = torch.zeros_like(unseen, dtype=states.dtype).masked_fill(unseen, lowest)
            mask = mask.expand(-1, 1, states.shape[1], -1)
        hidden = []
        for block in network.layers:
            states = block(states, mask)
            hidden.append(states)
        hidden[-1] = network.layer_norm(self._pool(states))
        return hidden if self._every_layer else hidden[-1:]


def frame_moments(states: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation ``[batch, dim]`` over the first *counts* frames.

    Args:
        states: ``[batch, frames, dim]``.
        counts: ``[batch]``, how many frames of each window hold sound.
    """
    inside = torch.arange(states.shape[1], device=states.device)[None] < counts[:, None]
    weights = (inside / counts[:, None])[..., None]
    mean = (states * weights).sum(dim=1)
    variance = ((states - mean[:, None]) ** 2 * weights).sum(dim=1)
    return mean, variance.sqrt()

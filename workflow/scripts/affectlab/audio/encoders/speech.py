"""wav2vec 2.0, HuBERT and WavLM: networks that read samples, each with every layer.

Baevski et al. 2020 (arXiv 2006.11477), Hsu et al. 2021 (arXiv 2106.07447), Chen et al. 2022 (arXiv
2110.13900). Models whose convolutions are normalised over time (``feat_extract_norm: group``) were
trained without a mask, and padding would change that norm. They read one window at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectlab.assets.checkpoints import refuse_pickled
from affectlab.assets.safe_loading import from_directory
from affectlab.audio.encoders.base import Moments
from affectlab.audio.encoders.checkpoints import read_config, read_features
from affectlab.audio.encoders.kinds import KINDS, Kind
from affectlab.audio.encoders.tower import frame_moments
from affectlab.audio.waveform import Samples
from affectlab.errors import UserError, reading
from affectlab.models.devices import Precision, autocast, compute_dtype, named_device
from affectlab.models.finite import check_finite_tensors

WINDOW_SECONDS = 30
"""As for Whisper; attention over more would take much memory."""

UNUSED = "masked_spec_embed"
"""A weight of the pre-training alone, which some checkpoints lack."""


class Speech:
    """See `affectlab.audio.encoders.base.Encoder`.

    Layer i is the output of transformer block i, counted from 1. The last one is normalised as the
    model hands it on.
    """

    kind: Kind
    network: str
    """Name of the class in transformers."""

    def __init__(
        self,
        directory: Path,
        *,
        every_layer: bool,
        device: str | None = None,
        precision: Precision = "fp32",
    ) -> None:
        from transformers import Wav2Vec2FeatureExtractor

        self._device = named_device(device)
        self._dtype = compute_dtype(precision, self._device)
        self._features = read_features(Wav2Vec2FeatureExtractor, directory)
        self._network = self._load(directory).to(self._device).eval()
        config = self._network.config
        self._masked = config.feat_extract_norm == "layer"
        self._every_layer = every_layer
        self.rate = int(self._features.sampling_rate)
        self.window = WINDOW_SECONDS * self.rate
        last = int(config.num_hidden_layers)
        self.layers = tuple(f"layer{i}" for i in (range(1, last + 1) if every_layer else [last]))
        self.dim = int(config.hidden_size)
        self._strides = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.settings: dict[str, Any] = {
            "kind": self.kind.name,
            "layers": "all" if every_layer else "last",
        }

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows; see the protocol."""
        least = self._least_samples()
        pieces = [self._normalised(piece) for piece in batch]
        # Shorter than what the convolutions look at: silence is added.
        pieces = [np.pad(piece, (0, max(0, least - len(piece)))) for piece in pieces]
        parts = [pieces] if self._masked else [[piece] for piece in pieces]
        found = [self._moments(part) for part in parts]
        return Moments(*(np.concatenate(columns) for columns in zip(*found, strict=True)))

    def _moments(self, pieces: Sequence[Samples]) -> Moments:
        longest = max(map(len, pieces))
        inputs = torch.zeros(len(pieces), longest)
        mask = torch.zeros(len(pieces), longest, dtype=torch.long)
        for row, piece in enumerate(pieces):
            inputs[row, : len(piece)] = torch.as_tensor(piece)
            mask[row, : len(piece)] = 1
        frames = [self._frames(len(piece)) for piece in pieces]
        with torch.inference_mode(), autocast(self._dtype, self._device):
            found = self._network(
                inputs.to(self._device),
                attention_mask=mask.to(self._device) if self._masked else None,
                output_hidden_states=True,
            )
            last = found.last_hidden_state
            # The first state is what the first block reads.
            states = [*found.hidden_states[1:-1], last] if self._every_layer else [last]
            counts = torch.tensor(frames, device=self._device)
            pairs = [frame_moments(state.float(), counts) for state in states]
        mean, std = (torch.stack(part, dim=1).cpu().numpy() for part in zip(*pairs, strict=True))
        return Moments(mean, std, np.array(frames, dtype=np.float64))

    def _normalised(self, piece: Samples) -> Samples:
        """The samples as the preprocessor of the checkpoint hands them on."""
        values = self._features(piece, sampling_rate=self.rate, return_tensors="np")
        return np.asarray(values["input_values"][0], dtype=np.float32)

    def _frames(self, samples: int) -> int:
        """Frames that the convolutions make of so many samples."""
        for kernel, stride in self._strides:
            samples = (samples - kernel) // stride + 1
        return samples

    def _least_samples(self) -> int:
        """Samples of one frame."""
        samples = 1
        for kernel, stride in reversed(self._strides):
            samples = (samples - 1) * stride + kernel
        return samples

    def _load(self, directory: Path) -> Any:
        """Load the network; nothing stays as it was initialised.

        Raises:
            UserError: the directory holds another type of model, pickled or incomplete weights.
        """
        import transformers

        read_config(directory, [self.kind.name])
        if not any(directory.glob("*.safetensors")):
            refuse_pickled(directory)
            raise UserError(f"{directory}: has no weights (model.safetensors)")
        with reading(directory, f"a checkpoint of the type {self.kind.name}"):
            network, info = from_directory(
                getattr(transformers, self.network),
                directory,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
        missing = [name for name in info["missing_keys"] if not name.endswith(UNUSED)]
        if missing:
            raise UserError(f"{directory}: lacks {len(missing)} tensors, such as {missing[0]}")
        check_finite_tensors(network.state_dict().items(), directory)
        return network


class Wav2Vec2(Speech):
    """See `Speech`."""

    kind = KINDS["wav2vec2"]
    network = "Wav2Vec2Model"


class Hubert(Speech):
    """See `Speech`."""

    kind = KINDS["hubert"]
    network = "HubertModel"


class WavLm(Speech):
    """See `Speech`."""

    kind = KINDS["wavlm"]
    network = "WavLMModel"

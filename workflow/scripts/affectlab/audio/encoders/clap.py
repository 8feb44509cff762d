"""The audio half of LAION's CLAP models.

Vectors have length 1, as those of the originals do: ``get_audio_embedding`` in
``laion_clap/clap_module/model.py`` (github.com/LAION-AI/CLAP, and the copy of it for AF-CLAP in
``AFClap/`` on the branch ``audio_flamingo_2`` of github.com/NVIDIA/audio-flamingo, commit
7684e9c) and ``ClapModel.get_audio_features`` of transformers. `ClapAudioModelWithProjection`,
which is loaded here, leaves this step out. The mean over the windows of a clip is not normalised
again.

The published preprocessing crops clips over 10 s at random. Here clips are cut into consecutive
windows of 10 s, so none is longer and nothing is drawn: the fusion of crops is never entered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from affectlab.audio.encoders.base import Moments
from affectlab.audio.encoders.checkpoints import load_part, read_config, read_features
from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.waveform import Samples
from affectlab.errors import reading
from affectlab.models.devices import Precision, autocast, compute_dtype, named_device


class Clap:
    """See `affectlab.audio.encoders.base.Encoder`.

    It gives a vector of length 1 for each window, in the joint space of sound and text.
    """

    kind = KINDS["clap"]

    def __init__(
        self, directory: Path, *, device: str | None = None, precision: Precision = "fp32"
    ) -> None:
        self._device = named_device(device)
        self._dtype = compute_dtype(precision, self._device)
        self._network, self._features = self._load(directory)
        self._network = self._network.to(self._device).eval()
        self._fused = bool(self._network.config.enable_fusion)
        self.rate = int(self._features.sampling_rate)
        self.window = int(self._features.nb_max_samples)
        self.layers: tuple[str, ...] = ("projection",)
        self.dim = int(self._network.config.projection_dim)
        self.settings: dict[str, Any] = {"kind": self.kind.name}

    def _load(self, directory: Path) -> tuple[Any, Any]:
        """Load the network and the feature extractor."""
        from transformers import ClapFeatureExtractor

        network = _from_transformers(directory)
        return network, read_features(ClapFeatureExtractor, directory)

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows; see the protocol. A short one is repeated up to 10 s, as published."""
        mels = [
            self._features(
                piece,
                sampling_rate=self.rate,
                truncation="fusion" if self._fused else "rand_trunc",
                return_tensors="np",
            )["input_features"][0]
            for piece in batch
        ]
        inputs = torch.as_tensor(np.stack(mels), dtype=torch.float32, device=self._device)
        # The extractor marks one short clip of each call as long, at random; none is.
        longer = torch.zeros(len(batch), 1, dtype=torch.bool, device=self._device)
        with torch.inference_mode(), autocast(self._dtype, self._device):
            projected = self._network(input_features=inputs, is_longer=longer).audio_embeds
            vectors = functional.normalize(projected, dim=-1)
        mean = vectors.float().cpu().numpy()[:, None, :]
        seconds = np.array([len(piece) / self.rate for piece in batch])
        return Moments(mean, np.zeros_like(mean), seconds)


def _from_transformers(directory: Path) -> Any:
    """Load the audio half of a checkpoint of transformers; the text half is not read."""
    from transformers import ClapAudioConfig, ClapAudioModelWithProjection

    found = read_config(directory, ["clap", "clap_audio_model"])
    with reading(directory / "config.json", "the settings of a network of the type clap"):
        settings = dict(found.get("audio_config", found))
        settings["projection_dim"] = found.get(
            "projection_dim", settings.get("projection_dim", 512)
        )
        network = ClapAudioModelWithProjection(ClapAudioConfig(**settings)).float()
    load_part(network, directory, [""])
    return network

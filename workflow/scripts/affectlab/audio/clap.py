"""The audio half of CLAP models: LAION's, and the AF-CLAP of Audio Flamingo 2.

AF-CLAP is LAION's own architecture in another size: HTSAT with patches of 256 features, depths
2-2-12-2 and heads 4-8-16-32, 64 mel bands of 50 to 8,000 Hz at 16 kHz, and a projection to 2,048
features (``HTSAT-afclap.json`` and ``htsat.py`` of github.com/NVIDIA/audio-flamingo). So one
class serves both; only the names in the checkpoint are translated.

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

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from affectlab.audio.checkpoints import load_complete, load_part, read_config, read_features
from affectlab.audio.encoders import Moments
from affectlab.audio.waveform import Samples
from affectlab.errors import UserError, reading
from affectlab.models.devices import choose_device

AFCLAP_AUDIO = {
    "patch_embeds_hidden_size": 256,
    "depths": [2, 2, 12, 2],
    "num_attention_heads": [4, 8, 16, 32],
    "hidden_size": 2048,
    "projection_dim": 2048,
    "enable_fusion": True,
    "fusion_type": "aff_2d",
    "num_mel_bins": 64,
}
AFCLAP_FEATURES = {
    "feature_size": 64,
    "sampling_rate": 16_000,
    "hop_length": 160,
    "fft_window_size": 1024,
    "max_length_s": 10,
    "frequency_min": 50,
    "frequency_max": 8_000,
    "truncation": "fusion",
    "padding": "repeatpad",
}

# In LAION's checkpoints -> in those of transformers; applied in this order.
_RENAMES = (
    (r"^module\.", ""),
    (r"^audio_branch\.", "audio_model.audio_encoder."),
    (r"^audio_projection\.0\.", "audio_projection.linear1."),
    (r"^audio_projection\.2\.", "audio_projection.linear2."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.", ".attention.self."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.bn0\.", ".batch_norm."),
)


class Clap:
    """See `affectlab.audio.encoders.Encoder`: a vector of length 1 a window, in the joint space."""

    def __init__(self, directory: Path, kind: str) -> None:
        from transformers import ClapFeatureExtractor

        self._device = choose_device()
        if kind == "afclap" and not (directory / "config.json").is_file():
            self._network = _from_laion(directory)
            self._features = ClapFeatureExtractor(**AFCLAP_FEATURES)
        else:
            self._network = _from_transformers(directory)
            self._features = read_features(ClapFeatureExtractor, directory)
        self._network = self._network.to(self._device).eval()
        self._fused = bool(self._network.config.enable_fusion)
        self.rate = int(self._features.sampling_rate)
        self.window = int(self._features.nb_max_samples)
        self.layers: tuple[str, ...] = ("projection",)
        self.dim = int(self._network.config.projection_dim)
        self.settings: dict[str, Any] = {"kind": kind}

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
        with torch.inference_mode():
            projected = self._network(input_features=inputs, is_longer=longer).audio_embeds
            vectors = functional.normalize(projected, dim=-1)
        mean = vectors.float().cpu().numpy()[:, None, :]
        seconds = np.array([len(piece) / self.rate for piece in batch])
        return Moments(mean, np.zeros_like(mean), seconds)


def _from_transformers(directory: Path) -> Any:
    """The audio half of a checkpoint as transformers saves it; the text half is not read."""
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


def _from_laion(directory: Path) -> Any:
    """AF-CLAP from the checkpoint file that its authors publish."""
    from transformers import ClapAudioConfig, ClapAudioModelWithProjection

    files = sorted(directory.rglob("*.pt"))
    if len(files) != 1:
        raise UserError(f"{directory}: expected one checkpoint file (*.pt), found {len(files)}")
    network = ClapAudioModelWithProjection(ClapAudioConfig(**AFCLAP_AUDIO)).float()
    load_complete(network, translate(_tensors(files[0])), files[0])
    return network


def _tensors(path: Path) -> Mapping[str, torch.Tensor]:
    """The tensors of a pickled checkpoint; nothing in it is ever executed."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch.load raises half a dozen unrelated types for a corrupt or foreign file.
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{path}: not a checkpoint that holds tensors only, or not a whole one: {reason}"
        ) from error
    found = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
        raise UserError(f"{path}: expected a state_dict, from names to tensors")
    return found


def translate(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of LAION's naming under the names of transformers; joint qkv tensors are split.

    Tensors that have no counterpart (text half, spectrogram, classifier) keep their own names.
    """
    translated: dict[str, torch.Tensor] = {}
    for original, tensor in state.items():
        name = original
        for pattern, new in _RENAMES:
            name = re.sub(pattern, new, name)
        if ".qkv." in name:
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                translated[name.replace(".qkv.", f".{part}.")] = piece
        else:
            translated[name] = tensor
    return translated

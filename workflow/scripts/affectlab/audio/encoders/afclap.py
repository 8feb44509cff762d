"""The AF-CLAP of Audio Flamingo 2.

AF-CLAP is LAION's own architecture in another size: HTSAT with patches of 256 features, depths
2-2-12-2 and heads 4-8-16-32, 64 mel bands of 50 to 8,000 Hz at 16 kHz, and a projection to 2,048
features (``HTSAT-afclap.json`` and ``htsat.py`` of github.com/NVIDIA/audio-flamingo). Only the
names in its authors' checkpoint are translated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from affectlab.audio.encoders.checkpoints import load_complete
from affectlab.audio.encoders.clap import Clap
from affectlab.audio.encoders.kinds import KINDS
from affectlab.errors import UserError

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


class AfClap(Clap):
    """See `Clap`; a checkpoint has its authors' form, or that of transformers."""

    kind = KINDS["afclap"]

    def _load(self, directory: Path) -> tuple[Any, Any]:
        from transformers import ClapFeatureExtractor

        if (directory / "config.json").is_file():
            return super()._load(directory)
        return _from_laion(directory), ClapFeatureExtractor(**AFCLAP_FEATURES)


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

"""The audio encoder of Qwen2-Audio (Chu et al. 2024, arXiv 2407.10759)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.encoders.tower import Tower


class Qwen2Audio(Tower):
    """See `Tower`; pairs of frames are averaged before the last norm."""

    kind = KINDS["qwen2_audio"]
    model_types = ("qwen2_audio", "qwen2_audio_encoder")
    prefixes = ("audio_tower.", "model.audio_tower.", "")
    pooled = 2

    def _network_of(self, config: Mapping[str, Any]) -> nn.Module:
        from transformers.models.qwen2_audio.modeling_qwen2_audio import (
            Qwen2AudioEncoder,
            Qwen2AudioEncoderConfig,
        )

        return Qwen2AudioEncoder(Qwen2AudioEncoderConfig(**config.get("audio_config", config)))

    def _pool(self, states: torch.Tensor) -> torch.Tensor:
        network: Any = self._network
        return network.avg_pooler(states.permute(0, 2, 1)).permute(0, 2, 1)

"""The encoder of Whisper (Radford et al. 2022, arXiv 2212.04356)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.encoders.tower import Tower


class Whisper(Tower):
    """See `Tower`."""

    kind = KINDS["whisper"]
    model_types = ("whisper",)
    prefixes = ("model.encoder.", "encoder.")

    def _network_of(self, config: Mapping[str, Any]) -> nn.Module:
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        return WhisperEncoder(WhisperConfig(**config))

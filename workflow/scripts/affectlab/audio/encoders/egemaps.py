"""The acoustic features of eGeMAPS, an encoder without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from affectlab.audio.encoders.base import Moments
from affectlab.audio.encoders.kinds import KINDS
from affectlab.audio.waveform import Samples
from affectlab.errors import UserError

RATE = 16_000
WINDOW_SECONDS = 30
FEATURES = 88


class EGemaps:
    """The 88 features of eGeMAPS (Eyben et al. 2016, doi 10.1109/TAFFC.2015.2457417).

    opensmile is not installed with affectlab, since its licence allows research only.
    """

    kind = KINDS["egemaps"]

    def __init__(self) -> None:
        try:
            import opensmile
        except ImportError as error:
            raise UserError(
                "eGeMAPS needs the package opensmile, whose licence allows research only: "
                "`pip install opensmile==2.6.0` if its terms suit you, with --use-conda into the "
                "environment of envs/audio.yaml (`snakemake --use-conda --list-conda-envs` says "
                "where it is)"
            ) from error
        self._smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet.eGeMAPSv02,
            feature_level=opensmile.FeatureLevel.Functionals,
        )
        self.rate = RATE
        self.window = WINDOW_SECONDS * RATE
        self.layers: tuple[str, ...] = ("functionals",)
        self.dim = FEATURES
        self.settings: dict[str, Any] = {"kind": self.kind.name}

    def embed(self, batch: Sequence[Samples]) -> Moments:
        """Embed windows; see the protocol."""
        rows = [self._smile.process_signal(piece, RATE).to_numpy()[0] for piece in batch]
        mean = np.nan_to_num(np.stack(rows).astype(np.float32))[:, None, :]
        return Moments(mean, np.zeros_like(mean), np.array([len(p) / RATE for p in batch]))

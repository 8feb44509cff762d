"""The heads on top of the encoder: from token states to direction, concentration and logits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from affectlab.entity.vmf import DIMENSION

PROJECTION_WIDTH = 256
AUXILIARY_WIDTH = 128
KAPPA_SCALE = 16.0
"""Of the linear layer before the softplus: concentrations live on a scale of tens."""

ADAPTER_INPUT_NORM = 10.0
"""Length of a `SpanAdapter`'s inputs: with unit variance of each, Adam's steps are too large."""


class Embedding(NamedTuple):
    """The network's output for m targets.

    Attributes:
        mu: mean directions, unit length, float32 (m, 64).
        kappa: concentrations, float32 (m,).
        logits: of the K classes, float32 (m, K).
        prototypes: unit directions of the classes, float32 (K, 64).
    """

    mu: torch.Tensor
    kappa: torch.Tensor
    logits: torch.Tensor
    prototypes: torch.Tensor


class SpanAdapter(nn.Module):
    """What a span adds to a model of sentences: corrections of direction, energy and logits.

    It reads the mean state of the span's tokens and that of all tokens of its row, from every
    layer of the encoder: the last one, which learnt emotion of sentences, has lost much of what
    tells a span with an emotion from one without. It starts with no correction.

    Args:
        width: of the encoder's hidden states.
        classes: how many.
        layers: of the encoder.
        hidden: width of the hidden layer.
        dropout: of the inputs.
    """

    def __init__(
        self, width: int, *, classes: int, layers: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(2 * layers * width, hidden)
        self.output = nn.Linear(hidden, DIMENSION + 1 + classes)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    @staticmethod
    def read(states: Sequence[torch.Tensor], batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What is read of the encoder, float32 (m, 2 * layers * width).

        Args:
            states: of all layers, (b, t, width) each.
            batch: see `collator`.
        """
        tokens, offsets, mask = batch["tokens"], batch["offsets"], batch["attention_mask"]
        rows = torch.div(tokens[offsets], mask.shape[1], rounding_mode="floor")
        share = (mask / mask.sum(dim=1, keepdim=True))[:, None].float()
        exact = [layer.float() for layer in states]
        means = [
            functional.embedding_bag(tokens, layer.flatten(0, 1), offsets, mode="mean")
            for layer in exact
        ] + [(share @ layer)[rows, 0] for layer in exact]
        scaled = [functional.layer_norm(mean, mean.shape[-1:]) for mean in means]
        return functional.normalize(torch.cat(scaled, dim=-1), dim=-1) * ADAPTER_INPUT_NORM

    def forward(self, inputs: torch.Tensor, is_span: torch.Tensor) -> torch.Tensor:
        """Corrections (m, 64 + 1 + K), float32; 0 for whole texts.

        Args:
            inputs: what `read` gives.
            is_span: whether a target is a span, bool (m,).
        """
        inputs = self.dropout(inputs).to(self.hidden.weight.dtype)
        corrections = self.output(functional.gelu(self.hidden(inputs))).float()
        return corrections * is_span[:, None]


class Heads(nn.Module):
    """Token projection, concentration, class prototypes and the side head of the classes.

    The prototypes of ``gbert`` are learned, those of ``vmf`` are the first axes of R^64.

    Args:
        width: of the encoder's hidden states.
        method: ``gbert``, the published form, or ``vmf``, the corrected one.
        classes: how many, at most 64.
        kappa_min: smallest concentration of ``vmf``.
        kappa_start: mean concentration of ``vmf`` before training, larger than *kappa_min*.
        adapter: settings of a `SpanAdapter` for ``vmf``, or None.
    """

    def __init__(
        self,
        width: int,
        *,
        method: str,
        classes: int,
        kappa_min: float = 1.0,
        kappa_start: float = 42.0,
        adapter: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.adapter = None if adapter is None else SpanAdapter(width, classes=classes, **adapter)
        self.classes = classes
        self.method = method
        self.kappa_min = kappa_min
        self.hidden = nn.Linear(width, PROJECTION_WIDTH)
        self.direction = nn.Linear(PROJECTION_WIDTH, DIMENSION)
        self.energy = nn.Linear(width if method == "gbert" else PROJECTION_WIDTH, 1)
        self.auxiliary = nn.Sequential(
            nn.Linear(DIMENSION, AUXILIARY_WIDTH),
            nn.GELU(),
            nn.Linear(AUXILIARY_WIDTH, classes),
        )
        if method == "gbert":
            self.prototypes = nn.Parameter(torch.randn(classes, DIMENSION))
        else:
            # Not learned: learned ones moved together, which the likelihood rewards.
            self.register_buffer("prototypes", torch.eye(classes, DIMENSION))
            # What the softplus of `forward` turns into kappa_start - kappa_min.
            above = kappa_start - kappa_min
            start = above + math.log(-math.expm1(-above))
            nn.init.constant_(self.energy.bias, start / KAPPA_SCALE)

    def pool(
        self, states: torch.Tensor, tokens: torch.Tensor, offsets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pool token states (b, t, width) over each target's *tokens*.

        Args:
            states: of the encoder's last layer.
            tokens: positions in the flattened (b * t) states, target after target, int64.
            offsets: where each target starts in *tokens*, int64 (m,).

        Returns:
            What `forward` takes: direction, float32 (m, 64), and energy, float32 (m,).
        """
        flat = states.flatten(0, 1)
        hidden = functional.gelu(self.hidden(flat))

        def pooled(values: torch.Tensor, mode: str) -> torch.Tensor:
            return functional.embedding_bag(tokens, values.float(), offsets, mode=mode)

        direction = pooled(self.direction(hidden), "mean")
        if self.method == "gbert":
            return direction, pooled(functional.softplus(self.energy(flat).float()), "max")[:, 0]
        return direction, pooled(self.energy(hidden), "mean")[:, 0]

    def forward(
        self,
        direction: torch.Tensor,
        energy: torch.Tensor,
        corrections: torch.Tensor | None = None,
    ) -> Embedding:
        """What the pooled states come to, with the *corrections* of an adapter or without."""
        if corrections is None:
            corrections = direction.new_zeros(len(direction), DIMENSION + 1 + self.classes)
        turn, rise, shift = corrections.split((DIMENSION, 1, self.classes), dim=-1)
        mu = functional.normalize(direction + turn, dim=-1)
        prototypes = self.directions()
        if self.method == "gbert":
            return Embedding(mu, 1.0 + 50.0 * energy, self._side_head(mu), prototypes)
        kappa = self.kappa_min + functional.softplus(KAPPA_SCALE * (energy + rise[:, 0]))
        # Unit variance of the inputs, not unit length.
        logits = self._side_head(mu * DIMENSION**0.5) + shift
        return Embedding(mu, kappa, logits, prototypes)

    def directions(self) -> torch.Tensor:
        """Unit prototypes of the classes, float32 (K, 64)."""
        return functional.normalize(self.prototypes.float(), dim=-1)

    def _side_head(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.auxiliary(inputs.to(self.auxiliary[0].weight.dtype)).float()

"""Training an adapter on states of the frozen encoder that are computed once.

Only the adapter is trained then, and the encoder has no dropout: its states of a target are the
same in every epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from affectlab.entity.encoding import Row
from affectlab.entity.heads import Embedding, Heads
from affectlab.entity.model import EmotionEmbedder
from affectlab.entity.vmf import DIMENSION
from affectlab.training.batching import Batch

LARGEST_BYTES = 4 * 2**30
"""Of stored states; for more targets the encoder runs in every epoch."""


class AdapterOnStates(nn.Module):
    """The heads of a network with an adapter, fed with stored states."""

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, batch: Mapping[str, torch.Tensor]) -> Embedding:
        """Embed the targets of a batch that `collator` made."""
        assert self.heads.adapter is not None
        corrections = self.heads.adapter(batch["inputs"], batch["is_span"])
        return self.heads(batch["direction"], batch["energy"], corrections)


def fit_in_memory(network: EmotionEmbedder, rows: Sequence[Row]) -> bool:
    """Whether *network* has an adapter and its states of all targets are few enough to be kept."""
    adapter = network.heads.adapter
    if adapter is None:
        return False
    numbers = adapter.hidden.in_features + DIMENSION + 2
    return 4 * numbers * sum(len(row.spans) for row in rows) <= LARGEST_BYTES


def compute(
    network: EmotionEmbedder, rows: Sequence[Row], embed: Callable[..., list[np.ndarray]]
) -> dict[str, torch.Tensor]:
    """What the heads need of the encoder for every target: float32 tensors on the CPU.

    ``direction`` (n, 64), ``energy`` (n,), ``inputs`` of the adapter (n, width) and ``is_span``
    (n,), in the order of the targets' numbers. *embed* is `model.embed_rows` with its options.
    """

    def states(batch: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
        return *network.pooled(batch), batch["is_span"]

    names = ("direction", "energy", "inputs", "is_span")
    columns = embed(states, rows)
    return {name: torch.from_numpy(c) for name, c in zip(names, columns, strict=True)}


def collator(
    states: Mapping[str, torch.Tensor], rows: Sequence[Row], labels: np.ndarray
) -> Callable[[np.ndarray], Batch]:
    """Return a function from row numbers (b,) to a batch for `AdapterOnStates`."""
    everything = {**states, "labels": torch.from_numpy(labels)}

    def collate(indices: np.ndarray) -> Batch:
        targets = torch.tensor([target for i in indices for target, _, _ in rows[i].spans])
        return {name: column[targets] for name, column in everything.items()}

    return collate


def answers(
    states: Mapping[str, torch.Tensor], network: AdapterOnStates, *, device: torch.device
) -> list[np.ndarray]:
    """Mu, kappa and logits of all targets by *network*, as `model.embed_rows` gives them."""
    found = network({name: column.to(device) for name, column in states.items()})
    return [part.float().cpu().numpy() for part in found[:3]]

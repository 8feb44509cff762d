"""A cache for ``generate`` from prompts that were read one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from affectlab.summary.states import Read, read_prompt


def read_prompts(
    network: Any,
    prompts: Sequence[Sequence[int]],
    device: torch.device,
    *,
    room: int,
    read: Read = read_prompt,
) -> Cache:
    """Cache the states of a batch of prompts, each read alone, as if they were padded on the left.

    Args:
        network: causal language model in eval mode.
        prompts: token ids, none empty.
        device: of *network*.
        room: further tokens that will be added to each.
        read: how each is read; `PromptStore.read` where their states are kept.

    Returns:
        A cache for ``generate``; what lies before a shorter prompt is zero and has to be masked.
    """
    used = max(len(ids) for ids in prompts)
    layers: list[_ReservedLayer] = []
    for row, ids in enumerate(prompts):
        states = read(network, ids, device)
        if not layers:
            count, heads, _, size = states.keys.shape
            shape = (len(prompts), heads, used + room, size)
            layers = [
                _ReservedLayer(shape, used, dtype=states.keys.dtype, device=device)
                for _ in range(count)
            ]
        for layer, keys, values in zip(layers, *states, strict=True):
            layer.place(row, keys, values)
    return Cache(layers=layers)


class _ReservedLayer(DynamicLayer):
    """A layer of a cache whose memory is taken once: growing copies all of it for every token."""

    def __init__(
        self, shape: Sequence[int], length: int, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Take memory of *shape* (b, key heads, tokens, size); *length* tokens are in use."""
        super().__init__()
        self._all_keys, self._all_values = (
            torch.zeros(tuple(shape), dtype=dtype, device=device) for _ in range(2)
        )
        self.dtype, self.device = dtype, device
        self.is_initialized = True
        self._show(length)

    def _show(self, length: int) -> None:
        self.keys = self._all_keys[:, :, :length]
        self.values = self._all_values[:, :, :length]

    def place(self, row: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Set the last tokens in use of one row; both (key heads, tokens, size)."""
        self.keys[row, :, -keys.shape[1] :] = keys
        self.values[row, :, -values.shape[1] :] = values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add tokens, each (b, key heads, tokens, size); give all in use."""
        start = self.get_seq_length()
        self._show(start + key_states.shape[-2])
        self.keys[:, :, start:] = key_states
        self.values[:, :, start:] = value_states
        return self.keys, self.values

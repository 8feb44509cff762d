"""Causal attention for training in bfloat16 on a CPU, in matrix products over blocks of queries.

PyTorch's fused kernel for the CPU takes 1.3 times (3,400 tokens) to 1.9 times (300) as long on a
processor with bfloat16 products. Here a block of queries meets the keys up to its end in one
product, key heads that several query heads share are never copied, and memory grows with the
length, not its square: the backward pass makes the weights again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

BLOCK = 256
"""Queries of one product; fewer waste less above the diagonal, more fill the product better."""


def blocked_causal_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, scale: float
) -> torch.Tensor:
    """Scaled dot-product attention of each token over itself and those before.

    Args:
        query: (b, heads, length, size).
        key: (b, key heads, length, size); head h of the queries uses key head h // (heads / key
            heads).
        value: as *key*.
        scale: factor of the products.

    Returns:
        (b, heads, length, size), in the dtype of *query*; weights are rounded to it.
    """
    heads = key.shape[0] * key.shape[1]
    grouped = query.reshape(heads, -1, *query.shape[2:])
    attended = _BlockedCausalAttention.apply(
        grouped * scale, key.flatten(0, 1), value.flatten(0, 1)
    )
    return attended.view(query.shape)


class _BlockedCausalAttention(torch.autograd.Function):
    """Of scaled queries (heads, group, length, size); keys and values (heads, length, size)."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        attended = torch.empty_like(query)
        for rows, seen, weights in _weights_by_block(query, key):
            block = torch.bmm(weights, value[:, :seen])
            attended[:, :, rows] = block.view_as(attended[:, :, rows])
        ctx.save_for_backward(query, key, value, attended)
        return attended

    @staticmethod
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        query, key, value, attended = ctx.saved_tensors
        of_query = torch.empty_like(query)
        # Sums over all blocks need more digits than their parts.
        exact = torch.promote_types(query.dtype, torch.float32)
        of_key = torch.zeros_like(key, dtype=exact)
        of_value = torch.zeros_like(of_key)
        # The softmax's inner product of weights and their gradients (Dao et al. 2022,
        # arXiv 2205.14135, appendix B.4).
        inner = (gradient.to(exact) * attended).sum(-1, keepdim=True).to(query.dtype)
        scratch = _scratch(query)
        for rows, seen, weights in _weights_by_block(query, key):
            upstream = gradient[:, :, rows].flatten(1, 2)
            of_value[:, :seen] += torch.bmm(weights.transpose(1, 2), upstream)
            of_scores = scratch[: weights.numel()].view_as(weights)
            torch.bmm(upstream, value[:, :seen].transpose(1, 2), out=of_scores)
            of_scores.sub_(inner[:, :, rows].flatten(1, 2)).mul_(weights)
            block = torch.bmm(of_scores, key[:, :seen])
            of_query[:, :, rows] = block.view_as(of_query[:, :, rows])
            asking = query[:, :, rows].flatten(1, 2)
            of_key[:, :seen] += torch.bmm(of_scores.transpose(1, 2), asking)
        return of_query, of_key.to(key.dtype), of_value.to(value.dtype)


def _weights_by_block(
    query: torch.Tensor, key: torch.Tensor
) -> Iterator[tuple[slice, int, torch.Tensor]]:
    """The rows of each block, how many keys they see, and their weights.

    The weights (heads, group x rows, seen) lie in memory that the next block uses again.
    """
    heads, group, length, _ = query.shape
    future = query.new_full((BLOCK, BLOCK), -torch.inf).triu(1)
    products, results = _scratch(query), _scratch(query)
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        rows = slice(start, end)
        shape = (heads, group * (end - start), end)
        count = shape[0] * shape[1] * shape[2]
        scores, weights = products[:count].view(shape), results[:count].view(shape)
        torch.bmm(query[:, :, rows].flatten(1, 2), key[:, :end].transpose(1, 2), out=scores)
        ahead = scores.view(heads, group, end - start, end)[..., start:]
        ahead += future[: end - start, : end - start]
        torch.softmax(scores, dim=-1, out=weights)
        yield rows, end, weights


def _scratch(query: torch.Tensor) -> torch.Tensor:
    """Memory for one number per query of a block and key: fresh memory costs more than its use."""
    heads, group, length, _ = query.shape
    return query.new_empty(heads * group * min(BLOCK, length) * length)

"""Causal attention in matrix products over blocks of queries.

Two forms, for two reasons. `blocked_causal_attention` is plain attention for training in bfloat16
on a CPU: PyTorch's fused kernel takes 1.3 times (3,400 tokens) to 1.9 times (300) as long there on
a processor with bfloat16 products. `causal_attention` also computes sliding windows, soft-capped
scores and attention sinks, which PyTorch's fused kernels do not know, on any device.

In both a block of queries meets the keys that it sees in one product, key heads that several query
heads share are never copied, and memory grows with the length, not its square: the backward pass
computes the weights again. What breaks first when transformers changes: nothing here, for this is
plain PyTorch; its callers are attention functions of transformers and depend on their arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

BLOCK = 256
"""Queries of one product; fewer waste less above the diagonal, more fill the product better."""


def causal_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    sinks: torch.Tensor | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Attention of each token over itself and the tokens before it.

    Args:
        query: (b, heads, length, size); the last *length* tokens of the keys.
        key: (b, key heads, tokens, size); head h of the queries uses key head h // (heads / key
            heads).
        value: (b, key heads, tokens, value size).
        scale: factor of the products.
        window: number of tokens that a token sees, itself included; None for all.
        softcap: scores are ``softcap * tanh(score / softcap)`` (Gemma 2, arXiv 2408.00118).
        sinks: (heads,), scores of a further key without a value (gpt-oss, arXiv 2508.10925).
        dropout: share of the weights that is dropped.

    Returns:
        (b, heads, length, value size), in the dtype of *value*.
    """
    length, tokens = query.shape[2], key.shape[2]
    again = torch.is_grad_enabled() and length > BLOCK
    parts = []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        # Place of the block's first query among the keys, and the first key that it sees.
        place = tokens - length + start
        first = 0 if window is None else max(0, place - window + 1)
        seen = slice(first, tokens - length + end)
        distance = (place - first) + torch.arange(end - start, device=query.device)[:, None]
        distance = distance - torch.arange(seen.stop - first, device=query.device)
        hidden = distance < 0
        if window is not None:
            hidden |= distance >= window
        inputs = query[:, :, start:end], key[:, :, seen], value[:, :, seen], hidden
        attend = partial(
            masked_attention, scale=scale, softcap=softcap, sinks=sinks, dropout=dropout
        )
        parts.append(checkpoint(attend, *inputs, use_reentrant=False) if again else attend(*inputs))
    return torch.cat(parts, dim=2)


def masked_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    hidden: torch.Tensor,
    *,
    scale: float,
    softcap: float | None = None,
    sinks: torch.Tensor | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Attention in plain operators, with a mask of any form.

    Args:
        query: (b, heads, length, size).
        key: (b, key heads, tokens, size), heads shared as in `causal_attention`.
        value: (b, key heads, tokens, value size).
        hidden: bool (length, tokens) or (b, 1, length, tokens): keys that a query does not see. A
            query that sees none has the mean of all values.
        scale: factor of the products.
        softcap: bound of the scores, or None.
        sinks: (heads,), scores of a further key without a value, or None.
        dropout: share of the weights that is dropped.

    Returns:
        (b, heads, length, value size), in the dtype of *value*.
    """
    grouped = query.unflatten(1, (key.shape[1], -1))
    scores = (grouped * scale).flatten(2, 3) @ key.transpose(2, 3)
    scores = scores.unflatten(2, grouped.shape[2:4])
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if hidden.dim() == 4:
        hidden = hidden[:, None]
    scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
    weights = attention_weights(scores, sinks)
    weights = nn.functional.dropout(weights, dropout, training=dropout > 0.0)
    attended = weights.flatten(2, 3) @ value
    return attended.view(*query.shape[:3], value.shape[-1])


def attention_weights(scores: torch.Tensor, sinks: torch.Tensor | None) -> torch.Tensor:
    """Softmax over the keys, computed in float32, in the dtype of *scores*.

    Args:
        scores: (b, key heads, group, length, tokens) or (b, key heads, group, tokens).
        sinks: (heads,), scores of a further key whose weight is left out, or None.
    """
    if sinks is None:
        return scores.softmax(dim=-1)
    further = sinks.view(scores.shape[1], scores.shape[2], *(1,) * (scores.dim() - 3))
    further = further.expand(*scores.shape[:-1], 1).to(scores.dtype)
    return torch.cat([scores, further], dim=-1).softmax(dim=-1)[..., :-1]


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

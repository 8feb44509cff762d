"""A last layer that computes its output only for the tokens whose output is read.

What it gains is in ``benchmarks/README.md``. What breaks first when transformers changes: the
arguments and the attribute names of the layers of BERT, RoBERTa and MPNet, which are used here by
name; the tests then fail with a `TypeError` or an `AttributeError`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import nn


def classify_by_first_token(model: nn.Module) -> bool:
    """Let the last layer of an encoder compute its output for the first token alone.

    BERT, RoBERTa and MPNet classify by the first token, so what their last layer makes of the
    others is never read: see `shorten_last_layer`.

    Args:
        model: a sequence classifier.

    Returns:
        Whether the model is one of these; others are left as they are.
    """
    if not shorten_last_layer(model):
        return False
    read_last_layer_at(model, torch.zeros(1, 1, dtype=torch.int64, device=model.device))
    return True


def shorten_last_layer(model: nn.Module) -> bool:
    """Let the last layer of an encoder compute its output for some tokens alone.

    Which ones `read_last_layer_at` says. What the layer would make of the others is left out, which
    changes no other output and no gradient. Its output then is as long as what is read.

    Args:
        model: an encoder, or one with a head, with attention in plain operators. One with causal
            or cross-attention is not changed.

    Returns:
        Whether this is done for the model; if not, it is left as it is.
    """
    forward = {"bert": _bert_layer, "roberta": _bert_layer, "mpnet": _mpnet_layer}.get(
        model.config.model_type
    )
    decodes = getattr(model.config, "is_decoder", False)
    if forward is None or decodes or model.config._attn_implementation != "eager":
        return False
    layer = model.base_model.encoder.layer[-1]
    # A bound method: a copy of the model then has one of its own.
    layer.forward = MethodType(forward, layer)
    layer.read = None
    return True


def read_last_layer_at(model: nn.Module, positions: torch.Tensor | None) -> None:
    """Name the tokens that are read of the output of the last layer, from now on.

    Args:
        model: one that `shorten_last_layer` has changed.
        positions: int64 (b or 1, q): of each text the positions of q tokens; None reads all.
    """
    model.base_model.encoder.layer[-1].read = positions


def _bert_layer(
    layer: Any,
    hidden_states: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    *rest: Any,
    **more: Any,
) -> torch.Tensor:
    if layer.read is None:
        return type(layer).forward(layer, hidden_states, attention_mask, *rest, **more)
    attention = layer.attention.self
    read = layer.read.expand(hidden_states.shape[0], -1)
    chosen = _states_at(hidden_states, read)
    context = _attend(
        attention.query(chosen),
        attention.key(hidden_states),
        attention.value(hidden_states),
        heads=attention.num_attention_heads,
        biases=[attention_mask],
        read=read,
        dropout=attention.dropout,
    )
    attended = layer.attention.output(context, chosen)
    return layer.output(layer.intermediate(attended), attended)


def _mpnet_layer(
    layer: Any,
    hidden_states: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    position_bias: torch.Tensor | None = None,
    *rest: Any,
    **more: Any,
) -> tuple[torch.Tensor]:
    if layer.read is None:
        return type(layer).forward(
            layer, hidden_states, attention_mask, position_bias, *rest, **more
        )
    block = layer.attention
    attention = block.attn
    read = layer.read.expand(hidden_states.shape[0], -1)
    chosen = _states_at(hidden_states, read)
    context = _attend(
        attention.q(chosen),
        attention.k(hidden_states),
        attention.v(hidden_states),
        heads=attention.num_attention_heads,
        biases=[position_bias, attention_mask],
        read=read,
        dropout=attention.dropout,
    )
    attended = block.LayerNorm(block.dropout(attention.o(context)) + chosen)
    return (layer.output(layer.intermediate(attended), attended),)


def _states_at(states: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    """Of (b, length, d) the states at *read*, int64 (b, q), as (b, q, d)."""
    return states.gather(1, read[..., None].expand(-1, -1, states.shape[-1]))


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    heads: int,
    biases: Sequence[torch.Tensor | None],
    read: torch.Tensor,
    dropout: nn.Module,
) -> torch.Tensor:
    """Scaled dot-product attention of some of the tokens.

    Args:
        query: (b, q, d), of the tokens at *read*.
        key: (b, length, d).
        value: (b, length, d).
        heads: number of heads.
        biases: added to the scores, each (b, heads or 1, length or 1, length), of the queries of
            all tokens.
        read: positions of the queries, int64 (b, q).
        dropout: of the weights.

    Returns:
        (b, q, d).
    """
    query, key, value = (
        tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (query, key, value)
    )
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    for bias in biases:
        if bias is not None and bias.shape[2] == 1:
            scores = scores + bias
        elif bias is not None:
            rows = read[:, None, :, None].expand(-1, bias.shape[1], -1, bias.shape[3])
            scores = scores + bias.gather(2, rows)
    return (dropout(scores.softmax(-1)) @ value).transpose(1, 2).flatten(2)

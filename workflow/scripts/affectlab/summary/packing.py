"""Several cases in one row of tokens, none of which sees another; and the loss over answers.

A row is as long as its cases together: nothing is padded. Attention runs case by case
(`packed_attention`), positions start anew with each case, and the vocabulary is only computed
where the loss needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface

from affectlab.models.causal_attention import blocked_causal_attention, causal_attention
from affectlab.summary.states import PromptStates, base_model, refuse_unknown
from affectlab.training.batching import Batch

PACKED_ATTENTION = "affectlab_packed"
IGNORED = -100
VOCABULARY_CHUNK = 1024
"""Positions whose logits are held at once."""


class Example(NamedTuple):
    """Tokens of one case: prompt, answer and end token, and how many of them are the prompt."""

    ids: list[int]
    prompt_length: int


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Put items into rows of at most *capacity* tokens, first fit by falling length.

    Returns:
        Item numbers of each row; a longer item has a row of its own.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        for row, free in enumerate(room):
            if lengths[item] <= free:
                rows[row].append(item)
                room[row] -= lengths[item]
                break
        else:
            rows.append([item])
            room.append(capacity - lengths[item])
    return rows


def labels_of(example: Example, *, answer_only: bool) -> list[int]:
    """The tokens to be predicted; the first of a case never is, nor the prompt if *answer_only*."""
    ignored = example.prompt_length if answer_only else 1
    return [IGNORED] * ignored + example.ids[ignored:]


def packed_collator(
    examples: Sequence[Example], rows: Sequence[Sequence[int]], *, answer_only: bool
) -> Callable[[np.ndarray], Batch]:
    """A function from row numbers (b,) to one row with all their cases, each apart.

    The batch holds ``input_ids``, ``labels`` and ``position_ids``, int64 (1, length), and
    ``bounds``, int64 (cases + 1,): where each case starts, and the end.
    """

    def collate(indices: np.ndarray) -> Batch:
        chosen = [examples[item] for row in indices for item in rows[row]]
        lengths = [len(example.ids) for example in chosen]
        return {
            "input_ids": torch.tensor([[i for example in chosen for i in example.ids]]),
            "labels": torch.tensor(
                [[i for one in chosen for i in labels_of(one, answer_only=answer_only)]]
            ),
            "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
            "bounds": torch.tensor([0, *np.cumsum(lengths)]),
        }

    return collate


def answers_collator(
    examples: Sequence[Example],
    rows: Sequence[Sequence[int]],
    *,
    opening: int,
    states_of: Callable[[Sequence[int]], PromptStates],
) -> Callable[[np.ndarray], Batch]:
    """As `packed_collator`, of the answers alone, with the stored states of their prompts.

    Args:
        examples: whose prompts end in the tokens that open an answer.
        rows: item numbers of each row.
        opening: how many tokens open an answer; they go with it.
        states_of: the states of a prompt less its opening.

    Returns:
        A function from row numbers (b,) to a batch with the tensors of `packed_collator` and the
        ``prompt_keys``, ``prompt_values`` and ``prompt_bounds`` of `states.answer_attention`.
    """

    def collate(indices: np.ndarray) -> Batch:
        chosen = [examples[item] for row in indices for item in rows[row]]
        starts = [one.prompt_length - opening for one in chosen]
        answers = [one.ids[start:] for one, start in zip(chosen, starts, strict=True)]
        states = [states_of(one.ids[:start]) for one, start in zip(chosen, starts, strict=True)]
        labels = [[IGNORED] * opening + ids[opening:] for ids in answers]
        positions = [
            torch.arange(start, start + len(ids))
            for start, ids in zip(starts, answers, strict=True)
        ]
        return {
            "input_ids": torch.tensor([[i for ids in answers for i in ids]]),
            "labels": torch.tensor([[i for ids in labels for i in ids]]),
            "position_ids": torch.cat(positions)[None],
            "bounds": torch.tensor([0, *np.cumsum([len(ids) for ids in answers])]),
            "prompt_bounds": torch.tensor([0, *np.cumsum(starts)]),
            "prompt_keys": torch.cat([one.keys for one in states], dim=2),
            "prompt_values": torch.cat([one.values for one in states], dim=2),
        }

    return collate


def padded_collator(
    examples: Sequence[Example], *, pad_id: int, pad_to: int, answer_only: bool
) -> Callable[[np.ndarray], Batch]:
    """The published way: one case a row, every row padded on the right to *pad_to* tokens.

    The batch holds ``input_ids``, ``labels`` and ``attention_mask``, int64 (b, pad_to).
    """

    def collate(indices: np.ndarray) -> Batch:
        shape = (len(indices), pad_to)
        ids = torch.full(shape, pad_id)
        labels = torch.full(shape, IGNORED)
        mask = torch.zeros(shape, dtype=torch.long)
        for row, item in enumerate(indices):
            example = examples[item]
            length = len(example.ids)
            ids[row, :length] = torch.tensor(example.ids)
            labels[row, :length] = torch.tensor(labels_of(example, answer_only=answer_only))
            mask[row, :length] = 1
        return {"input_ids": ids, "labels": labels, "attention_mask": mask}

    return collate


def target_tokens(example: Example, *, answer_only: bool) -> int:
    """How many tokens of a case are predicted."""
    return len(example.ids) - (example.prompt_length if answer_only else 1)


def next_token_loss_sum(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Summed cross-entropy in nats of the batch's labels, a loss for `training.loop.fit`.

    Logits are made in chunks and again in the backward pass, so that memory does not grow with
    length times vocabulary.
    """
    causal = base_model(network)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    states = causal.get_decoder()(**inputs, use_cache=False).last_hidden_state[:, :-1]
    labels = batch["labels"][:, 1:]
    wanted = labels != IGNORED
    head = causal.get_output_embeddings()
    softcap = getattr(causal.config.get_text_config(), "final_logit_softcapping", None)
    parts = zip(
        states[wanted].split(VOCABULARY_CHUNK), labels[wanted].split(VOCABULARY_CHUNK), strict=True
    )
    losses = [
        checkpoint(_chunk_loss, head, part, goal, softcap, use_reentrant=False)
        for part, goal in parts
    ]
    return torch.stack(losses).sum()


def _chunk_loss(
    head: nn.Module, states: torch.Tensor, labels: torch.Tensor, softcap: float | None
) -> torch.Tensor:
    logits = logits_of(head, states, softcap)
    return nn.functional.cross_entropy(logits.float(), labels, reduction="sum")


def logits_of(head: nn.Module, states: torch.Tensor, softcap: float | None) -> torch.Tensor:
    """Logits (n, vocabulary) of states (n, size), bounded by *softcap* if it is not None."""
    logits = head(states)
    return logits if softcap is None else softcap * torch.tanh(logits / softcap)


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    bounds: torch.Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each case of a packed row.

    Args:
        module: the attention layer.
        query: (1, heads, length, size).
        key: (1, key heads, length, size).
        value: as *key*.
        attention_mask: None; there is no padding.
        bounds: int64 (cases + 1,), where each case starts, and the end.

    The other arguments, the result and the error are as in `states.row_attention`.
    """
    refuse_unknown(module, others)
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    parts = []
    for start, end in pairwise(bounds.tolist()):
        states = [whole[:, :, start:end] for whole in (query, key, value)]
        window = None if sliding_window is None or end - start <= sliding_window else sliding_window
        if window is not None or softcap is not None or s_aux is not None:
            attended = causal_attention(
                *states, scale=scaling, window=window, softcap=softcap, sinks=s_aux, dropout=dropout
            )
        elif query.device.type == "cpu" and query.dtype is torch.bfloat16 and dropout == 0.0:
            attended = blocked_causal_attention(*states, scale=scaling)
        else:
            attended = nn.functional.scaled_dot_product_attention(
                *states,
                is_causal=True,
                scale=scaling,
                dropout_p=dropout,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        parts.append(attended)
    return torch.cat(parts, dim=2).transpose(1, 2), None


AttentionInterface.register(PACKED_ATTENTION, packed_attention)

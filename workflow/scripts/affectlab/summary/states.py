"""What a network keeps of a prompt: keys and values of every layer, read once.

Prompts are most of the work here. Reading each by itself needs no padding, so that attention
stays causal and fast; afterwards the answers of a batch are written together (`prompt_cache`).
And the states of a prompt do not change while adapters that act on the answer alone are trained
(`answer_attention`; activated LoRA, Greenewald et al. 2025, arXiv 2504.12397).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import flash_attention_mask, sdpa_mask

from affectlab.errors import UserError
from affectlab.files.integrity import check_file
from affectlab.files.io import sealed_path
from affectlab.models.causal_attention import (
    attention_weights,
    causal_attention,
    masked_attention,
)

ANSWER_ATTENTION = "affectlab_answer"
ROW_ATTENTION = "affectlab_rows"

WITHOUT_EFFECT = frozenset({"position_ids", "use_cache", "output_hidden_states", "return_dict"})
"""Arguments that models hand on to their attention and that change nothing there."""


class PromptStates(NamedTuple):
    """Keys and values of a prompt, each (layers, key heads, tokens, size)."""

    keys: torch.Tensor
    values: torch.Tensor


Read = Callable[[Any, Sequence[int], torch.device], PromptStates]
"""A network and the token ids of a prompt, on a device, to states."""


def read_prompt(network: Any, ids: Sequence[int], device: torch.device) -> PromptStates:
    """The states of one prompt, in the dtype of *network*."""
    cache = DynamicCache()
    with torch.inference_mode():
        base_model(network).get_decoder()(
            input_ids=torch.tensor([list(ids)], device=device),
            past_key_values=cache,
            use_cache=True,
        )
    return PromptStates(
        torch.cat([layer.keys for layer in cache.layers]),
        torch.cat([layer.values for layer in cache.layers]),
    )


class PromptStore:
    """States of prompts in files of a directory, which is private to one network in one dtype."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def fill(self, network: Any, prompts: Sequence[Sequence[int]], device: torch.device) -> None:
        """Store the states of *prompts* that are not there yet; several processes share them out.

        Args:
            network: causal language model without adapters, in eval mode, on *device*.
            prompts: token ids.
            device: of *network*.

        Raises:
            UserError: there is no room for them.
        """
        from accelerate import PartialState
        from tqdm import tqdm

        processes = PartialState()
        own = prompts[processes.process_index :: processes.num_processes]
        for ids in tqdm(own, desc="reading prompts", unit="case", mininterval=1.0):
            self._add(network, ids, device)
        processes.wait_for_everyone()

    def get(self, ids: Sequence[int]) -> PromptStates:
        """The stored states of one prompt, on the CPU."""
        path = self._path(ids)
        check_file(path)
        return PromptStates(**load_file(path))

    def read(self, network: Any, ids: Sequence[int], device: torch.device) -> PromptStates:
        """The states of one prompt, on the CPU: `read_prompt`, but only once."""
        self._add(network, ids, device)
        return self.get(ids)

    def _add(self, network: Any, ids: Sequence[int], device: torch.device) -> None:
        """Store the states of one prompt, unless they are there."""
        path = self._path(ids)
        if path.exists():
            return
        states = read_prompt(network, ids, device)
        with sealed_path(path) as temporary:
            temporary.write_bytes(save({n: t.cpu() for n, t in states._asdict().items()}))

    def _path(self, ids: Sequence[int]) -> Path:
        digest = hashlib.sha256(torch.tensor(list(ids)).numpy().tobytes()).hexdigest()
        return self._directory / f"{digest}.safetensors"


def refuse_unknown(module: Any, settings: Mapping[str, Any]) -> None:
    """Refuse arguments of an attention that would change it and are not computed here.

    Args:
        module: the attention layer.
        settings: arguments of the attention function that it does not know.

    Raises:
        UserError: one of them has an effect.
    """
    for name, value in settings.items():
        # Some models pass on all that their decoder was called with.
        harmless = value is None or value is False or name in WITHOUT_EFFECT
        if (name == "is_causal" and value is False) or not (harmless or name == "is_causal"):
            raise UserError(
                f"{type(module).__name__}: its attention has the argument {name}, which is not "
                "supported: take another model"
            )


def answer_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    bounds: torch.Tensor,
    prompt_bounds: torch.Tensor,
    prompt_keys: torch.Tensor,
    prompt_values: torch.Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of answers over their own prompt's stored states and over themselves.

    Args:
        module: the attention layer; its ``layer_idx`` chooses the states.
        query: (1, heads, length, size), answers of several cases in a row.
        key: (1, key heads, length, size).
        value: as *key*.
        attention_mask: None; there is no padding.
        bounds: int64 (cases + 1,), where each answer starts in the row, and the end.
        prompt_bounds: int64 (cases + 1,), where the states of each prompt start, and the end.
        prompt_keys: (layers, key heads, prompt tokens of all cases, size).
        prompt_values: as *prompt_keys*.

    The other arguments, the result and the error are as in `row_attention`.
    """
    refuse_unknown(module, others)
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    parts = []
    for (start, end), (first, last) in zip(
        pairwise(bounds.tolist()), pairwise(prompt_bounds.tolist()), strict=True
    ):
        keys, values = (
            torch.cat([stored[module.layer_idx, None, :, first:last], own[:, :, start:end]], dim=2)
            for stored, own in ((prompt_keys, key), (prompt_values, value))
        )
        parts.append(
            causal_attention(
                query[:, :, start:end],
                keys,
                values,
                scale=scaling,
                window=sliding_window,
                softcap=softcap,
                sinks=s_aux,
                dropout=dropout,
            )
        )
    return torch.cat(parts, dim=2).transpose(1, 2), None


AttentionInterface.register(ANSWER_ATTENTION, answer_attention)


def row_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention that reads hardly any padding when each row of a batch asks with one token.

    In a batch, prompts of unequal length are padded to the longest, and a step of decoding takes
    as long as reading all keys and values. As few rows as keep all threads at work are taken
    together, and their keys from the start of the longest. More than one token a row is left to
    PyTorch, unless scores are soft-capped or there are sinks.

    Args:
        module: the attention layer.
        query: (b, heads, length, size).
        key: (b, key heads, tokens, size), padded on the left.
        value: as *key*.
        attention_mask: where each row asks with one token, bool (b, tokens), False over padding;
            else bool (b, 1, length, tokens), True for keys that are seen. None where attention is
            causal and there is no padding.
        scaling: of the products.
        dropout: on the attention weights, of more than one token a row.
        sliding_window: number of tokens that a token sees; None for all. A mask of more than one
            token a row has it in it.
        softcap: bound of the scores, or None.
        s_aux: attention sinks (heads,), or None.
        others: further arguments, which have to be without effect.

    Returns:
        (b, length, heads, size), and no weights.

    Raises:
        UserError: an argument that is unknown here and not without effect.
    """
    refuse_unknown(module, others)
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    if query.shape[2] > 1:
        return _several_tokens(
            module, query, key, value, attention_mask, scaling, dropout, softcap, s_aux
        )
    starts = [0] * len(key) if attention_mask is None else attention_mask.int().argmax(1).tolist()
    if sliding_window is not None:
        starts = [max(start, key.shape[2] - sliding_window) for start in starts]
    return _one_token(query, key, value, starts, scaling, softcap, s_aux), None


def _one_token(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: Sequence[int],
    scaling: float,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """Attention of one token a row over the keys from its row's start on; see `row_attention`."""
    # Query heads that share a key head side by side: one product, no copied keys.
    asking = (query * scaling).view(len(key), key.shape[1], -1, query.shape[-1])
    together = math.lcm(torch.get_num_threads(), key.shape[1]) // key.shape[1]
    parts = []
    for first in range(0, len(key), together):
        rows = slice(first, first + together)
        start = min(starts[rows])
        keys, values = (states[rows, :, start:].flatten(0, 1) for states in (key, value))
        scores = torch.bmm(asking[rows].flatten(0, 1), keys.transpose(1, 2))
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        scores = scores.unflatten(0, (-1, key.shape[1]))
        for row, own_start in zip(scores, starts[rows], strict=True):
            row[..., : own_start - start] = -torch.inf
        parts.append(torch.bmm(attention_weights(scores, sinks).flatten(0, 1), values))
    return torch.cat(parts).view(len(key), 1, query.shape[1], -1)


def _several_tokens(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float,
    dropout: float,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> tuple[torch.Tensor, None]:
    """`row_attention` of more than one token a row, with a mask of pairs or causal."""
    if softcap is None and sinks is None:
        return sdpa_attention_forward(
            module, query, key, value, mask, scaling=scaling, dropout=dropout
        )
    if mask is None:
        attended = causal_attention(
            query, key, value, scale=scaling, softcap=softcap, sinks=sinks, dropout=dropout
        )
    else:
        attended = masked_attention(
            query, key, value, ~mask, scale=scaling, softcap=softcap, sinks=sinks, dropout=dropout
        )
    return attended.transpose(1, 2), None


def _row_mask(*, q_length: int, **settings: Any) -> torch.Tensor | None:
    """Mask of tokens for one token a row, of pairs for more; as `row_attention` takes it."""
    masking = flash_attention_mask if q_length == 1 else sdpa_mask
    return masking(q_length=q_length, **settings)


def decoding_attention(network: Any, device: torch.device) -> str:
    """Name of the attention to decode with; row by row would leave a GPU idle.

    transformers has none but its plain operators for soft-capped scores and sinks; those hold the
    square of a prompt's length.
    """
    capped = getattr(network.config.get_text_config(), "attn_logit_softcapping", None) is not None
    special = capped or any(hasattr(module, "sinks") for module in network.modules())
    return ROW_ATTENTION if device.type == "cpu" or special else "sdpa"


AttentionInterface.register(ROW_ATTENTION, row_attention)
AttentionMaskInterface.register(ROW_ATTENTION, _row_mask)


def base_model(network: Any) -> Any:
    """The language model itself, inside PEFT's wrapper if it has one."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network

"""Which language models can be trained and asked here: their attention, positions and logits.

Packed rows, stored states of prompts and logits in chunks leave out parts of a model's own code.
These checks refuse a model for which that would give other numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface

from affectlab.errors import UserError
from affectlab.summary.packing import PACKED_ATTENTION, Example, logits_of, packed_collator
from affectlab.summary.states import base_model

RECORDING_ATTENTION = "affectlab_recording"
LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})

MOVING_POSITIONS = frozenset({"longrope", "dynamic"})
"""Rotary positions whose frequencies depend on the longest text of a batch."""

PROBE_LENGTHS = (7, 12)
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Greatest relative difference of logits that rounding explains, by dtype."""


def check_attention(network: Any) -> None:
    """Refuse a model whose layers do not compute causal attention over all or the last tokens.

    Args:
        network: causal language model, with or without adapters.

    Raises:
        UserError: which key of the model's configuration is not supported.
    """
    causal = base_model(network)
    config = causal.config.get_text_config()
    place = f"the model ({config.model_type})"
    if getattr(causal, "_is_stateful", False):
        raise UserError(
            f"{place}: has layers that hold a state in place of keys and values; take another model"
        )
    types = getattr(config, "layer_types", None)
    if others := sorted(set(types or ()) - LAYER_TYPES):
        raise UserError(
            f"{place}: layer_types: {', '.join(others)} is not supported, only "
            f"{' and '.join(sorted(LAYER_TYPES))}; take another model"
        )
    window = getattr(config, "sliding_window", None)
    seen = _windows(causal)
    for layer in range(config.num_hidden_layers):
        sliding = window is not None and (types is None or types[layer] == "sliding_attention")
        if layer not in seen or seen[layer] != (window if sliding else None):
            raise UserError(
                f"{place}: sliding_window: {window}: layer {layer} does not give its attention "
                "this window, so it cannot be computed here; take another model"
            )


def check_training(network: Any, *, packed: bool, longest: int) -> None:
    """Refuse a model that would be trained on another loss than its own.

    Args:
        network: causal language model without adapters, in eval mode.
        packed: whether several cases share a row, or answers are trained over stored states.
        longest: tokens of the longest case.

    Raises:
        UserError: which key of the model's or the run's configuration is not supported.
    """
    check_attention(network)
    config = network.config.get_text_config()
    place = f"the model ({config.model_type})"
    if packed and (kind := _moving_positions(config, longest)):
        raise UserError(
            f"{place}: rope_type: {kind}: positions depend on the longest text of a row, so cases "
            "cannot share one; set packing: false and adapter_scope: all, or a max_length up to "
            f"{_original_length(config)}"
        )
    examples = [Example(_probe(length, config.vocab_size), 1) for length in PROBE_LENGTHS]
    with torch.inference_mode():
        with using_attention(network, "eager"):
            alone = [
                network(input_ids=torch.tensor([one.ids], device=network.device), use_cache=False)
                for one in examples
            ]
            wanted = torch.cat([found.logits[0] for found in alone])
            single = [_logits(network, {"input_ids": torch.tensor([one.ids])}) for one in examples]
        if _differ(torch.cat(single), wanted, network.dtype):
            keys = {
                name: value for name, value in config.to_dict().items() if re.search("logit", name)
            }
            shown = ", ".join(f"{name}: {value}" for name, value in sorted(keys.items()))
            raise UserError(
                f"{place}: computes its logits in a way that is not supported ({shown}); take "
                "another model"
            )
        if packed:
            batch = packed_collator(examples, [[0, 1]], answer_only=False)(np.array([0]))
            del batch["labels"]
            with using_attention(network, PACKED_ATTENTION):
                together = _logits(network, batch)
            if _differ(together, wanted, network.dtype):
                raise UserError(
                    f"{place}: gives other answers where cases share a row; set packing: false and "
                    "adapter_scope: all, or take another model"
                )


def _windows(causal: Any) -> dict[int, int | None]:
    """Number of each layer that uses the attention interface -> the window that it states."""
    seen: dict[int, int | None] = {}
    ids = torch.tensor([_probe(2, causal.config.get_text_config().vocab_size)])
    with torch.inference_mode(), using_attention(causal, RECORDING_ATTENTION):
        causal.get_decoder()(
            input_ids=ids.to(causal.device), use_cache=False, windows_of_layers=seen
        )
    return seen


def _recording_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    windows_of_layers: dict[int, int | None],
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Note the window of a layer; the result is of the right form and means nothing."""
    windows_of_layers[module.layer_idx] = sliding_window
    shared = query.shape[1] // value.shape[1]
    return value.repeat_interleave(shared, dim=1).transpose(1, 2).contiguous(), None


AttentionInterface.register(RECORDING_ATTENTION, _recording_attention)


@contextmanager
def using_attention(network: Any, name: str) -> Iterator[None]:
    """Inside the block, *network* computes its attention by the function called *name*."""
    before = network.config._attn_implementation
    network.set_attn_implementation(name)
    try:
        yield
    finally:
        network.set_attn_implementation(before)


def _logits(network: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits (tokens, vocabulary) as `next_token_loss_sum` computes them."""
    inputs = {name: tensor.to(network.device) for name, tensor in batch.items()}
    states = network.get_decoder()(**inputs, use_cache=False).last_hidden_state[0]
    softcap = getattr(network.config.get_text_config(), "final_logit_softcapping", None)
    return logits_of(network.get_output_embeddings(), states, softcap)


def _differ(ours: torch.Tensor, theirs: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether most tokens have other logits (tokens, vocabulary) than rounding explains."""
    errors = (ours.float() - theirs.float()).norm(dim=1) / theirs.float().norm(dim=1)
    # The median: where experts are chosen, rounding may choose another one for single tokens.
    return float(errors.median()) > TOLERANCES.get(dtype, 5e-2)


def _probe(length: int, vocabulary: int) -> list[int]:
    """Token ids, some of each part of the vocabulary."""
    return [(7 + 7919 * place * length) % vocabulary for place in range(length)]


def _moving_positions(config: Any, longest: int) -> str | None:
    """The type of rotary positions that differ between rows up to *longest* tokens, or None."""
    kinds = [one.get("rope_type") for one in _rotary_settings(config)]
    moving = [kind for kind in kinds if kind in MOVING_POSITIONS]
    return moving[0] if moving and longest > _original_length(config) else None


def _original_length(config: Any) -> int:
    key = "original_max_position_embeddings"
    found = [one[key] for one in _rotary_settings(config) if key in one]
    return min(found) if found else int(config.max_position_embeddings)


def _rotary_settings(config: Any) -> list[dict[str, Any]]:
    """Settings of the rotary positions: of all layers, and of each kind of layer."""
    settings = getattr(config, "rope_parameters", None) or {}
    return [settings, *(value for value in settings.values() if isinstance(value, dict))]

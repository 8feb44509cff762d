"""The language model: loading it, plain or in 4 bits, and its low-rank adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from affectlab.assets.safe_loading import check_adapter
from affectlab.errors import UserError
from affectlab.models import text_models
from affectlab.summary.states import ROW_ATTENTION

ADAPTER_FOLDER = "adapter"
"""Where, inside a run's model directory, the adapter lies."""

SETTINGS_NAME = "summary.json"
"""What `CaseSummarizer` has to know of a run's model."""

STORED_SETTINGS = (
    "method",
    "prompt",
    "max_length",
    "max_answer_tokens",
    "long_input",
    "generation",
    "merge",
)
"""The keys of a run that are stored there, beside ``task``, ``base_model`` and its weights."""


def load_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a chat model.

    Raises:
        UserError: there is none, or it has no chat template.
    """
    tokenizer = text_models.load_tokenizer(directory, pad_with_end=True)
    if not tokenizer.chat_template:
        raise UserError(f"{directory}: the tokenizer has no chat template: take a chat model")
    return tokenizer


def load_network(
    directory: Path,
    *,
    dtype: torch.dtype,
    device: torch.device,
    four_bit: bool,
    attention: str = ROW_ATTENTION,
) -> PreTrainedModel:
    """Load a causal language model on *device*.

    Args:
        directory: checkpoint.
        dtype: of the weights, and of the products of 4-bit ones.
        device: where it computes.
        four_bit: hold the linear layers as NF4 with double quantisation (Dettmers et al. 2023,
            arXiv 2305.14314), on a GPU or on the CPU.
        attention: name of the attention function.

    Raises:
        UserError: no readable checkpoint, one that lacks weights, or no bitsandbytes for 4 bits.
    """
    network = text_models.load_pretrained(
        directory,
        AutoModelForCausalLM,
        purpose="a language model",
        settings={},
        dtype=dtype,
        device=device,
        whole=True,
        attention=attention,
        quantization=_four_bit_config(dtype) if four_bit else None,
    )
    if four_bit:
        _keep_weights_unpacked(network)
    return network


def _four_bit_config(dtype: torch.dtype) -> Any:
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise UserError(
            "method qlora needs the package bitsandbytes; method lora trains without it"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _keep_weights_unpacked(network: nn.Module) -> None:
    """Keep bitsandbytes from repacking weights in eval mode, after which nothing is learnt.

    On CPUs with AVX512-BF16 the first forward pass in eval mode replaces each 4-bit weight by
    another layout that has no gradient.
    """
    for module in network.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def load_adapter(network: PreTrainedModel, directory: Path) -> nn.Module:
    """*network* with the adapter in *directory*, for generation.

    The adapter acts on every token that the network is given; for one that acts on answers alone
    (`adapted_prompt_tokens`) the prompt has to be read without it.

    Raises:
        UserError: there is no adapter that fits.
    """
    settings = _adapter_settings(directory)
    settings.alora_invocation_tokens = None
    return text_models.load_adapter(network, directory, settings)


def adapted_prompt_tokens(directory: Path) -> int | None:
    """How many tokens at a prompt's end an adapter that acts on answers alone acts on too.

    They are the ``alora_invocation_tokens`` of PEFT. None: the adapter acts on all tokens.

    Raises:
        UserError: there is no adapter.
    """
    invocation = _adapter_settings(directory).alora_invocation_tokens
    return None if invocation is None else len(invocation)


def limit_to_answers(network: Any, opening: list[int]) -> None:
    """Store in the adapter's settings that it acts from the tokens *opening* on.

    It then does so wherever PEFT loads it (activated LoRA, arXiv 2504.12397).
    """
    network.peft_config["default"].alora_invocation_tokens = opening


def answer_opening(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens by which the model's chat template opens an answer.

    Raises:
        UserError: the template has none.
    """
    turn = [{"role": "user", "content": "?"}]
    asked, opened = (
        tokenizer.apply_chat_template(turn, add_generation_prompt=opening, return_dict=True)
        for opening in (False, True)
    )
    opening = list(opened["input_ids"][len(asked["input_ids"]) :])
    if not opening:
        raise UserError(
            "adapter_scope: the model's chat template has no tokens that open an answer, so the "
            "adapters cannot be limited to it; take adapter_scope: all"
        )
    return opening


def _adapter_settings(directory: Path) -> Any:
    from peft import LoraConfig

    with text_models.adapter_errors(directory):
        check_adapter(directory)
        return LoraConfig.from_pretrained(str(directory), trust_remote_code=False)


def merge_adapter(base: Path, adapter: Path) -> PreTrainedModel:
    """Fold an adapter into its base model, in float32; the result has the base's number format."""
    network = load_network(base, dtype=torch.float32, device=torch.device("cpu"), four_bit=False)
    return text_models.merged(load_adapter(network, adapter), base)

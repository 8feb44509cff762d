"""Pretrained text models: loading checkpoints and tokenizers, the same way in every experiment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers.models import Unigram
from torch import nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BatchEncoding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as hf_logging

from affectlab.assets.checkpoints import TOKENIZER_FILES, refuse_pickled
from affectlab.assets.safe_loading import check_adapter, from_directory
from affectlab.config.models import Lora
from affectlab.errors import DataError, UserError, first_line
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, write_json
from affectlab.models.byte_dropout import use_byte_dropout
from affectlab.models.finite import check_finite_tensors

ADAPTER_CONFIG = "adapter_config.json"
TRIAL = "a"
"""A text that every model can read: what fails with it is the model."""


@checked("directory", check_directory)
def load_tokenizer(directory: Path, *, pad_with_end: bool = False) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a checkpoint directory.

    Args:
        directory: the checkpoint.
        pad_with_end: let the end token stand in for a padding token that is missing, as in some
            language models.

    Raises:
        UserError: the directory holds none, a corrupt one, or one without a padding token.
    """
    if not any((directory / name).exists() for name in TOKENIZER_FILES):
        raise UserError(
            f"{directory}: no tokenizer in this model directory: expected one of "
            + ", ".join(TOKENIZER_FILES)
        )
    try:
        tokenizer = from_directory(AutoTokenizer, directory)
        tokenizer.model_max_length = int(tokenizer.model_max_length)
        encode_texts(tokenizer, TRIAL)
    except UserError:
        raise
    except Exception as error:
        # For a corrupt file the tokenizers library raises `Exception` itself, transformers
        # whatever its parts happen to.
        raise UserError(
            f"{directory}: the tokenizer cannot be loaded: {first_line(error)}"
        ) from error
    if tokenizer.pad_token_id is None and pad_with_end:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise UserError(f"{directory}: the tokenizer has no padding token (pad_token)")
    if tokenizer.model_max_length < 1:
        raise UserError(f"{directory}: model_max_length is {tokenizer.model_max_length}")
    tokenizer.padding_side = "right"
    _demote_special_pieces(tokenizer)
    return tokenizer


def encode_texts(
    tokenizer: PreTrainedTokenizerBase,
    texts: str | Sequence[str],
    pairs: Sequence[str] | None = None,
    **settings: Any,
) -> BatchEncoding:
    """Encode what users wrote: a special token in a text is text, not a token.

    Args:
        tokenizer: as `load_tokenizer` gives it.
        texts: one text or several.
        pairs: second texts of each, or None.
        settings: of the call of the tokenizer, such as ``max_length``.
    """
    several = texts if isinstance(texts, str) else list(texts)
    return tokenizer(several, pairs, split_special_tokens=True, **settings)


def check_vocabulary(
    tokenizer: PreTrainedTokenizerBase, network: PreTrainedModel, directory: Path
) -> None:
    """See that *network* has a vector for every token that a text can come to.

    Special tokens of other uses, such as those of images, may lack one.

    Raises:
        DataError: it has not.
    """
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    used = set(tokenizer.get_vocab().values()) - special
    used |= {tokenizer.pad_token_id, *encode_texts(tokenizer, TRIAL)["input_ids"]}
    known = network.get_input_embeddings().num_embeddings
    if max(used) >= known:
        problem = f"its tokenizer gives the token {max(used)}, its network knows {known} tokens"
        raise DataError(directory, None, problem)


UNLIKELY = -1000.0
"""Log-probability of a piece that is never chosen: a text's letters together have more."""


def _demote_special_pieces(tokenizer: PreTrainedTokenizerBase) -> None:
    """Keep a unigram model from choosing special tokens as pieces of a text, in place.

    They are among its pieces, and with 0 the likeliest ones (XLM-RoBERTa, multilingual E5). That
    special tokens are split in texts does not concern the pieces.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or type(backend.model).__name__ != "Unigram":
        return
    state = json.loads(backend.to_str())["model"]
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    pieces = [(piece, UNLIKELY if piece in special else score) for piece, score in state["vocab"]]
    backend.model = Unigram(pieces, state["unk_id"], state.get("byte_fallback", False))


@checked("directory", check_directory)
def load_pretrained(
    directory: Path,
    auto_class: Any,
    *,
    purpose: str,
    settings: Mapping[str, Any],
    dtype: torch.dtype,
    device: torch.device,
    training: bool = False,
    whole: bool = False,
    unread: str | None = None,
    attention: str | None = None,
    quantization: Any = None,
) -> PreTrainedModel:
    """Load a checkpoint with one of the Auto classes of transformers, on *device* in *dtype*.

    Unless *attention* says otherwise, on the CPU it is computed in plain operators: for short
    texts the backward pass of PyTorch's fused kernel takes longer there than all other layers
    together. For training, dropout on attention weights is off and other dropout draws bytes
    (`models.byte_dropout`).

    Args:
        directory: the checkpoint.
        auto_class: such as `transformers.AutoModel`.
        purpose: what it is loaded as, for the error message.
        settings: attributes of the model's configuration to be set.
        dtype: number format of the weights.
        device: where they go.
        training: whether the model is going to be trained.
        whole: refuse a checkpoint that lacks a weight of the model; else it is drawn at random,
            as the head of a pretrained model must be.
        unread: name part of weights that may be missing all the same, for nothing reads them.
        attention: name of the attention function, or None.
        quantization: quantization configuration of transformers, or None.

    Raises:
        UserError: the directory holds no readable checkpoint.
        DataError: a file is not the one that was written, or weights are not finite.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no such folder, expected {purpose}")
    refuse_pickled(directory)
    on_cpu = device.type == "cpu"
    without_dropout = training and on_cpu
    # Its report on loading lists the head, which is new in every base model, as a warning.
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        network, found = from_directory(
            auto_class,
            directory,
            config=_configured(directory, settings, without_dropout),
            dtype=dtype,
            attn_implementation=attention or ("eager" if on_cpu else None),
            quantization_config=quantization,
            # A quantized model cannot be moved afterwards.
            device_map=None if quantization is None else {"": device},
            output_loading_info=True,
        )
    except UserError:
        raise
    except Exception as error:
        # Of a corrupt configuration, whatever its first use happens to raise.
        raise UserError(
            f"{directory}: cannot be loaded as {purpose}: {first_line(error)}"
        ) from error
    missing = sorted(name for name in found["missing_keys"] if unread is None or unread not in name)
    if whole and missing:
        raise UserError(
            f"{directory}: cannot be used as {purpose}: the checkpoint lacks {len(missing)} of its "
            f"weights, {missing[0]} among them"
        )
    check_finite_tensors(network.state_dict().items(), directory)
    if without_dropout:
        use_byte_dropout(network)
    return network if quantization is not None else network.to(device)


def _configured(directory: Path, settings: Mapping[str, Any], without_dropout: bool) -> Any:
    """The configuration of a checkpoint with *settings*, and with or without attention dropout."""
    config = from_directory(AutoConfig, directory)
    for name, value in settings.items():
        setattr(config, name, value)
    if without_dropout and hasattr(config, "attention_probs_dropout_prob"):
        config.attention_probs_dropout_prob = 0.0
    return config


def add_lora(
    network: PreTrainedModel,
    lora: Lora,
    *,
    task: Literal["CAUSAL_LM", "SEQ_CLS"],
) -> nn.Module:
    """Freeze *network* and wrap it with LoRA adapters (Hu et al. 2021, arXiv 2106.09685).

    What is trained (the adapters and, of a classifier, its head) is float32 whatever the dtype of
    the frozen weights.

    Args:
        network: as `load_pretrained` gives it.
        lora: the ``lora`` block of a run.
        task: PEFT's name of what the network does.

    Raises:
        UserError: the network lacks a module named in ``target_modules`` (PEFT passes over
            those if at least one is found).
    """
    from peft import LoraConfig, get_peft_model

    present = {name.rpartition(".")[2] for name, _ in network.named_modules()}
    if absent := sorted(set(lora.target_modules) - present):
        raise UserError(
            f"lora.target_modules: {type(network).__name__} has no module called "
            + " or ".join(absent)
        )
    wrapped = get_peft_model(
        network,
        LoraConfig(
            task_type=task,
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.target_modules),
        ),
    )
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if next(wrapped.parameters()).device.type == "cpu":
        use_byte_dropout(wrapped)
    return wrapped


def save_adapter(network: Any, directory: Path) -> None:
    """Store the adapter of *network*, the same bytes for the same adapter.

    PEFT keeps the names of the adapted modules as a set, whose order changes with each process.
    """
    network.save_pretrained(directory)
    path = directory / ADAPTER_CONFIG
    settings = read_json(path)
    modules = settings["target_modules"]
    write_json(path, settings | {"target_modules": sorted(modules)})


@contextmanager
def adapter_errors(directory: Path) -> Iterator[None]:
    """Turn what PEFT makes of an unusable adapter in *directory* into a message."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{directory}: cannot be loaded as an adapter: {first_line(error)}"
        ) from error


@checked("directory", check_directory)
def load_adapter(network: PreTrainedModel, directory: Path, settings: Any = None) -> nn.Module:
    """*network* with the adapter in *directory*, in eval mode.

    Args:
        network: the base of the adapter.
        directory: where PEFT stored the adapter.
        settings: PEFT's configuration in place of the stored one, or None.

    Raises:
        UserError: there is no adapter that fits.
        DataError: a file is not the one that was written, or weights are not finite.
    """
    from peft import PeftModel

    # In a run's model directory the list of all files is one level up.
    check_directory(directory.parent)
    with adapter_errors(directory):
        check_adapter(directory)
        refuse_pickled(directory)
        adapted = PeftModel.from_pretrained(
            network, str(directory), config=settings, trust_remote_code=False
        ).eval()
    check_finite_tensors(
        ((name, value) for name, value in adapted.named_parameters() if ".default." in name),
        directory,
    )
    return adapted


def merged(adapted: Any, base: Path) -> PreTrainedModel:
    """Fold the adapter into its network; the result has the number format of the checkpoint *base*.

    Args:
        adapted: what `load_adapter` gives, its network in float32.
        base: checkpoint directory of the network without the adapter.
    """
    stored = from_directory(AutoConfig, base).dtype or torch.float32
    return adapted.merge_and_unload().to(stored)

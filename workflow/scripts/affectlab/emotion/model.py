"""The network: a pretrained text model with a head for classes or numbers, plain or LoRA."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from affectlab.models.devices import autocast
from affectlab.models.last_layer import classify_by_first_token
from affectlab.models.text_models import encode_texts, load_adapter, load_pretrained, merged
from affectlab.training.batching import Batch

HEAD_NAMES = ("classifier", "score", "pooler")
"""Name parts of the layers that a sequence classifier puts on top of its text model."""

ADAPTER_FOLDER = "adapter"
"""Where, inside the directory of a merged LoRA model, the unmerged adapter is kept."""


def load_network(
    directory: Path,
    tokenizer: PreTrainedTokenizerBase,
    outputs: Sequence[str],
    *,
    dtype: torch.dtype,
    device: torch.device,
    training: bool = False,
    trained: bool = False,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> PreTrainedModel:
    """Load a checkpoint as a network with an output for each of *outputs*.

    Args:
        directory: the checkpoint.
        tokenizer: of the same.
        outputs: names of the classes, or of the numbers.
        dtype: see `text_models.load_pretrained`, also of the next two.
        device: where the weights go.
        training: whether the model is going to be trained.
        trained: whether its head must be there.
        settings: further entries of its configuration; it is a classifier by default.
    """
    network = load_pretrained(
        directory,
        AutoModelForSequenceClassification,
        purpose="a text classifier",
        settings={
            "num_labels": len(outputs),
            "id2label": dict(enumerate(outputs)),
            "label2id": {name: i for i, name in enumerate(outputs)},
            "pad_token_id": tokenizer.pad_token_id,
            "problem_type": "single_label_classification",
            **settings,
        },
        dtype=dtype,
        device=device,
        training=training,
        whole=trained,
    )
    if device.type == "cpu":
        classify_by_first_token(network)
    return network


def merge_lora(
    base: Path,
    adapter: Path,
    tokenizer: PreTrainedTokenizerBase,
    outputs: Sequence[str],
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> PreTrainedModel:
    """Fold an adapter into its base model, in float32, and return a plain network.

    The result has the number format of the base checkpoint.
    """
    network = load_network(
        base,
        tokenizer,
        outputs,
        dtype=torch.float32,
        device=torch.device("cpu"),
        settings=settings,
    )
    return merged(load_adapter(network, adapter), base)


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, max_length: int
) -> list[list[int]]:
    """Token ids of each text, special tokens at both ends included, cut at *max_length*."""
    return encode_texts(tokenizer, texts, truncation=True, max_length=max_length)["input_ids"]


def cut_texts(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    token_ids: Sequence[Sequence[int]],
    *,
    max_length: int,
) -> list[int]:
    """Places of the texts of which `encode` left out the end.

    Args:
        tokenizer: as of `encode`.
        texts: as of `encode`.
        token_ids: what `encode` gave for them.
        max_length: as of `encode`.
    """
    full = [place for place, ids in enumerate(token_ids) if len(ids) >= max_length]
    if not full:
        return []
    whole = encode_texts(tokenizer, [texts[place] for place in full], verbose=False)["input_ids"]
    return [place for place, ids in zip(full, whole, strict=True) if len(ids) > max_length]


def collator(
    token_ids: Sequence[Sequence[int]],
    labels: np.ndarray | None,
    *,
    pad_id: int,
    pad_to: int | None = None,
) -> Callable[[np.ndarray], Batch]:
    """A function from item indices (b,) to padded ``input_ids``, ``attention_mask`` (b, length).

    The length is that of the longest item, or *pad_to*. With *labels*, int64 class ids (n,) or
    float32 targets (n, outputs), the batch holds ``labels`` (b,) or (b, outputs) too.
    """

    def collate(indices: np.ndarray) -> Batch:
        chosen = [token_ids[i] for i in indices]
        length = pad_to or max(len(ids) for ids in chosen)
        input_ids = np.full((len(chosen), length), pad_id, dtype=np.int64)
        mask = np.zeros((len(chosen), length), dtype=np.int64)
        for row, ids in enumerate(chosen):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(mask),
        }
        if labels is not None:
            batch["labels"] = torch.from_numpy(labels[indices])
        return batch

    return collate


def cross_entropy_sum(label_smoothing: float) -> Callable[[nn.Module, Batch], torch.Tensor]:
    """A loss function for `training.loop.fit`: summed, label-smoothed cross-entropy.

    The labels of a batch are class ids (b,), or shares of the classes (b, classes).
    """

    def loss_sum(network: nn.Module, batch: Batch) -> torch.Tensor:
        logits = network(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).logits
        return nn.functional.cross_entropy(
            logits.float(), batch["labels"], reduction="sum", label_smoothing=label_smoothing
        )

    return loss_sum


def squared_error_sum(network: nn.Module, batch: Batch) -> torch.Tensor:
    """A loss function for `training.loop.fit`: the squared error, its mean over the outputs.

    The ``labels`` of a batch are standardised numbers, float32 (b, outputs).
    """
    outputs = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return ((outputs.float() - batch["labels"]) ** 2).mean(dim=1).sum()


def binary_cross_entropy_sum(network: nn.Module, batch: Batch) -> torch.Tensor:
    """A loss function for `training.loop.fit`: binary cross-entropy, its mean over the classes.

    The ``labels`` of a batch are 0 or 1 for each class, float32 (b, classes).
    """
    logits = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits.float(), batch["labels"], reduction="none"
    )
    return losses.mean(dim=1).sum()


@torch.inference_mode()
def predict_logits(
    network: PreTrainedModel,
    token_ids: Sequence[Sequence[int]],
    *,
    pad_id: int,
    batch_size: int,
    dtype: torch.dtype,
    device: torch.device,
) -> np.ndarray:
    """Logits of every item in the order given, float32 (n, classes); *network* in eval mode.

    Items are batched by length, so that little is spent on padding.
    """
    collate = collator(token_ids, None, pad_id=pad_id)
    order = np.argsort([len(ids) for ids in token_ids], kind="stable")
    logits = np.empty((len(token_ids), network.config.num_labels), dtype=np.float32)
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = {name: tensor.to(device) for name, tensor in collate(indices).items()}
        with autocast(dtype, device):
            logits[indices] = network(**batch).logits.float().cpu().numpy()
    return logits

"""The embedding network: a pretrained encoder whose tokens are pooled per span.

Each text passes the encoder once, however many spans it has; a span, or the whole text, is the
mean of its tokens' projections. `encoding.encode` turns texts and offsets into rows of tokens,
`encoding.collator` rows into batches, `EmotionEmbedder` batches into one `Embedding`.
"""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerBase

from affectlab.entity.encoding import Row, collator
from affectlab.entity.heads import Embedding, Heads, SpanAdapter
from affectlab.entity.labels import MOST_CLASSES
from affectlab.errors import UserError, reading
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models.devices import autocast
from affectlab.models.finite import check_finite_tensors
from affectlab.models.last_layer import read_last_layer_at, shorten_last_layer
from affectlab.models.text_models import (
    check_vocabulary,
    load_pretrained,
    load_tokenizer,
)
from affectlab.training.batching import filled_to_budget

HEAD_NAMES = ("heads.",)
"""Name part of everything that is not the pretrained encoder."""

DESCRIPTION_FILE = "gbert.json"
HEADS_FILE = "heads.safetensors"

CPU_TOKENS = 1024
"""Padded tokens that pass an encoder at a time on a CPU; larger batches do not fit its caches."""

PerTarget = Callable[[Mapping[str, torch.Tensor]], Sequence[torch.Tensor]]
"""From a batch to tensors with one row for each of its targets."""

_ENCODING = threading.Lock()
"""Held by the thread that runs an encoder: what is read of its last layer is a state of it."""


class EmotionEmbedder(nn.Module):
    """Encoder and heads.

    Without an adapter only tokens of targets are read of the last layer; where these are few, as
    in spans, it computes no others, if `shortened` is true.
    """

    def __init__(self, encoder: PreTrainedModel, heads: Heads) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = heads
        self.shortened = shorten_last_layer(encoder)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> Embedding:
        """Embed the targets of a batch that `collator` made."""
        direction, energy, inputs = self.pooled(batch)
        adapter = self.heads.adapter
        corrections = None if adapter is None else adapter(inputs, batch["is_span"])
        return self.heads(direction, energy, corrections)

    def pooled(
        self, batch: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """All that the heads need of the encoder: see `Heads.pool` and `SpanAdapter.read`."""
        adapter = self.heads.adapter
        tokens = batch["tokens"]
        with _ENCODING:
            if self.shortened:
                read, tokens = tokens_read(batch) if adapter is None else (None, tokens)
                read_last_layer_at(self.encoder, read)
            found = self.encoder(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                output_hidden_states=adapter is not None,
            )
        direction, energy = self.heads.pool(found.last_hidden_state, tokens, batch["offsets"])
        # The first of the hidden states are the embeddings of the tokens.
        inputs = None if adapter is None else adapter.read(found.hidden_states[1:], batch)
        return direction, energy, inputs

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules; an encoder below an adapter stays without dropout."""
        super().train(mode)
        if self.heads.adapter is not None:
            self.encoder.eval()
        return self

    def add_adapter(self, *, hidden: int, dropout: float) -> dict[str, Any]:
        """Put a new `SpanAdapter` on top of a model of sentences and freeze all the rest.

        Returns:
            The adapter's settings, as `Heads` takes them.
        """
        config = self.encoder.config
        settings = {"layers": config.num_hidden_layers, "hidden": hidden, "dropout": dropout}
        self.requires_grad_(False)
        self.heads.adapter = SpanAdapter(
            config.hidden_size, classes=self.heads.classes, **settings
        ).to(self.encoder.device)
        return settings


def tokens_read(batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Which tokens of each row belong to a target, and where these then stand.

    Args:
        batch: see `collator`.

    Returns:
        Positions in the rows, int64 (b, q), short rows filled up with 0, or None where q would be
        more than half of the rows' length; and the batch's ``tokens`` as positions in what is read,
        flattened (b * q), or as they are.
    """
    tokens = batch["tokens"]
    count, length = batch["input_ids"].shape
    members = tokens.unique()
    rows = torch.div(members, length, rounding_mode="floor")
    sizes = rows.bincount(minlength=count)
    width = int(sizes.max())
    if 2 * width > length:
        return None, tokens
    firsts = sizes.cumsum(0) - sizes
    places = torch.arange(len(members), device=members.device) - firsts[rows]
    positions = members.new_zeros(count, width)
    positions[rows, places] = members % length
    return positions, (rows * width + places)[torch.searchsorted(members, tokens)]


@dataclass(frozen=True, slots=True)
class Description:
    """Metadata of a model directory, besides encoder, tokenizer and weights.

    Attributes:
        method: ``gbert`` or ``vmf``.
        encoder: registry name of the pretrained encoder.
        max_length: tokens per encoder input.
        heads: settings of `Heads`.
        calibration: of whole ``texts`` and of ``spans``, what was fitted on a validation split; see
            `decisions.fit_calibration`.
        classes: names in the order of the values that the model predicts.
    """

    method: str
    encoder: str
    max_length: int
    heads: dict[str, Any]
    calibration: dict[str, Any] | None
    classes: tuple[str, ...]


def load_encoder(
    directory: Path, *, device: torch.device, training: bool = False
) -> PreTrainedModel:
    """Load the encoder of a checkpoint in float32, without a pooling layer.

    Raises:
        UserError: the directory holds no readable encoder, or one that lacks weights.
    """
    encoder = load_pretrained(
        directory,
        AutoModel,
        purpose="a text encoder",
        settings={},
        dtype=torch.float32,
        device=device,
        training=training,
        whole=True,
        unread="pooler.",
    )
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder


@checked("directory", check_directory)
def load_model(
    directory: Path, *, device: torch.device, training: bool = False
) -> tuple[EmotionEmbedder, PreTrainedTokenizerBase, Description]:
    """Load what `save_model` wrote.

    Raises:
        UserError: no such directory, or it holds no model of this experiment.
    """
    from safetensors.torch import load_file

    if not (directory / DESCRIPTION_FILE).is_file():
        raise UserError(f"{directory}: no model of the entity experiment here ({DESCRIPTION_FILE})")
    stored = read_json(directory / DESCRIPTION_FILE)
    names = {field.name for field in fields(Description)}
    if not isinstance(stored, dict) or set(stored) != names:
        raise UserError(f"{directory / DESCRIPTION_FILE}: expected {', '.join(sorted(names))}")
    if problem := _classes_problem(stored["classes"]):
        raise UserError(f"{directory / DESCRIPTION_FILE}: {problem}")
    description = Description(**{**stored, "classes": tuple(stored["classes"])})
    if problem := _description_problem(description):
        raise UserError(f"{directory / DESCRIPTION_FILE}: {problem}")
    encoder = load_encoder(directory, device=device, training=training)
    try:
        heads = Heads(
            encoder.config.hidden_size,
            method=description.method,
            classes=len(description.classes),
            **description.heads,
        )
        weights = load_file(directory / HEADS_FILE)
        heads.load_state_dict(weights)
    except Exception as error:
        # Of corrupt settings, whatever their first use happens to raise.
        raise UserError(f"{directory / HEADS_FILE}: cannot be loaded: {misfit(error)}") from error
    check_finite_tensors(weights.items(), directory / HEADS_FILE)
    tokenizer = load_tokenizer(directory)
    check_vocabulary(tokenizer, encoder, directory)
    with reading(directory, "a model of the entity experiment whose files fit each other"):
        network = EmotionEmbedder(encoder, heads.to(device)).eval()
    return network, tokenizer, description


def _classes_problem(names: Any) -> str | None:
    """What is wrong with the stored names of the classes, or None."""
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        return "classes: expected a list of names"
    if not 2 <= len(names) <= MOST_CLASSES or len(set(names)) < len(names):
        return f"classes: expected 2 to {MOST_CLASSES} different names"
    return None


def _description_problem(description: Description) -> str | None:
    """What is wrong with a corrupted or older description, or None."""
    if description.method not in ("gbert", "vmf"):
        return f"method: expected gbert or vmf, found {description.method!r}"
    if type(description.max_length) is not int or description.max_length < 1:
        return f"max_length: expected a whole number, found {description.max_length!r}"
    if not isinstance(description.heads, dict):
        return "heads: expected an object of settings"
    calibration = description.calibration
    if calibration is not None and (
        not isinstance(calibration, dict) or set(calibration) != {"texts", "spans"}
    ):
        return "calibration: expected one of texts and one of spans, or null"
    return None


def misfit(error: Exception) -> str:
    """One line of what keeps weights from being loaded.

    Of PyTorch's list of all that do not fit it is the first entry, which follows a heading.
    """
    heading, *entries = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(entries[0] if entries else heading, 200, placeholder=" ...")


def save_model(
    directory: Path,
    network: EmotionEmbedder,
    tokenizer: PreTrainedTokenizerBase,
    description: Description,
) -> None:
    """Write encoder, heads, tokenizer and description into one directory, atomically."""
    from safetensors.torch import save_file

    with sealed_path(directory) as temporary:
        network.encoder.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        state = {name: value.contiguous() for name, value in network.heads.state_dict().items()}
        save_file(state, temporary / HEADS_FILE)
        write_json(temporary / DESCRIPTION_FILE, asdict(description))


@torch.inference_mode()
def embed_rows(
    network: PerTarget,
    rows: Sequence[Row],
    *,
    pad_id: int,
    batch_size: int,
    dtype: torch.dtype,
    device: torch.device,
    whole_texts: bool = False,
) -> list[np.ndarray]:
    """Run *network* on every target, and return its output in the order of their numbers.

    Rows are batched by length, so that little is spent on padding; on the CPU a batch holds at most
    `CPU_TOKENS` with it.

    Args:
        network: such as `without_prototypes` of an `EmotionEmbedder` in eval mode.
        rows: as `encode` made them; at least one target.
        pad_id: of the tokenizer.
        batch_size: rows per batch, at most.
        dtype: of matrix products.
        device: where to compute.
        whole_texts: see `collator`.

    Returns:
        For each tensor of *network* with a row per target one float32 array.
    """
    collate = collator(rows, None, pad_id=pad_id, whole_texts=whole_texts)
    lengths = np.array([len(row.token_ids) for row in rows])
    order = np.argsort(lengths, kind="stable")
    budget = CPU_TOKENS if device.type == "cpu" else batch_size * lengths.max()
    targets = sum(len(row.spans) for row in rows)
    columns: list[np.ndarray] = []
    for indices in filled_to_budget(order, lengths, budget, most=batch_size):
        batch = {name: tensor.to(device) for name, tensor in collate(indices).items()}
        with autocast(dtype, device):
            found = network(batch)
        if not columns:
            columns = [np.empty((targets, *part.shape[1:]), dtype=np.float32) for part in found]
        places = batch["targets"].cpu().numpy()
        for column, part in zip(columns, found, strict=True):
            column[places] = part.float().cpu().numpy()
    return columns


def without_prototypes(network: EmotionEmbedder) -> PerTarget:
    """The network as `embed_rows` takes it: mu, kappa and logits."""
    return lambda batch: network(batch)[:3]


def mean_states(encoder: PreTrainedModel) -> PerTarget:
    """The mean of the encoder's own states over each target's tokens, for `embed_rows`."""

    def pool(batch: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
        states = encoder(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
        flat = states.flatten(0, 1).float()
        return [functional.embedding_bag(batch["tokens"], flat, batch["offsets"], mode="mean")]

    return pool

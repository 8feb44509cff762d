"""The embedding network: a pretrained encoder whose tokens are pooled per span.

Each text passes the encoder once, however many spans it has; a span, or the whole text, is the
mean of its tokens' projections. `encode` turns texts and offsets into rows of tokens, `collator`
rows into batches, `EmotionEmbedder` batches into one `Embedding`.
"""

from __future__ import annotations

import math
import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModel, PreTrainedModel, PreTrainedTokenizerBase

from affectlab.entity.labels import CLASSES
from affectlab.entity.vmf import DIMENSION
from affectlab.errors import UserError, reading
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models.devices import autocast
from affectlab.models.finite import check_finite_tensors
from affectlab.models.last_layer import read_last_layer_at, shorten_last_layer
from affectlab.models.text_models import (
    check_vocabulary,
    encode_texts,
    load_pretrained,
    load_tokenizer,
)
from affectlab.training.batching import Batch, filled_to_budget

HEAD_NAMES = ("heads.",)
"""Name part of everything that is not the pretrained encoder."""

DESCRIPTION_FILE = "gbert.json"
HEADS_FILE = "heads.safetensors"

PROJECTION_WIDTH = 256
AUXILIARY_WIDTH = 128
KAPPA_SCALE = 16.0
"""Of the linear layer before the softplus: concentrations live on a scale of tens."""

ADAPTER_INPUT_NORM = 10.0
"""Length of a `SpanAdapter`'s inputs: with unit variance of each, Adam's steps are too large."""

CPU_TOKENS = 1024
"""Padded tokens that pass an encoder at a time on a CPU; larger batches do not fit its caches."""

_ENCODING = threading.Lock()
"""Held by the thread that asks an encoder: what is read of its last layer is a state of it."""

Span = tuple[int, int] | None
"""Character offsets of a span, or None for the whole text."""


class Embedding(NamedTuple):
    """What the network says of m targets.

    Attributes:
        mu: mean directions, unit length, float32 (m, 64).
        kappa: concentrations, float32 (m,).
        logits: of the 28 classes, float32 (m, 28).
        prototypes: unit directions of the classes, float32 (28, 64).
    """

    mu: torch.Tensor
    kappa: torch.Tensor
    logits: torch.Tensor
    prototypes: torch.Tensor


@dataclass(frozen=True, slots=True)
class Row:
    """One encoder input, and which of its tokens belong to which target.

    ``spans`` holds (number of the target, first token, token after the last).
    """

    token_ids: list[int]
    spans: list[tuple[int, int, int]]


class SpanAdapter(nn.Module):
    """What a span adds to a model of sentences: corrections of direction, energy and logits.

    It reads the mean state of the span's tokens and that of all tokens of its row, from every
    layer of the encoder: the last one, which learnt emotion of sentences, has lost much of what
    tells a span with an emotion from one without. It starts with no correction.

    Args:
        width: of the encoder's hidden states.
        layers: of the encoder.
        hidden: width of the hidden layer.
        dropout: of the inputs.
    """

    def __init__(self, width: int, *, layers: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(2 * layers * width, hidden)
        self.output = nn.Linear(hidden, DIMENSION + 1 + len(CLASSES))
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    @staticmethod
    def read(states: Sequence[torch.Tensor], batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What is read of the encoder, float32 (m, 2 * layers * width).

        Args:
            states: of all layers, (b, t, width) each.
            batch: see `collator`.
        """
        tokens, offsets, mask = batch["tokens"], batch["offsets"], batch["attention_mask"]
        rows = torch.div(tokens[offsets], mask.shape[1], rounding_mode="floor")
        share = (mask / mask.sum(dim=1, keepdim=True))[:, None].float()
        exact = [layer.float() for layer in states]
        means = [
            functional.embedding_bag(tokens, layer.flatten(0, 1), offsets, mode="mean")
            for layer in exact
        ] + [(share @ layer)[rows, 0] for layer in exact]
        scaled = [functional.layer_norm(mean, mean.shape[-1:]) for mean in means]
        return functional.normalize(torch.cat(scaled, dim=-1), dim=-1) * ADAPTER_INPUT_NORM

    def forward(self, inputs: torch.Tensor, is_span: torch.Tensor) -> torch.Tensor:
        """Corrections (m, 64 + 1 + 28), float32; 0 for whole texts.

        Args:
            inputs: what `read` gives.
            is_span: whether a target is a span, bool (m,).
        """
        inputs = self.dropout(inputs).to(self.hidden.weight.dtype)
        corrections = self.output(functional.gelu(self.hidden(inputs))).float()
        return corrections * is_span[:, None]


class Heads(nn.Module):
    """Token projection, concentration, class prototypes and the 28-class side head.

    The prototypes of ``gbert`` are learned, those of ``vmf`` are the first axes of R^64.

    Args:
        width: of the encoder's hidden states.
        method: ``gbert``, the published form, or ``vmf``, the corrected one.
        kappa_min: smallest concentration of ``vmf``.
        kappa_start: mean concentration of ``vmf`` before training, larger than *kappa_min*.
        adapter: settings of a `SpanAdapter` for ``vmf``, or None.
    """

    def __init__(
        self,
        width: int,
        *,
        method: str,
        kappa_min: float = 1.0,
        kappa_start: float = 42.0,
        adapter: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.adapter = None if adapter is None else SpanAdapter(width, **adapter)
        self.method = method
        self.kappa_min = kappa_min
        self.hidden = nn.Linear(width, PROJECTION_WIDTH)
        self.direction = nn.Linear(PROJECTION_WIDTH, DIMENSION)
        self.energy = nn.Linear(width if method == "gbert" else PROJECTION_WIDTH, 1)
        self.auxiliary = nn.Sequential(
            nn.Linear(DIMENSION, AUXILIARY_WIDTH),
            nn.GELU(),
            nn.Linear(AUXILIARY_WIDTH, len(CLASSES)),
        )
        if method == "gbert":
            self.prototypes = nn.Parameter(torch.randn(len(CLASSES), DIMENSION))
        else:
            # Not learned: learned ones moved together, which the likelihood rewards.
            self.register_buffer("prototypes", torch.eye(len(CLASSES), DIMENSION))
            # What the softplus of `forward` turns into kappa_start - kappa_min.
            above = kappa_start - kappa_min
            start = above + math.log(-math.expm1(-above))
            nn.init.constant_(self.energy.bias, start / KAPPA_SCALE)

    def pool(
        self, states: torch.Tensor, tokens: torch.Tensor, offsets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pool token states (b, t, width) over each target's *tokens*.

        Args:
            states: of the encoder's last layer.
            tokens: positions in the flattened (b * t) states, target after target, int64.
            offsets: where each target starts in *tokens*, int64 (m,).

        Returns:
            What `forward` takes: direction, float32 (m, 64), and energy, float32 (m,).
        """
        flat = states.flatten(0, 1)
        hidden = functional.gelu(self.hidden(flat))

        def pooled(values: torch.Tensor, mode: str) -> torch.Tensor:
            return functional.embedding_bag(tokens, values.float(), offsets, mode=mode)

        direction = pooled(self.direction(hidden), "mean")
        if self.method == "gbert":
            return direction, pooled(functional.softplus(self.energy(flat).float()), "max")[:, 0]
        return direction, pooled(self.energy(hidden), "mean")[:, 0]

    def forward(
        self,
        direction: torch.Tensor,
        energy: torch.Tensor,
        corrections: torch.Tensor | None = None,
    ) -> Embedding:
        """What the pooled states come to, with the *corrections* of an adapter or without."""
        if corrections is None:
            corrections = direction.new_zeros(len(direction), DIMENSION + 1 + len(CLASSES))
        turn, rise, shift = corrections.split((DIMENSION, 1, len(CLASSES)), dim=-1)
        mu = functional.normalize(direction + turn, dim=-1)
        prototypes = self.directions()
        if self.method == "gbert":
            return Embedding(mu, 1.0 + 50.0 * energy, self._side_head(mu), prototypes)
        kappa = self.kappa_min + functional.softplus(KAPPA_SCALE * (energy + rise[:, 0]))
        # Unit variance of the inputs in place of unit length.
        logits = self._side_head(mu * DIMENSION**0.5) + shift
        return Embedding(mu, kappa, logits, prototypes)

    def directions(self) -> torch.Tensor:
        """Unit prototypes of the classes, float32 (28, 64)."""
        return functional.normalize(self.prototypes.float(), dim=-1)

    def _side_head(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.auxiliary(inputs.to(self.auxiliary[0].weight.dtype)).float()


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
        """As of any module; an encoder that an adapter is trained upon keeps no dropout."""
        super().train(mode)
        if self.heads.adapter is not None:
            self.encoder.eval()
        return self

    def add_adapter(self, *, hidden: int, dropout: float) -> dict[str, Any]:
        """Put a new `SpanAdapter` upon a model of sentences and freeze all the rest.

        Returns:
            The adapter's settings, as `Heads` takes them.
        """
        config = self.encoder.config
        settings = {"layers": config.num_hidden_layers, "hidden": hidden, "dropout": dropout}
        self.requires_grad_(False)
        self.heads.adapter = SpanAdapter(config.hidden_size, **settings).to(self.encoder.device)
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
    """What a model directory says of itself, beside encoder, tokenizer and weights.

    Attributes:
        method: ``gbert`` or ``vmf``.
        encoder: registry name of the pretrained encoder.
        max_length: tokens per encoder input.
        heads: settings of `Heads`.
        calibration: of whole ``texts`` and of ``spans``, what was fitted on a validation split; see
            `decisions.fit_calibration`.
    """

    method: str
    encoder: str
    max_length: int
    heads: dict[str, Any]
    calibration: dict[str, Any] | None


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
    names = {field.name for field in fields(Description)} | {"classes"}
    if not isinstance(stored, dict) or set(stored) != names:
        raise UserError(f"{directory / DESCRIPTION_FILE}: expected {', '.join(sorted(names))}")
    if stored.pop("classes") != list(CLASSES):
        raise UserError(f"{directory / DESCRIPTION_FILE}: expected the classes {CLASSES}")
    description = Description(**stored)
    if problem := _description_problem(description):
        raise UserError(f"{directory / DESCRIPTION_FILE}: {problem}")
    encoder = load_encoder(directory, device=device, training=training)
    try:
        heads = Heads(encoder.config.hidden_size, method=description.method, **description.heads)
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


def _description_problem(description: Description) -> str | None:
    """What a corrupted or older description says wrongly, or None."""
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
        write_json(temporary / DESCRIPTION_FILE, asdict(description) | {"classes": list(CLASSES)})


def encode(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    spans: Sequence[Sequence[Span]],
    *,
    max_length: int,
    names: Sequence[str] | None = None,
) -> tuple[list[Row], list[int]]:
    """Tokenise texts and find the tokens of each span by its character offsets.

    A text longer than *max_length* tokens becomes one row or more, each a window around spans,
    so that no span is cut. A whole text that is too long is cut at its end.

    Args:
        tokenizer: a fast one.
        texts: the texts.
        spans: for each text its spans; targets are numbered over all of them in this order.
        max_length: tokens per row, special tokens included.
        names: what messages call the targets; their numbers from 1 if None.

    Returns:
        The rows, and the numbers of those targets that are whole texts and were cut.

    Raises:
        UserError: a span has no token, or more than fit into one row; *max_length* is more than
            the tokenizer allows.
    """
    if max_length > tokenizer.model_max_length:
        raise UserError(
            f"max_length is {max_length}, but the encoder takes at most "
            f"{tokenizer.model_max_length} tokens"
        )
    if names is None:
        names = [f"target {number}" for number in range(1, 1 + sum(map(len, spans)))]
    encoded = encode_texts(
        tokenizer,
        texts,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    rows: list[Row] = []
    cut: list[int] = []
    target = 0
    for place, wanted in enumerate(spans):
        ids, offsets = encoded["input_ids"][place], encoded["offset_mapping"][place]
        special = encoded["special_tokens_mask"][place]
        starts = special.index(0) if 0 in special else 0
        ends = len(special) - (special[::-1].index(0) if 0 in special else 0)
        room = max_length - (len(ids) - (ends - starts))
        windows: dict[tuple[int, int], Row] = {}
        for span in wanted:
            first, last = _token_range(names[target], span, offsets, starts, ends)
            if span is None and len(ids) > max_length:
                cut.append(target)
                last = starts + room
            elif span is not None and last - first > room:
                raise UserError(
                    f"{names[target]}: a span of {last - first} tokens does not fit into "
                    f"max_length {max_length}"
                )
            left, right = _window(first, last, starts, ends, room, list(windows))
            row = windows.setdefault(
                (left, right), Row([*ids[:starts], *ids[left:right], *ids[ends:]], [])
            )
            if span is None:
                row.spans.append((target, 0, len(row.token_ids)))
            else:
                row.spans.append((target, first - left + starts, last - left + starts))
            target += 1
        rows += windows.values()
    return rows, cut


def _token_range(
    name: str, span: Span, offsets: Sequence[tuple[int, int]], starts: int, ends: int
) -> tuple[int, int]:
    """First token of a span and the one after its last; tokens *starts* to *ends* are text."""
    if span is None:
        return starts, ends
    inside = [
        place
        for place in range(starts, ends)
        if offsets[place][0] < span[1] and offsets[place][1] > span[0]
    ]
    if not inside:
        raise UserError(f"{name}: no token stands at {span[0]}..{span[1]} of its text")
    return inside[0], inside[-1] + 1


def _window(
    first: int, last: int, starts: int, ends: int, room: int, known: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """At most *room* tokens around first..last: a window that is *known*, if one holds it."""
    for left, right in known:
        if left <= first and last <= right:
            return left, right
    left = max(starts, min((first + last - room) // 2, ends - room))
    return left, min(ends, left + room)


def collator(
    rows: Sequence[Row], labels: np.ndarray | None, *, pad_id: int, whole_texts: bool = False
) -> Callable[[np.ndarray], Batch]:
    """A function from row numbers (b,) to a batch for `EmotionEmbedder`.

    Args:
        rows: as `encode` made them.
        labels: soft labels of all targets, float32 (n, 28), or None.
        pad_id: of the tokenizer.
        whole_texts: pool each target over its whole row, as the original trains.
    """

    def collate(indices: np.ndarray) -> Batch:
        chosen = [rows[i] for i in indices]
        length = max(len(row.token_ids) for row in chosen)
        input_ids = np.full((len(chosen), length), pad_id, dtype=np.int64)
        mask = np.zeros((len(chosen), length), dtype=np.int64)
        tokens: list[int] = []
        offsets: list[int] = []
        targets: list[int] = []
        is_span: list[bool] = []
        for place, row in enumerate(chosen):
            size = len(row.token_ids)
            input_ids[place, :size] = row.token_ids
            mask[place, :size] = 1
            for target, first, last in row.spans:
                offsets.append(len(tokens))
                targets.append(target)
                # Only whole texts take in the special tokens at both ends.
                is_span.append((first, last) != (0, size))
                inside = range(size) if whole_texts else range(first, last)
                tokens += [place * length + token for token in inside]
        batch = {
            "input_ids": torch.from_numpy(input_ids),
            "attention_mask": torch.from_numpy(mask),
            "tokens": torch.tensor(tokens),
            "offsets": torch.tensor(offsets),
            "targets": torch.tensor(targets),
            "is_span": torch.tensor(is_span),
        }
        if labels is not None:
            batch["labels"] = torch.from_numpy(labels[targets])
        return batch

    return collate


@torch.inference_mode()
def embed_rows(
    network: Callable[[Mapping[str, torch.Tensor]], Sequence[torch.Tensor]],
    rows: Sequence[Row],
    *,
    pad_id: int,
    batch_size: int,
    dtype: torch.dtype,
    device: torch.device,
    whole_texts: bool = False,
) -> list[np.ndarray]:
    """What *network* says of every target, in the order of their numbers.

    Rows are batched by length, so that little is spent on padding; on the CPU a batch holds at most
    `CPU_TOKENS` with it.

    Args:
        network: from a batch to tensors (m, ...), such as `EmotionEmbedder` in eval mode.
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


def without_prototypes(
    network: EmotionEmbedder,
) -> Callable[[Mapping[str, torch.Tensor]], Sequence[torch.Tensor]]:
    """The network as `embed_rows` takes it: mu, kappa and logits."""
    return lambda batch: network(batch)[:3]


def mean_states(
    encoder: PreTrainedModel,
) -> Callable[[Mapping[str, torch.Tensor]], Sequence[torch.Tensor]]:
    """The mean of the encoder's own states over each target's tokens, for `embed_rows`."""

    def pool(batch: Mapping[str, torch.Tensor]) -> Sequence[torch.Tensor]:
        states = encoder(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
        flat = states.flatten(0, 1).float()
        return [functional.embedding_bag(batch["tokens"], flat, batch["offsets"], mode="mean")]

    return pool

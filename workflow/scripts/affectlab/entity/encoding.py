"""From texts and spans to the encoder's inputs: rows of tokens, and batches of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from affectlab.entity.data import Span
from affectlab.errors import UserError
from affectlab.models.text_models import encode_texts
from affectlab.training.batching import Batch


@dataclass(frozen=True, slots=True)
class Row:
    """One encoder input, and which of its tokens belong to which target.

    ``spans`` holds (number of the target, first token, token after the last).
    """

    token_ids: list[int]
    spans: list[tuple[int, int, int]]


class _Text(NamedTuple):
    """The tokens of a text: those from *start* to *end* are its own, the others special ones."""

    token_ids: list[int]
    offsets: list[tuple[int, int]]
    start: int
    end: int


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
    done = 0
    columns = (encoded[name] for name in ("input_ids", "offset_mapping", "special_tokens_mask"))
    for wanted, ids, offsets, special in zip(spans, *columns, strict=True):
        start = special.index(0) if 0 in special else 0
        end = len(special) - (special[::-1].index(0) if 0 in special else 0)
        text = _Text(ids, offsets, start, end)
        own, longer = _rows_of(text, dict(enumerate(wanted, start=done)), max_length, names)
        rows += own
        cut += longer
        done += len(wanted)
    return rows, cut


def _rows_of(
    text: _Text, spans: Mapping[int, Span], max_length: int, names: Sequence[str]
) -> tuple[list[Row], list[int]]:
    """The rows of one text, and its targets that are cut; *spans* by the target's number."""
    room = max_length - (len(text.token_ids) - (text.end - text.start))
    windows: dict[tuple[int, int], Row] = {}
    cut = []
    for target, span in spans.items():
        first, last = _token_range(names[target], span, text)
        if span is None and len(text.token_ids) > max_length:
            cut.append(target)
            last = text.start + room
        elif span is not None and last - first > room:
            raise UserError(
                f"{names[target]}: a span of {last - first} tokens does not fit into "
                f"max_length {max_length}"
            )
        left, right = _window(first, last, text, room, windows)
        ids = text.token_ids
        row = windows.setdefault(
            (left, right), Row([*ids[: text.start], *ids[left:right], *ids[text.end :]], [])
        )
        shift = text.start - left
        inside = (0, len(row.token_ids)) if span is None else (first + shift, last + shift)
        row.spans.append((target, *inside))
    return list(windows.values()), cut


def _token_range(name: str, span: Span, text: _Text) -> tuple[int, int]:
    """First token of a span of *text*, or of the whole text, and the one after its last."""
    if span is None:
        return text.start, text.end
    inside = [
        place
        for place in range(text.start, text.end)
        if text.offsets[place][0] < span[1] and text.offsets[place][1] > span[0]
    ]
    if not inside:
        raise UserError(f"{name}: no token stands at {span[0]}..{span[1]} of its text")
    return inside[0], inside[-1] + 1


def _window(
    first: int, last: int, text: _Text, room: int, known: Iterable[tuple[int, int]]
) -> tuple[int, int]:
    """At most *room* tokens around first..last: a window that is *known*, if one holds it."""
    for left, right in known:
        if left <= first and last <= right:
            return left, right
    left = max(text.start, min((first + last - room) // 2, text.end - room))
    return left, min(text.end, left + room)


def collator(
    rows: Sequence[Row], labels: np.ndarray | None, *, pad_id: int, whole_texts: bool = False
) -> Callable[[np.ndarray], Batch]:
    """A function from row numbers (b,) to a batch for `EmotionEmbedder`.

    Args:
        rows: as `encode` made them.
        labels: soft labels of all targets, float32 (n, K), or None.
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

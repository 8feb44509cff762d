"""Texts and images as the classifiers of others take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import AutoConfig, AutoImageProcessor, PreTrainedTokenizerBase

from affectlab.assets.checkpoints import PROCESSOR_FILE
from affectlab.assets.safe_loading import from_directory
from affectlab.errors import UserError, first_line
from affectlab.models.classifiers import Batch
from affectlab.models.text_models import encode_texts, load_tokenizer

TEXTS = 32
IMAGES = 32
"""Items in a batch."""

LONGEST = 4096
"""Tokens after which a text is cut where neither tokenizer nor network knows a limit."""

AFTER_PADDING = ("camembert", "longformer", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl")
"""Types of networks that number the places of a text from the id of the padding token on."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts as token ids.

    Attributes:
        token_ids: of each text.
        pad_id: of the padding token.
        max_length: tokens that the model reads of a text.
        cut: places of the texts that are longer.
    """

    token_ids: Sequence[Sequence[int]]
    pad_id: int
    max_length: int
    cut: tuple[int, ...]

    @classmethod
    def of(cls, directory: Path, texts: Sequence[str]) -> Texts:
        """Encode *texts* with the tokenizer of a model.

        Raises:
            UserError: the folder holds no tokenizer that can be used.
        """
        tokenizer = load_tokenizer(directory)
        limit = _text_limit(directory, tokenizer)
        whole = encode_texts(tokenizer, texts, verbose=False)["input_ids"]
        cut = tuple(place for place, ids in enumerate(whole) if len(ids) > limit)
        kept = encode_texts(tokenizer, texts, truncation=True, max_length=limit)["input_ids"]
        return cls(kept, int(tokenizer.pad_token_id), limit, cut)

    def batches(self) -> Iterator[Batch]:
        """The texts in batches of about the same length."""
        order = np.argsort([len(ids) for ids in self.token_ids], kind="stable")
        for start in range(0, len(order), TEXTS):
            places = order[start : start + TEXTS]
            chosen = [self.token_ids[place] for place in places]
            shape = len(chosen), max(map(len, chosen))
            ids, mask = np.full(shape, self.pad_id, np.int64), np.zeros(shape, np.int64)
            for row, own in enumerate(chosen):
                ids[row, : len(own)] = own
                mask[row, : len(own)] = 1
            yield Batch(places, {"input_ids": ids, "attention_mask": mask})


def _text_limit(directory: Path, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that a model reads of a text: the least that tokenizer or network states."""
    config = from_directory(AutoConfig, directory)
    limits = [LONGEST, tokenizer.model_max_length]
    places = getattr(config, "max_position_embeddings", None)
    if isinstance(places, int) and places > 0:
        first = int(tokenizer.pad_token_id) + 1 if config.model_type in AFTER_PADDING else 0
        limits.append(places - first)
    return min(limits)


def image_batches(directory: Path, images: np.ndarray) -> Iterator[Batch]:
    """Images in batches, prepared by the image processor of a model.

    Args:
        directory: of the model.
        images: uint8 ``[n, H, W]``, which become three equal channels, or RGB ``[n, H, W, 3]``.

    Raises:
        UserError: the folder holds no image processor that can be used.
    """
    if not (directory / PROCESSOR_FILE).is_file():
        raise UserError(f"{directory}: no {PROCESSOR_FILE} in this folder of an image classifier")
    try:
        processor = from_directory(AutoImageProcessor, directory, backend="pil")
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{directory}: the image processor cannot be loaded: {first_line(error)}"
        ) from error
    for start in range(0, len(images), IMAGES):
        part = np.asarray(images[start : start + IMAGES])
        colour = part if part.ndim == 4 else np.repeat(part[..., None], 3, axis=-1)
        pixels = processor(list(colour), return_tensors="np", input_data_format="channels_last")
        places = np.arange(start, start + len(part))
        yield Batch(places, {"pixel_values": np.asarray(pixels["pixel_values"], np.float32)})

"""Prompts as tokens of a chat, cut where they are too long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from affectlab.datasets.texts import without_chat_marks
from affectlab.errors import UserError, shortened

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

GAP = "\n[...]\n"
"""Stands where the middle of a long text was cut out."""


class Prompt(NamedTuple):
    """Token ids of a prompt, and how many tokens the text had and has lost."""

    ids: list[int]
    text_tokens: int
    cut_tokens: int


def chat_ids(tokenizer: PreTrainedTokenizerBase, content: str, **settings: Any) -> list[int]:
    """Tokens of one user turn in the model's chat template, up to where the answer begins.

    The marks of turns are the template's own. In *content* they are text: special tokens are spelt
    out in other tokens, and a space is put into marks that are no special tokens of the model.

    Args:
        tokenizer: with a chat template.
        content: what the user says.
        settings: of the chat template, such as ``enable_thinking``.
    """
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    encoded = tokenizer.apply_chat_template(
        [{"role": "user", "content": without_chat_marks(content, keep=special)}],
        add_generation_prompt=True,
        return_dict=True,
        sanitize_control_tokens=True,
        **settings,
    )
    return list(encoded["input_ids"])


def fitted(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    encode: Callable[[str], list[int]],
    max_tokens: int,
) -> Prompt:
    """The prompt for *text*, at most *max_tokens* long; a longer text keeps head and tail.

    Args:
        tokenizer: of the model.
        text: that the prompt is about.
        encode: the tokens of the prompt for a text.
        max_tokens: that the prompt can have.

    Raises:
        UserError: the instruction alone is longer.
    """
    text_ids = plain_ids(tokenizer, text)
    ids = encode(text)
    kept = len(text_ids)
    fixed = len(encode(""))
    if fixed > max_tokens:
        raise UserError(f"max_length: {max_tokens} tokens do not hold the instruction")
    while len(ids) > max_tokens:
        # Marks that are spelt out have more tokens in the prompt than in the text, and decoding
        # and encoding again may give a few more tokens than were kept.
        share = kept / max(kept, len(ids) - fixed)
        kept -= max(int((len(ids) - max_tokens) * share), 8)
        if kept <= 0:
            raise UserError(f"max_length: {max_tokens} tokens do not hold the instruction")
        ids = encode(head_and_tail(tokenizer, text_ids, kept))
    return Prompt(ids, len(text_ids), len(text_ids) - kept)


def head_and_tail(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], kept: int) -> str:
    """The text of the first and last tokens of *ids*, *kept* together, with a gap between."""
    head, rest = kept - kept // 2, kept // 2
    parts = (ids[:head], ids[len(ids) - rest :])
    # A cut may fall inside a character of several bytes.
    return GAP.join(tokenizer.decode(list(part)).strip("\ufffd") for part in parts)


def plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of a text alone."""
    from affectlab.models.text_models import encode_texts

    return list(encode_texts(tokenizer, text, add_special_tokens=False)["input_ids"])


def stop_ids(tokenizer: PreTrainedTokenizerBase, network: PreTrainedModel) -> list[int]:
    """Tokens that end an answer: those of the model's generation settings and the tokenizer's.

    Raises:
        UserError: the settings name something else than tokens.
    """
    known = network.generation_config.eos_token_id
    listed = known if isinstance(known, list) else [known]
    if not {type(token) for token in listed} <= {int, type(None)}:
        found = shortened(repr(known), 40)
        raise UserError(f"{network.name_or_path}: eos_token_id: expected tokens, found {found}")
    return sorted({i for i in (*listed, tokenizer.eos_token_id) if i is not None})

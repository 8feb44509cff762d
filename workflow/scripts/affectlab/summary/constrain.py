"""Decoding that can write nothing but the JSON object that was asked for (llguidance).

Keys, quotes and commas are given; the model chooses only what stands between them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from llguidance import LLMatcher
from llguidance.hf import from_tokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from affectlab.errors import UserError
from affectlab.models.text_models import encode_texts

# Text of a field: no blank first, escapes as JSON has them, no bare control characters.
FIELD_TEXT = r'/[^\s"\\\x00-\x1f\x7f]([^"\\\x00-\x1f\x7f]|\\["\\n])*/'

BOUNDARY_TOKENS = 2
"""Tokens that a field may cost beside its text and the empty object's: other ways to cut quotes."""


class FieldsGrammar:
    """The language of the objects with given fields, in the tokens of one tokenizer."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, fields: Sequence[str], max_tokens: int
    ) -> None:
        """Compile the grammar.

        Args:
            tokenizer: of the model; a fast one.
            fields: keys of the object, in this order; each gets a string that is not empty.
            max_tokens: of the whole answer; each field's text gets the same share of them, and
                ends there.

        Raises:
            UserError: *max_tokens* leave no text.
        """
        empty = len(encode_texts(tokenizer, json.dumps(dict.fromkeys(fields, "")))["input_ids"])
        share = (max_tokens - empty) // len(fields) - BOUNDARY_TOKENS
        if share < 1:
            raise UserError(
                f"max_answer_tokens: {max_tokens} tokens do not hold an object with {len(fields)} "
                f"fields, of which {empty + (BOUNDARY_TOKENS + 1) * len(fields)} are needed"
            )
        self.end = int(tokenizer.eos_token_id)
        self.size = len(tokenizer)
        self._tokens = from_tokenizer(tokenizer, n_vocab=self.size)
        self._grammar = LLMatcher.grammar_from_lark(_lark(fields, share))

    def matcher(self) -> LLMatcher:
        """One that stands at the beginning of an answer."""
        return LLMatcher(self._tokens, self._grammar)


class FieldsProcessor(LogitsProcessor):
    """Leaves each row of a batch the tokens that its grammar allows next."""

    def __init__(self, grammar: FieldsGrammar, rows: int) -> None:
        """Take the *grammar* and the number of rows of one call of ``generate``."""
        self._grammar = grammar
        self._matchers = [grammar.matcher() for _ in range(rows)]
        self._started = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (rows, vocabulary) with minus infinity for what may not follow *input_ids*."""
        if self._started:
            for matcher, token in zip(self._matchers, input_ids[:, -1].tolist(), strict=True):
                if not matcher.is_stopped():
                    matcher.consume_token(token)
        self._started = True
        bits = allocate_token_bitmask(len(self._matchers), self._grammar.size)
        for row, matcher in enumerate(self._matchers):
            self._allow(matcher, bits, row)
        words = torch.from_numpy(bits).to(scores.device)
        places = torch.arange(32, device=scores.device, dtype=torch.int32)
        allowed = ((words[..., None] >> places) & 1).flatten(1).bool()[:, : self._grammar.size]
        masked = torch.full_like(scores, -torch.inf)
        known = masked[:, : self._grammar.size]
        known[allowed] = scores[:, : self._grammar.size][allowed]
        return masked

    def _allow(self, matcher: LLMatcher, bits: Any, row: int) -> None:
        # Where only one text can follow, it is cut into tokens as the tokenizer would.
        forced = [self._grammar.end] if matcher.is_stopped() else matcher.compute_ff_tokens()
        if forced:
            bits[row] = 0
            word, place = divmod(forced[0], 32)
            bits[row].view("uint32")[word] = 1 << place
        else:
            fill_next_token_bitmask(matcher, bits, row)


def _lark(fields: Sequence[str], share: int) -> str:
    """The grammar in llguidance's dialect of Lark."""
    parts = []
    for number, name in enumerate(fields):
        opening = ("{" if number == 0 else ", ") + json.dumps(name, ensure_ascii=False) + ': "'
        parts += [json.dumps(opening), "text", json.dumps('"')]
    return f"start: {' '.join(parts)} {json.dumps('}')}\ntext[max_tokens={share}]: {FIELD_TEXT}\n"

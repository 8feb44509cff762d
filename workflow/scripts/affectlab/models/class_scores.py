"""The probabilities of class names as answers to a prompt, by a causal language model.

A model that can answer with nothing but a class name, and then ends, gives class c the probability
of the tokens of its name and of the end, divided by the sum over all classes. That is exact
constrained decoding. These are probabilities of names: a frequent word is likelier than a rare
one, and nothing calibrates them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from affectlab.config.models import Precision
from affectlab.errors import UserError
from affectlab.models import devices, text_models
from affectlab.models.chat import Prompt, chat_ids, fitted, plain_ids, stop_ids

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedTokenizerBase

ANSWER = "Answer:"
"""Opens the answer of a model without a chat template, which a line break ends."""

STATE_TOKENS = 4096
"""Tokens of prompts whose states are held at once: the names of classes share those of a prompt."""


class ClassScorer:
    """A causal language model that scores the names of classes.

    Attributes:
        most_tokens: of a prompt.
    """

    def __init__(
        self,
        network: Any,
        tokenizer: PreTrainedTokenizerBase,
        device: torch.device,
        classes: Sequence[str],
        max_length: int,
    ) -> None:
        """Take a network in eval mode.

        Args:
            network: causal language model on *device*.
            tokenizer: of the network.
            device: where prompts are moved to.
            classes: names.
            max_length: tokens of a prompt and a name together.

        Raises:
            UserError: two names have the same tokens, or the model knows no end of an answer.
        """
        self._network, self._tokenizer, self._device = network, tokenizer, device
        self._chats = bool(tokenizer.chat_template)
        self._names = [self._name_ids(name) for name in classes]
        self._check_names(classes)
        self._ends = self._end_ids()
        longest = max(map(len, self._names))
        positions = getattr(network.config.get_text_config(), "max_position_embeddings", None)
        limits = [max_length, tokenizer.model_max_length, positions or max_length]
        self.most_tokens = min(limits) - longest

    @classmethod
    def load(
        cls,
        directory: Path,
        classes: Sequence[str],
        *,
        max_length: int,
        precision: Precision = "auto",
        threads: int | None = None,
    ) -> ClassScorer:
        """Load a model.

        Args:
            directory: of the checkpoint.
            classes: names.
            max_length: tokens of a prompt and a name together.
            precision: number format.
            threads: of the CPU; None for the default.

        Raises:
            UserError: no readable model; see also `ClassScorer`.
        """
        from transformers import AutoModelForCausalLM

        if threads is not None:
            devices.set_threads(threads)
        device = devices.choose_device()
        network = text_models.load_pretrained(
            directory,
            AutoModelForCausalLM,
            purpose="a language model",
            settings={},
            dtype=devices.compute_dtype(precision, device),
            device=device,
            whole=True,
        )
        tokenizer = text_models.load_tokenizer(directory, pad_with_end=True)
        return cls(network.eval(), tokenizer, device, classes, max_length)

    def prompt(self, text: str, fill: Callable[[str], str]) -> Prompt:
        """The tokens of the prompt for *text*, whose middle is cut out where it is too long.

        Args:
            text: what a user wrote.
            fill: puts a text into the instruction.

        Raises:
            UserError: the instruction alone is too long.
        """
        return fitted(
            self._tokenizer, text, lambda part: self._encoded(fill(part)), self.most_tokens
        )

    def log_likelihoods(
        self, prompts: Sequence[Sequence[int]], shared: int = 0
    ) -> Iterator[npt.NDArray[np.float64]]:
        """Log-probabilities of the name of each class and the end after it, (K,) for each prompt.

        What all prompts begin with is read once, and the rest of a prompt once for all names.

        Args:
            prompts: token ids, none empty.
            shared: how many tokens all begin with, see `common_start`. Equal numbers make equal
                bytes.
        """
        start: Cache | None = None
        for ids in prompts:
            if shared and start is None:
                start = self._read(list(ids[:shared]), self._empty_cache())
            cache = self._empty_cache() if start is None else copy.deepcopy(start)
            yield self._of_prompt(list(ids), self._read(list(ids[shared:-1]), cache))

    def _of_prompt(self, ids: list[int], cache: Cache) -> npt.NDArray[np.float64]:
        """The same of one prompt, whose states *cache* holds but for the last token."""
        found: list[float] = []
        together = max(1, STATE_TOKENS // len(ids))
        for first in range(0, len(self._names), together):
            names = self._names[first : first + together]
            rows = [[ids[-1], *name] for name in names]
            longest = max(map(len, rows))
            pad = self._tokenizer.pad_token_id
            # Nothing that counts comes after the padding, so attention need not leave it out.
            padded = [row + [pad] * (longest - len(row)) for row in rows]
            own = copy.deepcopy(cache)
            own.batch_repeat_interleave(len(rows))
            with torch.inference_mode():
                logits = self._network(
                    input_ids=torch.tensor(padded, device=self._device),
                    past_key_values=own,
                    use_cache=True,
                ).logits
                scores = logits.double().log_softmax(dim=-1)
                ends = scores[..., self._ends].logsumexp(dim=-1)
            for row, name in enumerate(names):
                places = torch.arange(len(name), device=self._device)
                tokens = torch.tensor(name, device=self._device)
                found.append(float(scores[row, places, tokens].sum() + ends[row, len(name)]))
        return np.array(found)

    def _empty_cache(self) -> Cache:
        from transformers import DynamicCache

        return DynamicCache(config=self._network.config)

    def _read(self, ids: list[int], cache: Cache) -> Cache:
        """Add the states of *ids* to those in *cache*."""
        if ids:
            with torch.inference_mode():
                self._network.get_decoder()(
                    input_ids=torch.tensor([ids], device=self._device),
                    past_key_values=cache,
                    use_cache=True,
                )
        return cache

    def _encoded(self, content: str) -> list[int]:
        """The tokens of a prompt, up to where the answer begins."""
        if self._chats:
            return chat_ids(self._tokenizer, content, enable_thinking=False)
        opened = text_models.encode_texts(self._tokenizer, f"{content}\n\n{ANSWER}")
        ids = list(opened["input_ids"])
        # Some tokenizers close each text.
        return ids[:-1] if ids[-1] == self._tokenizer.eos_token_id else ids

    def _name_ids(self, name: str) -> list[int]:
        """The tokens of a name as the answer."""
        if self._chats:
            return plain_ids(self._tokenizer, name)
        opening = plain_ids(self._tokenizer, ANSWER)
        ids = plain_ids(self._tokenizer, f"{ANSWER} {name}")
        if ids[: len(opening)] == opening:
            return ids[len(opening) :]
        return plain_ids(self._tokenizer, f" {name}")

    def _end_ids(self) -> list[int]:
        """Tokens that end an answer."""
        ends = stop_ids(self._tokenizer, self._network)
        if not self._chats:
            line_break = plain_ids(self._tokenizer, "\n")
            ends = sorted({*ends, *(line_break if len(line_break) == 1 else ())})
        if not ends:
            raise UserError("the model has no token that ends an answer (eos_token)")
        return ends

    def _check_names(self, classes: Sequence[str]) -> None:
        known: dict[tuple[int, ...], str] = {}
        for name, ids in zip(classes, self._names, strict=True):
            if tuple(ids) in known:
                raise UserError(
                    f"the model's tokenizer cannot tell the classes {known[tuple(ids)]!r} and "
                    f"{name!r} apart: take another model, or other names"
                )
            known[tuple(ids)] = name


def softmax(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities in proportion to the exponential of *scores*, both (K,)."""
    found = np.exp(scores - scores.max())
    return np.asarray(found / found.sum())


def common_start(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, short of the last token of each."""
    first, last = min(map(list, prompts)), max(map(list, prompts))
    longest = min(map(len, prompts)) - 1
    same = (place for place in range(longest) if first[place] != last[place])
    return next(same, longest)

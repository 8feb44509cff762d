"""How cases are fed to a language model that is trained: padded, packed, or by their answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from affectlab.models.text_models import encode_texts
from affectlab.summary import model as networks
from affectlab.summary import packing, states
from affectlab.summary.answers import target_text
from affectlab.summary.cases import Case
from affectlab.summary.packing import Example
from affectlab.summary.prompts import case_prompt
from affectlab.summary.settings import SummaryRun
from affectlab.training.batching import Batch


class Rows(NamedTuple):
    """Rows of tokens: their lengths, their target tokens, and a collator of row numbers."""

    lengths: list[int]
    targets: list[int]
    collate: Callable[[np.ndarray], Batch]


class PackedCases:
    """Whole cases, several of them in one row.

    Attributes:
        attention: of the network while it is loaded.
        adapted_tokens: to how many last tokens of a prompt adapters apply; None: to all tokens.
        read: as `generate.Generator` takes it.
    """

    attention = packing.PACKED_ATTENTION
    adapted_tokens: int | None = None
    read: states.Read | None = None

    def __init__(self, run: SummaryRun) -> None:
        self.longest = run.max_length
        self.answer_only = run.loss == "answer"

    def prepare(self, network: Any, examples: Sequence[Example], device: torch.device) -> None:
        """Compute what training on *examples* needs of *network*, which has no adapters yet."""

    def rows(self, examples: Sequence[Example]) -> Rows:
        """The rows of *examples*."""
        packed = packing.pack([len(one.ids) for one in examples], self.longest)
        collate = self._collator(examples, packed)
        return Rows(
            [sum(len(examples[item].ids) for item in row) for row in packed],
            [sum(self._targets(examples[item]) for item in row) for row in packed],
            collate,
        )

    def tokens(self, examples: Sequence[Example]) -> int:
        """How many tokens the network computes in an epoch."""
        return sum(len(one.ids) for one in examples)

    def limit(self, network: Any) -> None:
        """Store in *network* to which tokens its adapters apply."""

    def close(self) -> None:
        """Remove what `prepare` stored."""

    def _collator(
        self, examples: Sequence[Example], rows: Sequence[Sequence[int]]
    ) -> Callable[[np.ndarray], Batch]:
        return packing.packed_collator(examples, rows, answer_only=self.answer_only)

    def _targets(self, example: Example) -> int:
        return packing.target_tokens(example, answer_only=self.answer_only)


class PaddedCases(PackedCases):
    """One whole case in each row, padded to the longest row: the published way."""

    attention = states.ROW_ATTENTION

    def __init__(self, run: SummaryRun, pad_id: int) -> None:
        super().__init__(run)
        self._pad_id = pad_id

    def rows(self, examples: Sequence[Example]) -> Rows:
        """The rows of *examples*."""
        collate = packing.padded_collator(
            examples, pad_id=self._pad_id, pad_to=self.longest, answer_only=self.answer_only
        )
        lengths = [self.longest] * len(examples)
        return Rows(lengths, [self._targets(one) for one in examples], collate)


class Answers(PackedCases):
    """Answers alone, on stored states of their prompts; adapters apply to the answers."""

    attention = states.ROW_ATTENTION

    def __init__(self, run: SummaryRun, opening: list[int], folder: Path, network: str) -> None:
        """Keep the states by *network*, a name, in *folder*; *opening* opens an answer."""
        super().__init__(run)
        self._opening = opening
        self.adapted_tokens = len(opening)
        self._folder = folder
        self._store = states.PromptStore(folder / network)
        self.read = self._store.read

    def prepare(self, network: Any, examples: Sequence[Example], device: torch.device) -> None:
        """Store the states of all prompts."""
        prompts = [one.ids[: one.prompt_length - len(self._opening)] for one in examples]
        self._store.fill(network.eval(), prompts, device)
        network.set_attn_implementation(states.ANSWER_ATTENTION)

    def tokens(self, examples: Sequence[Example]) -> int:
        """How many tokens the network computes in an epoch: answers and their openings."""
        return sum(len(one.ids) - one.prompt_length + len(self._opening) for one in examples)

    def limit(self, network: Any) -> None:
        """Store in *network* that its adapters apply from the opening of an answer on."""
        networks.limit_to_answers(network, self._opening)

    def close(self) -> None:
        """Remove the stored states."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _collator(
        self, examples: Sequence[Example], rows: Sequence[Sequence[int]]
    ) -> Callable[[np.ndarray], Batch]:
        opening = len(self._opening)
        return packing.answers_collator(examples, rows, opening=opening, states_of=self._store.get)


def feeding_of(run: SummaryRun, tokenizer: Any, *, folder: Path, network: str) -> PackedCases:
    """How a run feeds its cases.

    Args:
        run: as configured.
        tokenizer: of the network.
        folder: for stored states.
        network: name of what computes them, in which format.
    """
    if run.adapter_scope == "answer":
        return Answers(run, networks.answer_opening(tokenizer), folder, network)
    return PackedCases(run) if run.packing else PaddedCases(run, tokenizer.pad_token_id)


def encode(cases: Sequence[Case], tokenizer: Any, run: SummaryRun) -> list[Example]:
    """Prompt, answer and end token of each case, together at most ``max_length`` tokens."""
    examples = []
    for case in cases:
        target = encode_texts(tokenizer, target_text(case.references), add_special_tokens=False)
        answer = [*target["input_ids"][: run.max_answer_tokens - 1], tokenizer.eos_token_id]
        room = run.max_length - len(answer)
        prompt = case_prompt(
            tokenizer, case, version=run.prompt, max_tokens=room, template=run.prompt_template
        )
        examples.append(Example([*prompt.ids, *answer], len(prompt.ids)))
    return examples

"""What a language model does on held-out cases while it is trained: its loss, and its answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from affectlab.summary.attention import using_attention
from affectlab.summary.cases import Case
from affectlab.summary.generate import answer_cases, parse_answers
from affectlab.summary.generator import Generator
from affectlab.summary.packing import next_token_loss_sum
from affectlab.summary.scores import Answer, compared_texts, rouge
from affectlab.summary.settings import SummaryRun
from affectlab.summary.states import decoding_attention

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from affectlab.summary.states import Read

Evaluate = Callable[["nn.Module"], dict[str, float]]

SELECT_BY = {"loss": "log_likelihood", "rouge_l": "rouge_l"}
"""What may choose the weights -> its name among the metrics of an evaluation."""


def loss_evaluator(
    lengths: Sequence[int],
    weights: Sequence[int],
    collate: Callable[..., Mapping[str, torch.Tensor]],
    device: torch.device,
) -> Evaluate:
    """Mean loss per predicted token of held-out rows, one row at a time.

    Args:
        lengths: tokens of each row.
        weights: tokens of each row that are predicted.
        collate: indices of rows to tensors.
        device: of the network.
    """

    def evaluate(network: nn.Module) -> dict[str, float]:
        total = 0.0
        for row in range(len(lengths)):
            batch = {name: t.to(device) for name, t in collate(np.array([row])).items()}
            total += next_token_loss_sum(network, batch).item()
        loss = total / sum(weights)
        return {"loss": loss, "log_likelihood": -loss, "perplexity": math.exp(min(loss, 50.0))}

    return evaluate


def with_answers(
    evaluate: Evaluate,
    cases: Sequence[Case],
    tokenizer: PreTrainedTokenizerBase,
    run: SummaryRun,
    device: torch.device,
    *,
    seed: int,
    adapted_tokens: int | None = None,
    read: Read | None = None,
) -> Evaluate:
    """Add to an evaluation ROUGE and validity of a network's answers to held-out cases.

    Answers that fail count as empty, be it all of them: later weights may do better.

    Args:
        evaluate: gives what else is to be known.
        cases: to be answered, as they would be after training.
        tokenizer: of the network.
        run: as configured.
        device: of the network.
        seed: of the sampling; the streams of the training are left as they are.
        adapted_tokens: as `Generator` takes it.
        read: as `Generator` takes it.
    """
    fields = cases[0].fields
    streams = [device] if device.type == "cuda" else []

    def evaluate_answers(network: nn.Module) -> dict[str, float]:
        generator = Generator(
            network,
            tokenizer,
            device,
            run.generation,
            adapted_tokens=adapted_tokens,
            read=read,
        )
        # Attention as for generation; that of training keeps nothing of what was read.
        attention = decoding_attention(network, device)
        with using_attention(network, attention), torch.random.fork_rng(streams):
            _, answers = answer_cases(generator, cases, run, fields=fields, seed=seed)
        return evaluate(network) | _scores(cases, parse_answers(cases, answers, fields))

    return evaluate_answers


def _scores(cases: Sequence[Case], answers: Sequence[Answer]) -> dict[str, float]:
    """Mean ROUGE, and the share of answers in the form asked for."""
    rouges = [rouge(*compared_texts(*pair)) for pair in zip(cases, answers, strict=True)]
    return {
        **{name: float(np.mean([row[name] for row in rouges])) for name in rouges[0]},
        "valid_output": float(np.mean([answer.valid for answer in answers])),
    }

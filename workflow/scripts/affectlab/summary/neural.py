"""Scores by further models, where they are configured: BERTScore, and support by inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from affectlab.errors import UserError
from affectlab.files.io import write_json
from affectlab.models import devices
from affectlab.models.text_models import encode_texts, load_pretrained, load_tokenizer
from affectlab.summary.answers import read_answers
from affectlab.summary.cases import Case, test_cases
from affectlab.summary.scores import Answer, compared_texts
from affectlab.summary.side_scores import side_metric
from affectlab.summary.text import Language, sentences, tokens

MAX_TOKENS = 512
BATCH = 16

PREMISE_SENTENCES = 3
"""Sentences of the case that a sentence of the summary is held against: those most like it."""


def score_run(
    *,
    records_path: Path,
    predictions_path: Path,
    details_path: Path,
    fold: int | None,
    bertscore_model: Path | None,
    nli_model: Path | None,
    level: float,
    threads: int,
    output_path: Path,
) -> None:
    """Store the mean BERTScore and the share of supported sentences, with intervals.

    Args:
        records_path: the tidy table of cases.
        predictions_path: predictions.jsonl of the run.
        details_path: details.jsonl of the run.
        fold: of the run.
        bertscore_model: checkpoint of a text encoder, or None.
        nli_model: checkpoint of a classifier with a class of entailment, or None.
        level: of the intervals, such as 0.95.
        threads: CPU threads.
        output_path: gets the scores, in the form of metrics.json.

    Raises:
        UserError: a model cannot be loaded, or the classifier lacks weights or a class of
            entailment.
    """
    devices.set_threads(threads)
    device = devices.choose_device()
    cases = test_cases(records_path, fold)
    answers = read_answers(predictions_path, details_path, cases)
    columns = {}
    if bertscore_model is not None:
        columns["bertscore"] = _bertscore_rows(bertscore_model, cases, answers, device)
    if nli_model is not None:
        columns["entailed_sentences"] = _entailment_rows(nli_model, cases, answers, device)
    groups = [case.group for case in cases]
    found = {name: side_metric(name, rows, groups, level) for name, rows in columns.items()}
    write_json(output_path, {"metrics": found}, sealed=True)


def _bertscore_rows(
    model: Path, cases: Sequence[Case], answers: Sequence[Answer], device: torch.device
) -> list[tuple[float, float]]:
    """BERTScore of each case, and its weight."""
    # The states of tokens need no pooler, which many encoders lack.
    encoder = _load(model, AutoModel, "a text encoder", device, whole=False)
    pairs = [compared_texts(case, answer)[:2] for case, answer in zip(cases, answers, strict=True)]
    return [(score, 1.0) for score in bert_scores(pairs, *encoder)]


def _entailment_rows(
    model: Path, cases: Sequence[Case], answers: Sequence[Answer], device: torch.device
) -> list[tuple[float, float]]:
    """Entailed sentences of each case's summary, and all of them."""
    classifier = _load(
        model, AutoModelForSequenceClassification, "a text classifier", device, whole=True
    )
    return [
        entailed_sentences(
            [claim for text in answer.fields.values() for claim in sentences(text, case.language)],
            case.text,
            case.language,
            *classifier,
        )
        for case, answer in zip(cases, answers, strict=True)
    ]


def bert_scores(
    pairs: Sequence[tuple[str, str]], tokenizer: PreTrainedTokenizerBase, encoder: PreTrainedModel
) -> list[float]:
    """BERTScore F1 (Zhang et al., ICLR 2020) of reference and prediction, last layer, no weights.

    Each token is matched with the most similar one of the other text (cosine); special tokens are
    left out, texts are cut at `MAX_TOKENS`. No rescaling; 0 where a text is empty.
    """
    return [
        _matched(
            _token_states(reference, tokenizer, encoder),
            _token_states(prediction, tokenizer, encoder),
        )
        for reference, prediction in pairs
    ]


def entailed_sentences(
    claims: Sequence[str],
    source: str,
    language: Language,
    tokenizer: PreTrainedTokenizerBase,
    classifier: PreTrainedModel,
) -> tuple[int, int]:
    """How many of the claims, a sentence each, the source entails, and how many there are.

    The premise of each is the `PREMISE_SENTENCES` sentences of the source that share most words
    with it; it counts if entailment is the likeliest class.
    """
    known = sentences(source, language)
    bags = [set(tokens(sentence, language)) for sentence in known]
    premises = []
    for claim in claims:
        words = set(tokens(claim, language))
        best = sorted(range(len(known)), key=lambda i: -len(words & bags[i]))[:PREMISE_SENTENCES]
        premises.append(" ".join(known[i] for i in sorted(best)))
    wanted = entailment_class(classifier.config.id2label)
    hits = 0
    for start in range(0, len(claims), BATCH):
        batch = encode_texts(
            tokenizer,
            premises[start : start + BATCH],
            claims[start : start + BATCH],
            padding=True,
            # The premise is the longer one, but for answers that never end.
            truncation="longest_first",
            max_length=MAX_TOKENS,
            return_tensors="pt",
        ).to(classifier.device)
        with torch.inference_mode():
            hits += int((classifier(**batch).logits.argmax(dim=1) == wanted).sum())
    return hits, len(claims)


def entailment_class(names: Mapping[int, str]) -> int:
    """The number of the class called entailment.

    Raises:
        UserError: there is none, or more than one.
    """
    found = [int(i) for i, name in names.items() if name.lower().startswith("entail")]
    if len(found) != 1:
        raise UserError(
            f"summary.nli_model: expected one class called entailment, found {dict(names)}"
        )
    return found[0]


def _load(
    directory: Path, auto_class: Any, purpose: str, device: torch.device, *, whole: bool
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    network = load_pretrained(
        directory,
        auto_class,
        purpose=purpose,
        settings={},
        dtype=torch.float32,
        device=device,
        whole=whole,
    )
    return load_tokenizer(directory), network.eval()


def _token_states(
    text: str, tokenizer: PreTrainedTokenizerBase, encoder: PreTrainedModel
) -> torch.Tensor:
    """Unit vectors of the tokens of *text*, (n, size)."""
    batch = encode_texts(
        tokenizer,
        text,
        truncation=True,
        max_length=MAX_TOKENS,
        return_special_tokens_mask=True,
        return_tensors="pt",
    )
    inner = batch.pop("special_tokens_mask")[0] == 0
    with torch.inference_mode():
        states = encoder(**batch.to(encoder.device)).last_hidden_state[0].cpu()
    return torch.nn.functional.normalize(states[inner], dim=1)


def _matched(reference: torch.Tensor, prediction: torch.Tensor) -> float:
    if not len(reference) or not len(prediction):
        return 0.0
    similarity = prediction @ reference.T
    precision = float(similarity.max(dim=1).values.mean())
    recall = float(similarity.max(dim=0).values.mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

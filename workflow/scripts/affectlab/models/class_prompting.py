"""Classes of texts, or of spans in them, by a language model that is prompted."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from affectlab.config.prompts import Prompt, PromptEndpoint
from affectlab.models.answer_cache import AnswerCache, key_of
from affectlab.models.class_answers import ClassAsker
from affectlab.models.class_prompts import ClassPrompt

logger = logging.getLogger(__name__)

ANSWERS_NAME = "answers.jsonl"

SPAN_CHARACTERS = 300
"""Of a span, so that the prompt has room for its text; a longer one loses its middle."""


class Question(NamedTuple):
    """What a model is asked about: a text, or a span in it."""

    text: str
    span: str | None = None


class Found(NamedTuple):
    """What a model found.

    Attributes:
        name: the likeliest class, or the one it answered with; None: its answer is no class.
        probabilities: of the classes, in their order; None where they are not known.
        cut: whether the text was too long, so that its middle was not read.
    """

    name: str | None
    probabilities: list[float] | None
    cut: bool


def classified(
    questions: Sequence[Question],
    classes: Sequence[str],
    settings: Prompt,
    *,
    language: str | None,
    model_directory: Path | None,
    model_name: str,
    work_directory: Path,
    threads: int,
    path: str,
) -> tuple[list[Found], dict[str, Any]]:
    """Classify texts with a local model, or one behind an endpoint.

    Args:
        questions: at least one; all about texts, or all about spans.
        classes: names, in their order.
        settings: of the run.
        language: ISO 639 code of the data; None if it is not known.
        model_directory: checkpoint of the local model; None with an endpoint.
        model_name: of the local model.
        work_directory: holds the answers so far; a run that was interrupted resumes with them.
        threads: of the CPU.
        path: of *settings* in the configuration, for messages.

    Returns:
        What was found for each question, and the record of how: ``prompt`` (version, language,
        sha256), ``model``, ``decoding``, and the numbers ``asked``, ``invalid``, ``refused`` and
        ``cut``.

    Raises:
        UserError: the model cannot be used, or the endpoint does not answer.
    """
    prompt = ClassPrompt(
        settings, classes, language, spans=any(one.span is not None for one in questions)
    )
    questions = [one._replace(span=one.span and _named(one.span)) for one in questions]
    cache = AnswerCache(work_directory / ANSWERS_NAME)
    refused = 0
    if settings.endpoint is not None:
        asker = ClassAsker(settings.endpoint, f"{path}.endpoint", classes, cache)
        found, refused = _asked(asker, prompt, questions)
    else:
        assert model_directory is not None
        found = _scored(
            questions, classes, settings, prompt, model_directory, threads=threads, cache=cache
        )
    if cut := sum(one.cut for one in found):
        logger.warning("%d of %d texts are too long: their middle was not read", cut, len(found))
    return found, {
        "prompt": {
            "version": None if settings.template is not None else settings.version,
            "language": prompt.language,
            "sha256": prompt.sha256,
        },
        "model": settings.model_in_use(model_name),
        "decoding": _decoding(settings.endpoint),
        "asked": len(found),
        "invalid": sum(one.name is None for one in found),
        "refused": refused,
        "cut": cut,
    }


def _named(span: str) -> str:
    """A span as a prompt names it."""
    half = SPAN_CHARACTERS // 2
    return span if len(span) <= SPAN_CHARACTERS else f"{span[:half]} [...] {span[-half:]}"


def _decoding(endpoint: PromptEndpoint | None) -> str:
    """How answers are limited to the classes."""
    if endpoint is None:
        return "likelihood"
    return "json_schema" if endpoint.json_schema else "free"


def _asked(
    asker: ClassAsker, prompt: ClassPrompt, questions: Sequence[Question]
) -> tuple[list[Found], int]:
    """What an endpoint answers, and how many questions it refused."""
    texts = [asker.shortened(one.text) for one in questions]
    spans = [one.span and asker.shortened(one.span)[0] for one in questions]
    answers = asker.answers(
        [prompt.filled(text, span) for (text, _), span in zip(texts, spans, strict=True)]
    )
    found = [Found(one.name, None, cut) for one, (_, cut) in zip(answers, texts, strict=True)]
    return found, sum(one.refused for one in answers)


def _scored(
    questions: Sequence[Question],
    classes: Sequence[str],
    settings: Prompt,
    prompt: ClassPrompt,
    directory: Path,
    *,
    threads: int,
    cache: AnswerCache,
) -> list[Found]:
    """What a local model finds likeliest."""
    from affectlab.assets.checkpoints import weights_digest
    from affectlab.models.class_scores import ClassScorer, softmax

    scorer = ClassScorer.load(
        directory,
        classes,
        max_length=settings.max_length,
        precision=settings.precision,
        threads=threads,
    )
    prompts = [scorer.prompt(one.text, partial(prompt.filled, span=one.span)) for one in questions]
    weights = weights_digest(directory)
    keys = [key_of(weights, settings.precision, list(classes), one.ids) for one in prompts]
    scores = _with_cache(scorer, [one.ids for one in prompts], keys, cache)
    found = []
    for one, values in zip(prompts, scores, strict=True):
        shares = softmax(values)
        found.append(Found(classes[int(shares.argmax())], shares.tolist(), one.cut_tokens > 0))
    return found


def _with_cache(
    scorer: Any, prompts: Sequence[list[int]], keys: Sequence[str], cache: AnswerCache
) -> Iterator[Any]:
    """The scores of each prompt, of which those in *cache* are not computed again."""
    import numpy as np
    from tqdm import tqdm

    from affectlab.models.class_scores import common_start

    missing = {key: ids for key, ids in zip(keys, prompts, strict=True) if key not in cache}
    computed = scorer.log_likelihoods(list(missing.values()), common_start(prompts))
    with tqdm(total=len(missing), desc="scoring", unit="text", mininterval=1.0) as bar:
        for key, values in zip(missing, computed, strict=True):
            cache.add(key, {"log_likelihoods": values.tolist()})
            bar.update()
    cache.forget_others(set(keys))
    return (np.array(cache[key]["log_likelihoods"]) for key in keys)


def prediction_row(
    found: Found, classes: Sequence[str], truth: Collection[str], ranking: Sequence[str]
) -> dict[str, Any]:
    """What a table of predictions holds of an item, beside what identifies it.

    An answer that is no class counts as wrong: it is entered as the commonest class that is not
    true, and marked as ``invalid``. Scores of that class can only be too low.

    Args:
        found: of the item.
        classes: names, in their order.
        truth: the true classes.
        ranking: the classes, the commonest of the training split first.
    """
    wrong = next((name for name in ranking if name not in truth), ranking[0])
    row: dict[str, Any] = {"prediction": wrong if found.name is None else found.name}
    if found.probabilities is not None:
        row["probabilities"] = dict(zip(classes, found.probabilities, strict=True))
    row["cut"] = found.cut
    return row if found.name is not None else {**row, "invalid": True}


def ranked(counts: Mapping[str, int]) -> list[str]:
    """The classes by their counts, the commonest first; equal ones in their order."""
    return sorted(counts, key=lambda name: -counts[name])


def remove_answers(work_directory: Path) -> None:
    """Delete the answers so far."""
    (work_directory / ANSWERS_NAME).unlink(missing_ok=True)

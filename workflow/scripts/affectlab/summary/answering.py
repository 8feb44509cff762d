"""Answering requests in batches: resumable, no case lost to another's error."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from affectlab.files.io import append_jsonl, drop_torn_line, read_jsonl
from affectlab.summary.generator import Generator

if TYPE_CHECKING:
    from affectlab.summary.constrain import FieldsGrammar

logger = logging.getLogger(__name__)


class Request(NamedTuple):
    """What the model is to answer: its tokens, and what became of the case on the way."""

    id: str
    ids: list[int]
    case_tokens: int
    cut_tokens: int


def length_sorted_batches(requests: Sequence[Request], batch_tokens: int) -> list[list[Request]]:
    """Requests of similar length together, longest first, at most *batch_tokens* padded tokens."""
    batches: list[list[Request]] = []
    for request in sorted(requests, key=lambda one: (-len(one.ids), one.id)):
        if batches and (len(batches[-1]) + 1) * len(batches[-1][0].ids) <= batch_tokens:
            batches[-1].append(request)
        else:
            batches.append([request])
    return batches


def answer_all(
    generator: Generator,
    requests: Sequence[Request],
    *,
    max_tokens: int,
    seed: int,
    grammar: FieldsGrammar | None = None,
    progress_path: Path | None = None,
    fingerprint: str = "",
) -> dict[str, dict[str, Any]]:
    """Answer every request; a failing batch is tried one by one, a failing request recorded.

    With *progress_path*, batches that were answered before (under the same *fingerprint*) are not
    answered again, unless a request of theirs failed; a batch is sampled from its own seed, so that
    an interrupted run ends in the same answers.

    Returns:
        Request id -> ``text``, ``answer_tokens``, ``error`` (None, or what went wrong).
    """
    from tqdm import tqdm

    batches = length_sorted_batches(requests, generator.settings.batch_tokens)
    done = read_progress(progress_path, fingerprint)
    with tqdm(total=len(requests), desc="generating", unit="case", mininterval=1.0) as bar:
        for number, batch in enumerate(batches):
            if not all(request.id in done for request in batch):
                found = _answer_batch(
                    generator, batch, max_tokens=max_tokens, seed=seed + number, grammar=grammar
                )
                done |= found
                _append_progress(progress_path, fingerprint, found)
            bar.update(len(batch))
    failed = [request.id for request in requests if done[request.id]["error"] is not None]
    if failed:
        logger.warning("%d of %d cases were not answered: %s", len(failed), len(requests), failed)
    return {request.id: done[request.id] for request in requests}


def _answer_batch(
    generator: Generator,
    batch: Sequence[Request],
    *,
    max_tokens: int,
    seed: int,
    grammar: FieldsGrammar | None,
) -> dict[str, dict[str, Any]]:
    try:
        answers = generator.answer(
            [r.ids for r in batch], max_tokens=max_tokens, seed=seed, grammar=grammar
        )
    except (RuntimeError, ValueError, IndexError) as error:
        if len(batch) > 1:
            logger.warning("a batch of %d failed (%s): one by one", len(batch), error)
            parts = [
                _answer_batch(generator, [one], max_tokens=max_tokens, seed=seed, grammar=grammar)
                for one in batch
            ]
            return {name: row for part in parts for name, row in part.items()}
        problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return {batch[0].id: {"text": "", "answer_tokens": 0, "error": problem}}
    return {
        request.id: {
            "text": generator.tokenizer.decode(ids, skip_special_tokens=True),
            "answer_tokens": len(ids),
            "error": None,
        }
        for request, ids in zip(batch, answers, strict=True)
    }


def read_progress(path: Path | None, fingerprint: str) -> dict[str, dict[str, Any]]:
    """Read the answers stored under *fingerprint*, without failures and a line cut by a crash."""
    if path is None or not path.exists():
        return {}
    drop_torn_line(path)
    return {
        row["id"]: row["answer"]
        for row in read_jsonl(path)
        if row["fingerprint"] == fingerprint and row["answer"]["error"] is None
    }


def _append_progress(
    path: Path | None, fingerprint: str, found: Mapping[str, Mapping[str, Any]]
) -> None:
    rows = ({"id": name, "fingerprint": fingerprint, "answer": row} for name, row in found.items())
    if path is not None:
        append_jsonl(path, rows)

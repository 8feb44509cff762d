"""Requests for cases: their prompts, cut or summarised in notes where a case is too long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.summary.answering import Request, answer_all
from affectlab.summary.cases import Case
from affectlab.summary.generator import Generator
from affectlab.summary.prompts import build_prompt, case_text, chunks, task_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NOTES_TOKENS = 200
"""Longest note on one chunk of a case in map-reduce."""


def build_requests(
    generator: Generator,
    cases: Sequence[Case],
    run: Mapping[str, Any],
    *,
    seed: int,
    progress_path: Path | None = None,
    fingerprint: str = "",
) -> Iterator[Request]:
    """A request for each case; with ``map_reduce``, long cases are first turned into notes.

    What is in parts for which the model gave no note counts as cut off; a case without any note
    is asked about as with ``head_tail``. Notes are kept in *progress_path*, as in `answer_all`.
    """
    room = run["max_length"] - run["max_answer_tokens"]
    for case in cases:
        text = case_text(case)
        whole = _request(generator.tokenizer, case, text, run, room)
        if whole.cut_tokens and run["long_input"] == "map_reduce":
            requests = _note_requests(generator.tokenizer, case, text, run, room)
            found = answer_all(
                generator,
                requests,
                max_tokens=min(NOTES_TOKENS, run["max_answer_tokens"]),
                seed=seed,
                progress_path=progress_path,
                fingerprint=fingerprint,
            )
            notes = [found[request.id]["text"].strip() for request in requests]
            lost = sum(
                request.case_tokens
                for request, note in zip(requests, notes, strict=True)
                if not note
            )
            if any(notes):
                reduced = _request(generator.tokenizer, case, "\n".join(notes), run, room)
                whole = reduced._replace(
                    case_tokens=whole.case_tokens, cut_tokens=reduced.cut_tokens + lost
                )
        yield whole


def _request(
    tokenizer: PreTrainedTokenizerBase, case: Case, text: str, run: Mapping[str, Any], room: int
) -> Request:
    prompt = build_prompt(
        tokenizer,
        text,
        task=task_of(case),
        version=run["prompt"],
        language=case.language,
        max_tokens=room,
    )
    return Request(case.id, prompt.ids, prompt.case_tokens, prompt.cut_tokens)


def _note_requests(
    tokenizer: PreTrainedTokenizerBase, case: Case, text: str, run: Mapping[str, Any], room: int
) -> list[Request]:
    """What the model is asked to note of each chunk of a long case."""
    requests = []
    # A chunk leaves room for the instruction around it.
    for number, piece in enumerate(chunks(tokenizer, text, room // 2)):
        prompt = build_prompt(
            tokenizer,
            piece,
            task="notes",
            version=run["prompt"],
            language=case.language,
            max_tokens=room,
        )
        name = f"{case.id}, part {number + 1}"
        requests.append(Request(name, prompt.ids, prompt.case_tokens, prompt.cut_tokens))
    return requests

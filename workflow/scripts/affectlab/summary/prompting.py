"""Requests for cases: their prompts, cut or summarised in notes where a case is too long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affectlab.summary.answering import Request, answer_all
from affectlab.summary.cases import OWN_TASK, Case
from affectlab.summary.generator import Generator
from affectlab.summary.prompts import build_prompt, case_prompt, case_text, chunks
from affectlab.summary.settings import SummaryRun

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NOTES_TOKENS = 200
"""Longest note on one chunk of a case in map-reduce."""


def build_requests(
    generator: Generator,
    cases: Sequence[Case],
    run: SummaryRun,
    *,
    seed: int,
    progress_path: Path | None = None,
    fingerprint: str = "",
) -> Iterator[Request]:
    """A request for each case; with ``map_reduce``, long cases are first turned into notes.

    What is in parts for which the model gave no note counts as cut off; a case without any note
    is asked about as with ``head_tail``. Notes are kept in *progress_path*, as in `answer_all`.
    """
    for case in cases:
        whole = _request(generator.tokenizer, case, run)
        if whole.cut_tokens and run.long_input == "map_reduce":
            requests = _note_requests(generator.tokenizer, case, run)
            found = answer_all(
                generator,
                requests,
                max_tokens=min(NOTES_TOKENS, run.max_answer_tokens),
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
                reduced = _request(generator.tokenizer, case, run, "\n".join(notes))
                whole = reduced._replace(
                    case_tokens=whole.case_tokens, cut_tokens=reduced.cut_tokens + lost
                )
        yield whole


def _request(
    tokenizer: PreTrainedTokenizerBase, case: Case, run: SummaryRun, text: str | None = None
) -> Request:
    prompt = case_prompt(
        tokenizer,
        case,
        version=run.prompt,
        max_tokens=run.prompt_tokens,
        text=text,
        template=run.prompt_template,
    )
    return Request(case.id, *prompt)


def _note_requests(
    tokenizer: PreTrainedTokenizerBase, case: Case, run: SummaryRun
) -> list[Request]:
    """What the model is asked to note of each chunk of a long case."""
    requests = []
    # A chunk leaves room for the instruction around it.
    pieces = chunks(tokenizer, case_text(case), run.prompt_tokens // 2)
    for number, piece in enumerate(pieces, start=1):
        prompt = build_prompt(
            tokenizer,
            piece,
            task="part" if case.task == OWN_TASK else "notes",
            version=run.prompt,
            language=case.language,
            max_tokens=run.prompt_tokens,
        )
        requests.append(Request(f"{case.id}, part {number}", *prompt))
    return requests

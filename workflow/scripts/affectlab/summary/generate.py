"""Writing the summaries of a run with a language model, and storing them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.assets.checkpoints import weights_digest
from affectlab.config.models import given
from affectlab.errors import UserError
from affectlab.summary.answering import Request, answer_all, read_progress
from affectlab.summary.answers import detail, parse, write_details, write_predictions
from affectlab.summary.cases import Case, read_split
from affectlab.summary.generator import Generator, load_generator
from affectlab.summary.prompting import build_requests
from affectlab.summary.scores import Answer
from affectlab.summary.settings import SummaryRun

logger = logging.getLogger(__name__)

PROGRESS_NAME = "answers.jsonl"
NOTES_NAME = "notes.jsonl"


def answer_cases(
    generator: Generator,
    cases: Sequence[Case],
    run: SummaryRun,
    *,
    fields: Sequence[str],
    seed: int,
    work_directory: Path | None = None,
    fingerprint: str = "",
) -> tuple[list[Request], dict[str, dict[str, Any]]]:
    """Ask for the *fields* of each case, after notes on long ones if *run* wants them.

    With *work_directory*, answers and notes are kept in it as in `answer_all`, until
    `remove_progress`; that there are some of the same *fingerprint* is logged.

    Returns:
        A request for each case, in their order, and what `answer_all` gives for these.
    """
    notes_path = progress_path = None
    if work_directory is not None:
        notes_path, progress_path = work_directory / NOTES_NAME, work_directory / PROGRESS_NAME
    notes, answers = (len(read_progress(path, fingerprint)) for path in (notes_path, progress_path))
    if notes or answers:
        logger.info(
            "going on with what is kept in %s: %d of %d cases answered, %d parts of long ones "
            "noted",
            work_directory,
            answers,
            len(cases),
            notes,
        )
    requests = list(
        build_requests(
            generator, cases, run, seed=seed, progress_path=notes_path, fingerprint=fingerprint
        )
    )
    _report_cut(requests, run)
    found = answer_all(
        generator,
        requests,
        max_tokens=run.max_answer_tokens,
        seed=seed,
        grammar=generator.grammar(fields, run.max_answer_tokens),
        progress_path=progress_path,
        fingerprint=fingerprint,
    )
    return requests, found


def _report_cut(requests: Sequence[Request], run: SummaryRun) -> None:
    """Log how many cases are longer than what the model reads."""
    cut = [request for request in requests if request.cut_tokens]
    if cut:
        logger.warning(
            "%d of %d cases are longer than what the model reads (max_length %d less "
            "max_answer_tokens %d): %d of their %d tokens were left out, first of %s",
            len(cut),
            len(requests),
            run.max_length,
            run.max_answer_tokens,
            sum(request.cut_tokens for request in cut),
            sum(request.case_tokens for request in cut),
            cut[0].id,
        )


def remove_progress(work_directory: Path) -> None:
    """Delete what `answer_cases` kept, once its answers are stored."""
    for name in (NOTES_NAME, PROGRESS_NAME):
        (work_directory / name).unlink(missing_ok=True)


def generate(
    *,
    records_path: Path,
    base_model: Path,
    adapter: Path | None,
    run: SummaryRun,
    seed: int,
    threads: int,
    predictions_path: Path,
    details_path: Path,
    work_directory: Path,
) -> None:
    """Summarise the test cases of a run with its model.

    Args:
        records_path: the tidy table of cases.
        base_model: checkpoint directory of the pretrained model.
        adapter: the run's adapter; None for a model as it is (method ``prompt``).
        run: as configured.
        seed: of the sampling.
        threads: CPU threads.
        predictions_path: gets the fields in the benchmark's submission format.
        details_path: gets one line a case: split, raw text, validity, token counts, error.
        work_directory: holds the answers so far; they go when all is stored.

    Raises:
        UserError: no test cases, an unusable model, or not one case could be answered.
    """
    from affectlab.files.io import sha256_file
    from affectlab.training.checkpoints import fingerprint

    cases = read_split(records_path, "test", run.fold)
    if not cases:
        raise UserError(f"{records_path}: no cases in the test split")
    generator = load_generator(
        base_model, adapter, run.generation, four_bit=run.is_four_bit, threads=threads
    )
    key = fingerprint(
        given(run), seed, sha256_file(records_path), weights_digest(adapter or base_model)
    )
    requests, found = answer_cases(
        generator,
        cases,
        run,
        fields=cases[0].fields,
        seed=seed,
        work_directory=work_directory,
        fingerprint=key,
    )
    _check_answered(records_path, found)
    store_answers(cases, requests, found, predictions_path, details_path)
    remove_progress(work_directory)


def _check_answered(records_path: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise if every case failed: scores of 0 would pass for the model's."""
    errors = [row["error"] for row in found.values()]
    if None not in errors:
        ((commonest, _),) = Counter(errors).most_common(1)
        raise UserError(
            f"{records_path}: none of the {len(errors)} test cases could be answered, most often "
            f"for this reason: {commonest}"
        )


def store_answers(
    cases: Sequence[Case],
    requests: Sequence[Request],
    found: Mapping[str, Mapping[str, Any]],
    predictions_path: Path,
    details_path: Path,
) -> None:
    """Write predictions and details of answered requests."""
    answers = parse_answers(cases, found, cases[0].fields)
    write_predictions(predictions_path, cases, answers, sealed=True)
    write_details(
        details_path,
        (
            detail(
                case,
                answer,
                case_tokens=request.case_tokens,
                cut_tokens=request.cut_tokens,
                **found[case.id],
            )
            for case, request, answer in zip(cases, requests, answers, strict=True)
        ),
    )


def parse_answers(
    cases: Sequence[Case], found: Mapping[str, Mapping[str, Any]], fields: Sequence[str]
) -> list[Answer]:
    """The *fields* of each case in what `answer_all` gave."""
    return [
        parse(found[case.id]["text"], fields)._replace(failed=found[case.id]["error"] is not None)
        for case in cases
    ]

"""``affectlab predict summary``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.errors import UserError
from affectlab.files.io import atomic_writer
from affectlab.terminal.items import TABLES, BadInput, read_items
from affectlab.terminal.options import (
    add_input_options,
    add_model_options,
    add_output_options,
    check_options,
)
from affectlab.terminal.output import Failures, Output, open_output

if TYPE_CHECKING:
    from affectlab.summary.cases import Case
    from affectlab.summary.scores import Answer

STANDARD_INPUT = Path("/dev/stdin")


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict summary``; see `Experiment.commands`."""
    summary = predict.add_parser("summary", help="summaries of cases")
    add_input_options(summary, "TEXT", "cases")
    add_model_options(summary)
    add_output_options(summary)
    summary.add_argument(
        "--base-model", type=Path, help="checkpoint of the base model, if the adapter is not merged"
    )
    summary.add_argument("--seed", type=int, default=0, help="of the sampling (default 0)")
    summary.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.summary.answers import submission, write_predictions
    from affectlab.summary.predict import CaseSummarizer

    logging.basicConfig(format="affectlab: %(message)s")
    # Of other packages, warnings alone.
    logging.getLogger("affectlab").setLevel(logging.INFO)
    check_options(options, "cases")
    summarizer = CaseSummarizer.from_directory(
        options.model,
        base_model=options.base_model,
        device=options.device,
        precision=options.precision,
    )
    failures = Failures()
    cases = _cases(options, summarizer.fields, failures)
    if options.output is None:
        answers, failed = summarizer.answers(cases, seed=options.seed)
        with open_output(options) as output:
            for row in submission(cases, answers):
                output.write(row)
    else:
        write = _write_table if options.format == "csv" else write_predictions
        failed = summarizer.summarise_to(options.output, cases, seed=options.seed, write=write)
    for name, reason in failed.items():
        print(f"affectlab: case {name}: {reason}", file=sys.stderr)
    if failed:
        print(f"affectlab: {len(failed)} cases could not be summarised", file=sys.stderr)
    return max(failures.status("cases"), 1 if failed else 0)


def _cases(options: argparse.Namespace, fields: Sequence[str], failures: Failures) -> list[Case]:
    """The cases of a command: whole ones of a file, or texts, which are their descriptions."""
    from affectlab.summary.layouts import case_of_text, read_requests

    path = STANDARD_INPUT if options.items == ["-"] else options.file
    columns = options.column is not None or options.id is not None
    if path is not None and not columns and path.suffix.lower() not in (*TABLES, ".txt"):
        return read_requests(path, fields, failures.report)
    cases = []
    for number, item in enumerate(read_items(options), start=1):
        if isinstance(item, BadInput):
            failures.report(item.place, item.problem)
            continue
        try:
            cases.append(case_of_text(item.identity.get("id", number), item.value, fields))
        except ValueError as error:
            failures.report(f"case {number}", str(error))
    if not cases:
        raise UserError("none of the cases can be read")
    return cases


def _write_table(path: Path, cases: Sequence[Case], answers: Sequence[Answer]) -> None:
    from affectlab.summary.answers import submission

    with atomic_writer(path) as stream:
        output = Output(stream, "csv")
        for row in submission(cases, answers):
            output.write(row)

"""From what a model wrote to the fields of a summary, and the files they are kept in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from affectlab.errors import DataError
from affectlab.evaluation.predictions import Line, check_items, prediction_lines
from affectlab.files.io import write_jsonl
from affectlab.models.replies import DECODER, after_thinking, json_objects
from affectlab.summary.cases import OWN_TASK, REFLECTION, Case, task_of, text_problem
from affectlab.summary.scores import Answer

SUBMITTED = {
    "causes": "predicted_cause",
    "symptoms": "predicted_symptoms",
    "treatment_process": "predicted_treatment_process",
    "characteristics_of_illness": "predicted_illness_Characteristics",
    "treatment_effect": "predicted_treatment_effect",
    REFLECTION: "predicted_experience_and_reflection",
}
"""Field -> its name in the benchmark's submissions (the last one is the original project's).

Fields of users' own data keep their names.
"""

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
"""Ids that are written as numbers, as the benchmark's are; others could not be read back."""

_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
"""What `text_problem` refuses: NUL, and half a surrogate pair, which UTF-8 does not know."""


def target_text(references: Mapping[str, str]) -> str:
    """What a model is trained to write: the text of a single field, or several fields as JSON."""
    if len(references) == 1:
        return next(iter(references.values()))
    return json.dumps(dict(references), ensure_ascii=False)


def parse(text: str, fields: Sequence[str]) -> Answer:
    """Read a model's output.

    An output in the form asked for (one JSON object with exactly *fields*, each a non-empty
    string; for a single field, any text) is valid. From others, whatever fields can be found are
    taken, and the answer is marked as repaired: those of the last JSON object that has any, else
    what follows their names. What a model thinks aloud first is left out.
    """
    if len(fields) == 1:
        written = _as_text(after_thinking(text))
        return Answer({fields[0]: written}, bool(written))
    for whole in (text, after_thinking(text)):
        found = _load(whole.strip())
        if set(found) == set(fields) and all(
            isinstance(value, str) and value.strip() for value in found.values()
        ):
            return Answer({name: _as_text(found[name]) for name in fields}, True)
    answer = after_thinking(text)
    with_fields = [one for one in json_objects(answer) if set(one) & set(fields)]
    if with_fields:
        repaired = {name: _as_text(with_fields[-1].get(name)) for name in fields}
    else:
        repaired = _loose_fields(answer, fields)
    return Answer(
        {name: repaired.get(name, "") for name in fields}, False, repaired=any(repaired.values())
    )


def write_predictions(
    path: Path, cases: Sequence[Case], answers: Sequence[Answer], *, sealed: bool = False
) -> None:
    """Write answers in the benchmark's submission format: id and one text a field.

    Args:
        path: of the file.
        cases: that were asked about.
        answers: of each.
        sealed: whether its SHA-256 is kept with it (`files.io.sealed_path`).
    """
    write_jsonl(path, submission(cases, answers), sealed=sealed)


def submission(cases: Sequence[Case], answers: Sequence[Answer]) -> Iterator[dict[str, Any]]:
    """Yield the answer of each case in the benchmark's submission format."""
    for case, answer in zip(cases, answers, strict=True):
        yield {
            "id": int(case.id) if _NUMBER.fullmatch(case.id) else case.id,
            **{
                name: answer.fields.get(field, "")
                for field, name in submitted_names(case.fields).items()
            },
        }


def submitted_names(fields: Sequence[str]) -> dict[str, str]:
    """Field -> its name in a file of predictions."""
    own = task_of(fields) == OWN_TASK
    return {field: field if own else SUBMITTED[field] for field in fields}


def read_predictions(path: Path | str, cases: Sequence[Case]) -> list[dict[str, str]]:
    """Read and validate a file in the submission format.

    Returns:
        The fields of each of *cases*, in their order.

    Raises:
        DataError: a line is no prediction, an id is unknown or comes twice, or one is missing.
    """
    known = {case.id: case for case in cases}
    found: dict[str, dict[str, str]] = {}
    for line in prediction_lines(path):
        identity = _identity(line)
        if identity not in known:
            raise line.error(f"the id {identity!r} is not one of the cases")
        if identity in found:
            raise line.error(f"a second prediction for {identity!r}")
        submitted = submitted_names(known[identity].fields)
        for name in submitted.values():
            if not isinstance(line.values.get(name), str):
                raise line.error(f"expected the field {name} with a string")
            if problem := text_problem(name, line.values[name], needed=False):
                raise line.error(problem)
        if extra := sorted(set(line.values) - {"id", *submitted.values()}):
            raise line.error(f"unknown field {' and '.join(extra)}")
        found[identity] = {field: line.values[name] for field, name in submitted.items()}
    check_items(path, "the split test", found, known)
    return [found[case.id] for case in cases]


def _identity(line: Line) -> str:
    """The id of a prediction, which may be written as a number."""
    value = line.values.get("id")
    return str(line.count("id")) if isinstance(value, int) else line.text("id")


def detail(
    case: Case,
    answer: Answer,
    *,
    text: str = "",
    error: str | None = None,
    case_tokens: int | None = None,
    cut_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> dict[str, Any]:
    """What is stored of an answer next to its fields; without a model, there are no tokens."""
    return {
        "id": case.id,
        "split": case.split,
        "text": text,
        "valid": answer.valid,
        "repaired": answer.repaired,
        "error": error,
        "case_tokens": case_tokens,
        "cut_tokens": cut_tokens,
        "answer_tokens": answer_tokens,
    }


def write_details(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write the `detail` of each answer, one object a line."""
    write_jsonl(path, rows, sealed=True)


def read_answers(
    predictions_path: Path | str, details_path: Path | str, cases: Sequence[Case]
) -> list[Answer]:
    """Bring predictions and their details together, in the order of *cases*.

    Raises:
        DataError: either file does not fit the cases.
    """
    known = {case.id for case in cases}
    details: dict[str, tuple[bool, bool, bool]] = {}
    for line in prediction_lines(details_path):
        identity = line.text("id")
        if identity not in known:
            raise line.error(f"the id {identity!r} is not one of the cases")
        if identity in details:
            raise line.error(f"a second line about {identity!r}")
        details[identity] = _details(line)
    if missing := sorted(known - set(details)):
        raise DataError(details_path, None, f"nothing about the case {missing[0]}")
    answers = []
    for case, fields in zip(cases, read_predictions(predictions_path, cases), strict=True):
        valid, repaired, failed = details[case.id]
        if valid and not all(fields.values()):
            problem = f"the case {case.id} is called valid, but a field of its prediction is empty"
            raise DataError(details_path, None, problem)
        answers.append(Answer(fields, valid, repaired, failed))
    return answers


def _details(line: Line) -> tuple[bool, bool, bool]:
    """Whether an output was valid, was repaired, or could not be made."""
    valid, repaired = line.flag("valid"), line.flag("repaired")
    if valid and repaired:
        raise line.error("valid and repaired: expected at most one of them")
    failed = line.values.get("error") is not None
    if failed:
        line.text("error")
    if line.values.get("case_tokens") is not None:
        for name in ("case_tokens", "cut_tokens", "answer_tokens"):
            line.count(name)
    return valid, repaired, failed


def _load(text: str) -> dict[str, Any]:
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _as_text(value: Any) -> str:
    """A JSON value as a text that can be stored."""
    try:
        return _UNSTORABLE.sub("\ufffd", _flat(value))
    except RecursionError:
        return ""


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(_flat(item) for item in value)
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _loose_fields(text: str, fields: Sequence[str]) -> dict[str, str]:
    """Fields in an output that is no JSON: what is between a name and the next one or a brace.

    Of a name that occurs several times the last one with a text counts.
    """
    names = "|".join(re.escape(name) for name in fields)
    marks = list(re.finditer(rf'({names})"?\s{{0,9}}[:：]', text))
    found: dict[str, str] = {}
    for mark, following in zip_longest(marks, marks[1:]):
        value = text[mark.end() : following.start() if following else len(text)]
        value = value.partition("}")[0]
        if following:
            value = value.rstrip('",{- \t\r\n')
        if value := value.strip().strip('",').strip():
            found[mark.group(1)] = _as_text(value)
    return found

"""From what a model wrote to the fields of a summary, and the files they are kept in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.core.errors import DataError
from affectlab.core.io import read_jsonl, write_jsonl
from affectlab.summary.cases import REFLECTION, Case, text_problem
from affectlab.summary.scores import Answer

SUBMITTED = {
    "causes": "predicted_cause",
    "symptoms": "predicted_symptoms",
    "treatment_process": "predicted_treatment_process",
    "characteristics_of_illness": "predicted_illness_Characteristics",
    "treatment_effect": "predicted_treatment_effect",
    REFLECTION: "predicted_experience_and_reflection",
}
"""Field -> its name in the benchmark's submissions (the last one is the original project's)."""

_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
"""Ids that are written as numbers, as the benchmark's are; others could not be read back."""

_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
"""What `text_problem` refuses: NUL, and half a surrogate pair, which UTF-8 does not know."""


def target_text(references: Mapping[str, str]) -> str:
    """What a model is trained to write: the reflection itself, or the fields as JSON."""
    if tuple(references) == (REFLECTION,):
        return references[REFLECTION]
    return json.dumps(dict(references), ensure_ascii=False)


def parse(text: str, fields: Sequence[str]) -> Answer:
    """Read a model's output.

    An output in the form asked for (one JSON object with exactly *fields*, each a non-empty
    string; for a reflection, any text) is valid. From others, whatever fields can be found are
    taken, and the answer is marked as repaired.
    """
    if tuple(fields) == (REFLECTION,):
        written = _as_text(text)
        return Answer({REFLECTION: written}, bool(written), False, False)
    found = _load(text.strip())
    if set(found) == set(fields) and all(
        isinstance(value, str) and value.strip() for value in found.values()
    ):
        return Answer({name: _as_text(found[name]) for name in fields}, True, False, False)
    inner = _OBJECT.search(text)
    found = found or (_load(inner.group()) if inner else {})
    repaired = {name: _as_text(found[name]) for name in fields if name in found} or {
        name: _as_text(value) for name in fields if (value := _loose_field(text, name, fields))
    }
    return Answer(
        {name: repaired.get(name, "") for name in fields},
        False,
        any(repaired.values()),
        False,
    )


def write_predictions(path: Path, cases: Sequence[Case], answers: Sequence[Answer]) -> None:
    """Write answers in the benchmark's submission format: id and one text a field."""
    write_jsonl(
        path,
        (
            {"id": int(case.id) if _NUMBER.fullmatch(case.id) else case.id}
            | {SUBMITTED[name]: answer.fields.get(name, "") for name in case.fields}
            for case, answer in zip(cases, answers, strict=True)
        ),
    )


def read_predictions(path: Path | str, cases: Sequence[Case]) -> list[dict[str, str]]:
    """Read and validate a file in the submission format.

    Returns:
        The fields of each of *cases*, in their order.

    Raises:
        DataError: a line is no prediction, an id is unknown or comes twice, or one is missing.
    """
    known = {case.id: case for case in cases}
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(read_jsonl(path), start=1):
        place = f"record {number}"
        identity = str(row.get("id", ""))
        if identity not in known:
            raise DataError(path, place, f"the id {identity!r} is not one of the cases")
        if identity in found:
            raise DataError(path, place, f"a second prediction for {identity!r}")
        names = [SUBMITTED[name] for name in known[identity].fields]
        for name in names:
            if not isinstance(row.get(name), str):
                raise DataError(path, place, f"expected the field {name} with a string")
            if problem := text_problem(name, row[name], needed=False):
                raise DataError(path, place, problem)
        if extra := sorted(set(row) - {"id", *names}):
            raise DataError(path, place, f"unknown field {' and '.join(extra)}")
        found[identity] = {name: row[SUBMITTED[name]] for name in known[identity].fields}
    if missing := [identity for identity in known if identity not in found]:
        some = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise DataError(path, None, f"no prediction for {len(missing)} cases: {some}")
    return [found[case.id] for case in cases]


def write_details(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write what is known of each answer beside its fields, one object a line."""
    write_jsonl(path, (dict(row) for row in rows))


def read_answers(
    predictions_path: Path | str, details_path: Path | str, cases: Sequence[Case]
) -> list[Answer]:
    """Bring predictions and their details together, in the order of *cases*.

    Raises:
        DataError: either file does not fit the cases.
    """
    details: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(read_jsonl(details_path), start=1):
        if problem := _detail_problem(row):
            raise DataError(details_path, f"record {number}", problem)
        details[row["id"]] = row
    answers = []
    for case, fields in zip(cases, read_predictions(predictions_path, cases), strict=True):
        if case.id not in details:
            raise DataError(details_path, None, f"nothing about the case {case.id}")
        row = details[case.id]
        answers.append(Answer(fields, row["valid"], row["repaired"], row["error"] is not None))
    return answers


def _detail_problem(row: Mapping[str, Any]) -> str | None:
    """What is wrong with a line of the details, as far as it is read."""
    if not isinstance(row.get("id"), str):
        return "expected the field id with a string"
    for name in ("valid", "repaired"):
        if not isinstance(row.get(name), bool):
            return f"expected the field {name} with true or false"
    if "error" not in row or not isinstance(row["error"], str | None):
        return "expected the field error with a string or null"
    return None


def _load(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
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


def _loose_field(text: str, name: str, fields: Sequence[str]) -> str:
    """A field in an output that is no JSON: what stands between its name and the next one."""
    others = "|".join(re.escape(other) for other in fields)
    match = re.search(
        rf'{re.escape(name)}"?\s*[:：]\s*(.*?)(?=[",{{\s\-*]*(?:{others})"?\s*[:：]|\}}|\Z)',
        text,
        re.DOTALL,
    )
    return match.group(1).strip().strip('",').strip() if match else ""

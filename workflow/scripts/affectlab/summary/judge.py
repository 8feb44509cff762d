"""Scores by a language model as judge, in the form of the LongEmotion benchmark.

The judge sees the reference and the summary, never the case. It gives five fields three marks
each, 1 to 5, at temperature 0; a summary's score is the mean of the 15. As in the benchmark's
evaluation harness, a summary for which no marks can be read scores 0 and stays in the mean; the
mean without such summaries and their number are told beside it. The wording of the question is
our own, so scores compare only roughly with the published ones.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.datasets.texts import without_chat_marks
from affectlab.errors import DataError, UserError
from affectlab.files.integrity import forget_digest
from affectlab.files.io import clear_leftovers, read_json, write_json
from affectlab.files.text import read_text
from affectlab.files.urls import redact
from affectlab.models.endpoint import Endpoint
from affectlab.models.replies import after_thinking, json_objects
from affectlab.summary.answers import read_answers
from affectlab.summary.cases import FIELDS, Case, read_cases, test_cases
from affectlab.summary.scores import Answer
from affectlab.summary.settings import Judge as JudgeSettings
from affectlab.summary.side_scores import HIGHEST_MARK, side_metric

PROMPT = "judge_prompt_v1.txt"
CRITERIA = ("factual_consistency", "completeness", "clarity")
LABELS = {
    "causes": "Causes",
    "symptoms": "Symptoms",
    "treatment_process": "Treatment process",
    "characteristics_of_illness": "Characteristics of the illness",
    "treatment_effect": "Treatment effect",
}
MAX_TOKENS = 4096
_PLACES = re.compile(r"\{(reference|summary)\}")


class Judge:
    """A language model behind an endpoint that gives marks, with a cache of them."""

    def __init__(self, settings: JudgeSettings, cache: Path) -> None:
        """Prepare the judge; nothing is sent yet.

        Args:
            settings: of the endpoint and the judging model.
            cache: folder with one file for each question that was answered.

        Raises:
            UserError: the variable that should hold the key is not set.
        """
        self._settings = settings
        self._cache = cache
        clear_leftovers(cache)
        self._endpoint = Endpoint(settings, "summary.judge")

    def marks(self, reference: Mapping[str, str], summary: Mapping[str, str]) -> dict[str, Any]:
        """Ask for the marks of one summary.

        Returns:
            ``score`` (mean of the marks, 0 without any), ``marks`` (field -> criterion -> mark)
            and ``error``; ``tokens`` as the endpoint counts them, ``cached``, and whether the
            endpoint was ``unreachable``.
        """
        body = {
            "model": self._settings.model,
            "messages": [{"role": "user", "content": question(reference, summary)}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
        }
        path = self._cached(reference, body)
        if path.exists():
            return {**_kept(path), "cached": True, "unreachable": False}
        asked = self._endpoint.answer(body, read_marks, "no marks in the reply")
        if asked.answer is None:
            return {
                "score": 0.0,
                "marks": None,
                "error": asked.error,
                "tokens": asked.tokens,
                "cached": False,
                "unreachable": asked.unreachable,
            }
        flat = [mark for marks in asked.answer.values() for mark in marks.values()]
        score = sum(flat) / len(flat)
        result = {"score": score, "marks": asked.answer, "error": None, "tokens": asked.tokens}
        # A failure is not kept: the next run asks again.
        write_json(path, result, sealed=True)
        return {**result, "cached": False, "unreachable": False}

    def forget_others(self, references: Iterable[Mapping[str, str]]) -> None:
        """Delete the kept marks of all cases but those with these references."""
        known = {_case_key(reference) for reference in references}
        for path in self._cache.glob("*.json"):
            if path.name.partition("-")[0] not in known:
                forget_digest(path)
                path.unlink()

    def _cached(self, reference: Mapping[str, str], body: Mapping[str, Any]) -> Path:
        """Where the marks that answer a question are kept."""
        text = json.dumps(body, sort_keys=True, ensure_ascii=False)
        address = redact(self._settings.base_url)
        key = hashlib.sha256(f"{address}\n{text}".encode()).hexdigest()
        return self._cache / f"{_case_key(reference)}-{key}.json"


def _case_key(reference: Mapping[str, str]) -> str:
    """What the names of files with marks of a case begin with."""
    text = json.dumps(dict(reference), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kept(path: Path) -> dict[str, Any]:
    """The result of a question that was answered before.

    Raises:
        DataError: it is not one that `Judge.marks` keeps; says to delete it.
    """
    found = read_json(path)
    problem = "no marks of a judge; delete the file to ask again"
    if not isinstance(found, dict) or set(found) != {"score", "marks", "error", "tokens"}:
        raise DataError(path, None, problem)
    marks, score = found["marks"], found["score"]
    if (
        not isinstance(marks, dict)
        or _known_marks(marks) != marks
        or not isinstance(score, int | float)
        or isinstance(score, bool)
        or not 1 <= score <= HIGHEST_MARK
        or type(found["tokens"]) is not int
        or found["error"] is not None
    ):
        raise DataError(path, None, problem)
    return found


def question(reference: Mapping[str, str], summary: Mapping[str, str]) -> str:
    """The judge's prompt."""
    template = read_text(Path(__file__).with_name(PROMPT)).strip()
    listed = {"reference": _listed(reference), "summary": _listed(summary)}
    return _PLACES.sub(lambda place: listed[place[1]], template)


def read_marks(reply: str) -> dict[str, dict[str, float]] | None:
    """The marks in a judge's reply: those of the last JSON object after its thinking that has any.

    Returns:
        Field -> criterion -> mark from 1 to 5, of the known ones; None if there are none. 0, which
        judges give to a field that is empty, is 1.
    """
    found = [marks for one in json_objects(after_thinking(reply)) if (marks := _known_marks(one))]
    return found[-1] if found else None


def judge_run(
    *,
    records_path: Path,
    predictions_path: Path,
    details_path: Path,
    fold: int | None,
    settings: JudgeSettings,
    level: float,
    cache: Path,
    output_path: Path,
) -> None:
    """Judge a run's summaries and store the score, how it came about, its costs, and all marks.

    The cache keeps no marks of cases that were left out or deleted since.

    Raises:
        UserError: the endpoint cannot be reached from the first, not one summary could be judged,
            or the key is missing.
    """
    from tqdm import tqdm

    cases = test_cases(records_path, fold)
    answers = read_answers(predictions_path, details_path, cases)
    judge = Judge(settings, cache)
    found: list[dict[str, Any]] = []
    for case, answer in tqdm(list(zip(cases, answers, strict=True)), desc="judging", unit="case"):
        found.append(judge.marks(case.references, answer.fields))
        if found[-1]["unreachable"] and all(row["error"] is not None for row in found):
            # Every other summary would be waited for as long.
            raise _none_judged(settings, found)
    judge.forget_others(case.references for case in read_cases(records_path))
    write_json(output_path, _record(cases, answers, found, settings, level), sealed=True)


def _record(
    cases: Sequence[Case],
    answers: Sequence[Answer],
    found: Sequence[Mapping[str, Any]],
    settings: JudgeSettings,
    level: float,
) -> dict[str, Any]:
    import numpy as np

    judged = [row for row in found if row["error"] is None]
    if not judged:
        raise _none_judged(settings, found)
    rows = [(row["score"], 1.0) for row in found]
    groups = [case.group for case in cases]
    # What was cached was paid for before.
    tokens = sum(row["tokens"] for row in found if not row["cached"])
    price = settings.price_per_million_tokens
    return {
        "metrics": {"judge_score": side_metric("judge_score", rows, groups, level)},
        "judge": {
            "model": settings.model,
            "prompt": PROMPT,
            "failed": len(found) - len(judged),
            "errors": _errors(found),
            "incomplete": sum(
                sum(map(len, row["marks"].values())) < len(FIELDS) * len(CRITERIA) for row in judged
            ),
            "score_without_failed": float(np.mean([row["score"] for row in judged])),
            "fields": _field_means(judged),
            "empty_summaries": sum(not any(answer.fields.values()) for answer in answers),
        },
        "usage": {
            "cached": sum(row["cached"] for row in found),
            "tokens": tokens,
            "cost": None if price is None else price * tokens / 1e6,
        },
        "items": [
            {"id": case.id, "score": row["score"], "marks": row["marks"], "error": row["error"]}
            for case, row in zip(cases, found, strict=True)
        ],
    }


def _field_means(judged: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The mean mark of each field that has any."""
    import numpy as np

    marks = {
        field: [mark for row in judged for mark in row["marks"].get(field, {}).values()]
        for field in FIELDS
    }
    return {field: float(np.mean(found)) for field, found in marks.items() if found}


def _errors(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({row["error"] for row in found if row["error"] is not None})


def _none_judged(settings: JudgeSettings, found: Sequence[Mapping[str, Any]]) -> UserError:
    errors = "; ".join(_errors(found))
    return UserError(f"{redact(settings.base_url)}: no summary could be judged: {errors}")


def _listed(fields: Mapping[str, str]) -> str:
    """The fields under their names; marks of chats in them cannot open turns at the endpoint."""
    texts = {name: without_chat_marks(fields.get(name, "")) for name in LABELS}
    return "\n".join(f"{label}: {texts[name]}" for name, label in LABELS.items())


def _known_marks(value: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    marks = {
        field: {
            criterion: max(float(mark), 1.0)
            for criterion, mark in value[field].items()
            if criterion in CRITERIA
            and isinstance(mark, int | float)
            and not isinstance(mark, bool)
            and 0 <= mark <= HIGHEST_MARK
        }
        for field in FIELDS
        if isinstance(value.get(field), dict)
    }
    return {field: found for field, found in marks.items() if found}

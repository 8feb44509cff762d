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
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.core import stats
from affectlab.core.downloads import is_passing
from affectlab.core.errors import UserError
from affectlab.core.io import read_json, read_text, write_json
from affectlab.summary.answers import read_answers
from affectlab.summary.cases import FIELDS, Case
from affectlab.summary.evaluate import test_cases
from affectlab.summary.scores import Answer, ratio

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
LONGEST_WAIT = 60.0
UNREACHABLE = "cannot be reached"

_FENCED = re.compile(r"```json\s*(.*?)\s*```", re.DOTALL)
_OBJECT = re.compile(r"\{(?:[^{}]|\{[^{}]*\})*\}")


class Judge:
    """A client of any endpoint that speaks OpenAI's chat protocol, with a cache of its answers."""

    def __init__(self, settings: Mapping[str, Any], cache: Path) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            settings: the ``judge`` block of the configuration: ``base_url``, ``model``,
                ``api_key_variable``, ``timeout_seconds``, ``attempts``, ``wait_seconds``.
            cache: folder with one file for each question that was answered.

        Raises:
            UserError: the variable that should hold the key is not set.
        """
        self._settings = settings
        self._cache = cache
        variable = settings["api_key_variable"]
        if variable is not None and variable not in os.environ:
            raise UserError(
                f"summary.judge.api_key_variable: the environment has no variable {variable}"
            )
        self._key = os.environ[variable] if variable is not None else None

    def marks(self, reference: Mapping[str, str], summary: Mapping[str, str]) -> dict[str, Any]:
        """Ask for the marks of one summary.

        Returns:
            ``score`` (mean of the marks, 0 without any), ``marks`` (field -> criterion -> mark)
            and ``error``; ``tokens`` as the endpoint counts them, ``cached``, and whether the
            endpoint was ``unreachable``.
        """
        body = {
            "model": self._settings["model"],
            "messages": [{"role": "user", "content": question(reference, summary)}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
        }
        text = json.dumps(body, sort_keys=True, ensure_ascii=False)
        key = hashlib.sha256(f"{self._settings['base_url']}\n{text}".encode()).hexdigest()
        path = self._cache / f"{key}.json"
        if path.exists():
            return {**read_json(path), "cached": True, "unreachable": False}
        tokens = 0
        error = ""
        for attempt in range(self._settings["attempts"]):
            if attempt:
                time.sleep(min(self._settings["wait_seconds"] * 2 ** (attempt - 1), LONGEST_WAIT))
            reply, used, error, again = self._post(body)
            tokens += used
            if error:
                if not again:
                    break
                continue
            found = read_marks(reply)
            if found is not None:
                flat = [mark for marks in found.values() for mark in marks.values()]
                result = {
                    "score": sum(flat) / len(flat),
                    "marks": found,
                    "error": None,
                    "tokens": tokens,
                }
                # A failure is not kept: the next run asks again.
                write_json(path, result, sealed=True)
                return {**result, "cached": False, "unreachable": False}
            error = "no marks in the reply"
        return {
            "score": 0.0,
            "marks": None,
            "error": error,
            "tokens": tokens,
            "cached": False,
            "unreachable": error.startswith(UNREACHABLE),
        }

    def _post(self, body: Mapping[str, Any]) -> tuple[str, int, str, bool]:
        """Send one question: reply, tokens, what went wrong, and whether to try again."""
        import requests

        headers = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        url = f"{self._settings['base_url'].rstrip('/')}/chat/completions"
        try:
            response = requests.post(
                url, json=body, headers=headers, timeout=self._settings["timeout_seconds"]
            )
        except requests.ReadTimeout:
            return "", 0, "timed out", True
        except requests.RequestException as error:
            return "", 0, f"{UNREACHABLE} ({type(error).__name__})", True
        if response.status_code != 200:
            again = is_passing(response.status_code)
            return "", 0, f"answered with status {response.status_code}", again
        try:
            content = response.json()
            reply = str(content["choices"][0]["message"]["content"])
            used = int((content.get("usage") or {}).get("total_tokens") or 0)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return "", 0, "the reply is not of the chat protocol", True
        return reply, used, "", False


def question(reference: Mapping[str, str], summary: Mapping[str, str]) -> str:
    """The judge's prompt."""
    template = read_text(Path(__file__).with_name(PROMPT)).strip()
    return template.replace("{reference}", _listed(reference)).replace(
        "{summary}", _listed(summary)
    )


def read_marks(reply: str) -> dict[str, dict[str, float]] | None:
    """The marks in a judge's reply, read as by the benchmark: fenced JSON, else the first object.

    Returns:
        Field -> criterion -> mark from 1 to 5, of the known ones; None if there are none. 0, which
        judges give to a field that is empty, is 1.
    """
    for text in [*_FENCED.findall(reply)[:1], *_OBJECT.findall(reply)[:1]]:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        marks = _known_marks(value)
        if marks:
            return marks
    return None


def judge_run(
    *,
    records_path: Path,
    predictions_path: Path,
    details_path: Path,
    fold: int | None,
    settings: Mapping[str, Any],
    bootstrap: Mapping[str, Any],
    cache: Path,
    output_path: Path,
) -> None:
    """Judge a run's summaries and store marks, means, failures and costs.

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
    write_json(output_path, _record(cases, answers, found, settings, bootstrap), sealed=True)


def _record(
    cases: Sequence[Case],
    answers: Sequence[Answer],
    found: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    bootstrap: Mapping[str, Any],
) -> dict[str, Any]:
    import numpy as np

    judged = [row for row in found if row["error"] is None]
    if not judged:
        raise _none_judged(settings, found)
    columns = np.array([[row["score"], 1.0] for row in found])
    table = stats.group_sums(columns, [case.group for case in cases])
    interval = stats.bootstrap_interval(ratio, table, **bootstrap)
    # What was cached was paid for before.
    tokens = sum(row["tokens"] for row in found if not row["cached"])
    price = settings["price_per_million_tokens"]
    return {
        "model": settings["model"],
        "prompt": PROMPT,
        "n": len(found),
        "score": interval.value,
        "ci": [interval.low, interval.high],
        "failed": len(found) - len(judged),
        "errors": _errors(found),
        "incomplete": sum(_count(row["marks"]) < len(FIELDS) * len(CRITERIA) for row in judged),
        "score_without_failed": float(np.mean([row["score"] for row in judged])),
        "fields": {
            field: float(
                np.mean([mark for row in judged for mark in row["marks"].get(field, {}).values()])
            )
            for field in FIELDS
            if any(field in row["marks"] for row in judged)
        },
        "empty_summaries": sum(not any(answer.fields.values()) for answer in answers),
        "cached": sum(row["cached"] for row in found),
        "tokens": tokens,
        "cost": None if price is None else price * tokens / 1e6,
        "items": [
            {"id": case.id, "score": row["score"], "marks": row["marks"], "error": row["error"]}
            for case, row in zip(cases, found, strict=True)
        ],
    }


def _errors(found: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({row["error"] for row in found if row["error"] is not None})


def _none_judged(settings: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> UserError:
    errors = "; ".join(_errors(found))
    return UserError(f"{settings['base_url']}: no summary could be judged: {errors}")


def _count(marks: Mapping[str, Mapping[str, float]]) -> int:
    return sum(len(row) for row in marks.values())


def _listed(fields: Mapping[str, str]) -> str:
    return "\n".join(f"{label}: {fields.get(name, '')}" for name, label in LABELS.items())


def _known_marks(value: Any) -> dict[str, dict[str, float]]:
    if not isinstance(value, dict):
        return {}
    marks = {
        field: {
            criterion: max(float(mark), 1.0)
            for criterion, mark in value[field].items()
            if criterion in CRITERIA
            and isinstance(mark, int | float)
            and not isinstance(mark, bool)
            and 0 <= mark <= 5
        }
        for field in FIELDS
        if isinstance(value.get(field), dict)
    }
    return {field: found for field, found in marks.items() if found}

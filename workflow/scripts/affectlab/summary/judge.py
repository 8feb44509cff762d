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
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from affectlab.assets.transfers import is_passing
from affectlab.datasets.texts import without_chat_marks
from affectlab.errors import DataError, UserError
from affectlab.files.io import clear_leftovers, read_json, write_json
from affectlab.files.text import read_text
from affectlab.files.urls import redact
from affectlab.summary.answers import after_thinking, json_objects, read_answers
from affectlab.summary.cases import FIELDS, Case
from affectlab.summary.evaluate import test_cases
from affectlab.summary.scores import Answer
from affectlab.summary.side_scores import HIGHEST_MARK, side_metric

if TYPE_CHECKING:
    import requests

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

MAX_REPLY_BYTES = 4 << 20
"""A longer reply is not read: its marks need a few kilobytes, and thinking a hundred."""

CHUNK_BYTES = 1 << 16
MAX_REDIRECTS = 5
MAX_COUNTED_TOKENS = 10**12
_PLACES = re.compile(r"\{(reference|summary)\}")


class _ReplyError(Exception):
    """A reply that cannot be used; *again* says whether another one may be."""

    def __init__(self, problem: str, *, again: bool) -> None:
        self.again = again
        super().__init__(problem)


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
        clear_leftovers(cache)
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
        address = redact(self._settings["base_url"])
        key = hashlib.sha256(f"{address}\n{text}".encode()).hexdigest()
        path = self._cache / f"{key}.json"
        if path.exists():
            return {**_kept(path), "cached": True, "unreachable": False}
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
        import urllib3

        try:
            reply, used = _read_reply(self._send(body))
        except _ReplyError as error:
            return "", 0, str(error), error.again
        except requests.ReadTimeout:
            return "", 0, "timed out", True
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:
            return "", 0, f"{UNREACHABLE} ({type(error).__name__})", True
        return reply, used, "", False

    def _send(self, body: Mapping[str, Any]) -> bytes:
        """Post one question and read the reply; redirects are followed on the same host alone."""
        import requests

        # Compressed, a small reply could be a large one.
        headers = {"Accept-Encoding": "identity"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        url = f"{self._settings['base_url'].rstrip('/')}/chat/completions"
        for _ in range(MAX_REDIRECTS + 1):
            with requests.post(
                url,
                json=body,
                headers=headers,
                timeout=self._settings["timeout_seconds"],
                stream=True,
                allow_redirects=False,
            ) as response:
                if response.is_redirect:
                    url = _redirected(url, response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise _ReplyError(
                        f"answered with status {response.status_code}",
                        again=is_passing(response.status_code),
                    )
                return _bounded(response, self._settings["timeout_seconds"])
        raise _ReplyError(f"more than {MAX_REDIRECTS} redirects", again=False)


def _redirected(url: str, location: str) -> str:
    """Where a redirect leads; raise if the question would go to anybody else, or in the clear."""
    target = location
    try:
        target = urljoin(url, location)
        before, after = ((parts.scheme, _port(parts)) for parts in map(urlsplit, (url, target)))
        same_host = urlsplit(url).hostname == urlsplit(target).hostname
    except ValueError:
        same_host = False
    same = same_host and (before == after or (before, after) == (("http", 80), ("https", 443)))
    if not same:
        raise _ReplyError(
            f"redirects to {redact(target)}, another host or an insecure address; the summary is "
            "not sent there: correct summary.judge.base_url",
            again=False,
        )
    return target


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _bounded(response: requests.Response, seconds: float) -> bytes:
    """The body of a response, read up to `MAX_REPLY_BYTES` and for *seconds* at most."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _ReplyError("the reply is compressed, although that was not asked for", again=False)
    parts: list[bytes] = []
    size = 0
    end = time.monotonic() + seconds
    # What the socket has, and not whole chunks: bytes that trickle in are counted as they come.
    while part := response.raw.read1(CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > MAX_REPLY_BYTES:
            raise _ReplyError(
                f"the reply is longer than {MAX_REPLY_BYTES >> 20} MiB, the most that is read",
                again=True,
            )
        if time.monotonic() > end:
            raise _ReplyError("timed out", again=True)
    return b"".join(parts)


def _read_reply(body: bytes) -> tuple[str, int]:
    """Text and counted tokens of a reply in the chat protocol."""
    unusable = _ReplyError("the reply is not of the chat protocol", again=True)
    try:
        content = json.loads(body)
        text = content["choices"][0]["message"]["content"]
        usage = content.get("usage")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise unusable from error
    if isinstance(text, list):
        texts = [part.get("text") for part in text if isinstance(part, dict)]
        text = "".join(part for part in texts if isinstance(part, str))
    if not isinstance(text, str):
        raise unusable
    used = usage.get("total_tokens") if isinstance(usage, dict) else None
    if not isinstance(used, int) or isinstance(used, bool) or not 0 <= used <= MAX_COUNTED_TOKENS:
        used = 0
    return text, used


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
    settings: Mapping[str, Any],
    level: float,
    cache: Path,
    output_path: Path,
) -> None:
    """Judge a run's summaries and store the score, how it came about, its costs, and all marks.

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
    write_json(output_path, _record(cases, answers, found, settings, level), sealed=True)


def _record(
    cases: Sequence[Case],
    answers: Sequence[Answer],
    found: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
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
    price = settings["price_per_million_tokens"]
    return {
        "metrics": {"judge_score": side_metric("judge_score", rows, groups, level)},
        "judge": {
            "model": settings["model"],
            "prompt": PROMPT,
            "failed": len(found) - len(judged),
            "errors": _errors(found),
            "incomplete": sum(_count(row["marks"]) < len(FIELDS) * len(CRITERIA) for row in judged),
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


def _none_judged(settings: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> UserError:
    errors = "; ".join(_errors(found))
    return UserError(f"{redact(settings['base_url'])}: no summary could be judged: {errors}")


def _count(marks: Mapping[str, Mapping[str, float]]) -> int:
    return sum(len(row) for row in marks.values())


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

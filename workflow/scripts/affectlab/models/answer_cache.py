"""What a model answered, kept in a file, so that a run that was interrupted resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from affectlab.files.io import append_jsonl, drop_torn_line, read_jsonl, write_jsonl


class AnswerCache:
    """Answers by the digest of their question. Neither holds the text of a question."""

    def __init__(self, path: Path) -> None:
        """Read the answers that are kept in *path*; a line that a crash cut short is dropped."""
        self._path = path
        self._answers: dict[str, Mapping[str, Any]] = {}
        if path.exists():
            drop_torn_line(path)
            self._answers = {row["key"]: row["answer"] for row in read_jsonl(path)}

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> Mapping[str, Any]:
        return self._answers[key]

    def any(self, fits: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Whether *fits* is true of an answer."""
        return any(map(fits, self._answers.values()))

    def add(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer; afterwards it is on the disk."""
        append_jsonl(self._path, [{"key": key, "answer": answer}])
        self._answers[key] = answer

    def forget_others(self, keys: Collection[str]) -> None:
        """Delete the answers to all questions but these."""
        self._answers = {key: found for key, found in self._answers.items() if key in keys}
        rows = ({"key": key, "answer": found} for key, found in self._answers.items())
        write_jsonl(self._path, rows)


def key_of(*parts: Any) -> str:
    """The digest of a question, which is all that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

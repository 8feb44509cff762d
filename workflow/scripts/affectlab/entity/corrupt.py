"""Corrupted copies of a text, to see whether a model's certainty notices.

Neither kind of corruption leaves out words of a span: typos swap letters anywhere,
dropout removes words around the spans.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from affectlab.entity.data import Record

CORRUPTIONS = ("typos", "dropout")
VARIANTS = ("clean", *CORRUPTIONS)
"""A split as it is, and corrupted in either way."""

TYPO_SHARE = 0.3
DROPOUT_SHARE = 0.3

Offsets = tuple[int, int]

_WORD = re.compile(r"\S+")


def with_typos(text: str, share: float, rng: random.Random) -> str:
    """Swap two neighbouring inner letters in about *share* of the words of 4 letters or more.

    The length stays, so offsets into the text stay valid.
    """
    letters = list(text)
    for match in _WORD.finditer(text):
        if match.end() - match.start() >= 4 and rng.random() < share:
            place = rng.randrange(match.start() + 1, match.end() - 2)
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def without_words(
    text: str, spans: Sequence[Offsets], share: float, rng: random.Random
) -> tuple[str, list[Offsets]]:
    """Leave out about *share* of the words that touch no span; move the spans accordingly.

    At least one word stays.
    """
    words = list(_WORD.finditer(text))
    dropped = [
        match
        for match in words
        if rng.random() < share
        and all(match.end() <= start or end <= match.start() for start, end in spans)
    ]
    if len(dropped) == len(words):
        dropped = dropped[1:]
    parts, last = [], 0
    for match in dropped:
        parts.append(text[last : match.start()])
        last = match.end()
    parts.append(text[last:])

    def moved(offset: int) -> int:
        return offset - sum(
            match.end() - match.start() for match in dropped if match.end() <= offset
        )

    return "".join(parts), [(moved(start), moved(end)) for start, end in spans]


def corrupted(record: Record, kind: str, rng: random.Random) -> Record:
    """The record with its text corrupted by one of `CORRUPTIONS`, its spans moved along."""
    if kind == "typos":
        return replace(record, text=with_typos(record.text, TYPO_SHARE, rng))
    spans = [target.span for target in record.targets if target.span is not None]
    text, moved = without_words(record.text, spans, DROPOUT_SHARE, rng)
    places = iter(moved)
    targets = []
    for target in record.targets:
        start, end = (None, None) if target.span is None else next(places)
        targets.append(replace(target, start=start, end=end))
    return replace(record, text=text, targets=tuple(targets))


def corrupted_copies(records: Sequence[Record], share: float, seed: int) -> list[Record]:
    """Corrupted copies of about *share* of the records, in either way by turns."""
    rng = random.Random(seed)
    chosen = [record for record in records if rng.random() < share]
    return [
        corrupted(record, CORRUPTIONS[place % len(CORRUPTIONS)], rng)
        for place, record in enumerate(chosen)
    ]

"""Spans with weak labels from sentences with labels, for people without the span corpus.

Nobody labelled these spans. Candidates are found by patterns: first-person and other personal
pronouns, masked or capitalised names, and beginnings of noun phrases: a determiner and the word
after it, since no tagger is asked where the phrase ends. The writer's pronoun takes the sentence's
label as it stands, since GoEmotions labels what the writer expresses; any other candidate
takes it with `OTHERS_SHARE` of its weight, the rest is neutral.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from affectlab.entity.labels import NEUTRAL

OTHERS_SHARE = 0.5
"""Weight of the sentence's label on anybody and anything but the writer."""

_WRITER = re.compile(r"\b(?:I|i(?!\.e)|[Mm]e|[Mm]yself|[Ww]e|us)\b")
_OTHERS = (
    re.compile(r"\[(?:NAME|RELIGION)\]"),
    re.compile(r"\b(?:[Hh]e|[Ss]he|[Tt]hey|him|her|them|[Yy]ou)\b"),
    re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*\b"),
    re.compile(
        r"\b(?:[Tt]h(?:e|is|at|ese|ose)|[Mm]y|[Yy]our|[Hh]is|[Tt]heir|[Oo]ur|[Aa]n?) "
        r"(?!is\b|are\b|was\b|were\b|be\b|of\b|to\b|and\b|or\b|for\b|with\b)[a-z]+\b"
    ),
)


def weak_spans(text: str, sentence_label: Sequence[float]) -> list[tuple[int, int, list[float]]]:
    """Spans of *text* that do not overlap, by offset: start, end and soft label.

    Args:
        text: a sentence.
        sentence_label: its soft label over `labels.CLASSES`, summing to 1.

    Returns:
        At most one span of the writer (the first pronoun) and every other candidate.
    """
    others = [
        OTHERS_SHARE * value + (1 - OTHERS_SHARE) * (place == NEUTRAL)
        for place, value in enumerate(sentence_label)
    ]
    found: list[tuple[int, int, list[float]]] = []
    if writer := _WRITER.search(text):
        found.append((*writer.span(), list(sentence_label)))
    for pattern in _OTHERS:
        for match in pattern.finditer(text):
            start, end = match.span()
            place = bisect_left(found, start, key=lambda span: span[0])
            # Of spans in order, only the neighbours can overlap; a line may hold a million.
            behind = place == 0 or found[place - 1][1] <= start
            if behind and (place == len(found) or end <= found[place][0]):
                found.insert(place, (start, end, list(others)))
    return found

"""Sentences on users' own data for card and report: few cases, and languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from affectlab.evaluation.small_data import foreign_language, small_sample
from affectlab.summary.text import UNKNOWN

SCORES = {
    "valid_output": "the share of valid output",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
}
"""Scores of which the one with the widest interval is reported -> name in a sentence."""


def few_cases(n: int, limits: Mapping[str, Sequence[float]]) -> str | None:
    """What scores on *n* cases cannot show; None where all intervals are narrow.

    Args:
        n: cases that were scored.
        limits: score -> both ends of its interval.
    """
    widest = max(SCORES, key=lambda name: limits[name][1] - limits[name][0])
    return small_sample(n, limits[widest], score=SCORES[widest])


def unknown_to_model(languages: Sequence[str], known: Sequence[str]) -> str | None:
    """That a model does not know the language of the cases; None if it does, or nobody knows.

    Args:
        languages: of the cases.
        known: languages that the model was made for; empty where that is not stated.
    """
    spoken = [language for language in languages if language != UNKNOWN]
    return foreign_language({"facts": {"languages": spoken}}, {"languages": known})

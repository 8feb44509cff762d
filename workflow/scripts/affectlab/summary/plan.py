"""What the cases that runs are scored on can show, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.evaluation.planned_numbers import Mean
from affectlab.evaluation.planning import (
    ALL_FOLDS,
    TEST_SPLIT,
    Plannable,
    Question,
    group_codes,
)
from affectlab.summary.baselines import baseline_answers
from affectlab.summary.cases import Case, is_cross_validated, read_cases
from affectlab.summary.scores import compared_texts, rouge

BASELINE = "lead"
"""Whose ROUGE of each case tells how far cases differ."""

TITLES = {"rouge1": "a ROUGE-1", "rouge2": "a ROUGE-2", "rouge_l": "a ROUGE-L"}


def plannable(cases: Sequence[Case]) -> list[Plannable]:
    """The scored cases of a converted data set.

    A good summary is rarely far above the beginning of the case, so the ROUGE of that is assumed.
    """
    folded = is_cross_validated(cases)
    scored = [case for case in cases if folded or case.split == "test"]
    answers = baseline_answers(BASELINE, scored, [])
    rows = [rouge(*compared_texts(*pair)) for pair in zip(scored, answers, strict=True)]
    groups = group_codes([case.group for case in scored])
    questions = []
    for name, title in TITLES.items():
        values = np.array([row[name] for row in rows])
        if 0 < values.mean() < 1:
            questions.append(
                Question(
                    name,
                    title,
                    Mean(values, groups),
                    float(values.mean()),
                    "that of the beginning of each case",
                    "correlation of the scores that two runs have on a case:",
                )
            )
    return [Plannable("cases", ALL_FOLDS if folded else TEST_SPLIT, questions)]


def read_plannable(folder: Path, block: Mapping[str, Any]) -> list[Plannable]:
    """The scored cases of the data set in *folder*, which `convert` wrote."""
    del block
    return plannable(read_cases(folder / "records.jsonl"))

"""What the targets that runs are scored on can show, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.entity.data import Data, read_data
from affectlab.entity.labels import top_class
from affectlab.entity.predictions import groups_of
from affectlab.evaluation.planning import ALL_FOLDS, TEST_SPLIT, Plannable, decision_questions

TITLES = {"accuracy": "an accuracy", "macro_f1": "a macro-F1"}


def plannable(data: Data) -> list[Plannable]:
    """The scored targets of a converted data set, each with its likeliest class."""
    folded = data.description.folds is not None
    records = data.records if folded else data.of_split("test")
    pairs = [(record, target) for record in records for target in record.targets]
    if not pairs:
        return []
    group = groups_of(records)
    labels = np.array([top_class(target.label) for _, target in pairs], dtype=np.int64)
    spans = any(target.start is not None for _, target in pairs)
    questions = decision_questions(
        labels, [group[record.id] for record, _ in pairs], data.classes, TITLES
    )
    where = ALL_FOLDS if folded else TEST_SPLIT
    return [Plannable("spans" if spans else "texts", where, questions)]


def read_plannable(folder: Path, block: Mapping[str, Any]) -> list[Plannable]:
    """The scored targets of the data set in *folder*, which `convert` wrote."""
    del block
    return plannable(read_data(folder / "records.jsonl", folder / "description.json"))

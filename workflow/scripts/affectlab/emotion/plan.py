"""What the texts that runs are scored on can show, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.emotion.groups import groups_of
from affectlab.emotion.multilabel_data import MultilabelData
from affectlab.emotion.ratings import Ratings
from affectlab.emotion.readers import AnyData, read_any
from affectlab.evaluation.planned_label_sets import LabelSetF1
from affectlab.evaluation.planned_numbers import Concordance
from affectlab.evaluation.planning import (
    ALL_FOLDS,
    CORRELATED,
    FOUND_TOGETHER,
    TEST_SPLIT,
    Plannable,
    Question,
    decision_questions,
    group_codes,
)

TITLES = {"accuracy": "an accuracy", "macro_f1": "a macro-F1"}


def plannable(data: AnyData) -> list[Plannable]:
    """The scored texts of a converted data set; empty where there are none."""
    folded = data.description.folds is not None
    where = ALL_FOLDS if folded else TEST_SPLIT
    if isinstance(data, MultilabelData):
        return _of_label_sets(data, where)
    if isinstance(data, Ratings):
        rated = data.records if folded else data.of_split("test")
        if not rated:
            return []
        groups = group_codes(groups_of(rated))
        concordance = Question(
            "ccc",
            "a concordance",
            Concordance(data.values_of(rated), groups),
            0.5,
            "the middle between the training mean (0) and 1",
            CORRELATED,
        )
        return [Plannable("texts", where, [concordance])]
    records = data.records if folded else data.of_split("test")
    if not records:
        return []
    labels, numbers = data.labels_of(records), groups_of(records)
    return [Plannable("texts", where, decision_questions(labels, numbers, data.classes, TITLES))]


def _of_label_sets(data: MultilabelData, where: str) -> list[Plannable]:
    """Texts with any number of classes; none where no scored text has a class."""
    records = data.records if where == ALL_FOLDS else data.of_split("test")
    true = data.labels_of(records)
    if not true.any():
        return []
    score = LabelSetF1(true, group_codes(groups_of(records)))
    constant = score.all_classes()
    question = Question(
        "macro_f1",
        "a macro-F1",
        score,
        (1 + constant) / 2,
        f"the middle between all classes for each text ({constant:.2f}) and 1",
        FOUND_TOGETHER,
    )
    return [Plannable("texts", where, [question])]


def read_plannable(folder: Path, block: Mapping[str, Any]) -> list[Plannable]:
    """The scored texts of the data set in *folder*, which `convert` wrote."""
    del block
    return plannable(read_any(folder / "records.jsonl", folder / "description.json"))

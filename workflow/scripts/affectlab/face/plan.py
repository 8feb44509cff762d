"""What the images that runs are scored on can show, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.datasets.description import read_description
from affectlab.evaluation.planning import ALL_FOLDS, Plannable, decision_questions
from affectlab.face.data import Faces, groups_of, read_faces

TITLES = {"accuracy": "an accuracy", "macro_f1": "a macro-F1"}


def plannable(faces: Faces, result_split: str) -> list[Plannable]:
    """The scored images of a converted data set.

    Args:
        faces: the data set.
        result_split: the split that is scored; of a cross-validation all images are.
    """
    folded = faces.folds is not None
    splits = ("train", "validation", "test") if folded else (result_split,)
    rows = faces.rows_of(*splits, labelled=True)
    if not len(rows):
        return []
    scored = faces.take(rows)
    questions = decision_questions(scored.class_ids(), groups_of(scored), faces.classes, TITLES)
    return [Plannable("images", ALL_FOLDS if folded else f"the {result_split} split", questions)]


def read_plannable(folder: Path, block: Mapping[str, Any]) -> list[Plannable]:
    """The scored images of the data set in *folder*, which `convert` wrote."""
    faces = read_faces(
        folder / "faces.npy",
        folder / "metadata.csv",
        read_description(folder / "description.json"),
    )
    return plannable(faces, str(block["result_split"]))

"""The images that predictions are scored on, with their labels and groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from affectlab.evaluation.classification import (
    HELD_OUT,
    Corpus,
)
from affectlab.face.data import Faces, groups_of, require_images
from affectlab.face.labels import LIMITS


@dataclass(frozen=True, slots=True)
class ScoredData:
    """A data set that runs are scored on.

    Attributes:
        faces: images and classes.
        labels: of the regressed values, as of `labels.labels_of`.
        metadata_path: of the table, for messages.
    """

    faces: Faces
    labels: Mapping[str, np.ndarray]
    metadata_path: Path

    @property
    def regressed(self) -> tuple[str, ...]:
        """Names of the regressed values."""
        return tuple(name for name in LIMITS if name in self.labels)

    def result_split(self, result_split: str) -> str:
        """The split of the result: of a cross-validation always the test split."""
        return "test" if self.faces.folds is not None else result_split


def held_out(result_split: str) -> list[str]:
    """The splits that are predicted: validation, which fits the temperature, and the result's."""
    return list(dict.fromkeys(["validation", result_split]))


def corpus_of(data: ScoredData, result_split: str) -> Corpus:
    """Labels and groups of the labelled images.

    Images with the same pixels are one group, and those of one person where persons are known.
    """
    if data.faces.folds is not None:
        return _cross_validated(data)
    splits = ("train", *held_out(result_split))
    rows = {split: require_images(data.faces, split, data.metadata_path) for split in splits}
    return _corpus(data.faces, rows)


def _corpus(faces: Faces, rows: Mapping[str, np.ndarray]) -> Corpus:
    """A corpus of the *rows* of each split."""
    labels = {
        split: dict(
            zip([faces.paths[row] for row in own], faces.class_ids(own).tolist(), strict=True)
        )
        for split, own in rows.items()
    }
    group = dict(zip(faces.paths, groups_of(faces), strict=True))
    conditions = {split: faces.conditions(own) for split, own in rows.items()}
    return Corpus.of(faces.classes, labels, group, conditions)


def _cross_validated(data: ScoredData) -> Corpus:
    """A corpus in which each split holds every image; conditions are learnt without its fold."""
    faces = data.faces
    everything = np.arange(len(faces))
    whole = _corpus(faces, dict.fromkeys(("train", *HELD_OUT), everything))
    answers: dict[str, dict[str, int]] = {name: {} for name in whole.conditions}
    for fold in range(faces.description.folds or 0):
        part = faces.for_fold(fold)
        found = _corpus(part, {split: part.rows_of(split) for split in ("train", "test")})
        for name, own in found.conditions.items():
            answers[name] |= own
    return replace(whole, conditions=answers)

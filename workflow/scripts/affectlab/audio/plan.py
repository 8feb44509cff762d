"""What the clips or subjects of a corpus can show, before anything is embedded or fitted.

The plan is of the corrected protocol: a cross-validation by subject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.audio.data import Clip, read_clips, subject_labels, with_merged_subjects
from affectlab.audio.refits import REFITTED, SharedFolds, limits, rarest_class, stretched
from affectlab.audio.tasks import TASKS, task_classes
from affectlab.datasets.description import Description, read_description
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.numbers import NUMBERS
from affectlab.evaluation.intervals import Limits
from affectlab.evaluation.multilabel_predictions import indicators
from affectlab.evaluation.planned_label_sets import LabelSetF1
from affectlab.evaluation.planned_numbers import Concordance
from affectlab.evaluation.planned_scores import Decisions, Detection, Test
from affectlab.evaluation.planning import (
    ALL_FOLDS,
    CORRELATED,
    FOUND_TOGETHER,
    Plannable,
    Question,
    decision_questions,
    group_codes,
)

TITLES = {"balanced_accuracy": "an unweighted average recall", "accuracy": "an accuracy"}
NAMES = {"balanced_accuracy": "uar", "accuracy": "accuracy"}

FOLDS = 5
"""Outer folds that a plan assumes."""


@dataclass(frozen=True)
class ProbeDecisions(Decisions):
    """Scores of a cross-validated probe, whose folds share training subjects.

    The interval is that of `refits.SharedFolds`: before a probe is fitted, nobody can repeat it on
    halves of the subjects. It is the cautious one.
    """

    def limits(self, expected: float, within: float, level: float, seed: int) -> Limits:
        """Limits of `refits.stretched`, normal scores as the resamples."""
        del seed
        quality = self.quality(expected)
        sd = (quality * (1 - quality) * self.variance_of_mean(within)) ** 0.5
        replicates = expected + sd * normal_scores()
        rarest = rarest_class(self.labels, self.groups.tolist())
        spread = SharedFolds(FOLDS, rarest).spread("", sd**2, 1)
        units = min(int(self.groups.max()) + 1, rarest * len(np.unique(self.labels)))
        drawn = stretched(expected, replicates, spread, level, units)
        return Limits(*map(np.asarray, limits(expected, drawn, level)))

    def detection(
        self, quality: float, loss: float, agree: float, within: float, test: Test, seed: int
    ) -> Detection:
        """As of decisions of one model; the variance counts `refits.REFITTED` times."""
        found = super().detection(quality, loss, agree, within, test, seed)
        return Detection(found.mean, found.needed * REFITTED**0.5)


class ProbeConcordance(Concordance):
    """The concordance of a cross-validated probe, whose folds share training subjects."""

    def limits(self, expected: float, within: float, level: float, seed: int) -> Limits:
        """Limits of one model, whose variance of Fisher's z counts `refits.REFITTED` times."""
        centre = np.arctanh(expected)
        apart = np.arctanh(np.asarray(super().limits(expected, within, level, seed))) - centre
        low, high = np.tanh(centre + apart * REFITTED**0.5)
        return Limits(np.asarray(low), np.asarray(high))

    def detection(
        self, quality: float, loss: float, agree: float, within: float, test: Test, seed: int
    ) -> Detection:
        """As of one model; the variance counts `refits.REFITTED` times."""
        found = super().detection(quality, loss, agree, within, test, seed)
        return Detection(found.mean, found.needed * REFITTED**0.5)


class ProbeLabelSetF1(LabelSetF1):
    """The macro-F1 of label sets of a cross-validated probe, whose folds share training subjects.

    The interval is that of `refits.SharedFolds`, as for `ProbeDecisions`.
    """

    def limits(self, expected: float, within: float, level: float, seed: int) -> Limits:
        """Limits of `refits.stretched`, normal scores as the resamples."""
        sd = self.standard_error(expected, within, seed)
        subjects = [len(np.unique(self.groups[own])) for own in self.true.T if own.any()]
        spread = SharedFolds(FOLDS, min(subjects)).spread("", sd**2, 1)
        units = min(int(self.groups.max()) + 1, min(subjects) * len(subjects))
        drawn = stretched(expected, expected + sd * normal_scores(), spread, level, units)
        return Limits(*map(np.asarray, limits(expected, drawn, level)))

    def detection(
        self, quality: float, loss: float, agree: float, within: float, test: Test, seed: int
    ) -> Detection:
        """As of one model; the variance counts `refits.REFITTED` times."""
        found = super().detection(quality, loss, agree, within, test, seed)
        return Detection(found.mean, found.needed * REFITTED**0.5)


def normal_scores(count: int = 2000) -> np.ndarray:
    """Quantiles of the normal distribution at *count* regular ranks."""
    from scipy.stats import norm

    return np.asarray(norm.ppf((np.arange(count) + 0.5) / count))


def plannable(clips: Sequence[Clip], description: Description, path: Path) -> list[Plannable]:
    """The items of each task of a corpus; subjects where the answer is a trait of them.

    Clips with several classes have no plan where none of them has a class.

    Args:
        clips: that can be used.
        description: of the corpus.
        path: of the records, for messages.
    """
    clips = with_merged_subjects(clips)
    if description.target == NUMBERS:
        return [_numbers(clips, description)]
    if description.target == LABEL_SETS:
        return _label_sets(clips, description)
    tasks = sorted({task for clip in clips for task in clip.labels})
    return [_task(task, clips, description, path, named=len(tasks) > 1) for task in tasks]


def _numbers(clips: Sequence[Clip], description: Description) -> Plannable:
    values = [[clip.values[name] for name in description.classes] for clip in clips]
    subjects = group_codes([clip.subject for clip in clips])
    question = Question(
        "ccc",
        "a concordance",
        ProbeConcordance(np.array(values, dtype=np.float64), subjects),
        0.5,
        "the middle between the training mean (0) and 1",
        CORRELATED,
    )
    return Plannable("clips", ALL_FOLDS, [question])


def _label_sets(clips: Sequence[Clip], description: Description) -> list[Plannable]:
    true = indicators([clip.classes or () for clip in clips], description.classes)
    if not true.any():
        return []
    score = ProbeLabelSetF1(true, group_codes([clip.subject for clip in clips]))
    constant = score.all_classes()
    question = Question(
        "macro_f1",
        "a macro-F1",
        score,
        (1 + constant) / 2,
        f"the middle between all classes for each clip ({constant:.2f}) and 1",
        FOUND_TOGETHER,
    )
    return [Plannable("clips", ALL_FOLDS, [question])]


def _task(
    task: str, clips: Sequence[Clip], description: Description, path: Path, *, named: bool
) -> Plannable:
    own = [clip for clip in clips if task in clip.labels]
    classes = task_classes(description.classes, task)
    if TASKS[task].of_subject:
        label_of, _ = subject_labels(own, task, path)
        subjects, labels = list(label_of), list(label_of.values())
    else:
        subjects, labels = [clip.subject for clip in own], [clip.labels[task] for clip in own]
    ids = np.array([classes.index(label) for label in labels], dtype=np.int64)
    questions = [
        _of_probe(question) for question in decision_questions(ids, subjects, classes, TITLES)
    ]
    what = "subjects" if TASKS[task].of_subject else "clips"
    return Plannable(what, ALL_FOLDS, questions, task if named else "")


def _of_probe(question: Question) -> Question:
    """The question of a cross-validated probe, called as its metrics are."""
    score = question.score
    assert isinstance(score, Decisions)
    probe = ProbeDecisions(score.score, score.labels, score.groups, score.classes)
    return replace(question, name=NAMES[question.name], score=probe)


def read_plannable(folder: Path, block: Mapping[str, Any]) -> list[Plannable]:
    """The items of the corpus in *folder*, which `convert` wrote."""
    del block
    path, description = folder / "records.jsonl", read_description(folder / "description.json")
    return plannable(read_clips(path), description, path)

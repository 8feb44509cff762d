"""What a probe is asked: the tasks, their classes, and how labels of a corpus become theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affectlab.datasets.label_sets import LABEL_SETS

OWN_TASK = "label"
"""The task of users' own data, whose description holds the classes."""

NOT_STATED = "not stated"
"""In details.json and audit.json, of the subjects of data that do not tell who speaks."""


def speakers_known(found: Mapping[str, Any]) -> bool:
    """Whether the data tell who speaks, by the details of a run or the audit of its data."""
    return found.get("subjects") != NOT_STATED


DEPRESSED_FROM = 53.0
"""Standardised SDS score (1.25 x raw) from which the corpus' authors call a volunteer depressed."""

PROBED_FROM = 50.0
"""The threshold that the published probes used instead."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question with a fixed set of answers.

    Attributes:
        title: as tables show it.
        classes: answers, in the order of their ids; empty where the data decide.
        of_subject: whether the answer is a trait of the subject, the same for all clips.
    """

    title: str
    classes: tuple[str, ...]
    of_subject: bool


TASKS = {
    "2dep": Task("depressed or not (SDS >= 53)", ("not_depressed", "depressed"), True),
    "2dep_50": Task("depressed or not (SDS >= 50)", ("not_depressed", "depressed"), True),
    "3emo": Task("which prompt was answered", ("negative", "neutral", "positive"), False),
    "8emo": Task(
        "which emotion was acted",
        ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
        False,
    ),
    "7emo": Task(
        "which emotion was acted",
        ("neutral", "happy", "sad", "angry", "fearful", "disgust", "bored"),
        False,
    ),
    "3valence": Task("valence of the emotion", ("negative", "neutral", "positive"), False),
    OWN_TASK: Task("which class a recording is labelled with", (), False),
}


def task_title(task: str, data: Mapping[str, Any]) -> str:
    """What a run predicts, by its task and the ``data`` of its metrics."""
    if "numbers" in data:
        return "the numbers that a recording is rated with"
    if data.get("target") == LABEL_SETS:
        return "which classes a recording is labelled with"
    return TASKS[task].title


TRIVIAL = {
    "duration": ("seconds",),
    "loudness": ("rms_db", "peak_db"),
    "conditions": ("rate", "channels", "format", "seconds", "rms_db", "peak_db"),
}
"""Baseline -> the measures of a clip that it may look at."""

TASKS_OF = {
    "eatd": ("2dep", "2dep_50", "3emo"),
    "ravdess": ("8emo", "3valence"),
    "emodb": ("7emo", "3valence"),
    "audio_manifest": (OWN_TASK,),
    "audio_folder": (OWN_TASK,),
}
"""Layout -> the tasks for which its clips have labels."""


def described_classes(layout: str) -> tuple[str, ...]:
    """The classes of a published corpus as its description names them: ``<task>/<class>``."""
    return tuple(f"{task}/{name}" for task in TASKS_OF[layout] for name in TASKS[task].classes)


def task_classes(described: Sequence[str], task: str) -> tuple[str, ...]:
    """The classes of a task, in the order of their ids.

    Args:
        described: ``classes`` of the description of a data set.
        task: a key of `TASKS`.
    """
    if task == OWN_TASK:
        return tuple(described)
    prefix = f"{task}/"
    return tuple(name.removeprefix(prefix) for name in described if name.startswith(prefix))


VALENCE = {
    "neutral": "neutral",
    "calm": "neutral",
    "bored": "neutral",
    "happy": "positive",
    "surprised": "positive",
    "sad": "negative",
    "angry": "negative",
    "fearful": "negative",
    "disgust": "negative",
}
"""Acted emotion -> class of `3valence`; surprise in these corpora is acted as a pleasant one."""


def depression_labels(score: float) -> dict[str, str]:
    """Classes of the depression tasks for a standardised SDS score."""
    return {
        task: "depressed" if score >= threshold else "not_depressed"
        for task, threshold in (("2dep", DEPRESSED_FROM), ("2dep_50", PROBED_FROM))
    }

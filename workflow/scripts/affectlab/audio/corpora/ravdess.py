"""RAVDESS: acted speech (Livingstone and Russo 2018)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from affectlab.audio.corpora.recordings import recordings_in
from affectlab.audio.data import Clip, Selection
from affectlab.audio.tasks import TASKS, VALENCE
from affectlab.files.quarantine import BadRecord

FORM = "files such as Actor_01/03-01-05-01-02-01-01.wav"
EMOTIONS = TASKS["8emo"].classes
"""In the order of their numbers in file names, from 1."""

_NAME = re.compile(r"03-01-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)", re.ASCII)


def sex_of(subject: str) -> str:
    """The sex of an actor: odd numbers are male, even ones female."""
    return "male" if int(subject.removeprefix("actor_")) % 2 else "female"


def read_ravdess(root: Path, clips: Selection = "cleaned") -> Iterator[Clip | BadRecord]:
    """Read RAVDESS speech: seven numbers in each file name, one folder for each actor.

    Only audio of speech (``03-01-...``) is read; the others of the set (song, video) are not
    named so and passed over.
    """
    for recording in recordings_in(root):
        path = recording.path
        match = _NAME.fullmatch(path.stem)
        name = path.relative_to(root).as_posix()
        if match is None:
            if path.name.startswith("03-01-"):
                problem = "expected seven two-digit numbers as its name"
                yield BadRecord(name, "", problem, id=path.stem)
            continue
        number, actor = int(match[1]), int(match[5])
        subject = f"actor_{actor:02d}"
        if recording.advice:
            yield BadRecord(name, "", recording.advice, id=path.stem, group=subject)
            continue
        if not 1 <= number <= len(EMOTIONS) or not 1 <= actor <= 24:
            problem = f"emotion {number} or actor {actor} is out of range"
            yield BadRecord(name, "", problem, id=path.stem, group=subject)
            continue
        emotion = EMOTIONS[number - 1]
        labels = {"8emo": emotion, "3valence": VALENCE[emotion]}
        yield Clip(path.stem, name, subject, labels, None)

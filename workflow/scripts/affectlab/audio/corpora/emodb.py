"""EMO-DB: acted German speech (Burkhardt et al. 2005)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from affectlab.audio.corpora.recordings import recordings_in
from affectlab.audio.data import Clip, Selection
from affectlab.audio.tasks import VALENCE
from affectlab.files.quarantine import BadRecord

FORM = "files such as wav/03a01Fa.wav"
_NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFTN])([a-z])", re.ASCII)
_EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}


_SPEAKERS = {
    **dict.fromkeys(("03", "10", "11", "12", "15"), "male"),
    **dict.fromkeys(("08", "09", "13", "14", "16"), "female"),
}


def sex_of(subject: str) -> str | None:
    """The sex of a speaker; None for one that the published corpus does not have."""
    return _SPEAKERS.get(subject.removeprefix("speaker_"))


def read_emodb(root: Path, clips: Selection = "cleaned") -> Iterator[Clip | BadRecord]:
    """Read EMO-DB: speaker, sentence, emotion letter and take in each file name."""
    for recording in recordings_in(root):
        path = recording.path
        match = _NAME.fullmatch(path.stem)
        name = path.relative_to(root).as_posix()
        if match is None or recording.advice:
            problem = recording.advice or "expected a name such as 03a01Fa.wav"
            subject = None if match is None else f"speaker_{match[1]}"
            yield BadRecord(name, "", problem, id=path.stem, group=subject)
            continue
        emotion = _EMOTIONS[match[3]]
        labels = {"7emo": emotion, "3valence": VALENCE[emotion]}
        yield Clip(path.stem, name, f"speaker_{match[1]}", labels, None)

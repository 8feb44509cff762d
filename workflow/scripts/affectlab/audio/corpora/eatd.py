"""EATD-Corpus: interviews of volunteers with a depression score (Shen et al. 2022)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from affectlab.audio.corpora.recordings import recordings_in
from affectlab.audio.data import Clip, Selection
from affectlab.audio.tasks import DEPRESSED_FROM, depression_labels
from affectlab.errors import DataError
from affectlab.files.io import folders_below
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import read_text

logger = logging.getLogger(__name__)

FORM = (
    "folders t_<n> and v_<n>, or train/<n> and validation/<n>, with new_label.txt "
    "and recordings and .txt files of negative, neutral and positive"
)

PROMPTS = ("negative", "neutral", "positive")
SDS_FACTOR = 1.25
"""Standardised SDS score per raw point."""

_SUBJECT = re.compile(r"(?:(?P<split>[tv])_)?(?P<number>[0-9]+)", re.IGNORECASE)
_FOLDERS = {
    "train": "train",
    "training": "train",
    "t": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "v": "validation",
}


def read_eatd(root: Path, clips: Selection = "cleaned") -> Iterator[Clip | BadRecord]:
    """Read a folder for each volunteer, with three answers in each.

    Both conventions are read: ``t_<n>`` and ``v_<n>`` side by side, and ``train/<n>`` beside
    ``validation/<n>``. The depression label comes from ``new_label.txt``, the standardised score;
    where only ``label.txt`` is there, its raw score is multiplied by 1.25. A volunteer whose two
    files do not agree is bad, for one of them would be thresholded wrongly. How many volunteers a
    loader would call otherwise that holds ``label.txt`` against the threshold is logged.
    """
    read = mistaken = 0
    for folder in sorted(path for path, _ in folders_below(root) if path != root):
        hidden = "__MACOSX" in folder.relative_to(root).parts
        found = None if hidden else _eatd_subject(folder)
        if found is None:
            continue
        subject, split = found
        name = folder.relative_to(root).as_posix()
        try:
            score = _sds_score(folder)
            labels = depression_labels(score)
            read += 1
            mistaken += depression_labels(score / SDS_FACTOR)["2dep"] != labels["2dep"]
        except DataError as error:
            place = error.path.relative_to(root).as_posix()
            yield BadRecord(place, error.place or "", error.problem, group=subject)
            continue
        recordings = recordings_in(folder, only_here=True)
        for prompt in PROMPTS:
            stem = f"{prompt}_out" if clips == "cleaned" else prompt
            found_here = [one for one in recordings if one.path.stem == stem]
            path = f"{name}/{found_here[0].path.name if found_here else f'{stem}.wav'}"
            bad = partial(BadRecord, path, "", id=f"{subject}_{prompt}", group=subject)
            if not found_here:
                yield bad("no such file")
            elif len(found_here) > 1:
                names = " and ".join(one.path.name for one in found_here)
                yield bad(f"more than one recording of this answer: {names}")
            elif advice := found_here[0].advice:
                yield bad(advice)
            elif problem := _transcript_problem(folder / f"{prompt}.txt"):
                yield bad(problem)
            else:
                yield Clip(f"{subject}_{prompt}", path, subject, labels | {"3emo": prompt}, split)
    if mistaken:
        logger.warning(
            "label.txt holds raw scores: a loader that held them against %g, the threshold of "
            "new_label.txt, would call %d of %d volunteers otherwise",
            DEPRESSED_FROM,
            mistaken,
            read,
        )


def _transcript_problem(path: Path) -> str | None:
    """What is wrong with a transcript. Nothing keeps it: what was said stays in the corpus."""
    if not path.is_file():
        return f"the transcript {path.name} is missing beside it"
    try:
        text = read_text(path)
    except DataError as error:
        return f"the transcript {path.name} is no text: {error.problem}"
    return None if text.strip() else f"the transcript {path.name} is empty"


def _eatd_subject(folder: Path) -> tuple[str, str] | None:
    """Subject and split that a folder's name tells, or None for a folder that is none."""
    match = _SUBJECT.fullmatch(folder.name)
    if match is None:
        return None
    split = _FOLDERS.get((match["split"] or folder.parent.name).lower())
    return (f"{split[0]}_{match['number']}", split) if split else None


def _sds_score(folder: Path) -> float:
    """The standardised SDS score of a volunteer's folder."""
    standard, raw = folder / "new_label.txt", folder / "label.txt"
    if not standard.is_file() and not raw.is_file():
        raise DataError(standard, None, "no such file, and no label.txt beside it")
    if not standard.is_file():
        score = SDS_FACTOR * _read_score(raw)
        # No log or record says whose score it is, nor what it is.
        logger.warning(
            "a folder has no new_label.txt: using 1.25 x label.txt. Thresholding label.txt itself "
            "would be a mistake: it holds the raw score"
        )
        return score
    score = _read_score(standard)
    if raw.is_file() and abs(SDS_FACTOR * _read_score(raw) - score) > 0.5 * SDS_FACTOR:
        raise DataError(standard, None, "the score is not 1.25 x that of label.txt")
    return score


def _read_score(path: Path) -> float:
    """The one number in a label file; white space around it is no matter.

    No message says what was found: it would stand beside the volunteer's folder.
    """
    try:
        score = float(read_text(path).strip())
    except ValueError:
        raise DataError(path, "line 1", "expected one number") from None
    if not 0 <= score <= 100:
        raise DataError(path, "line 1", "expected a score from 0 to 100")
    return score

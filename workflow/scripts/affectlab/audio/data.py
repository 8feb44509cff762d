"""Speech corpora: from their own layouts to one tidy table of clips.

A clip is one audio file of one subject. Readers look at names and label files only; what is
inside the audio is looked at by the audit.
"""

from __future__ import annotations

import csv
import io
import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from affectlab.audio.tasks import DEPRESSED_FROM, TASKS, VALENCE, depression_labels
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.media import RECORDINGS, read_head, sort_files
from affectlab.datasets.names import Ids, Spellings
from affectlab.datasets.separators import wrong_separator
from affectlab.errors import DataError, printable
from affectlab.files.io import folders_below, is_encodable, read_jsonl, read_text, write_jsonl
from affectlab.files.quarantine import BadRecord

logger = logging.getLogger(__name__)

PROMPTS = ("negative", "neutral", "positive")
SDS_FACTOR = 1.25
"""Standardised SDS score per raw point."""

SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""What manifests call the splits -> what they are called here."""

MANIFEST_NAMES = ("manifest.csv", "manifest.tsv")
_EATD_SUBJECT = re.compile(r"(?:(?P<split>[tv])_)?(?P<number>[0-9]+)", re.IGNORECASE)
_EATD_FOLDERS = {
    "train": "train",
    "training": "train",
    "t": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "v": "validation",
}
_RAVDESS_NAME = re.compile(r"03-01-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)", re.ASCII)
_RAVDESS_EMOTIONS = TASKS["8emo"].classes
_EMODB_NAME = re.compile(r"(\d\d)([ab]\d\d)([WLEAFTN])([a-z])", re.ASCII)
_EMODB_EMOTIONS = {
    "W": "angry",
    "L": "bored",
    "E": "disgust",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}

Clips = Literal["cleaned", "raw"]


@dataclass(frozen=True, slots=True)
class Clip:
    """One audio file.

    Attributes:
        id: unique in the corpus.
        path: of the file inside the corpus' folder, with forward slashes.
        subject: who speaks.
        labels: task -> class.
        split: of the corpus' own split, if it has one: train, validation or test.
        seconds: how long the clip is said to be, if the corpus says so; the audit measures it.
        place: where the corpus lists the clip, for messages of the conversion; is not stored.
    """

    id: str
    path: str
    subject: str
    labels: dict[str, str]
    split: str | None
    seconds: float | None = None
    place: str = field(default="", compare=False)

    def stored(self) -> dict[str, Any]:
        """The clip as a record."""
        return {key: value for key, value in asdict(self).items() if key != "place"}


def read_clips(path: Path | str) -> list[Clip]:
    """Read the table that `convert` wrote.

    Raises:
        DataError: the file is missing, a line is no such record, or an id occurs twice.
    """
    clips: list[Clip] = []
    seen: set[str] = set()
    for number, row in enumerate(read_jsonl(path), start=1):
        if set(row) != {"id", "path", "subject", "labels", "split", "seconds"}:
            problem = "expected the fields id, path, subject, labels, split and seconds"
            raise DataError(path, f"record {number}", problem)
        if wrong := _stored_problem(row):
            raise DataError(path, f"record {number}", wrong)
        if row["id"] in seen:
            raise DataError(path, f"record {number}", f"the id {row['id']} occurs a second time")
        seen.add(row["id"])
        clips.append(Clip(**row))
    if not clips:
        raise DataError(path, None, "holds no clips")
    return clips


def _stored_problem(row: Mapping[str, Any]) -> str | None:
    """What is wrong with the values of a line of the table that `convert` wrote."""
    if not all(isinstance(row[name], str) for name in ("id", "path", "subject")):
        return "id, path and subject: expected strings"
    labels = row["labels"]
    if not isinstance(labels, dict) or not all(isinstance(name, str) for name in labels.values()):
        return "labels: expected an object, from tasks to classes"
    if row["split"] not in (None, *SPLITS.values()):
        return "split: expected train, validation, test or null"
    seconds = row["seconds"]
    if seconds is not None and (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds < math.inf
    ):
        return "seconds: expected a positive number or null"
    return None


def usable_clips(records_path: Path | str, measures_path: Path | str) -> list[Clip]:
    """The clips that the audit could read, which may be fewer than the records."""
    known = set()
    for number, row in enumerate(read_jsonl(measures_path), start=1):
        if not isinstance(row.get("id"), str):
            raise DataError(measures_path, f"record {number}", "expected the id of a clip")
        known.add(row["id"])
    return [clip for clip in read_clips(records_path) if clip.id in known]


def convert(
    raw_directory: Path | str,
    layout: str,
    records_path: Path | str,
    quarantine_path: Path | str,
    on_bad_record: str,
    clips: Clips = "cleaned",
    *,
    similar_names: str = "refuse",
    expected: Mapping[str, Any] | None = None,
) -> None:
    """Write the clips of a corpus, and what cannot be used, as JSON Lines.

    Args:
        raw_directory: the corpus' folder.
        layout: which reader, a key of `READERS`.
        records_path: gets one `Clip` a line.
        quarantine_path: gets one `BadRecord` a line.
        on_bad_record: ``fail`` raises at the first bad record, ``skip`` sets it aside.
        clips: which files of an EATD corpus: ``*_out.wav`` or the raw ones.
        similar_names: ``refuse`` stops where subjects, labels or clips differ in case, white space
            or Unicode form only; ``merge`` takes such subjects and such labels as one.
        expected: ``expected`` of the data registry; emotions that came as numbers must fit its
            ``classes`` or ``shares``.

    Raises:
        DataError: the folder is no such corpus; a record is bad and *on_bad_record* ``fail``;
            names are spelled in several ways; or the numbers of emotions fit another order.
    """
    root = Path(raw_directory)
    good: list[Clip] = []
    bad: list[BadRecord] = []
    ids = Ids(similar_names)
    for item in READERS[layout](root, clips):
        if isinstance(item, Clip) and not is_encodable(f"{item.id}{item.path}{item.subject}"):
            item = BadRecord(item.path, "", "expected a name in UTF-8")
        if isinstance(item, Clip):
            repeated = ids.add(item.id, item.place or item.path)
            if repeated is not None:
                item = BadRecord(item.path, item.place or item.id, repeated.problem())
        if isinstance(item, BadRecord):
            if on_bad_record == "fail":
                raise DataError(root / item.file, item.place or None, item.problem)
            bad.append(replace(item, file=printable(item.file)))
        else:
            good.append(item)
    if not good:
        raise DataError(root, None, f"no clips here; expected {LAYOUT_FORMS[layout]}")
    good = _with_one_spelling(good, root, similar_names)
    if layout == "ravdess":
        _check_emotion_numbers(good, root, expected or {})
    write_jsonl(quarantine_path, (asdict(item) for item in bad), sealed=True)
    write_jsonl(
        records_path,
        (item.stored() for item in sorted(good, key=lambda clip: clip.id)),
        sealed=True,
    )


def _with_one_spelling(clips: Sequence[Clip], root: Path, similar_names: str) -> list[Clip]:
    """The clips with each subject and label spelled in one way, or an error; see `convert`."""
    subjects = Spellings("subject")
    labels: dict[str, Spellings] = {}
    for clip in clips:
        subjects.add(clip.subject, clip.place or clip.path)
        for task, label in clip.labels.items():
            labels.setdefault(task, Spellings("label")).add(label, clip.place or clip.path)
    for names in (subjects, *labels.values()):
        names.check(root, similar_names)
    return [
        replace(
            clip,
            subject=subjects.merged(clip.subject),
            labels={task: labels[task].merged(label) for task, label in clip.labels.items()},
        )
        for clip in clips
    ]


def _check_emotion_numbers(clips: Sequence[Clip], root: Path, expected: Mapping[str, Any]) -> None:
    """Hold the emotions, which RAVDESS writes as numbers into its file names, against counts."""
    ids = LabelIds()
    for clip in clips:
        ids.add("all", _RAVDESS_EMOTIONS, _RAVDESS_EMOTIONS.index(clip.labels["8emo"]))
    ids.check(root, class_counts(expected, "8emo"))


def class_counts(expected: Mapping[str, Any], task: str) -> dict[str, dict[str, float]]:
    """The ``classes`` and ``shares`` of one task, whose registry keys are ``<task>/<class>``."""
    return {
        kind: {
            name.removeprefix(f"{task}/"): number
            for name, number in expected.get(kind, {}).items()
            if name.startswith(f"{task}/")
        }
        for kind in ("classes", "shares")
    }


def read_eatd(root: Path, clips: Clips = "cleaned") -> Iterator[Clip | BadRecord]:
    """EATD-Corpus: a folder for each volunteer, three answers in each.

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
            yield BadRecord(place, error.place or "", error.problem)
            continue
        recordings = _recordings(folder, only_here=True)
        for prompt in PROMPTS:
            stem = f"{prompt}_out" if clips == "cleaned" else prompt
            found_here = [one for one in recordings if one.path.stem == stem]
            path = f"{name}/{found_here[0].path.name if found_here else f'{stem}.wav'}"
            if not found_here:
                yield BadRecord(path, "", "no such file")
            elif len(found_here) > 1:
                names = " and ".join(one.path.name for one in found_here)
                yield BadRecord(path, "", f"more than one recording of this answer: {names}")
            elif advice := found_here[0].advice:
                yield BadRecord(path, "", advice)
            elif problem := _transcript_problem(folder / f"{prompt}.txt"):
                yield BadRecord(path, "", problem)
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
    match = _EATD_SUBJECT.fullmatch(folder.name)
    if match is None:
        return None
    split = _EATD_FOLDERS.get((match["split"] or folder.parent.name).lower())
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


def read_ravdess(root: Path, clips: Clips = "cleaned") -> Iterator[Clip | BadRecord]:
    """RAVDESS speech: seven numbers in each file name, one folder for each actor.

    Only audio of speech (``03-01-...``) is read; the others of the set (song, video) are not
    named so and passed over.
    """
    for recording in _recordings(root):
        path = recording.path
        match = _RAVDESS_NAME.fullmatch(path.stem)
        name = path.relative_to(root).as_posix()
        if match is None:
            if path.name.startswith("03-01-"):
                yield BadRecord(name, "", "expected seven two-digit numbers as its name")
            continue
        if recording.advice:
            yield BadRecord(name, "", recording.advice)
            continue
        number, actor = int(match[1]), int(match[5])
        if not 1 <= number <= len(_RAVDESS_EMOTIONS) or not 1 <= actor <= 24:
            yield BadRecord(name, "", f"emotion {number} or actor {actor} is out of range")
            continue
        emotion = _RAVDESS_EMOTIONS[number - 1]
        labels = {"8emo": emotion, "3valence": VALENCE[emotion]}
        yield Clip(path.stem, name, f"actor_{actor:02d}", labels, None)


def read_emodb(root: Path, clips: Clips = "cleaned") -> Iterator[Clip | BadRecord]:
    """EMO-DB: speaker, sentence, emotion letter and take in each file name."""
    for recording in _recordings(root):
        path = recording.path
        match = _EMODB_NAME.fullmatch(path.stem)
        name = path.relative_to(root).as_posix()
        if match is None or recording.advice:
            problem = recording.advice or "expected a name such as 03a01Fa.wav"
            yield BadRecord(name, "", problem)
            continue
        emotion = _EMODB_EMOTIONS[match[3]]
        labels = {"7emo": emotion, "3valence": VALENCE[emotion]}
        yield Clip(path.stem, name, f"speaker_{match[1]}", labels, None)


def read_manifest(root: Path, clips: Clips = "cleaned") -> Iterator[Clip | BadRecord]:
    """A table ``clip,subject,label[,split,duration]`` beside the audio; other columns may be there.

    Paths are relative to the table and may not lead out of its folder, by a link either. A clip
    is known by its path. Durations are in seconds; the audit holds them against the files.
    """
    table = next((root / name for name in MANIFEST_NAMES if (root / name).is_file()), None)
    if table is None:
        raise DataError(root, None, f"expected {LAYOUT_FORMS['audio_manifest']}")
    delimiter = "\t" if table.suffix == ".tsv" else ","
    text, columns = read_text(table), {"clip", "subject", "label"}
    header = text.partition("\n")[0].split(delimiter)
    if other := wrong_separator(header, columns, delimiter):
        raise DataError(table, "line 1", other)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        if missing := columns - set(reader.fieldnames or []):
            raise DataError(table, "line 1", f"lacks the columns {', '.join(sorted(missing))}")
        for row in reader:
            yield _manifest_row(root, table, reader.line_num, row)
    except csv.Error as error:
        raise DataError(table, f"line {reader.line_num + 1}", str(error)) from error


def _manifest_row(root: Path, table: Path, line: int, row: dict[Any, Any]) -> Clip | BadRecord:
    place = f"line {line}"
    if None in row:
        problem = "has more fields than the first line; one that holds a comma must be quoted"
        return BadRecord(table.name, place, problem)
    values = {name: (row[name] or "").strip() for name in ("clip", "subject", "label")}
    empty = [name for name, value in values.items() if not value]
    if empty:
        return BadRecord(table.name, place, f"{' and '.join(empty)} empty")
    clip = PurePosixPath(values["clip"].replace("\\", "/"))
    if clip.is_absolute() or ".." in clip.parts:
        return BadRecord(table.name, place, f"{clip} leads out of the folder of the table")
    try:
        found = (root / clip).is_file()
    except OSError as error:
        # Such as a whole sentence, which is longer than a name may be and nothing to print.
        return BadRecord(table.name, place, f"clip names no file: {error.strerror}")
    if not found:
        return BadRecord(table.name, place, f"there is no file {clip}")
    if not (root / clip).resolve().is_relative_to(root.resolve()):
        problem = f"{clip} is a link that leads out of the folder of the table"
        return BadRecord(table.name, place, problem)
    split, duration = ((row.get(name) or "").strip() for name in ("split", "duration"))
    if split and split.lower() not in SPLITS:
        problem = f"expected the split train, validation or test, found {split!r}"
        return BadRecord(table.name, place, problem)
    try:
        seconds = float(duration) if duration else None
    except ValueError:
        seconds = math.nan
    if seconds is not None and not 0 < seconds < math.inf:
        problem = f"expected a duration in seconds, found {duration!r}"
        return BadRecord(table.name, place, problem)
    return Clip(
        clip.as_posix(),
        clip.as_posix(),
        values["subject"],
        {"label": values["label"]},
        SPLITS.get(split.lower()),
        seconds,
        f"{table.name}, {place}",
    )


@dataclass(frozen=True, slots=True)
class _Recording:
    """A recording of a corpus; *advice* tells how to convert one that cannot be read."""

    path: Path
    advice: str | None


def _recordings(root: Path, *, only_here: bool = False) -> list[_Recording]:
    """All recordings below *root*, or *only_here* in it, in sorted order; see `datasets.media`."""
    folders = islice(folders_below(root), 1) if only_here else folders_below(root)
    names = sorted(
        (folder / name).relative_to(root).as_posix()
        for folder, names in folders
        for name in names
        if (folder / name).is_file()
    )
    found = sort_files(RECORDINGS, names, lambda name: read_head(root / name))
    advice: dict[str, str | None] = {**dict.fromkeys(found.read), **dict(found.unread)}
    return [_Recording(root / name, advice[name]) for name in names if name in advice]


def unused_recordings(root: Path, used: Iterable[str]) -> list[str]:
    """Recordings below *root* that neither the records nor the quarantine of a corpus name.

    Args:
        root: the corpus' folder.
        used: paths inside it, with forward slashes.

    Returns:
        Their paths inside it, sorted; a path that is not UTF-8 with escapes.
    """
    known = set(used)
    names = (one.path.relative_to(root).as_posix() for one in _recordings(root))
    return [name.encode(errors="backslashreplace").decode() for name in names if name not in known]


READERS: dict[str, Callable[[Path, Clips], Iterator[Clip | BadRecord]]] = {
    "eatd": read_eatd,
    "ravdess": read_ravdess,
    "emodb": read_emodb,
    "audio_manifest": read_manifest,
}

LAYOUT_FORMS = {
    "eatd": "folders t_<n> and v_<n>, or train/<n> and validation/<n>, with new_label.txt and"
    " recordings and .txt files of negative, neutral and positive",
    "ravdess": "files such as Actor_01/03-01-05-01-02-01-01.wav",
    "emodb": "files such as wav/03a01Fa.wav",
    "audio_manifest": "manifest.csv or manifest.tsv with the columns clip, subject and label",
}

"""Speech corpora: from their own layouts to one tidy table of clips.

Readers look at names and label files only; the audit looks at the audio itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from affectlab.audio.corpora import eatd, emodb, manifest, ravdess
from affectlab.audio.data import Clip, Selection
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.names import Ids, Spellings
from affectlab.errors import DataError, printable
from affectlab.files.io import write_jsonl
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import is_encodable

Read = Callable[[Path, Selection], Iterator[Clip | BadRecord]]


class Corpus(NamedTuple):
    """A layout of speech corpora: how it is read, and its form for messages."""

    read: Read
    form: str


CORPORA = {
    "eatd": Corpus(eatd.read_eatd, eatd.FORM),
    "ravdess": Corpus(ravdess.read_ravdess, ravdess.FORM),
    "emodb": Corpus(emodb.read_emodb, emodb.FORM),
    "audio_manifest": Corpus(manifest.read_manifest, manifest.FORM),
}
"""Layout in the configuration -> corpus."""


def convert(
    raw_directory: Path | str,
    layout: str,
    records_path: Path | str,
    quarantine_path: Path | str,
    on_bad_record: str,
    clips: Selection = "cleaned",
    *,
    similar_names: str = "refuse",
    expected: Mapping[str, Any] | None = None,
) -> None:
    """Write the clips of a corpus, and what cannot be used, as JSON Lines.

    Args:
        raw_directory: the corpus' folder.
        layout: which reader, a key of `CORPORA`.
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
    corpus = CORPORA[layout]
    good: list[Clip] = []
    bad: list[BadRecord] = []
    ids = Ids(similar_names)
    for item in corpus.read(root, clips):
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
        raise DataError(root, None, f"no clips here; expected {corpus.form}")
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
        ids.add("all", ravdess.EMOTIONS, ravdess.EMOTIONS.index(clip.labels["8emo"]))
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

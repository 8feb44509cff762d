"""Speech corpora: from their own layouts to one tidy table of clips.

Readers look at names and label files only; the audit looks at the audio itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from affectlab.audio.corpora import eatd, emodb, folder, manifest, ravdess
from affectlab.audio.data import Clip, Selection
from affectlab.audio.own import describe_own, with_subject
from affectlab.audio.tasks import OWN_TASK, described_classes
from affectlab.datasets.classes import class_key, unknown_class
from affectlab.datasets.description import Description, language_of
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.names import Ids, Spellings
from affectlab.errors import DataError, printable
from affectlab.files.io import write_jsonl
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import is_encodable


class Corpus(NamedTuple):
    """A published corpus: how it is read, and its form for messages."""

    read: Callable[[Path, Selection], Iterator[Clip | BadRecord]]
    form: str


CORPORA = {
    "eatd": Corpus(eatd.read_eatd, eatd.FORM),
    "ravdess": Corpus(ravdess.read_ravdess, ravdess.FORM),
    "emodb": Corpus(emodb.read_emodb, emodb.FORM),
}
"""Layout in the configuration -> published corpus."""


class OwnLayout(NamedTuple):
    """A layout of users' own data.

    Attributes:
        read: reads it, by the entry of the data set.
        form: for messages.
        checks_subjects: whether subjects in several spellings are refused; else the audit reports
            them, and each is taken as one.
    """

    read: Callable[[Path, Mapping[str, Any]], Iterator[Clip | BadRecord]]
    form: str
    checks_subjects: bool


OWN_LAYOUTS = {
    "audio_manifest": OwnLayout(manifest.read_manifest, manifest.FORM, checks_subjects=True),
    "audio_folder": OwnLayout(folder.read_folder, folder.FORM, checks_subjects=False),
}
"""Layout in the configuration -> how users' own data are read."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a conversion writes.

    Attributes:
        records: one `Clip` a line.
        quarantine: one `BadRecord` a line.
        description: see `datasets.description`. The classes of published corpora, which have
            several tasks, are called ``<task>/<class>``.
    """

    records: Path
    quarantine: Path
    description: Path


def convert(
    raw_directory: Path | str,
    outputs: Outputs,
    entry: Mapping[str, Any],
    on_bad_record: str,
    clips: Selection = "cleaned",
    *,
    similar_names: str = "refuse",
    exclusion: Exclusion | None = None,
) -> None:
    """Write the clips of a corpus, what cannot be used, and what the data set is.

    Args:
        raw_directory: the corpus' folder.
        outputs: where the results go.
        entry: of the data set in the registry. By its ``expected``, emotions that came as numbers
            must fit their order.
        on_bad_record: ``fail`` raises at the first bad record, ``skip`` sets it aside.
        clips: which files of an EATD corpus: ``*_out.wav`` or the raw ones.
        similar_names: ``refuse`` stops where subjects, labels or clips differ in case, white space
            or Unicode form only; ``merge`` takes such subjects and such labels as one.
        exclusion: clips that are left out because somebody withdrew; None for none.

    Raises:
        DataError: the folder is no such corpus; a record is bad and *on_bad_record* ``fail``;
            names are spelled in several ways; the numbers of emotions fit another order; or a
            user's own data cannot be divided as planned; or see `Exclusion.described`.
    """
    root, layout = Path(raw_directory), entry["layout"]
    exclusion = exclusion or Exclusion()
    if layout in OWN_LAYOUTS:
        entry = with_subject(entry)
    items = (
        OWN_LAYOUTS[layout].read(root, entry)
        if layout in OWN_LAYOUTS
        else CORPORA[layout].read(root, clips)
    )
    items = (item for item in items if not exclusion.drops(_owner(item)))
    good, bad = _sorted_out(items, root, entry, on_bad_record, similar_names)
    if not good:
        if any(root.rglob("*.parquet")):
            problem = "the tables here have no column of recordings (audio); store them as files"
            raise DataError(root, None, f"{problem} in the form {folder.FORM}")
        form = (OWN_LAYOUTS.get(layout) or CORPORA[layout]).form
        raise DataError(root, None, f"no clips here; expected {form}")
    checks_subjects = layout not in OWN_LAYOUTS or OWN_LAYOUTS[layout].checks_subjects
    good = _with_one_spelling(good, root, similar_names, checks_subjects)
    if layout in OWN_LAYOUTS:
        good, description = describe_own(good, root, entry, similar_names)
    else:
        description = Description(
            described_classes(layout), language=language_of(entry), group="subject"
        )
    if layout == "ravdess":
        _check_emotion_numbers(good, root, entry.get("expected", {}))
    description = exclusion.described(description, root)
    write_jsonl(outputs.quarantine, (item.stored() for item in bad), sealed=True)
    write_jsonl(
        outputs.records,
        (item.stored() for item in sorted(good, key=lambda clip: clip.id)),
        sealed=True,
    )
    description.write(outputs.description)


def _owner(item: Clip | BadRecord) -> tuple[str, str | None]:
    """The id and the subject of a clip, or of a bad record as far as they are known."""
    return item.id, item.subject if isinstance(item, Clip) else item.group


def _sorted_out(
    items: Iterable[Clip | BadRecord],
    root: Path,
    entry: Mapping[str, Any],
    on_bad_record: str,
    similar_names: str,
) -> tuple[list[Clip], list[BadRecord]]:
    """The clips that can be used, and the bad records, of which the first may be an error."""
    good: list[Clip] = []
    bad: list[BadRecord] = []
    ids = Ids(similar_names)
    for item in items:
        if isinstance(item, Clip) and (problem := _clip_problem(item, ids, entry.get("classes"))):
            item = BadRecord(item.path, item.place or printable(item.id), problem)
        if isinstance(item, Clip):
            good.append(item)
        elif on_bad_record == "fail":
            raise DataError(root / item.file, item.place or None, item.problem)
        else:
            bad.append(replace(item, file=printable(item.file)))
    return good, bad


def _clip_problem(clip: Clip, ids: Ids, classes: Sequence[str] | None) -> str | None:
    """What is wrong with a clip; *ids*, those of the clips before it, grow."""
    classes_named = "".join(name for _, name in clip.named_classes())
    if not is_encodable(f"{clip.id}{clip.path}{clip.subject}{classes_named}"):
        return "expected a name in UTF-8"
    if repeated := ids.add(clip.id, clip.place or clip.path):
        return repeated.problem()
    label = clip.labels.get(OWN_TASK)
    if label is not None and classes is not None and label not in classes:
        return unknown_class(label, classes)
    return None


def _with_one_spelling(
    clips: Sequence[Clip], root: Path, similar_names: str, checks_subjects: bool
) -> list[Clip]:
    """The clips with each subject and label spelled in one way, or an error; see `convert`.

    Unless *checks_subjects*, subjects stay as they are spelled.
    """
    subjects = Spellings("subject")
    labels: dict[str, Spellings] = {}
    for clip in clips:
        if checks_subjects:
            subjects.add(clip.subject, clip.place or clip.path)
        for task, label in clip.labels.items():
            labels.setdefault(task, Spellings("label", class_key)).add(
                label, clip.place or clip.path
            )
    for names in (subjects, *labels.values()):
        names.check(root, similar_names)
    return [
        replace(
            clip,
            subject=subjects.merged(clip.subject) if checks_subjects else clip.subject,
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

"""A configuration for a user's own recordings, guessed from a look at their folder."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from affectlab.assets.recordings import take_recordings
from affectlab.audio.corpora import folder, manifest
from affectlab.audio.data import Clip
from affectlab.audio.tasks import OWN_TASK
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.look import GROUPS, LABELS, MOST_CLASSES, Look, look_at
from affectlab.datasets.names import name_key
from affectlab.datasets.numbers import NUMBERS
from affectlab.datasets.overlay import FOLDS, Overlay, ProposedRun, counted, has_gpu
from affectlab.errors import UserError
from affectlab.files.quarantine import BadRecord

LEAST_GROUPS = 3
"""Subjects of which a cross-validation can leave one out and still choose on the others."""


def overlay(path: Path) -> Overlay:
    """Propose a configuration for the folder, or the table, of recordings at *path*.

    Raises:
        FetchError: a table of recordings cannot be read.
        UserError: it is neither, has no recordings, fewer than two classes or more than 64, or
            fewer than three subjects.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    with tempfile.TemporaryDirectory() as work:
        # As a run stores the recordings of a table.
        files = Path(work) / "files"
        if take_recordings(path, files):
            return _proposed(path, files)
    if not path.is_dir():
        problem = f"expected a folder with {folder.FORM}; or {manifest.FORM}"
        raise UserError(f"{path}: {problem}; or a table with a column of recordings")
    return _proposed(path, path)


def _proposed(path: Path, root: Path) -> Overlay:
    """What a look at the raw folder *root* suggests for the data at *path*."""
    entry: dict[str, Any] = {"layout": "audio_folder"}
    comments: dict[str, str] = {}
    listed = next((root / name for name in manifest.TABLE_NAMES if (root / name).is_file()), None)
    if listed is not None:
        entry["layout"] = "audio_manifest"
        _add_columns(look_at(listed), listed, {"clip": "clip"}, entry, comments)
    elif (table := folder.metadata_table(root)) is not None:
        _add_columns(look_at(table), table, {"clip": "file_name"}, entry, comments)
    found = list(manifest.read_manifest(root, entry) if listed else folder.read_folder(root, entry))
    clips = [one for one in found if isinstance(one, Clip)]
    if not clips:
        raise UserError(f"{path}: no recordings here; expected {folder.FORM}")
    notes = _notes(clips, [one for one in found if isinstance(one, BadRecord)])
    if "target" not in entry:
        _add_classes(clips, path, entry, comments)
    _add_split(clips, entry, comments)
    order = ("layout", "columns", "target", "classes", "split")
    # Whoever does not know the subjects has to know that clips are the items.
    block = {"task": OWN_TASK} | ({} if clips[0].subject else {"unit": "clip"})
    return Overlay(
        "audio",
        {key: entry[key] for key in order if key in entry},
        _runs(block | _probe(_groups(clips), path)),
        comments,
        notes=notes,
    )


def _add_classes(
    clips: Sequence[Clip], path: Path, entry: dict[str, Any], comments: dict[str, str]
) -> None:
    classes = Counter(clip.labels[OWN_TASK] for clip in clips)
    if not 2 <= len(classes) <= MOST_CLASSES:
        problem = f"expected 2 to {MOST_CLASSES} classes, found {len(classes)}"
        raise UserError(f"{path}: {problem}")
    counts = dict(sorted(classes.items()))
    entry["classes"], comments["classes"] = list(counts), f"{counted(counts)} clips"


def _add_columns(
    look: Look,
    table: Path,
    columns: dict[str, str],
    entry: dict[str, Any],
    comments: dict[str, str],
) -> None:
    """Name the columns of the clip, of what is predicted, of the subject and of the split."""
    clip = columns["clip"] if columns["clip"] in look.columns else _file_column(look, table)
    # Of several such columns, one with subjects enough; a source has often two values.
    subject, split = look.named(GROUPS, least=LEAST_GROUPS) or look.named(GROUPS), look.split()
    taken = [name for name in (clip, subject, split) if name is not None]
    numbers = [name for name in look.numbers() if name not in taken]
    label: str | list[str] | None = look.named(LABELS, most=MOST_CLASSES) or look.label(
        [*taken, *numbers]
    )
    if several := look.several_classes(taken, label if isinstance(label, str) else None):
        label, entry["target"] = several, LABEL_SETS
        comments["target"] = "several classes for each clip"
        if isinstance(several, str):
            parts = look.columns[several].parts or {}
            entry["classes"], comments["classes"] = list(parts), f"{counted(parts)} clips"
    elif label is None and numbers:
        label, entry["target"] = numbers, NUMBERS
    if label is None:
        look.check_decimal_commas(table)
    taken += label if isinstance(label, list) else [label] if label is not None else []
    roles = {"clip": clip, "label": label, "subject": subject}
    named = {role: name for role, name in roles.items() if name not in (None, role)}
    if columns["clip"] == clip:
        named.pop("clip", None)
    if named:
        entry["columns"] = named
    unused = [name for name in look.columns if name not in taken]
    seen = f"; also seen: {', '.join(unused)}" if unused else ""
    comments["columns" if named else "layout"] = f"{look.rows} rows of {table.name}{seen}"
    if split is not None:
        entry["split"] = {"column": split}


def _file_column(look: Look, table: Path) -> str:
    """The column whose first value names a file beside the table.

    Raises:
        UserError: there is none.
    """
    for name, values in look.texts.items():
        # A text may be longer than a name can be.
        if values and len(values[0]) < 256 and (table.parent / values[0]).is_file():
            return name
    raise UserError(f"{table}: no column names recordings beside the table")


def _notes(clips: Sequence[Clip], bad: Sequence[BadRecord]) -> list[str]:
    notes = []
    if bad:
        shown = " ".join((bad[0].file, bad[0].place)).strip()
        notes.append(
            f"{len(bad)} records cannot be used; the first is {shown}: {bad[0].problem}. Correct "
            "them, or set on_bad_record to skip."
        )
    if not clips[0].subject:
        notes.append(
            "Nothing tells who speaks. Add a column subject to metadata.csv, or scores can be too "
            "high."
        )
    return notes


def _add_split(clips: Sequence[Clip], entry: dict[str, Any], comments: dict[str, str]) -> None:
    splits = Counter(clip.split for clip in clips if clip.split)
    if splits:
        shown = ", ".join(f"{split} {count}" for split, count in splits.items())
        comments["split" if "split" in entry else "layout"] = f"splits of the data: {shown}"
        return
    groups, subjects = _groups(clips), clips[0].subject
    entry["split"] = {"folds": min(FOLDS, groups)}
    comments["split"] = f"{groups} {'subjects' if subjects else 'clips'}, each in one fold"


def _groups(clips: Sequence[Clip]) -> int:
    """How many groups of clips there are to divide: subjects, or else clips."""
    return len({name_key(clip.subject) or clip.id for clip in clips})


def _probe(groups: int, path: Path) -> dict[str, Any]:
    """Settings of the probe where the training parts hold too few subjects for its inner folds.

    Raises:
        UserError: there are too few for any.
    """
    if groups < LEAST_GROUPS:
        problem = f"{groups} subjects are too few for a cross-validation; expected {LEAST_GROUPS}"
        raise UserError(f"{path}: {problem} or more")
    trained = groups - math.ceil(groups / min(FOLDS, groups))
    return {"probe": {"inner_folds": trained}} if trained < FOLDS else {}


def _runs(block: dict[str, Any]) -> list[ProposedRun]:
    return [
        ProposedRun(
            "logmel", {"like": "eatd_3emo_logmel", **block}, "power in bands of frequency; seconds"
        ),
        ProposedRun(
            "ge2e",
            {"like": "eatd_3emo_ge2e", **block},
            "a small network for voices; minutes on a CPU",
        ),
        ProposedRun(
            "whisper",
            {"like": "eatd_3emo_whisper", **block},
            "a network for speech of 290 MB; select it where there is a GPU",
            selected=has_gpu(),
        ),
    ]

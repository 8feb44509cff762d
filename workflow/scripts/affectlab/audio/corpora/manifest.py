"""A user's own corpus: a table beside the audio."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from affectlab.audio.data import SPLITS, Clip, Selection
from affectlab.datasets.separators import wrong_separator
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import read_text

FORM = "manifest.csv or manifest.tsv with the columns clip, subject and label"
TABLE_NAMES = ("manifest.csv", "manifest.tsv")


def read_manifest(root: Path, clips: Selection = "cleaned") -> Iterator[Clip | BadRecord]:
    """Read a table ``clip,subject,label[,split,duration]`` beside the audio.

    Other columns are not read.
    Paths are relative to the table and may not lead out of its folder, by a link either. A clip
    is known by its path. Durations are in seconds; the audit holds them against the files.
    """
    table = next((root / name for name in TABLE_NAMES if (root / name).is_file()), None)
    if table is None:
        raise DataError(root, None, f"expected {FORM}")
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

"""A user's own corpus: a table beside the audio."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from affectlab.audio.corpora.answers import Answer, answer_cells, has_listed_labels
from affectlab.audio.corpora.recordings import listed_file, listed_owner
from affectlab.audio.data import SPLITS, Clip
from affectlab.audio.tasks import OWN_TASK
from affectlab.datasets.separators import wrong_separator
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import read_text

FORM = "manifest.csv or manifest.tsv with the columns clip, subject and label"
TABLE_NAMES = ("manifest.csv", "manifest.tsv")
REQUIRED = ("clip", "subject", "label")


def read_manifest(root: Path, entry: Mapping[str, Any]) -> Iterator[Clip | BadRecord]:
    """Read a table ``clip,subject,label[,split,duration]`` beside the audio.

    Other columns are not read.
    Paths are relative to the table and may not lead out of its folder, by a link either. A clip
    is known by its path. Durations are in seconds; the audit compares them with the files.

    Args:
        root: folder of the table.
        entry: of the data set; its ``columns`` and ``split.column`` name columns of another name.
            Its ``target`` may be several classes or numbers, see `answer_cells`.
    """
    table = table_in(root)
    cells, listed = answer_cells(entry), has_listed_labels(entry)
    names = {role: role for role in (*REQUIRED, "split", "duration")} | dict(
        entry.get("columns", {})
    )
    if cells:
        del names["label"]
    names["split"] = entry.get("split", {}).get("column", names["split"])
    delimiter = "\t" if table.suffix == ".tsv" else ","
    answers = () if cells is None else cells.columns
    columns = {*(names[role] for role in REQUIRED if role in names), *answers}
    text = read_text(table)
    header = text.partition("\n")[0].split(delimiter)
    if other := wrong_separator(header, columns, delimiter):
        raise DataError(table, "line 1", other)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        if missing := columns - set(reader.fieldnames or []):
            raise DataError(table, "line 1", f"lacks the columns {', '.join(sorted(missing))}")
        for row in reader:
            place = f"line {reader.line_num}"
            if None in row:
                problem = "has more fields than the first line; quote one that holds a comma"
                yield BadRecord(table.name, place, problem)
                continue
            answer = None if cells is None else cells.of_row(row, listed=listed)
            yield _manifest_row(root, table, place, row, names, answer)
    except csv.Error as error:
        raise DataError(table, f"line {reader.line_num + 1}", str(error)) from error


def table_in(root: Path) -> Path:
    """The table of a folder.

    Raises:
        DataError: there is none.
    """
    table = next((root / name for name in TABLE_NAMES if (root / name).is_file()), None)
    if table is None:
        raise DataError(root, None, f"expected {FORM}")
    return table


def _manifest_row(
    root: Path,
    table: Path,
    place: str,
    row: Mapping[str, str | None],
    names: Mapping[str, str],
    answer: Answer | str | None,
) -> Clip | BadRecord:
    """The clip of a row by the columns of the roles *names*; without *answer*, of one class."""
    values = {role: (row.get(name) or "").strip() for role, name in names.items()}
    id_, subject = listed_owner(root, root, values)
    bad = partial(BadRecord, table.name, place, id=id_, group=subject)
    if empty := [role for role in REQUIRED if role in values and not values[role]]:
        return bad(f"{' and '.join(empty)} empty")
    if answer is None:
        answer = Answer({OWN_TASK: values["label"]}, {})
    if isinstance(answer, str):
        return bad(answer)
    clip = listed_file(root, root, values["clip"])
    if isinstance(clip, str):
        return bad(clip)
    split, duration = values["split"], values["duration"]
    if split and split.lower() not in SPLITS:
        problem = f"expected the split train, validation or test, found {split!r}"
        return bad(problem)
    try:
        seconds = float(duration) if duration else None
    except ValueError:
        seconds = math.nan
    if seconds is not None and not 0 < seconds < math.inf:
        problem = f"expected a duration in seconds, found {duration!r}"
        return bad(problem)
    return Clip(
        clip.as_posix(),
        clip.as_posix(),
        values["subject"],
        answer.labels,
        SPLITS.get(split.lower()),
        seconds,
        f"{table.name}, {place}",
        answer.values,
        answer.classes,
    )

"""A user's own recordings: a folder for each class, or a table of metadata beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from affectlab.audio.corpora.answers import Answer, AnswerCells, answer_cells
from affectlab.audio.corpora.recordings import listed_file, listed_owner, recordings_in
from affectlab.audio.data import Clip
from affectlab.audio.tasks import OWN_TASK
from affectlab.datasets.own_tables import OwnFile, OwnRow, own_rows, split_called
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord

FORM = "<class>/<recording>, or metadata.csv with the columns file_name, label and subject"
TABLE_NAMES = ("metadata.csv", "metadata.tsv", "metadata.jsonl", "metadata.parquet")


def read_folder(root: Path, entry: Mapping[str, Any]) -> Iterator[Clip | BadRecord]:
    """Read recordings in the layout that the package `datasets` calls ``audiofolder``.

    Folders called as splits are, such as ``train``, divide the data; recordings of the hub are
    stored so. In each part, or in the whole folder, a table called ``metadata`` lists the
    recordings. Without one, the folder of a recording is its class. A clip is known by its path.
    Its subject is empty where the table has none.

    Args:
        root: folder of the data.
        entry: of the data set. Its ``columns`` may name those of the roles ``clip``, ``label`` and
            ``subject``; its ``split`` may name a column, or a folder for each split. Its ``target``
            may be several classes or numbers, see `answer_cells`.

    Raises:
        DataError: a named folder is missing, a table cannot be read, or there is none for several
            classes or numbers.
    """
    cells = answer_cells(entry)
    for folder, split in _parts(root, entry.get("split", {})):
        table = _table(folder)
        if table is None and cells is not None:
            problem = (
                f"expected metadata.csv with the columns file_name and those of the {cells.what}"
            )
            raise DataError(folder, None, problem)
        if table is None:
            yield from _by_class(root, folder, split)
        else:
            yield from _by_table(root, OwnFile(table, split), entry, cells)


def metadata_table(root: Path) -> Path | None:
    """The first table of metadata in a folder, or in those of its splits; None without one."""
    tables = (_table(folder) for folder, _ in _parts(root, {}))
    return next((table for table in tables if table is not None), None)


def metadata_tables(root: Path, plan: Mapping[str, Any]) -> list[OwnFile]:
    """The tables of metadata in a folder, or in those of its splits, each with its split.

    Raises:
        DataError: there is none, or a named folder is missing.
    """
    parts = [(_table(folder), split) for folder, split in _parts(root, plan)]
    found = [OwnFile(table, split) for table, split in parts if table is not None]
    if not found:
        raise DataError(root, None, f"no table here; expected one of {', '.join(TABLE_NAMES)}")
    return found


def _parts(root: Path, plan: Mapping[str, Any]) -> list[tuple[Path, str | None]]:
    """The folders of the splits, each with its split; or the folder as a whole."""
    if "files" in plan:
        named = [(root / name, split) for split, name in plan["files"].items()]
        for folder, split in named:
            if not folder.is_dir():
                problem = f"no such folder (split.files.{split} of the entry)"
                raise DataError(folder, None, problem)
        return [*named]
    folders = [
        path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")
    ]
    splits = [split_called(folder.name) for folder in folders]
    are_parts = all(splits) or all(_table(folder) is not None for folder in folders)
    if folders and are_parts and _table(root) is None:
        return list(zip(folders, splits, strict=True))
    return [(root, None)]


def _table(folder: Path) -> Path | None:
    return next((folder / name for name in TABLE_NAMES if (folder / name).is_file()), None)


def _by_class(root: Path, folder: Path, split: str | None) -> Iterator[Clip | BadRecord]:
    for recording in recordings_in(folder):
        name = recording.path.relative_to(root).as_posix()
        inside = recording.path.relative_to(folder)
        if len(inside.parts) < 2:
            problem = "lies in no folder of a class; expected <class>/<recording>"
            yield BadRecord(name, "", problem, id=name)
        elif recording.advice:
            yield BadRecord(name, "", recording.advice, id=name)
        else:
            yield Clip(name, name, "", {OWN_TASK: inside.parts[0]}, split)


def _by_table(
    root: Path, file: OwnFile, entry: Mapping[str, Any], cells: AnswerCells | None
) -> Iterator[Clip | BadRecord]:
    named = {**entry, "columns": {"clip": "file_name", **entry.get("columns", {})}}
    name = file.path.relative_to(root).as_posix()
    # A class may be the name of a folder instead.
    required = ["clip", "label"] if cells else ["clip"]
    optional = ["subject"] if cells else ["label", "subject"]
    for row in own_rows([file], named, required, optional):
        found = _clip(root, file.path.parent, row, cells)
        if isinstance(found, str):
            yield BadRecord(
                name, row.place, found, *listed_owner(root, file.path.parent, row.values)
            )
        else:
            yield found


def _clip(root: Path, folder: Path, row: OwnRow, cells: AnswerCells | None) -> Clip | str:
    """The clip of a row; a text that describes the problem if it is none."""
    if row.problem is not None:
        return row.problem
    path = listed_file(root, folder, str(row.values["clip"]).strip())
    if isinstance(path, str):
        return path
    answer = (
        cells.read(row.values["label"])
        if cells
        else _class_answer(row, (root / path).relative_to(folder))
    )
    if isinstance(answer, str):
        return answer
    subject = row.values.get("subject", "")
    if "subject" in row.values and (subject is None or not str(subject).strip()):
        return "the subject is empty"
    return Clip(
        path.as_posix(),
        path.as_posix(),
        str(subject).strip(),
        answer.labels,
        row.split,
        place=f"{row.file}, {row.place}",
        values=answer.values,
        classes=answer.classes,
    )


def _class_answer(row: OwnRow, inside: Path) -> Answer | str:
    """The class of a row; a text that describes the problem if it has none.

    Args:
        row: of the table.
        inside: path of the recording in the folder of the table.
    """
    # A table without labels goes with folders of classes.
    label = row.values.get("label", inside.parts[0] if len(inside.parts) > 1 else None)
    if label is None or isinstance(label, bool | float) or not str(label).strip():
        return f"expected the name or number of a class as label, found {label!r}"
    return Answer({OWN_TASK: str(label).strip()}, {})

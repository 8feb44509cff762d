"""Recordings inside of tables, such as Parquet: written as files next to a table of metadata.

That is the layout which the package `datasets` calls ``audiofolder``. Rows are streamed and sound
is not decoded, so memory stays flat.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.assets.streams import Stream, parquet_stream, undecoded
from affectlab.errors import FetchError, first_line
from affectlab.files.io import atomic_path

LAYOUT = "audio_folder"
"""The layout of users' own data whose recordings may be inside of a table."""

ROWS_AT_A_TIME = 16
"""A recording may have many megabytes."""

TABLES = (".parquet", ".arrow")
"""Endings of the tables that may hold recordings."""

SAVED, SAVED_SPLITS = "dataset_info.json", "dataset_dict.json"
"""What a folder of ``save_to_disk`` holds: of one split, and of several."""


def take_recordings(copy: Path, target: Path) -> bool:
    """Write the recordings of a user's tables to the folder *target*.

    It gets a folder for each split, or each table, with ``metadata.jsonl`` and the recordings.

    Args:
        copy: a Parquet or Arrow file, a folder of such files, or data saved to disk.
        target: is replaced.

    Returns:
        Whether there were tables with recordings. If not, nothing is written.

    Raises:
        FetchError: a table cannot be read, or a row has no recording.
    """
    try:
        tables = _tables(copy)
        columns = {name: recordings_column(table.features) for name, table in tables.items()}
        found = {name: column for name, column in columns.items() if column is not None}
        if not found or len(found) < len(tables):
            return False
        with atomic_path(target) as fresh:
            fresh.mkdir()
            for name, column in found.items():
                write_recordings(tables[name], column, fresh / name)
    except FetchError as error:
        raise FetchError(f"{copy}: {error}") from error
    # Of the package and its readers; whatever it is, the tables cannot be read.
    except Exception as error:
        problem = f"{type(error).__name__}: {first_line(error)}"
        advice = "or store the recordings as files, in the form audiofolder"
        raise FetchError(f"{copy}: {problem}; {advice}") from error
    return True


def _tables(copy: Path) -> dict[str, Stream]:
    """Name of a split, or of a file -> its rows; empty where the copy is no table."""
    if (copy / SAVED_SPLITS).is_file() or (copy / SAVED).is_file():
        return _saved(copy)
    files = [copy] if copy.is_file() else [path for path in copy.rglob("*") if path.is_file()]
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(files):
        if path.suffix in TABLES and not path.name.startswith("."):
            by_name[_name(path)].append(path)
    return {name: _stream(name, paths) for name, paths in by_name.items()}


def _saved(copy: Path) -> dict[str, Stream]:
    """The splits of data saved to disk; one without a split is called ``data``."""
    from datasets import DatasetDict, load_from_disk

    saved = load_from_disk(str(copy))
    splits = saved if isinstance(saved, DatasetDict) else {"data": saved}
    return {name: undecoded(part) for name, part in splits.items()}


def _stream(name: str, paths: Sequence[Path]) -> Stream:
    """The rows of the files of one split."""
    from datasets import load_dataset

    endings = {path.suffix for path in paths}
    if len(endings) > 1:
        raise FetchError(
            f"the files of {name} are of several formats: {', '.join(sorted(endings))}"
        )
    if ".parquet" in endings:
        return parquet_stream(paths, ROWS_AT_A_TIME)
    files = [str(path) for path in paths]
    return undecoded(load_dataset("arrow", data_files=files, split="train", streaming=True))


def _name(path: Path) -> str:
    """The name of a split in that of a file, such as train-00000-of-00002, or of its folder."""
    stem = path.name.partition(".")[0].partition("-")[0]
    return path.parent.name if stem.isdecimal() else stem


def recordings_column(features: Mapping[str, Any]) -> str | None:
    """The first column of recordings; None if there is none.

    It has the type of the package, or is called ``audio`` and holds bytes.

    Args:
        features: of `streams.Stream`.
    """
    from datasets import Audio, Value

    found = next((name for name, one in features.items() if isinstance(one, Audio)), None)
    if found is not None or "audio" not in features:
        return found
    plain = features["audio"]
    content = plain.get("bytes") if isinstance(plain, Mapping) else plain
    is_bytes = isinstance(content, Value) and content.dtype in ("binary", "large_binary")
    return "audio" if is_bytes else None


def write_recordings(stream: Stream, column: str, folder: Path) -> int:
    """Write the files of a column of recordings, and the other columns as ``metadata.jsonl``.

    Args:
        stream: the rows.
        column: of the recordings.
        folder: to make.

    Returns:
        How many rows there are.

    Raises:
        FetchError: there are none, or one has no recording.
    """
    names_of, media = stream.names(), stream.media()
    folder.mkdir()
    rows = 0
    with atomic_path(folder / "metadata.jsonl") as path, path.open("w", encoding="utf-8") as lines:
        for rows, row in enumerate(stream.rows, start=1):
            content, name = _content(row[column])
            if content is None:
                raise FetchError(f"the split {folder.name}: row {rows} has no recording")
            # Images, say, are no metadata.
            row = {key: value for key, value in row.items() if key not in (column, *media)}
            # Only the ending of a stored name is used: it may lead out of the folder.
            name = f"{rows:06d}{Path(name).suffix}"
            (folder / name).write_bytes(content)
            for key, name_of in names_of.items():
                # -1 is the package's sign of a missing label.
                row[key] = name_of(row[key]) if row[key] is not None and row[key] >= 0 else None
            row["file_name"] = name
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    if rows == 0:
        raise FetchError(f"the split {folder.name} has no rows")
    return rows


def _content(cell: Any) -> tuple[bytes | None, str]:
    """The bytes of a recording, None if it has none, and the name that is stored with them."""
    if not isinstance(cell, Mapping):
        return cell, ""
    return cell.get("bytes"), cell.get("path") or ""

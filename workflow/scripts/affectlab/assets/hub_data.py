"""Data sets on the hub that the package `datasets` reads.

They are stored as Parquet, one file a split. Recordings are stored as files next to a table, in the
layout that the package calls ``audiofolder``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from affectlab.assets.recordings import recordings_column, write_recordings
from affectlab.assets.streams import undecoded
from affectlab.errors import FetchError, first_line

logger = logging.getLogger(__name__)

ROWS_AT_A_TIME = 1000


def fetch_hub_data(source: Mapping[str, Any], work: Path, fresh: Path) -> None:
    """Write every split of a hub data set to *fresh*.

    It becomes ``<split>.parquet``; one with a column of recordings becomes a folder ``<split>``,
    with ``metadata.jsonl`` and the recordings. Rows are streamed, so memory stays flat. Images and
    sound are not decoded: their files are stored as they are. ``HF_ENDPOINT``, ``HF_TOKEN`` and
    ``HF_HUB_OFFLINE`` act as always.

    Args:
        source: ``repo``, ``revision`` and, where the data set has several, ``config``.
        work: folder for the package's own files, which is inside the run directory.
        fresh: empty folder for the tables.

    Raises:
        FetchError: the hub cannot serve it, or it has no table.
    """
    from datasets import load_dataset

    if Path(source["repo"]).exists():
        # The package would read that folder, whatever the revision.
        problem = "a folder of this name is here; start from another folder"
        raise FetchError(f"{source['repo']}: {problem}")
    try:
        with _hub_cache_in(work / "hub"):
            splits = load_dataset(
                source["repo"],
                source.get("config"),
                revision=source["revision"],
                cache_dir=str(work / "cache"),
                streaming=True,
            )
        for name, table in splits.items():
            recordings = recordings_column(table.features or {})
            if recordings is None:
                rows = _write(table, fresh / f"{name}.parquet")
            else:
                rows = write_recordings(undecoded(table), recordings, fresh / name)
            logger.info("%s: %d rows of the split %s", source["repo"], rows, name)
    # Of the network, the hub and every reader; whatever it is, this source cannot serve.
    except Exception as error:
        problem = f"{type(error).__name__}: {first_line(error)}"
        raise FetchError(f"{source['repo']}@{source['revision'][:8]}: {problem}") from error


@contextmanager
def _hub_cache_in(folder: Path) -> Iterator[None]:
    """Keep what the hub sends in *folder*; `load_dataset` passes no such folder on."""
    from huggingface_hub import constants

    before = constants.HF_HUB_CACHE
    constants.HF_HUB_CACHE = str(folder)
    try:
        yield
    finally:
        constants.HF_HUB_CACHE = before


def _write(table: Any, path: Path) -> int:
    """Write a streamed table; how many rows it has."""
    import pyarrow as pa
    from datasets import Audio, Image
    from pyarrow import parquet

    features = table.features
    for name, feature in (features or {}).items():
        if isinstance(feature, (Audio, Image)):
            table = table.cast_column(name, type(feature)(decode=False))
    writer: Any = None
    rows = 0
    try:
        for batch in table.iter(ROWS_AT_A_TIME):
            part = pa.table(dict(batch))
            if writer is None:
                schema = part.schema if table.features is None else table.features.arrow_schema
                writer = parquet.ParquetWriter(path, schema)
            writer.write_table(part.cast(writer.schema))
            rows += part.num_rows
    finally:
        if writer is not None:
            writer.close()
    if rows == 0:
        raise FetchError(f"the split {path.stem} has no rows")
    return rows

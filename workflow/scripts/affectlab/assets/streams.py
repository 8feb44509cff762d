"""Rows of Parquet files and of data sets of the package `datasets`, media not decoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUFFER = 1 << 20
"""Bytes of a Parquet file that are read at once."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows that are read one after the other.

    Attributes:
        features: column -> its type, as the package `datasets` has it.
        rows: to be read once; images and sound are the bytes of their files.
    """

    features: Mapping[str, Any]
    rows: Iterable[dict[str, Any]]

    def names(self) -> dict[str, Any]:
        """Column of class ids -> a function that names them."""
        from datasets import ClassLabel

        found = {name: one for name, one in self.features.items() if isinstance(one, ClassLabel)}
        return {name: one.int2str for name, one in found.items()}

    def media(self) -> list[str]:
        """The columns of images and of sound."""
        from datasets import Audio, Image

        return [name for name, one in self.features.items() if isinstance(one, (Audio, Image))]


def parquet_stream(paths: Sequence[Path], rows: int) -> Stream:
    """The rows of Parquet files, which have the same columns.

    Not by `load_dataset`: its scanner reads ahead without bound where rows are used slowly.

    Args:
        paths: of the files.
        rows: that are held at once.
    """
    from datasets import Features
    from pyarrow import parquet

    def read() -> Iterator[dict[str, Any]]:
        for path in paths:
            with parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
                for batch in file.iter_batches(batch_size=rows, use_threads=False):
                    yield from batch.to_pylist()

    return Stream(Features.from_arrow_schema(parquet.read_schema(paths[0])), read())


def undecoded(table: Any) -> Stream:
    """The rows of a data set of the package."""
    features = table.features or {}
    for name in Stream(features, ()).media():
        table = table.cast_column(name, type(features[name])(decode=False))
    return Stream(features, table)

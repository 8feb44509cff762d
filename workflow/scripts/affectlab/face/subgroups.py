"""The subgroups of a user's own images, from the table that describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from affectlab.datasets.subgroups import Cells, subgroup_cells
from affectlab.face.data import FIXED, read_table
from affectlab.face.own import OwnImages


def of_images(
    directory: Path, records: Path, entry: Mapping[str, Any]
) -> tuple[list[str], Iterator[tuple[str, Cells]]]:
    """The images of a data set, and the rows with their subgroups.

    Args:
        directory: of the raw data.
        records: metadata.csv of the data set.
        entry: of the data set in the registry.

    Returns:
        Paths of the images, and path and cells of each row.

    Raises:
        DataError: a table cannot be read, or lacks a column.
    """
    found = OwnImages(directory, entry, "skip").found()
    rows = ((item.name, subgroup_cells(item.values)) for item in found)
    # Images in folders without a table have none.
    return read_table(records, FIXED)[FIXED[0]], ((name, row) for name, row in rows if row)

"""Vectors that another program computed: read from a file instead of from an encoder."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.errors import DataError, reading

FORMS = (
    ".npz with ids and vectors, .npy with the column id in a .csv beside it, or .parquet with id"
    " and one column a feature"
)


def read_vectors(path: Path, wanted: Sequence[str]) -> npt.NDArray[np.float32]:
    """Read the vectors ``[n, dim]`` of the *wanted* ids, in their order.

    Args:
        path: ``.npz`` with ``ids`` and ``vectors``; ``.npy`` with a ``.csv`` beside it whose
            column ``id`` names the rows; or ``.parquet`` with ``id`` and one column a feature.
        wanted: each must be in the file once; the file may hold more.

    Raises:
        DataError: ids and vectors do not fit each other, an id is missing, or a number is not
            finite.
    """
    ids, table = _read(path)
    if table.ndim != 2 or len(table) != len(ids) or table.shape[1] == 0:
        problem = f"expected one row for each of {len(ids)} ids, found the shape {table.shape}"
        raise DataError(path, None, problem)
    if not np.issubdtype(table.dtype, np.number) or np.iscomplexobj(table):
        raise DataError(path, None, "holds other features than real numbers")
    with np.errstate(over="ignore"):
        table = table.astype(np.float32)
    if not np.isfinite(table).all():
        raise DataError(path, None, "holds numbers that are not finite in single precision")
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated:
        raise DataError(path, None, f"the id {repeated[0]!r} occurs more than once")
    places = {name: place for place, name in enumerate(ids)}
    missing = [name for name in wanted if name not in places]
    if missing:
        problem = f"has no vector for {len(missing)} clips, the first is {missing[0]!r}"
        raise DataError(path, None, problem)
    return table[[places[name] for name in wanted]]


def _read(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    """Read the ids and the vectors of a file, not yet compared with each other."""
    if path.suffix not in (".npz", ".npy", ".parquet"):
        raise DataError(path, None, f"expected {FORMS}")
    with reading(path, FORMS):
        if path.suffix == ".npz":
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                ids = stored["ids"].astype(str)
                if ids.ndim != 1:
                    problem = f"expected one id a row, found the shape {ids.shape}"
                    raise DataError(path, None, problem)
                vectors = stored["vectors"]
                # A member of another name than .npy comes as its bytes.
                if not isinstance(vectors, np.ndarray):
                    raise TypeError("vectors that are no array")
                return ids.tolist(), vectors
        if path.suffix == ".npy":
            beside = path.with_suffix(".csv")
            with beside.open(encoding="utf-8-sig", newline="") as text:
                names = [row["id"] for row in csv.DictReader(text)]
            with path.open("rb") as stream:
                return names, np.load(stream, allow_pickle=False)
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        columns = [name for name in table.column_names if name != "id"]
        vectors = np.column_stack([table[name].to_numpy() for name in columns])
        return [str(name) for name in table["id"].to_pylist()], vectors

"""Columns, such as sex or age, by which scores are shown: from a table to `subgroups.jsonl`.

Such columns are sensitive. They are read apart from the records, so that no model sees them, and
naming one trains nothing again.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from affectlab.datasets.classes import merge_spellings
from affectlab.datasets.names import name_key
from affectlab.datasets.own_tables import OwnRow, own_files, own_rows
from affectlab.errors import DataError
from affectlab.files.io import read_jsonl, write_jsonl

MOST_VALUES = 20
"""Different values of a column; numbers with more are shown by quartile."""

PREFIX = "subgroup "
"""Of the roles of such columns, so that they are no role of the experiment."""

Cells = Mapping[str, Any]
"""Column -> what its cell holds, of one item."""

Subgroups = Mapping[str, Mapping[str, str | None]]
"""Column -> item -> name of its subgroup; None where it is not stated."""


def with_subgroup_roles(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The *entry* of a data set with a role for each of its ``subgroups``."""
    roles = {f"{PREFIX}{name}": name for name in entry["subgroups"]}
    return {**entry, "columns": {**entry.get("columns", {}), **roles}}


def subgroup_roles(entry: Mapping[str, Any]) -> list[str]:
    """The roles that `with_subgroup_roles` gives."""
    return [f"{PREFIX}{name}" for name in entry["subgroups"]]


def subgroup_cells(values: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of such columns among the *values* of a row, role -> value."""
    return {
        role.removeprefix(PREFIX): value
        for role, value in values.items()
        if role.startswith(PREFIX)
    }


def rows_of_tables(directory: Path, entry: Mapping[str, Any]) -> Iterator[OwnRow]:
    """Yield the rows of a user's tables with the cells of the columns in ``subgroups``.

    Args:
        directory: of the raw data.
        entry: of the data set in the registry.

    Raises:
        DataError: a table cannot be read, or lacks a column.
    """
    own = {key: entry.get("columns", {})[key] for key in ("id",) if key in entry.get("columns", {})}
    # What divides the rows is of no use here.
    named = with_subgroup_roles({**entry, "columns": own, "split": {}})
    return own_rows(own_files(directory, entry.get("split", {})), named, subgroup_roles(entry))


def of_tables(
    directory: Path, records: Path, entry: Mapping[str, Any]
) -> tuple[list[str], Iterator[tuple[str, Cells]]]:
    """The items of a user's table of texts, and the rows with their subgroups.

    Args:
        directory: of the raw data.
        records: records.jsonl of the data set.
        entry: of the data set in the registry.

    Returns:
        Ids of the items, and id and cells of each row.

    Raises:
        DataError: a table cannot be read, or lacks a column.
    """
    rows = rows_of_tables(directory, entry)
    return record_ids(records), ((row.id, subgroup_cells(row.values)) for row in rows)


def record_ids(path: Path) -> list[str]:
    """The ids of the items in records.jsonl, in their order."""
    return [str(row["id"]) for row in read_jsonl(path)]


def write_subgroups(
    path: Path | str,
    rows: Iterable[tuple[str, Cells]],
    ids: Collection[str],
    columns: Sequence[str],
    source: Path | str,
) -> None:
    """Write the subgroups of all items: a line ``{"id", <column>: <subgroup or null>}`` each.

    Case, white space and Unicode form make no difference between two values; the commonest
    spelling is written. Numbers with more than `MOST_VALUES` different values are divided into
    quartiles. Their names have no smallest and no largest value, which would be one person's.

    Args:
        path: where the lines go.
        rows: id and cells; the first row of an id counts, and ids that are no item do not.
        ids: of the items.
        columns: that were named.
        source: of the rows, for messages.

    Raises:
        DataError: an item has no row, a cell is no text and no number, or a column has too many
            different values, or none.
    """
    cells: dict[str, Cells] = {}
    wanted = set(ids)
    for name, row in rows:
        if name in wanted:
            cells.setdefault(name, row)
    if missing := len(wanted) - len(cells):
        raise DataError(source, None, f"{missing} items have no row with {', '.join(columns)}")
    names = {
        column: _named([cells[name].get(column) for name in ids], column, source)
        for column in columns
    }
    lines = (
        {"id": name, **{column: names[column][place] for column in columns}}
        for place, name in enumerate(ids)
    )
    write_jsonl(path, lines, sealed=True)


def read_subgroups(path: Path | str | None) -> Subgroups:
    """Read what `write_subgroups` wrote; nothing without a path.

    Raises:
        DataError: the file is missing, or a line is no such line.
    """
    found: dict[str, dict[str, str | None]] = {}
    if path is None:
        return found
    for number, row in enumerate(read_jsonl(path), start=1):
        name = row.pop("id", None)
        if not isinstance(name, str) or not all(
            v is None or isinstance(v, str) for v in row.values()
        ):
            raise DataError(path, f"record {number}", "expected an id and names of subgroups")
        for column, value in row.items():
            found.setdefault(column, {})[name] = value
    return found


def _named(values: Sequence[Any], column: str, source: Path | str) -> list[str | None]:
    """The subgroup of each item by the cells of one column."""
    if not all(value is None or isinstance(value, str | int | float) for value in values):
        raise DataError(source, None, f"the column {column} holds neither text nor numbers")
    texts = [None if value is None else _text(value) for value in values]
    counts = Counter(text for text in texts if text)
    if not counts:
        raise DataError(source, None, f"the column {column} is empty for all items")
    spelled = merge_spellings(counts)
    if len(set(spelled.values())) <= MOST_VALUES:
        return [spelled[text] if text else None for text in texts]
    numbers = [_number(text) if text else None for text in texts]
    if any(text and number is None for text, number in zip(texts, numbers, strict=True)):
        different = len(set(map(name_key, counts)))
        problem = f"the column {column} has {different:,} different values, expected at most"
        raise DataError(source, None, f"{problem} {MOST_VALUES}; put them into fewer classes")
    return _quartiles(numbers)


def _text(value: str | float) -> str:
    """A cell as a text: 3.0, as tables with empty cells hold whole numbers, is 3."""
    return (
        str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _quartiles(numbers: Sequence[float | None]) -> list[str | None]:
    """The quartile of each number, named by the limits between them."""
    import numpy as np

    known = np.array([number for number in numbers if number is not None])
    edges = np.unique(np.quantile(known, (0.25, 0.5, 0.75), method="lower")).tolist()
    names = [f"up to {edges[0]:g}"]
    names += [f"over {low:g} to {high:g}" for low, high in pairwise(edges)]
    names.append(f"over {edges[-1]:g}")
    return [
        None if number is None else names[bisect.bisect_left(edges, number)] for number in numbers
    ]

"""Tables of a user's own data: which files there are, and what their columns hold.

What a column holds is called its role, such as text, label, group or id. The entry of the data set
says which column has which role, where the names differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affectlab.datasets.spelling import spelling_hint
from affectlab.datasets.splits import SPLITS
from affectlab.datasets.tables import SPLITS_MARKER, TableRow, is_table, read_table
from affectlab.errors import DataError
from affectlab.files.io import user_path
from affectlab.files.text import is_encodable, read_lines

STEMS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "development"),
    "test": ("test", "testing"),
}
"""What the file, folder or value of a split may be called."""


SHOWN_IDS = 5
"""So many ids are in a message."""


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A table, and the split that all its rows belong to; None where it does not tell."""

    path: Path
    split: str | None


@dataclass(frozen=True, slots=True)
class OwnRow:
    """One row of a user's table.

    Attributes:
        file: name of the table.
        place: of the row, for messages.
        id: by its column, else of its place.
        values: role -> value; a role with several columns has a list. Roles whose column is not
            there are left out.
        split: by its column or file; None where nothing gives one.
        problem: what is wrong; None if nothing is.
    """

    file: str
    place: str
    id: str
    values: dict[str, Any] = field(default_factory=dict)
    split: str | None = None
    problem: str | None = None

    @property
    def group(self) -> str | None:
        """The value of the role ``group``; None where its cell is empty, or there is none."""
        group = self.values.get("group")
        return None if group is None or not str(group).strip() else str(group)


def split_called(name: str) -> str | None:
    """The split that a file, folder or value of this name means; None for another name."""
    lowered = name.strip().lower()
    return next((split for split, stems in STEMS.items() if lowered in stems), None)


def own_files(directory: Path, plan: Mapping[str, Any]) -> list[OwnFile]:
    """The tables of a folder.

    Args:
        directory: of the raw data.
        plan: ``split`` of the data set's entry, which may name the ``files``.

    Returns:
        The named files; else one table, or several that are called as splits are.

    Raises:
        DataError: there is no table, or it is not clear which split one is.
    """
    if "files" in plan:
        return [_named_file(directory, plan["files"][split], split) for split in _ordered(plan)]
    if is_table(directory):
        return [OwnFile(directory, None)]
    if (directory / SPLITS_MARKER).is_file():
        folders = [path for path in sorted(directory.iterdir()) if path.is_dir()]
        return [OwnFile(path, _split_of(directory, path)) for path in folders]
    tables = [path for path in sorted(directory.rglob("*")) if path.is_file() and is_table(path)]
    tables = [path for path in tables if not path.name.startswith(".")]
    if not tables:
        raise DataError(directory, None, "no table here (CSV, TSV, JSON Lines, Parquet, Arrow)")
    if len(tables) == 1:
        return [OwnFile(tables[0], None)]
    return [OwnFile(path, _split_of(directory, path)) for path in tables]


def _ordered(plan: Mapping[str, Any]) -> list[str]:
    return [split for split in SPLITS if split in plan["files"]]


def _named_file(directory: Path, name: str, split: str) -> OwnFile:
    path = directory / name
    if not path.exists():
        raise DataError(path, None, f"no such file (split.files.{split} of the entry)")
    return OwnFile(path, split)


def _split_of(directory: Path, path: Path) -> str:
    """The split of one of several tables, by its name or that of a folder above it."""
    stem = path.name.partition(".")[0]
    # Parts of one table, as hubs store them: train-00000-of-00002.
    names = [stem, stem.partition("-")[0], *(part for part in path.relative_to(directory).parts)]
    found = next((split for name in names if (split := split_called(name))), None)
    if found is None:
        problem = "several tables are here, and this one is not called as a split; name the files "
        raise DataError(path, None, f"{problem}under split.files of the entry")
    return found


def own_rows(
    files: Sequence[OwnFile],
    entry: Mapping[str, Any],
    required: Sequence[str],
    optional: Sequence[str] = (),
) -> Iterator[OwnRow]:
    """Yield the rows of a user's tables, by the roles of their columns.

    Args:
        files: of `own_files`.
        entry: of the data set: ``columns``, ``split``.
        required: roles that a table must have a column for.
        optional: roles whose column may be missing, unless the entry names it.

    Raises:
        DataError: a table cannot be read, or lacks a column; or, after the last row, a list of
            items has an id that no row has.
    """
    columns = {role: _columns(entry, role) for role in (*required, *optional, "id")}
    plan = entry.get("split", {})
    listed = listed_items(plan)
    needed = [name for role in required for name in columns[role]]
    needed += [name for role in entry.get("columns", {}) for name in columns.get(role, ())]
    if "column" in plan:
        needed.append(plan["column"])
    missing, unread, known = set(listed), 0, set()
    for file in files:
        for row in read_table(file.path, list(dict.fromkeys(needed))):
            own = _own_row(file, row, columns, plan, several=len(files) > 1)
            missing.discard(own.id)
            if listed:
                known.add(own.id)
            unread += own.problem is not None
            yield replace(own, split=listed.get(own.id, "train")) if listed else own
    check_listed(plan, missing, unread, known)


def check_listed(
    plan: Mapping[str, Any], missing: Collection[str], unread: int, known: Collection[str]
) -> None:
    """Refuse lists of items with ids that the data do not have.

    Args:
        plan: ``split`` of the data set's entry, with the lists.
        missing: listed ids that no item has.
        unread: items without a readable id. They were set aside, and the list may name them.
        known: ids of the data.

    Raises:
        DataError: there are more missing ids than such items.
    """
    if len(missing) <= unread:
        return
    lists = ", ".join(plan["items"].values())
    shown = ", ".join(repr(name[:60]) for name in sorted(missing)[:SHOWN_IDS])
    more = ", ..." if len(missing) > SHOWN_IDS else ""
    raise DataError(
        lists,
        None,
        f"no item of the data has these ids ({len(missing)} of {len(listed_items(plan))} in the "
        f"lists of split.items): {shown}{more}{spelling_hint(missing, known)}. "
        "Write ids as in the data; without a column id they are the numbers of the rows, "
        "such as 00001",
    )


def listed_items(plan: Mapping[str, Any]) -> dict[str, str]:
    """Item -> split, of the lists of items that a plan names.

    Raises:
        DataError: a list cannot be read, is empty, or an item is listed twice.
    """
    found: dict[str, str] = {}
    for split, path in plan.get("items", {}).items():
        before = len(found)
        for number, line in read_lines(user_path(path)):
            if not (name := line.strip()):
                continue
            if name in found:
                raise DataError(path, f"line {number}", f"the item {name!r} is listed twice")
            found[name] = split
        if len(found) == before:
            raise DataError(path, None, "expected ids of items, one a line; found none")
    return found


def _columns(entry: Mapping[str, Any], role: str) -> list[str]:
    named = entry.get("columns", {}).get(role, role)
    return [named] if isinstance(named, str) else list(named)


def _own_row(
    file: OwnFile,
    row: TableRow,
    columns: Mapping[str, list[str]],
    plan: Mapping[str, Any],
    *,
    several: bool,
) -> OwnRow:
    stem = file.path.name.partition(".")[0]
    name = f"{file.split or stem}-{row.number:05d}" if several else f"{row.number:05d}"
    if row.problem is not None:
        return OwnRow(file.path.name, row.place, name, problem=row.problem)
    values = {
        role: _value(row.values, names)
        for role, names in columns.items()
        if all(name in row.values for name in names)
    }
    if problem := _unencodable(values):
        return OwnRow(file.path.name, row.place, name, problem=problem)
    own = values.pop("id", None)
    if own is not None and str(own).strip():
        name = str(own)
    split, problem = _own_split(file, row, plan)
    return OwnRow(file.path.name, row.place, name, values, split, problem)


def _unencodable(values: Mapping[str, Any]) -> str | None:
    """What is wrong with cells that JSON can hold and no file of UTF-8."""
    for role, value in values.items():
        cells = value if isinstance(value, list) else [value]
        if not all(is_encodable(cell) for cell in cells if isinstance(cell, str)):
            return f"the {role} holds half a surrogate pair, expected valid Unicode"
    return None


def _value(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    return values[names[0]] if len(names) == 1 else [values[name] for name in names]


def _own_split(
    file: OwnFile, row: TableRow, plan: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """The split of a row, and what is wrong with it."""
    if "column" not in plan:
        return file.split, None
    given = str(row.values[plan["column"]])
    names = {value: split for split, value in plan.get("names", {}).items()}
    split = names.get(given) or split_called(given)
    if split is None:
        return None, f"the column {plan['column']} has {given[:24]!r}, which names no split"
    return split, None

"""Items and groups that are left out of a data set because somebody withdrew.

Conversions drop them, so nothing that is made from the records holds them. Names are compared by
their digests: rules, logs and results never hold a name in clear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affectlab.datasets.description import Description
from affectlab.datasets.names import name_key
from affectlab.errors import DataError
from affectlab.files.text import read_text

KINDS = {"items": "item", "groups": "group"}
"""Key of an entry's ``exclude`` -> what a line of its file begins with."""

SHOWN = 5
"""So many places of unknown names are in a message."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A name that is to be left out.

    Attributes:
        digest: of `name_digest`.
        place: where it is listed, for messages.
    """

    digest: str
    place: str


class Exclusion:
    """What a conversion leaves out, and how much of it was found in the data."""

    def __init__(self, names: Iterable[Withdrawn] = ()) -> None:
        """Start without items.

        Args:
            names: to be left out; by default nobody.
        """
        self._places: dict[str, str] = {}
        for name in names:
            self._places.setdefault(name.digest, name.place)
        self.restart()

    def restart(self) -> None:
        """Forget the items so far: the data are read again from the beginning."""
        self._found: set[str] = set()
        self._groups: set[str] = set()
        self._items = 0

    def drops(self, *owners: tuple[str, str | None]) -> bool:
        """Whether an item is left out; it is counted then.

        Args:
            owners: id and group of the item; of an item of several rows those of each row. A group
                that is not known is None or empty.
        """
        if not self._places:
            return False
        found = set()
        for name, group in owners:
            found.add(name_digest("items", name))
            if group:
                digest = name_digest("groups", group)
                found.add(digest)
                if digest in self._places:
                    self._groups.add(digest)
        found &= self._places.keys()
        self._found |= found
        self._items += bool(found)
        return bool(found)

    def described(self, description: Description, path: Path | str) -> Description:
        """Add the counts to the description of the data set, once all its items were read.

        Args:
            description: of the items that are kept.
            path: of the raw data, for messages.

        Raises:
            DataError: a name is not in the data; tells where it is listed, and no name.
        """
        unknown = [place for digest, place in self._places.items() if digest not in self._found]
        if unknown:
            more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
            raise DataError(
                path,
                None,
                f"exclude: {len(unknown)} of {len(self._places)} names are not in the data "
                f"({'; '.join(unknown[:SHOWN])}{more}); correct them (ids must have the same case "
                "and white space), or remove them from the list "
                "if their raw data are deleted",
            )
        return replace(description, excluded_items=self._items, excluded_groups=len(self._groups))


def name_digest(kind: str, name: str) -> str:
    """The SHA-256 of an id or a group, in hex.

    Groups have the same digest in every spelling, see `names.name_key`; ids must be equal.

    Args:
        kind: a key of `KINDS`.
        name: the id or the group.
    """
    key = name_key(name) if kind == "groups" else name
    return hashlib.sha256(f"exclude\n{kind}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()


def listed_digests(exclude: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names that an entry lists itself, as digests.

    Args:
        exclude: of the data set's entry.

    Returns:
        Key of `KINDS` -> `name_digest` of each name; keys without names are left out.
    """
    return {
        kind: [name_digest(kind, name) for name in exclude[kind]]
        for kind in KINDS
        if kind in exclude
    }


def read_exclusion(digests: Mapping[str, Iterable[str]], file: Path | str | None) -> Exclusion:
    """What an entry lists itself, and the names in its file.

    Args:
        digests: of `listed_digests`.
        file: a line ``item: <id>`` or ``group: <name>`` each; None without one.

    Raises:
        DataError: the file cannot be read, or a line is something else.
    """
    names = [
        Withdrawn(digest, f"{kind}, name {number}")
        for kind, own in digests.items()
        for number, digest in enumerate(own, start=1)
    ]
    return Exclusion([*names, *(_names_in(Path(file)) if file is not None else ())])


def _names_in(path: Path) -> list[Withdrawn]:
    kinds = {word: kind for kind, word in KINDS.items()}
    found = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        word, _, name = line.partition(":")
        if word.strip() not in kinds or not name.strip():
            raise DataError(path, f"line {number}", "expected item: <id> or group: <name>")
        digest = name_digest(kinds[word.strip()], name.strip())
        found.append(Withdrawn(digest, f"{path.name}, line {number}"))
    return found


def taken_exclusions(
    config: Mapping[str, Any], entries: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Take the names out of the configuration and out of the registry, which are both stored.

    Args:
        config: valid and complete.
        entries: of all data sets; they lose their ``exclude``.

    Returns:
        Data set -> its ``digests`` (see `listed_digests`) and, if it has one, its ``file``. The
        configuration with the number of names instead of the names: no data have that name, so a
        conversion by a stored configuration stops.
    """
    taken = {}
    for name, entry in entries.items():
        if (exclude := entry.pop("exclude", None)) is not None:
            file = {"file": exclude["file"]} if "file" in exclude else {}
            taken[name] = {"digests": listed_digests(exclude), **file}
    own = {
        name: {**entry, "exclude": _counted(entry["exclude"])} if "exclude" in entry else entry
        for name, entry in config["datasets"].items()
    }
    return taken, {**config, "datasets": own}


def _counted(exclude: Mapping[str, Any]) -> dict[str, Any]:
    """An entry's ``exclude`` with the number of names instead of the names."""
    counted = {
        kind: [f"({len(exclude[kind])} names are not stored here)"]
        for kind in KINDS
        if kind in exclude
    }
    return {**exclude, **counted}


def excluded_part(description: Description) -> dict[str, dict[str, int]]:
    """What an audit stores of the exclusion: the counts; nothing where nobody is left out."""
    if not description.excluded_items:
        return {}
    counts = {"items": description.excluded_items, "groups": description.excluded_groups}
    return {"excluded": counts}

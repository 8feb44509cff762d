"""The classes of a data set: which there are, and in which order they have their ids."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from affectlab.datasets.names import name_key
from affectlab.errors import DataError

MOST_NAMED = 12
"""So many classes are in a message."""


def class_order(
    found: Collection[str], listed: Sequence[str] | None, path: Path | str
) -> tuple[str, ...]:
    """The classes in the order of their ids.

    Args:
        found: names in the data.
        listed: ``classes`` of the data set's entry; None if it lists none.
        path: of the data, for messages.

    Returns:
        *listed*; without it the names in the data, sorted, whole numbers by their value.

    Raises:
        DataError: the data have fewer than two classes, two that differ in spelling only (*listed*
            ones as well), or one that is not *listed*.
    """
    if listed is not None:
        _refuse_similar(listed, path)
        if unknown := sorted(set(found) - set(listed)):
            raise DataError(path, None, unknown_class(unknown[0], listed))
        return tuple(listed)
    if len(found) < 2:
        shown = f"only {min(found)!r}" if found else "none"
        raise DataError(path, None, f"expected at least two classes, found {shown}")
    _refuse_similar(found, path)
    if all(name.isascii() and name.isdigit() for name in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found))


def _refuse_similar(found: Collection[str], path: Path | str) -> None:
    spellings: dict[str, str] = {}
    for name in sorted(found):
        other = spellings.setdefault(class_key(name), name)
        if other != name:
            raise DataError(
                path,
                None,
                f"the classes {other!r} and {name!r} differ in spelling only; correct the data and "
                "classes of the entry, or leave out classes and set similar_names: merge",
            )


def merge_spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """Name in the data -> the commonest spelling of that name (of equal ones the first sorted)."""
    best: dict[str, str] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        best.setdefault(class_key(name), name)
    return {name: best[class_key(name)] for name in counts}


def class_key(name: str) -> str:
    """What spellings of one class share: `name_key`, in which 1 and 1.0 are one number."""
    key = name_key(name)
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", key)


def unknown_class(label: str, classes: Sequence[str]) -> str:
    """Describe a label that is no class, and the nearest; a long one may be a text: not shown."""
    shown = f" {label!r}" if len(label) <= 24 else ""
    near = difflib.get_close_matches(label.strip().lower(), classes, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    more = ", ..." if len(classes) > MOST_NAMED else ""
    known = ", ".join(classes[:MOST_NAMED]) + more
    return f"unknown label{shown}, expected one of {known}{meant}"

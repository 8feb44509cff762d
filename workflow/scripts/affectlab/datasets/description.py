"""What a conversion says about its data set beside the records: `description.json`.

Whatever comes after it takes the classes and their order from here, and not from the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from affectlab.errors import DataError
from affectlab.files.io import read_json, write_json

CONTENT = "content"
"""Stands for the group column where only items of the same content are kept together."""

Target = Literal["class", "classes", "numbers", "texts"]


@dataclass(frozen=True, slots=True)
class Description:
    """A data set as it was converted.

    Attributes:
        classes: names in the order of their ids; of numbers and texts the names of these.
        target: what is predicted of an item.
        annotators: how many gave a label to an item; None where there is one label each.
        language: ISO 639 code; None if it is not known.
        folds: of the cross-validation; None if there is a test split.
        group: what keeps items together: a column, or ``content`` for items that are the same
            after normalisation.
        seed: of a split that was made here; None if the data brought theirs.
        split_sha256: of ids, splits and folds.
        excluded_items: number of items that were left out because somebody withdrew.
        excluded_groups: number of groups that were left out for this reason.
    """

    classes: tuple[str, ...]
    target: Target = "class"
    annotators: int | None = None
    language: str | None = None
    folds: int | None = None
    group: str = CONTENT
    seed: int | None = None
    split_sha256: str | None = None
    # The kind of data set is the same without them.
    excluded_items: int = field(default=0, compare=False)
    excluded_groups: int = field(default=0, compare=False)

    def write(self, path: Path | str) -> None:
        """Store it, with its digest."""
        write_json(path, asdict(self), sealed=True)


def read_description(path: Path | str) -> Description:
    """Read a `description.json`.

    Raises:
        DataError: it is missing or corrupt, or lacks the classes.
    """
    content = read_json(path)
    try:
        found = Description(**{**content, "classes": tuple(content["classes"])})
    except (TypeError, KeyError) as error:
        raise DataError(path, None, "expected the description of a data set") from error
    if not _is_sound(found):
        raise DataError(path, None, "expected different names of classes, and a known target")
    return found


def _is_sound(found: Description) -> bool:
    names = found.classes
    return (
        all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names) > 0
        and found.target in get_args(Target)
    )


def language_of(entry: Mapping[str, Any]) -> str | None:
    """The language of a data set by its entry; None where it has several, or states none."""
    languages = entry.get("facts", {}).get("languages", ())
    return languages[0] if len(languages) == 1 else None

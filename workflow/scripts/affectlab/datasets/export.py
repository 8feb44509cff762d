"""The records of a converted data set as a data set of the package `datasets`, on disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.errors import UserError
from affectlab.files.io import atomic_path, read_jsonl

FREE = re.compile(r"\b(CC0|CC[ -]BY[ -]?\d?(?!.*(NC|ND))|MIT|Apache|public domain|ODC)", re.I)
"""Licences by which anybody may hand the data on."""

NO_SPLIT = "all"
"""Stands for the split of records without one."""


def may_be_exported(entry: Mapping[str, Any]) -> bool:
    """Whether the terms of a data set let anybody hand it on.

    Args:
        entry: of the data set in the registry.
    """
    made = {source["kind"] for source in entry["sources"]} == {"sample"}
    free = FREE.search(str(entry["licence"])) is not None
    return made or (entry["access"] == "open" and free)


def export_records(folder: Path, target: Path) -> dict[str, int]:
    """Write the table ``records.jsonl`` of a conversion to *target*, one data set a split.

    Args:
        folder: where the conversion wrote.
        target: folder that does not exist yet; `datasets.load_from_disk` reads it again.

    Returns:
        Split -> records.

    Raises:
        DataError: the records cannot be read.
        UserError: *target* exists, or there are no records.
    """
    path = folder / "records.jsonl"
    names = sorted({_split(row) for row in read_jsonl(path)})
    if not names:
        raise UserError(f"{path}: no records")

    def rows(split: str) -> Iterator[dict[str, Any]]:
        return (row for row in read_jsonl(path) if _split(row) == split)

    return write_data_set(names, rows, target)


def write_data_set(
    splits: Sequence[str],
    rows: Callable[[str], Iterator[Mapping[str, Any]]],
    target: Path,
    features: Any = None,
) -> dict[str, int]:
    """Write a data set of the package `datasets`, holding few rows at a time.

    Args:
        splits: names of the splits.
        rows: gives the rows of a split.
        target: folder that does not exist yet.
        features: `datasets.Features`; None takes what the rows have.

    Returns:
        Split -> rows.

    Raises:
        UserError: *target* exists.
    """
    from datasets import Dataset, DatasetDict, disable_progress_bars

    disable_progress_bars()
    if target.exists():
        raise UserError(f"{target}: exists already; name a folder that does not")
    with atomic_path(target) as fresh:
        parts = {
            # The package's own files stay out of the home folder.
            name: Dataset.from_generator(
                rows,
                gen_kwargs={"split": name},
                cache_dir=str(fresh / ".cache"),
                features=features,
            )
            for name in splits
        }
        DatasetDict(parts).save_to_disk(str(fresh))
        shutil.rmtree(fresh / ".cache")
    return {name: len(part) for name, part in parts.items()}


def _split(row: Mapping[str, Any]) -> str:
    split = row.get("split")
    return split if isinstance(split, str) else NO_SPLIT

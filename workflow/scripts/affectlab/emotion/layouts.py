"""The layouts of a raw folder: which of its files belong to which split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from affectlab.datasets.splits import SPLITS
from affectlab.emotion.rows import Row, read_csv, read_json_lines, read_parquet, read_semicolon
from affectlab.errors import DataError

STEMS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test",),
}
"""What the file of a split may be called, without its ending."""

FOLDERS = ("", "data", "split")
"""Where the files may lie inside the raw folder."""

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")


@dataclass(frozen=True, slots=True)
class Layout:
    """A raw layout: the form of its files in words, their endings, and their reader."""

    form: str
    endings: tuple[str, ...]
    read_rows: Callable[[Path], Iterator[Row]]


LAYOUTS = {
    "semicolon": Layout(
        "train.txt, val.txt and test.txt (text;label a line)", (".txt", ".txt.gz"), read_semicolon
    ),
    "parquet": Layout(
        "split/train-00000-of-00001.parquet and the same of validation and test (text, label)",
        (".parquet",),
        read_parquet,
    ),
    "jsonl": Layout(
        'train.jsonl, validation.jsonl and test.jsonl ({"text": ..., "label": ...} a line)',
        (".jsonl", ".jsonl.gz"),
        read_json_lines,
    ),
    "csv": Layout(
        "train.csv, validation.csv and test.csv (header text,label)", (".csv", ".csv.gz"), read_csv
    ),
}
"""The layouts that `read_raw` understands; all but Parquet may also be gzip-compressed."""


@dataclass(frozen=True, slots=True)
class RawFiles:
    """The files of a raw folder: the layout's name, and for each split its files in order."""

    layout: str
    files: dict[str, tuple[Path, ...]]


def find_layout(directory: Path | str) -> RawFiles:
    """Find out which layout a raw folder has.

    The files lie in the folder itself, in ``data/`` or ``split/``, or all of that inside one
    only subfolder, as an unpacked archive leaves them.

    Raises:
        DataError: there is no layout, more than one, or a file of a split is missing or double.
    """
    root = Path(directory)
    if not root.is_dir():
        raise DataError(root, None, "no such folder")
    found = _files_by_layout(root)
    if not found:
        folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir()]
        folders = [entry for entry in folders if not entry.name.startswith((".", "__"))]
        if len(folders) == 1:
            found = _files_by_layout(folders[0])
    if not found:
        looked_for = "; ".join(f"{name}: {layout.form}" for name, layout in LAYOUTS.items())
        there = sorted(entry.name for entry in root.iterdir())
        listing = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "") if there else "nothing"
        raise DataError(
            root, None, f"no emotion corpus here. Looked for {looked_for}. Found {listing}"
        )
    if len(found) > 1:
        both = "; ".join(
            f"{name}: {', '.join(_names(files, root))}" for name, files in found.items()
        )
        raise DataError(root, None, f"files of more than one layout, keep one of them: {both}")
    name, files = found.popitem()
    missing = [split for split in SPLITS if not files[split]]
    if missing:
        raise DataError(
            root,
            None,
            f"no file of the split {' and '.join(missing)}; expected {LAYOUTS[name].form}, "
            f"found {', '.join(_names(files, root))}",
        )
    for split in SPLITS:
        _check_single(root, split, files[split])
    return RawFiles(name, {split: tuple(files[split]) for split in SPLITS})


def _files_by_layout(root: Path) -> dict[str, dict[str, list[Path]]]:
    """For each layout of which *root* has at least one file: split -> files, sorted."""
    found: dict[str, dict[str, list[Path]]] = {}
    for folder in FOLDERS:
        if not (root / folder).is_dir():
            continue
        for path in sorted((root / folder).iterdir()):
            for name, layout in LAYOUTS.items():
                ending = next((end for end in layout.endings if path.name.endswith(end)), None)
                if ending is None:
                    continue
                stem = path.name.removesuffix(ending)
                if ending == ".parquet":
                    stem = _SHARD.sub("", stem)
                for split, stems in STEMS.items():
                    if stem in stems:
                        found.setdefault(name, {s: [] for s in SPLITS})[split].append(path)
    return found


def _names(files: dict[str, list[Path]], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for split in SPLITS for path in files[split]]


def _check_single(root: Path, split: str, paths: list[Path]) -> None:
    """A split is one file, or all the numbered parts of one."""
    parts = [_SHARD.search(path.name.removesuffix(".parquet")) for path in paths]
    if len(paths) == 1 and parts[0] is None:
        return
    names = ", ".join(path.relative_to(root).as_posix() for path in paths)
    stems = {_SHARD.sub("", path.as_posix().removesuffix(".parquet")) for path in paths}
    if not all(parts) or len(stems) > 1:
        raise DataError(root, None, f"more than one file of the split {split}: {names}")
    totals = {int(part.group(2)) for part in parts if part}
    numbers = [int(part.group(1)) for part in parts if part]
    if len(totals) > 1 or numbers != list(range(max(totals))):
        raise DataError(
            root, None, f"the split {split} should have {max(totals)} parts, found {names}"
        )

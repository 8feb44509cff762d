"""GoEmotions (Demszky et al. 2020): tab-separated sentences with ids of their classes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.lines import UNDECODED, not_utf8
from affectlab.datasets.names import name_key
from affectlab.datasets.separators import other_separator
from affectlab.entity.data import Record, Target
from affectlab.entity.labels import CLASSES, GOEMOTIONS_CLASSES, soft_label_of_ids
from affectlab.entity.lines import numbered_lines
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import read_text

FILES = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}


def read_goemotions(
    root: Path, similar_names: str, ids: LabelIds, exclusion: Exclusion
) -> Iterator[Record | BadRecord]:
    """Read ``text TAB ids TAB comment id`` a line, ids named by emotions.txt if there.

    Lines that *exclusion* drops, good or bad, are passed over.
    """
    folder = root / "data" if (root / "data" / "train.tsv").is_file() else root
    names = _class_names(folder, similar_names)
    for split, file in FILES.items():
        path = folder / file
        good = 0
        for place, line in numbered_lines(path):
            fields = line.split("\t")
            problem = _problem_of(line, len(names))
            name = f"{split}-{place.removeprefix('line '):0>5}"
            if exclusion.drops((name, None)):
                continue
            if problem is not None:
                yield BadRecord(path.relative_to(root).as_posix(), place, problem)
                continue
            good += 1
            chosen = [int(number) for number in fields[1].split(",")]
            for number in chosen:
                ids.add(split, names, number)
            label = soft_label_of_ids(chosen, names)
            target = Target(f"{name}.s", None, None, tuple(label), 1.0)
            yield Record(name, fields[0], split, (target,))
        if not good:
            raise DataError(path, None, "not one good record in the file")


def _class_names(folder: Path, similar_names: str) -> Sequence[str]:
    path = folder / "emotions.txt"
    if not path.is_file():
        return GOEMOTIONS_CLASSES
    names = read_text(path).split()
    if similar_names == "merge":
        names = [name_key(name) for name in names]
    if sorted(names) != sorted(CLASSES):
        unknown = ", ".join(sorted(set(names) ^ set(CLASSES)))
        raise DataError(
            path,
            None,
            f"expected the 28 classes once each; unknown or absent: "
            f"{unknown or 'none, but one stands twice'}",
        )
    return names


def _problem_of(line: str, classes: int) -> str | None:
    if UNDECODED.search(line):
        return not_utf8(line)
    fields = line.split("\t")
    if len(fields) != 3:
        other = other_separator(line, 3, "\t")
        return f"expected 3 fields (text, ids, comment id), found {len(fields)}{other}"
    if not fields[0].strip():
        return "the text is empty"
    for number in fields[1].split(","):
        if not re.fullmatch("[0-9]{1,2}", number) or int(number) >= classes:
            return f"expected class ids from 0 to {classes - 1}, found {fields[1][:40]!r}"
    return None

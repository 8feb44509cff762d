"""The faces of a corpus as one array and one table, as a conversion leaves them.

Everything that comes after the conversion reads these:

* ``faces.npy``: uint8 ``[N, H, W]``, or ``[N, H, W, 3]`` in colour (RGB); FER2013 has 48 x 48;
* ``metadata.csv``: one row per image in the same order, see `Faces`;
* ``description.json``: the classes and the division, see `datasets.description`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.datasets.description import Description
from affectlab.datasets.names import name_key
from affectlab.datasets.splits import joined_groups
from affectlab.errors import DataError, UserError, reading
from affectlab.face.faces import CLASSES, SPLITS
from affectlab.face.votes import TAGS
from affectlab.files.integrity import check_file, checked
from affectlab.files.text import read_text

PUBLISHED = Description(CLASSES)
"""Of FER2013 and every corpus in its layouts."""

STATUSES = ("own", "twin", "none")
"""Whose FER+ votes a row holds: its own, those of images with the same pixels, nobody's."""

FIXED = ["image_path", "split", "emotion_label", "format", "size"]
OWN_COLUMNS = ["group", "fold"]
AFFECT_COLUMNS = ["valence", "arousal"]
VOTES_COLUMNS = ["votes_status", *(f"votes_{tag}" for tag in TAGS)]


@dataclass(frozen=True, slots=True)
class Faces:
    """A converted corpus; every array has one entry per image, in the order of the files.

    Attributes:
        images: uint8 ``[N, H, W]`` or ``[N, H, W, 3]``, mapped from the file.
        paths: where each image came from, unique.
        splits: ``train``, ``validation`` or ``test``.
        formats: of the original files, such as ``jpg``; ``csv`` for rows of a table.
        sizes: width and height of the original images, such as ``48x48``.
        emotions: class name, or the empty string where the source gives none.
        affect: float64 ``[N, 2]``, valence and arousal in -1..1 as the source gives them; None
            where it does not.
        votes: int64 ``[N, 10]``, FER+ votes by `votes.TAGS`; None where none were joined. A row
            of zeros has no votes.
        votes_status: one of `STATUSES` per image; None where no votes were joined.
        groups: such as the person shown, whose images stay together; None where it is not known,
            of an image or of all.
        folds: int64 ``[N]``, of the cross-validation; None without one.
        description: classes and division.
    """

    images: np.ndarray
    paths: list[str]
    splits: np.ndarray
    formats: list[str]
    sizes: list[str]
    emotions: np.ndarray
    affect: np.ndarray | None
    votes: np.ndarray | None
    votes_status: np.ndarray | None
    groups: list[str | None] | None = None
    folds: np.ndarray | None = None
    description: Description = PUBLISHED

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        return self.description.classes

    def __len__(self) -> int:
        return len(self.paths)

    def rows_of(self, *splits: str, labelled: bool = False) -> np.ndarray:
        """Row numbers of *splits*, int64; with *labelled*, those with an emotion only."""
        chosen = np.isin(self.splits, splits)
        if labelled:
            chosen &= self.emotions != ""
        return np.flatnonzero(chosen)

    def conditions(self, rows: np.ndarray) -> dict[str, list[float] | list[str]]:
        """Conditions of recording of *rows*, as `evaluation.conditions` takes them."""
        images = self.images[rows]
        return {
            "format": [self.formats[row] for row in rows],
            "size": [self.sizes[row] for row in rows],
            "brightness": [float(image.mean()) for image in images],
            "contrast": [float(image.std()) for image in images],
        }

    def class_ids(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Class ids of *rows*, int64; -1 for an image without a label."""
        ids = {name: number for number, name in enumerate(self.classes)}
        return np.array([ids.get(name, -1) for name in self.emotions[rows]], dtype=np.int64)

    def take(self, rows: np.ndarray) -> Faces:
        """Return the corpus of *rows* alone, in their order."""

        def chosen(column: Any) -> Any:
            if isinstance(column, list):
                return [column[row] for row in rows]
            return column[rows] if isinstance(column, np.ndarray) else column

        return Faces(**{field.name: chosen(getattr(self, field.name)) for field in fields(self)})

    def for_fold(self, fold: int) -> Faces:
        """The corpus as *fold* of the cross-validation sees it.

        The fold is the test split, the next one the validation split; the rest is trained on.
        """
        assert self.folds is not None
        assert self.description.folds is not None
        following = (fold + 1) % self.description.folds
        held_out = np.where(self.folds == following, "validation", "train")
        return replace(self, splits=np.where(self.folds == fold, "test", held_out))


def twin_groups(images: np.ndarray) -> np.ndarray:
    """A number per image, int64 ``[N]``; images with the same pixels have the same."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(image.tobytes(), len(numbers)) for image in images])


def groups_of(faces: Faces) -> list[int]:
    """Number the groups of images: with the same pixels, or of one person where that is known."""
    twins: list[int] = twin_groups(faces.images).tolist()
    if faces.groups is None:
        return twins
    people = [None if name is None else name_key(name) for name in faces.groups]
    return joined_groups(people, twins)


@checked("faces_path", check_file)
def read_faces(
    faces_path: Path | str,
    metadata_path: Path | str,
    description: Description = PUBLISHED,
    fold: int | None = None,
) -> Faces:
    """Read what `convert.convert` wrote.

    Args:
        faces_path: the images.
        metadata_path: their table.
        description: of the data set.
        fold: gives the corpus as `Faces.for_fold` does; None leaves its splits.

    Raises:
        DataError: the files do not belong together, or one is not what `convert` wrote.
    """
    with reading(faces_path, "an array of images"):
        images = np.load(faces_path, mmap_mode="r")
        if not isinstance(images, np.ndarray):
            raise TypeError("several arrays")
    side = images.shape[1] if images.ndim > 1 else 0
    if images.dtype != np.uint8 or images.shape[1:] not in ((side, side), (side, side, 3)):
        problem = f"expected uint8 [N, H, H] or [N, H, H, 3], found {images.dtype} {images.shape}"
        raise DataError(faces_path, None, problem)
    columns = read_table(metadata_path, FIXED)
    _check_table(columns, len(images), description, metadata_path)
    affect = votes = status = None
    if "valence" in columns:
        affect = np.stack(
            [numbers(columns, name, metadata_path) for name in AFFECT_COLUMNS], axis=1
        )
    if "votes_status" in columns:
        status = np.array(columns["votes_status"])
        counted = [numbers(columns, name, metadata_path) for name in VOTES_COLUMNS[1:]]
        votes = np.stack(counted, axis=1).astype(np.int64)
    faces = Faces(
        images=images,
        paths=columns["image_path"],
        splits=np.array(columns["split"]),
        formats=columns["format"],
        sizes=columns["size"],
        emotions=np.array(columns["emotion_label"]),
        affect=affect,
        votes=votes,
        votes_status=status,
        groups=[cell or None for cell in columns["group"]] if "group" in columns else None,
        folds=_folds(columns, description, metadata_path),
        description=description,
    )
    return faces if fold is None else faces.for_fold(fold)


def _check_table(
    columns: Mapping[str, list[str]], images: int, description: Description, path: Path | str
) -> None:
    """Raise `DataError` where a table does not belong to the described data or so many *images*."""
    count = len(columns["image_path"])
    if count != images:
        raise DataError(path, None, f"{count} rows for {images} images")
    for name, allowed in (("split", SPLITS), ("emotion_label", ("", *description.classes))):
        for number, value in enumerate(columns[name], start=2):
            if value not in allowed:
                expected = ", ".join(filter(None, allowed))
                problem = f"{name} {value!r}: expected one of {expected}"
                raise DataError(path, f"line {number}", problem)
    paths = columns["image_path"]
    if len(set(paths)) != len(paths):
        raise DataError(path, None, "an image_path occurs twice")
    for extra in (AFFECT_COLUMNS, VOTES_COLUMNS):
        if 0 < len(set(extra) & set(columns)) < len(extra):
            raise DataError(path, "line 1", f"expected all of {', '.join(extra)} or none")


def _folds(
    columns: Mapping[str, list[str]], description: Description, path: Path | str
) -> np.ndarray | None:
    """The fold of each image, int64; None without cross-validation."""
    if description.folds is None:
        return None
    cells = columns.get("fold", [""])
    if not all(cell.isdecimal() and int(cell) < description.folds for cell in cells):
        raise DataError(path, None, f"expected a fold below {description.folds} of every image")
    return np.array(cells, dtype=np.int64)


def read_table(path: Path | str, required: list[str]) -> dict[str, list[str]]:
    """Read a CSV as columns of text.

    Raises:
        DataError: a required column is missing, or a row has another number of cells.
    """
    rows = csv.reader(io.StringIO(read_text(path)))
    header = next(rows, [])
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(path, "line 1", f"no column {', '.join(missing)}")
    cells: list[list[str]] = [[] for _ in header]
    for row in rows:
        if len(row) != len(header):
            problem = f"expected {len(header)} cells, found {len(row)}"
            raise DataError(path, f"line {rows.line_num}", problem)
        for column, cell in zip(cells, row, strict=True):
            column.append(cell)
    return dict(zip(header, cells, strict=True))


def numbers(columns: Mapping[str, list[str]], name: str, path: Path | str) -> np.ndarray:
    """One column of `read_table` as float64; an empty cell is NaN.

    Raises:
        DataError: a cell is no number.
    """
    values = np.empty(len(columns[name]))
    for place, cell in enumerate(columns[name]):
        try:
            values[place] = float(cell) if cell else np.nan
        except ValueError as error:
            problem = f"{name} {cell!r}: expected a number"
            raise DataError(path, f"line {place + 2}", problem) from error
    return values


def require_images(faces: Faces, split: str, metadata_path: Path | str) -> np.ndarray:
    """The labelled rows of *split*.

    Raises:
        UserError: there is none.
    """
    rows = faces.rows_of(split, labelled=True)
    if len(rows) == 0:
        raise UserError(f"{metadata_path}: no labelled images in the {split} split")
    return rows

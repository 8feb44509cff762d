"""The faces of a corpus as one array and one table, whatever their raw layout was.

`convert` reads the raw files once and holds one image at a time; what it writes is read by
everything else:

* ``faces.npy``: uint8 ``[N, 48, 48]``;
* ``metadata.csv``: one row per image in the same order, see `Faces`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from affectlab.datasets.label_order import LabelIds
from affectlab.errors import DataError, UserError, reading
from affectlab.face.agreement import check_agreement
from affectlab.face.faces import CLASSES, SIDE, SPLITS, Face
from affectlab.face.raw import read_raw
from affectlab.face.votes import TAGS, Votes, join_votes
from affectlab.files.integrity import check_file, checked
from affectlab.files.io import sealed_path, sealed_writer
from affectlab.files.text import read_text

STATUSES = ("own", "twin", "none")
"""Whose FER+ votes a row holds: its own, those of images with the same pixels, nobody's."""

_FIXED = ["image_path", "split", "emotion_label", "format", "size"]
_AFFECT = ["valence", "arousal"]
_VOTES = ["votes_status", *(f"votes_{tag}" for tag in TAGS)]


@dataclass(frozen=True, slots=True)
class Faces:
    """A converted corpus; every array has one entry per image, in the order of the files.

    Attributes:
        images: uint8 ``[N, 48, 48]``, mapped from the file.
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
        ids = {name: number for number, name in enumerate(CLASSES)}
        return np.array([ids.get(name, -1) for name in self.emotions[rows]], dtype=np.int64)

    def take(self, rows: np.ndarray) -> Faces:
        """Return the corpus of *rows* alone, in their order."""

        def chosen(column: Any) -> Any:
            if isinstance(column, list):
                return [column[row] for row in rows]
            return None if column is None else column[rows]

        return Faces(**{field.name: chosen(getattr(self, field.name)) for field in fields(self)})


def convert(
    *,
    raw_directory: Path,
    votes_directory: Path | None,
    faces_path: Path,
    metadata_path: Path,
    quarantine_path: Path,
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    expected: Mapping[str, Any] | None = None,
) -> None:
    """Read a raw folder once and write array, table and quarantine; all of them or none.

    Args:
        raw_directory: a corpus in one of the layouts of `raw.read_raw`.
        votes_directory: FER+ votes to join (see `votes.join_votes`), or None.
        faces_path: gets the images, ``.npy``.
        metadata_path: gets the table, CSV.
        quarantine_path: gets ``{"file", "place", "problem"}`` per bad image, JSON Lines.
        on_bad_record: ``fail`` raises at the first bad image, ``skip`` sets it aside.
        similar_names: ``refuse`` or ``merge``, see `raw.read_raw`.
        expected: ``expected`` of the data registry; labels that came as numbers must fit its
            ``classes`` or ``shares``.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``, a file is unusable, the
            votes do not belong to this corpus, a class is spelled in several ways, or the label
            ids or the votes fit another order of the classes better.
        UserError: an output cannot be written.
    """
    faces: list[Face] = []
    ids = LabelIds()
    with sealed_path(faces_path) as fresh, sealed_writer(quarantine_path) as quarantine:
        with _array_writer(fresh) as append:
            for item in read_raw(raw_directory, on_bad_record, similar_names, ids):
                if isinstance(item, Face):
                    assert item.pixels is not None
                    append(item.pixels)
                    faces.append(item.without_pixels())
                else:
                    quarantine.write(json.dumps(asdict(item), ensure_ascii=False) + "\n")
        ids.check(raw_directory, expected or {})
        votes = None
        if votes_directory is not None:
            images = np.load(fresh, mmap_mode="r")
            votes = join_votes(faces, images, votes_directory, similar_names)
            check_agreement(faces, votes, raw_directory)
        _write_metadata(metadata_path, faces, votes)


@contextmanager
def _array_writer(path: Path) -> Iterator[Any]:
    """Yield a function that appends one uint8 image to a ``.npy`` file of unknown length."""
    count = 0

    def write_header(stream: IO[bytes], length: int) -> int:
        # NumPy leaves room in the header for a growing first axis, so it can be written again.
        header = {"descr": "|u1", "fortran_order": False, "shape": (length, SIDE, SIDE)}
        np.lib.format.write_array_header_1_0(stream, header)
        return stream.tell()

    with path.open("wb") as stream:
        reserved = write_header(stream, 0)

        def append(pixels: np.ndarray) -> None:
            nonlocal count
            stream.write(pixels.tobytes())
            count += 1

        yield append
        stream.seek(0)
        if write_header(stream, count) != reserved:
            raise RuntimeError("the .npy header changed its length")


def _write_metadata(path: Path, faces: list[Face], votes: Votes | None) -> None:
    has_affect = any(face.valence is not None for face in faces)
    columns = _FIXED + (_AFFECT if has_affect else []) + (_VOTES if votes else [])
    with sealed_writer(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row, face in enumerate(faces):
            cells: list[Any] = [face.image_path, face.split, face.emotion, face.format, face.size]
            if has_affect:
                cells += [face.valence, face.arousal]
            if votes is not None:
                cells += [votes.status[row], *votes.counts[row].tolist()]
            writer.writerow(cells)


@checked("faces_path", check_file)
def read_faces(faces_path: Path | str, metadata_path: Path | str) -> Faces:
    """Read what `convert` wrote.

    Raises:
        DataError: the two files do not belong together, or one is not what `convert` wrote.
    """
    with reading(faces_path, "an array of images"):
        images = np.load(faces_path, mmap_mode="r")
        if not isinstance(images, np.ndarray):
            raise TypeError("several arrays")
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
        problem = f"expected uint8 [N, {SIDE}, {SIDE}], found {images.dtype} {images.shape}"
        raise DataError(faces_path, None, problem)
    columns = read_table(metadata_path, _FIXED)
    count = len(columns["image_path"])
    if count != len(images):
        raise DataError(metadata_path, None, f"{count} rows for {len(images)} images")
    for name, allowed in (("split", SPLITS), ("emotion_label", ("", *CLASSES))):
        for number, value in enumerate(columns[name], start=2):
            if value not in allowed:
                expected = ", ".join(filter(None, allowed))
                problem = f"{name} {value!r}: expected one of {expected}"
                raise DataError(metadata_path, f"line {number}", problem)
    paths = columns["image_path"]
    if len(set(paths)) != len(paths):
        raise DataError(metadata_path, None, "an image_path occurs twice")
    affect = votes = status = None
    for extra in (_AFFECT, _VOTES):
        if 0 < len(set(extra) & set(columns)) < len(extra):
            raise DataError(metadata_path, "line 1", f"expected all of {', '.join(extra)} or none")
    if "valence" in columns:
        affect = np.stack([numbers(columns, name, metadata_path) for name in _AFFECT], axis=1)
    if "votes_status" in columns:
        status = np.array(columns["votes_status"])
        votes = np.stack([numbers(columns, name, metadata_path) for name in _VOTES[1:]], axis=1)
        votes = votes.astype(np.int64)
    return Faces(
        images=images,
        paths=paths,
        splits=np.array(columns["split"]),
        formats=columns["format"],
        sizes=columns["size"],
        emotions=np.array(columns["emotion_label"]),
        affect=affect,
        votes=votes,
        votes_status=status,
    )


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

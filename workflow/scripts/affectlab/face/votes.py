"""FER+ votes: what ten people said of each FER2013 image, joined to the images of a corpus.

Barsoum et al., Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
Distribution, ICMI 2016, doi 10.1145/2993148.2993165. Their ``fer2013new.csv`` has one row per row
of ``fer2013.csv``, in its order.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from affectlab.datasets.names import Ids, name_key
from affectlab.datasets.separators import wrong_separator
from affectlab.errors import DataError
from affectlab.face.faces import CLASSES, SHOWN, USAGES, Face
from affectlab.face.fer_table import CSV_NAMES
from affectlab.face.pixels import parse_pixels
from affectlab.face.tables import table_errors
from affectlab.files.text import bounded_lines, read_text

TAGS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""What a tagger could say; NF means that there is no face."""

TAG_OF_CLASS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}

VOTES_NAME = "fer2013new.csv"

MAX_ERROR = 6.0
"""Mean absolute difference up to which a compressed image counts as a reference image, in grey
levels; JPEG leaves 1 to 2, the nearest other face is above 10."""

BLOCK = 6
"""Side of the blocks whose means are compared first."""

CANDIDATES = 3
"""How many references with the nearest block means are compared pixel by pixel."""

CHUNK = 1024

_VOTES = re.compile(r"[0-9]{1,6}")
_CSV_RECORD = re.compile(r"[^/]+\.csv#\d+", re.IGNORECASE)
"""Path of an image that is a record of a CSV file; of an image file it has folders."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes of a corpus.

    Attributes:
        counts: int64 ``[N, 10]``, by `TAGS`; zeros where there are none.
        status: ``own``, ``twin`` (given to images with the same pixels) or ``none``.
    """

    counts: np.ndarray
    status: list[str]


@dataclass(frozen=True, slots=True)
class _Table:
    path: Path
    usages: list[str]
    names: list[str]
    counts: np.ndarray


def join_votes(
    faces: Sequence[Face], images: np.ndarray, directory: Path, similar_names: str = "refuse"
) -> Votes:
    """Find the votes of each image of a corpus.

    A corpus from a CSV file is joined row by row. Image files are joined by a mapping table (a
    CSV with ``image_path``, ``ferplus_image`` and ``n_identical_candidates``) if *directory* has
    one, else by their pixels, for which *directory* must hold ``fer2013.csv`` too.

    Args:
        faces: the corpus, in order.
        images: its images, uint8 ``[N, 48, 48]``.
        directory: holds ``fer2013new.csv``.
        similar_names: ``refuse`` takes names of images as they are spelled; ``merge`` also finds
            an image whose name differs in case, white space or Unicode form.

    Raises:
        DataError: the votes do not belong to the corpus, rows are missing, or a name of an image
            is there twice.
    """
    with table_errors(directory / VOTES_NAME):
        table = _read_votes(directory / VOTES_NAME, similar_names)
    if all(_CSV_RECORD.fullmatch(face.image_path) for face in faces):
        return _by_row(faces, table)
    mappings = [path for path in sorted(directory.glob("*.csv")) if _is_mapping(path)]
    if mappings:
        with table_errors(mappings[0]):
            return _by_mapping(faces, table, mappings[0], similar_names)
    references = [directory / name for name in CSV_NAMES if (directory / name).is_file()]
    if references:
        return _by_pixels(faces, images, table, references[0])
    raise DataError(
        directory,
        None,
        "image files need a mapping table (columns image_path, ferplus_image, "
        f"n_identical_candidates) or {CSV_NAMES[0]} beside {VOTES_NAME}, to tell which is which",
    )


def class_votes(counts: np.ndarray) -> np.ndarray:
    """The votes for our seven classes, int64 ``[N, 7]``: contempt, unknown and no face left out."""
    return counts[:, [TAGS.index(TAG_OF_CLASS[name]) for name in CLASSES]]


def match_pixels(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """For each image, the reference that it is a compressed copy of.

    Args:
        images: uint8 ``[N, 48, 48]``.
        references: uint8 ``[M, 48, 48]``, all different.

    Returns:
        int64 ``[N]``, places in *references*, -1 where none is within `MAX_ERROR`.
    """
    theirs = _block_means(references)
    norms = (theirs**2).sum(axis=1)
    found = np.full(len(images), -1)
    for start in range(0, len(images), CHUNK):
        chunk = images[start : start + CHUNK]
        distances = norms - 2 * _block_means(chunk) @ theirs.T
        kept = min(CANDIDATES, len(references))
        nearest = np.argpartition(distances, kept - 1, axis=1)[:, :kept]
        differences = references[nearest].astype(np.int16) - chunk[:, None].astype(np.int16)
        errors = np.abs(differences).mean(axis=(2, 3))
        best = errors.argmin(axis=1)
        rows = np.arange(len(chunk))
        close = errors[rows, best] <= MAX_ERROR
        found[start : start + len(chunk)] = np.where(close, nearest[rows, best], -1)
    return found


def _read_votes(path: Path, similar_names: str) -> _Table:
    reader = csv.reader(io.StringIO(read_text(path)))
    expected = ["Usage", "Image name", *TAGS]
    header = next(reader, [])
    if header != expected:
        problem = f"expected the columns {', '.join(expected)}"
        raise DataError(path, "line 1", wrong_separator(header, expected) or problem)
    usages, names, counts = [], [], []
    images = Ids(similar_names)
    votes_of: dict[str, list[str]] = {}
    for row in filter(None, reader):
        place = f"line {reader.line_num}"
        if len(row) != len(expected):
            raise DataError(path, place, f"expected {len(expected)} cells, found {len(row)}")
        if row[0] not in USAGES:
            raise DataError(
                path, place, f"Usage {row[0][:SHOWN]!r}: expected one of {', '.join(USAGES)}"
            )
        if not all(_VOTES.fullmatch(cell) for cell in row[2:]):
            raise DataError(path, place, "expected whole numbers of votes")
        # An image that FER+ left out has no name. Three rows of the original are there twice.
        if not row[1]:
            pass
        elif row[1] not in votes_of:
            if repeated := images.add(row[1], place):
                raise DataError(path, place, repeated.problem())
            votes_of[row[1]] = row[2:]
        elif votes_of[row[1]] != row[2:]:
            raise DataError(path, place, f"a second row for {row[1]}, with other votes")
        usages.append(USAGES[row[0]])
        names.append(row[1])
        counts.append([int(cell) for cell in row[2:]])
    return _Table(path, usages, names, np.array(counts, dtype=np.int64).reshape(-1, len(TAGS)))


def _by_row(faces: Sequence[Face], table: _Table) -> Votes:
    rows = []
    for face in faces:
        record = int(face.image_path.rpartition("#")[2])
        if record > len(table.usages):
            problem = f"no row for record {record} of the corpus; rows are missing"
            raise DataError(table.path, f"{len(table.usages)} rows", problem)
        if table.usages[record - 1] != face.split:
            raise DataError(
                table.path,
                f"line {record + 1}",
                f"belongs to the {table.usages[record - 1]} split, but record {record} of the "
                f"corpus to {face.split}: rows are missing, or it is another corpus",
            )
        rows.append(record - 1)
    counts = table.counts[rows]
    return Votes(counts, ["own" if row.any() else "none" for row in counts])


def _is_mapping(path: Path) -> bool:
    with table_errors(path), path.open(encoding="utf-8-sig", errors="replace") as stream:
        header = next(csv.reader(islice(bounded_lines(stream, path), 1)), [])
        return "image_path" in header or wrong_separator(header, ["image_path"]) is not None


def _by_mapping(faces: Sequence[Face], table: _Table, path: Path, similar_names: str) -> Votes:
    reader = csv.DictReader(io.StringIO(read_text(path)))
    header = list(reader.fieldnames or [])
    columns = ("ferplus_image", "n_identical_candidates")
    if not {"image_path", *columns} <= set(header):
        problem = f"expected the columns image_path, {', '.join(columns)}"
        other = wrong_separator(header, ["image_path", *columns])
        raise DataError(path, "line 1", other or problem)
    mapping: dict[str, tuple[str, str]] = {}
    images = Ids(similar_names)
    for row in reader:
        name, candidates = row[columns[0]], row[columns[1]]
        place = f"line {reader.line_num}"
        if name is None or candidates is None:
            raise DataError(path, place, f"expected {len(header)} cells")
        if row["image_path"] in mapping:
            raise DataError(path, place, f"a second row for {row['image_path']}")
        if repeated := images.add(row["image_path"], place):
            raise DataError(path, place, repeated.problem())
        mapping[row["image_path"]] = name, candidates
    spelled = {name_key(name): name for name in mapping}
    place_of = {name: place for place, name in enumerate(table.names) if name}
    counts = np.zeros((len(faces), len(TAGS)), dtype=np.int64)
    status = []
    for number, face in enumerate(faces):
        row_name = face.image_path
        if row_name not in mapping:
            row_name = spelled.get(name_key(face.image_path), "")
            if not row_name or similar_names == "refuse":
                other = f"; that of {row_name} is spelled otherwise" if row_name else ""
                raise DataError(path, None, f"no row for {face.image_path}{other}")
        name, candidates = mapping[row_name]
        if not name:
            status.append("none")
            continue
        if name not in place_of:
            problem = f"no row for {name}, which {path.name} gives {face.image_path}"
            raise DataError(table.path, None, problem)
        counts[number] = table.counts[place_of[name]]
        status.append("own" if candidates == "1" else "twin")
    return Votes(counts, status)


def _by_pixels(
    faces: Sequence[Face], images: np.ndarray, table: _Table, reference_path: Path
) -> Votes:
    """Join by pixels; images with several identical references get the sum of their votes."""
    references = _read_references(reference_path)
    if len(references) != len(table.names):
        problem = f"{len(table.names)} rows for {len(references)} rows of {reference_path.name}"
        raise DataError(table.path, None, problem)
    unique, inverse = np.unique(
        references.reshape(len(references), -1), axis=0, return_inverse=True
    )
    summed = np.zeros((len(unique), len(TAGS)), dtype=np.int64)
    np.add.at(summed, inverse, table.counts)
    multiplicity = np.bincount(inverse)
    found = match_pixels(images, unique.reshape(-1, *references.shape[1:]))
    counts = np.where(found[:, None] >= 0, summed[found], 0)
    status = np.where(multiplicity[found] > 1, "twin", "own")
    status = np.where((found < 0) | ~counts.any(axis=1), "none", status)
    return Votes(counts, status.tolist())


def _read_references(path: Path) -> np.ndarray:
    """The images of a ``fer2013.csv``, uint8 ``[M, 48, 48]``."""
    images = []
    with table_errors(path), path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(bounded_lines(stream, path), skipinitialspace=True)
        for number, row in enumerate(reader, start=1):
            try:
                images.append(parse_pixels(row["pixels"] or ""))
            except KeyError as error:
                other = wrong_separator(list(reader.fieldnames or []), ["pixels"])
                problem = other or "expected the column pixels"
                raise DataError(path, "line 1", problem) from error
            except ValueError as error:
                raise DataError(path, f"record {number}", str(error)) from error
    if not images:
        raise DataError(path, None, "no images, expected one a row")
    return np.stack(images)


def _block_means(images: np.ndarray) -> np.ndarray:
    """Means of the 6 x 6 blocks of each image, float32 ``[N, 64]``."""
    count, height, width = images.shape
    blocks = images.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return blocks.mean(axis=(2, 4), dtype=np.float32).reshape(count, -1)

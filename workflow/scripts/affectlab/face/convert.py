"""From the raw files of a corpus to one array and one table, whatever their layout was.

Raw files are read once, and one image is held at a time.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.label_order import LabelIds
from affectlab.face.agreement import check_agreement
from affectlab.face.data import (
    AFFECT_COLUMNS,
    FIXED,
    OWN_COLUMNS,
    PUBLISHED,
    VOTES_COLUMNS,
    twin_groups,
)
from affectlab.face.faces import SIDE, Face
from affectlab.face.own import OwnImages, divided
from affectlab.face.raw import read_raw
from affectlab.face.settings import OWN_LAYOUT
from affectlab.face.votes import Votes, join_votes
from affectlab.files.io import sealed_path, sealed_writer
from affectlab.files.quarantine import BadRecord


def convert(
    *,
    raw_directory: Path,
    votes_directory: Path | None,
    faces_path: Path,
    metadata_path: Path,
    quarantine_path: Path,
    description_path: Path,
    entry: Mapping[str, Any],
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    exclusion: Exclusion | None = None,
) -> None:
    """Read a raw folder once and write array, tables and description; all of them or none.

    Args:
        raw_directory: a corpus in one of the layouts of `raw.read_raw` or `own.OwnImages`.
        votes_directory: FER+ votes to join (see `votes.join_votes`), or None.
        faces_path: gets the images, ``.npy``.
        metadata_path: gets the table, CSV.
        quarantine_path: gets ``{"file", "place", "problem"}`` per bad image, JSON Lines.
        description_path: gets the classes and the division, see `datasets.description`.
        entry: of the data set in the registry. By its ``expected``, labels of the published corpus
            that came as numbers must fit ``classes`` or ``shares``.
        on_bad_record: ``fail`` raises at the first bad image, ``skip`` sets it aside.
        similar_names: ``refuse`` or ``merge``, see `raw.read_raw` and `own.divided`.
        exclusion: images that are left out because somebody withdrew; None for none.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``, a file is unusable, the
            votes do not belong to this corpus, a class is spelled in several ways, the label
            ids or the votes fit another order of the classes better, or own images cannot be
            divided as planned; or see `Exclusion.described`.
        UserError: an output cannot be written.
    """
    own = None
    ids, exclusion = LabelIds(), exclusion or Exclusion()
    if entry["layout"] == OWN_LAYOUT:
        own = OwnImages(raw_directory, entry, on_bad_record, exclusion)
        items, shape = own.items(), own.shape
    else:
        items = read_raw(raw_directory, on_bad_record, similar_names, ids, exclusion)
        shape = SIDE, SIDE
    with sealed_path(faces_path) as fresh, sealed_writer(quarantine_path) as quarantine:
        faces = _write_images(fresh, items, shape, quarantine)
        ids.check(raw_directory, entry.get("expected", {}))
        votes, description = None, PUBLISHED
        images = np.load(fresh, mmap_mode="r")
        if own is not None:
            faces, description = divided(
                faces, twin_groups(images), entry, raw_directory, own.group_column, similar_names
            )
        elif votes_directory is not None:
            votes = join_votes(faces, images, votes_directory, similar_names)
            check_agreement(faces, votes, raw_directory)
        exclusion.described(description, raw_directory).write(description_path)
        _write_metadata(metadata_path, faces, votes)


def _write_images(
    path: Path, items: Iterator[Face | BadRecord], shape: tuple[int, ...], quarantine: IO[str]
) -> list[Face]:
    """Write the pixels of good images and what is wrong with bad ones; the images without pixels.

    Args:
        path: of the array.
        items: good and bad images.
        shape: of one image.
        quarantine: gets the bad ones.
    """
    faces = []
    with _array_writer(path, shape) as append:
        for item in items:
            if isinstance(item, Face):
                assert item.pixels is not None
                append(item.pixels)
                faces.append(item.without_pixels())
            else:
                quarantine.write(json.dumps(item.stored(), ensure_ascii=False) + "\n")
    return faces


@contextmanager
def _array_writer(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends one uint8 image to a ``.npy`` file of unknown length."""
    count = 0

    def write_header(stream: IO[bytes], length: int) -> int:
        # NumPy leaves room in the header for a growing first axis, so it can be written again.
        header = {"descr": "|u1", "fortran_order": False, "shape": (length, *shape)}
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
    """Write the table; columns that no image has a value for are left out."""
    extra = [
        name
        for name in (*OWN_COLUMNS, *AFFECT_COLUMNS)
        if any(getattr(face, name) is not None for face in faces)
    ]
    with sealed_writer(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*FIXED, *extra, *(VOTES_COLUMNS if votes else [])])
        for row, face in enumerate(faces):
            cells: list[Any] = [face.image_path, face.split, face.emotion, face.format, face.size]
            cells += [getattr(face, name) for name in extra]
            if votes is not None:
                cells += [votes.status[row], *votes.counts[row].tolist()]
            writer.writerow(cells)

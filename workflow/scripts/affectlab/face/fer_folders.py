"""FER2013 as image files, ``<split>/<emotion>/<image>``."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.media import Sorted
from affectlab.datasets.names import Ids, Spellings
from affectlab.errors import DataError, printable
from affectlab.face.faces import USAGES, Face, class_name
from affectlab.face.files import Files
from affectlab.face.pixels import decode_image
from affectlab.face.tables import affect_of, require_columns, table_lines
from affectlab.files.quarantine import BadRecord
from affectlab.files.text import is_encodable

FOLDER_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""Splits by folder, for files whose names do not tell the official split."""

AFFECT_NAME = "affect.csv"
MAX_IMAGE_BYTES = 1 << 20
_USAGE_PREFIX = re.compile(r"^(Training|PublicTest|PrivateTest)_")


def read_folders(
    files: Files,
    images: Sorted,
    on_bad_record: str,
    classes: Spellings,
    ids: Ids,
    exclusion: Exclusion,
) -> Iterator[Face | BadRecord]:
    """Yield the images of all folders in the order of their files.

    Args:
        files: of the corpus.
        images: those that are read, and those that cannot be.
        on_bad_record: ``fail`` raises at the first bad image, ``skip`` yields it as `BadRecord`.
        classes: gets the spellings of folder names.
        ids: gets the names of the images.
        exclusion: images that are passed over, good or bad.

    Raises:
        DataError: an image is bad, or the table of valence and arousal.
    """
    affect = _read_affect(files, on_bad_record)
    advice = dict(images.unread)
    wanted = {*images.read, *advice}
    for name in (name for name in files.names if name in wanted):
        if exclusion.drops((_image_path(name), None)):
            continue
        try:
            if name in advice:
                raise ValueError(advice[name])
            face = _face_of_file(files, name, affect)
            if repeated := ids.add(face.image_path, name):
                if repeated.is_exact:
                    problem = f"a second image called {face.image_path}, as {repeated.place} is"
                    raise ValueError(problem)
                raise ValueError(repeated.problem())
            classes.add(PurePosixPath(name).parts[-2], name)
            yield face
        except ValueError as error:
            # A name that is not UTF-8 cannot be stored as it is.
            shown = printable(name)
            if on_bad_record == "fail":
                raise DataError(files.locate(shown), None, str(error)) from error
            yield BadRecord(shown, "image", str(error))


def _face_of_file(
    files: Files, name: str, affect: Mapping[str, tuple[float, float] | ValueError] | None
) -> Face:
    path = PurePosixPath(name)
    if len(path.parts) < 3:
        raise ValueError("expected <split>/<emotion>/<image>")
    prefix = _USAGE_PREFIX.match(path.name)
    folder = path.parts[-3].lower()
    if prefix:
        split = USAGES[prefix[1]]
    elif folder in FOLDER_SPLITS:
        split = FOLDER_SPLITS[folder]
    else:
        known = ", ".join(FOLDER_SPLITS)
        raise ValueError(f"unknown split {path.parts[-3]!r}, expected one of {known}")
    image_path = _image_path(name)
    if not is_encodable(image_path):
        raise ValueError("expected a name in UTF-8")
    emotion = class_name(path.parts[-2])
    with files.open(name) as stream:
        pixels = decode_image(stream.read(MAX_IMAGE_BYTES), path.name)
    coding = path.suffix.lower().removeprefix(".").replace("jpeg", "jpg")
    if affect is None:
        return Face(pixels, image_path, split, emotion, format=coding)
    if image_path not in affect:
        raise ValueError(f"no row in {AFFECT_NAME}")
    given = affect[image_path]
    if isinstance(given, ValueError):
        raise given
    return Face(pixels, image_path, split, emotion, *given, format=coding)


def _image_path(name: str) -> str:
    """The path of an image as in the archive, whatever folder it was unpacked into."""
    return "/".join(PurePosixPath(name).parts[-3:])


def _read_affect(
    files: Files, on_bad_record: str
) -> dict[str, tuple[float, float] | ValueError] | None:
    """Valence and arousal by image path, or what is wrong with them; None without a table."""
    tables = [name for name in files.names if PurePosixPath(name).name == AFFECT_NAME]
    if not tables:
        return None
    path = files.locate(tables[0])
    with files.open(tables[0]) as raw, table_lines(raw, path) as text:
        reader = csv.DictReader(text)
        require_columns(reader.fieldnames or [], ["image_path", "valence", "arousal"], path)
        found: dict[str, tuple[float, float] | ValueError] = {}
        for row in reader:
            name, place = row["image_path"], f"line {reader.line_num}"
            try:
                if name in found:
                    raise ValueError(f"a second row for {name}")
                found[name] = (affect_of(row, "valence"), affect_of(row, "arousal"))
            except ValueError as error:
                if on_bad_record == "fail":
                    raise DataError(path, place, str(error)) from error
                found[name] = ValueError(f"{AFFECT_NAME}, {place}: {error}")
        return found

"""FER2013 in the layouts that are in use, read one image at a time.

* CSV, as ``fer2013.csv`` (``emotion,pixels,Usage``) or ``icml_face_data.csv`` (``emotion, Usage,
  pixels``), with optional columns ``valence`` and ``arousal``;
* folders, ``train|test/<emotion>/*.jpg`` or other images that OpenCV reads, with an optional
  ``affect.csv`` (``image_path,valence,arousal``) beside ``train``.

Either may lie in a folder or in a zip archive, which is read in place. Class names decide what an
image is labelled with; ids occur in the CSV layouts only, whose order is `CSV_CLASSES`.
"""

from __future__ import annotations

import csv
import difflib
import io
import logging
import lzma
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.media import HEAD_BYTES, IMAGES, Sorted, sort_files
from affectlab.datasets.names import Ids, Spellings, name_key
from affectlab.datasets.separators import wrong_separator
from affectlab.errors import DataError, printable
from affectlab.face.images import claimed_size, undecodable
from affectlab.files.io import bounded_lines, folders_below, is_encodable
from affectlab.files.quarantine import ON_BAD_RECORD, BadRecord
from affectlab.files.unpacking import is_corruption, member_name

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

SIDE = 48
"""Height and width of every image, in pixels."""

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Class names in the order of our own ids (and the original project's)."""

CSV_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Class names in the order of the ids of the CSV files, which is another one."""

SHOWN = 40
"""Characters of a cell that a message shows: columns that are swapped hold whole pictures."""

SPLITS = ("train", "validation", "test")

USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
"""The official split, as the CSV files and the names of the image files tell it."""

SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
"""Other spellings of the classes in folder names and label columns."""

FOLDER_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""Splits by folder, for files whose names do not tell the official split."""

CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
AFFECT_NAME = "affect.csv"
MAX_IMAGE_BYTES = 1 << 20
CUT = "expected a whole image file; this one is cut off"
JPEG_END = b"\xff\xd9"
PNG_END = b"IEND\xaeB`\x82"
_USAGE_PREFIX = re.compile(r"^(Training|PublicTest|PrivateTest)_")
_CLASS_ID = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Face:
    """One image with what its source says of it.

    Attributes:
        pixels: uint8 ``[48, 48]``; None once they are stored elsewhere.
        image_path: path of the file in the corpus, or ``<csv file>#<record>``.
        split: one of `SPLITS`.
        emotion: one of `CLASSES`, or the empty string for an image without a label.
        valence: -1..1, or None.
        arousal: -1..1, or None.
        format: of the original file: its ending without the dot, ``csv`` for a row of a table.
        size: width and height of the original image, such as ``48x48``.
    """

    pixels: np.ndarray | None
    image_path: str
    split: str
    emotion: str
    valence: float | None = None
    arousal: float | None = None
    format: str = "csv"
    size: str = f"{SIDE}x{SIDE}"

    def without_pixels(self) -> Face:
        """The same without the image."""
        return replace(self, pixels=None)


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a folder or of a zip archive: names, and how to open one."""

    root: Path
    names: list[str]
    open: Callable[[str], IO[bytes]]

    def head(self, name: str) -> bytes:
        """The first bytes of a file."""
        with self.open(name) as stream:
            return stream.read(HEAD_BYTES)

    def locate(self, name: str) -> Path:
        """How a file is called in messages."""
        return self.root / name


@dataclass(frozen=True, slots=True)
class _Names:
    """The names and ids that a corpus was found to use, which grow as it is read."""

    classes: Spellings
    images: Ids
    labels: LabelIds


def class_name(text: str) -> str:
    """The class that *text* spells.

    Raises:
        ValueError: no class is called so; the message names the nearest.
    """
    name = name_key(text)
    name = SYNONYMS.get(name, name)
    if name in CLASSES:
        return name
    near = difflib.get_close_matches(name, [*CLASSES, *SYNONYMS], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"unknown class {text[:SHOWN]!r}, expected one of {', '.join(CLASSES)}{hint}")


def read_raw(
    directory: Path | str,
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    ids: LabelIds | None = None,
) -> Iterator[Face | BadRecord]:
    """Yield the images of a raw folder in the order of their file.

    Args:
        directory: holds the corpus, or one zip archive with it.
        on_bad_record: ``fail`` raises at the first bad image, ``skip`` yields it as `BadRecord`.
        similar_names: ``refuse`` raises in the end where a class is spelled in several ways
            (``angry`` and ``Angry``), and at images whose names differ so; ``merge`` takes the
            spellings as one class and such images as different ones.
        ids: gets the labels that came as numbers.

    Raises:
        DataError: an image is bad and *on_bad_record* is ``fail``; or the whole corpus is:
            missing, of an unknown layout, without an image, an archive that is corrupt, or with a
            class that is spelled in several ways.
    """
    if on_bad_record not in ON_BAD_RECORD:
        raise ValueError(f"on_bad_record must be fail or skip, not {on_bad_record!r}")
    names = _Names(Spellings("class"), Ids(similar_names), ids or LabelIds())
    with _open_files(Path(directory)) as files:
        tables = [name for name in files.names if PurePosixPath(name).name in CSV_NAMES]
        images = sort_files(IMAGES, files.names, files.head)
        if len(tables) > 1:
            raise DataError(directory, None, f"more than one table: {', '.join(tables)}")
        if tables:
            items = _read_csv(files, tables[0], on_bad_record, names)
            _report_unread(directory, tables[0], images)
        elif images.read or images.unread:
            items = _read_folders(files, images, on_bad_record, names)
        else:
            raise DataError(
                directory,
                None,
                f"no FER2013 here: expected {' or '.join(CSV_NAMES)}, or "
                "train|test/<emotion>/*.jpg (or other images), in the folder or in one zip "
                "archive in it",
            )
        good = 0
        for item in items:
            good += isinstance(item, Face)
            yield item
        if good == 0:
            raise DataError(directory, None, "not one good image")
        names.classes.check(directory, similar_names)


def decode_image(data: bytes, name: str = "image") -> np.ndarray:
    """A grey 48 x 48 image from the bytes of an image file, uint8; *name* is for the message.

    Raises:
        ValueError: cut off, no image, in colour, or of another size.
    """
    import cv2
    import numpy as np

    if data and claimed_size(data, name) != (SIDE, SIDE):
        width, height = claimed_size(data)
        raise ValueError(f"expected {SIDE}x{SIDE} pixels, found {width}x{height}")
    # OpenCV fills the missing part of a JPEG with grey and reports it on stderr only. Of other
    # formats it refuses what is cut off.
    whole = not (
        (data[:4] == b"\x89PNG" and PNG_END not in data[-16:])
        or (data[:3] == b"\xff\xd8\xff" and JPEG_END not in data[-64:])
    )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except cv2.error as error:
        # Of an image whose header claims more pixels than OpenCV takes.
        raise ValueError("expected an image file that OpenCV can read") from error
    if image is None or not whole:
        raise ValueError(undecodable(name, data) if image is None else CUT)
    if image.ndim == 3:
        if (image[..., :3] != image[..., :1]).any():
            raise ValueError("expected a grey image, found one in colour")
        image = np.ascontiguousarray(image[..., 0])
    if image.shape != (SIDE, SIDE):
        height, width = image.shape
        raise ValueError(f"expected {SIDE}x{SIDE} pixels, found {width}x{height}")
    if image.dtype != np.uint8:
        raise ValueError(f"expected 8 bits per pixel, found {image.dtype}")
    return image


def parse_pixels(text: str) -> np.ndarray:
    """An image from 2304 numbers between spaces, row by row, uint8 ``[48, 48]``.

    Raises:
        ValueError: another number of pixels, or one that is no integer of 0..255.
    """
    import numpy as np

    try:
        values = np.fromstring(text, dtype=np.int64, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise ValueError("pixels: expected integers between spaces") from error
    if len(values) != SIDE * SIDE:
        raise ValueError(f"expected {SIDE * SIDE} pixels, found {len(values)}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("pixels: expected integers of 0 to 255")
    return values.astype(np.uint8).reshape(SIDE, SIDE)


@contextmanager
def _open_files(directory: Path) -> Iterator[_Files]:
    """The files of a folder, or of the one zip archive in it."""
    if not directory.is_dir():
        raise DataError(directory, None, "no such folder")
    archives = sorted(directory.glob("*.zip"))
    if not archives:
        paths = (folder / name for folder, names in folders_below(directory) for name in names)
        names = sorted(path.relative_to(directory).as_posix() for path in paths if path.is_file())
        yield _Files(directory, names, lambda name: (directory / name).open("rb"))
        return
    if len(archives) > 1:
        listed = ", ".join(path.name for path in archives)
        raise DataError(directory, None, f"more than one archive, keep one: {listed}")
    [archive] = archives
    try:
        with zipfile.ZipFile(archive) as stream:
            members = {member_name(info): info for info in stream.infolist()}
            # Also those that come twice, which are reported where images are read.
            names = [
                name
                for name in map(member_name, stream.infolist())
                if not name.endswith("/") and not _is_hidden(name)
            ]
            yield _Files(archive, names, lambda name: stream.open(members[name]))
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        RuntimeError,
        EOFError,
        # Of a name that is not UTF-8.
        UnicodeDecodeError,
    ) as error:
        raise DataError(archive, None, f"not a whole zip archive: {error}") from error
    except OSError as error:
        if not is_corruption(error):
            raise
        raise DataError(archive, None, f"not a whole zip archive: {error}") from error


def _report_unread(directory: Path | str, table: str, images: Sorted) -> None:
    """Log that image files lie beside a table, which alone is read."""
    names = [*images.read, *(name for name, _ in images.unread)]
    if names:
        logger.warning(
            "%s: %s is read; %d image files beside it are not, the first is %s",
            directory,
            table,
            len(names),
            names[0],
        )


def _is_hidden(name: str) -> bool:
    """Whether a file, or a folder it is in, is one that systems leave behind, such as macOS."""
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _read_folders(
    files: _Files, images: Sorted, on_bad_record: str, names: _Names
) -> Iterator[Face | BadRecord]:
    affect = _read_affect(files, on_bad_record)
    advice = dict(images.unread)
    wanted = {*images.read, *advice}
    for name in (name for name in files.names if name in wanted):
        try:
            if name in advice:
                raise ValueError(advice[name])
            face = _face_of_file(files, name, affect)
            if repeated := names.images.add(face.image_path, name):
                if repeated.is_exact:
                    problem = f"a second image called {face.image_path}, as {repeated.place} is"
                    raise ValueError(problem)
                raise ValueError(repeated.problem())
            names.classes.add(PurePosixPath(name).parts[-2], name)
            yield face
        except ValueError as error:
            # A name that is not UTF-8 cannot be stored as it is.
            shown = printable(name)
            if on_bad_record == "fail":
                raise DataError(files.locate(shown), None, str(error)) from error
            yield BadRecord(shown, "image", str(error))


def _face_of_file(
    files: _Files, name: str, affect: Mapping[str, tuple[float, float] | ValueError] | None
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
    # As in the archive, whatever folder it was unpacked into.
    image_path = "/".join(path.parts[-3:])
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


def _read_affect(
    files: _Files, on_bad_record: str
) -> dict[str, tuple[float, float] | ValueError] | None:
    """Valence and arousal by image path, or what is wrong with them; None without a table."""
    tables = [name for name in files.names if PurePosixPath(name).name == AFFECT_NAME]
    if not tables:
        return None
    path = files.locate(tables[0])
    with files.open(tables[0]) as raw, _text(raw, path) as text:
        reader = csv.DictReader(text)
        _require_columns(reader.fieldnames or [], ["image_path", "valence", "arousal"], path)
        found: dict[str, tuple[float, float] | ValueError] = {}
        for row in reader:
            name, place = row["image_path"], f"line {reader.line_num}"
            try:
                if name in found:
                    raise ValueError(f"a second row for {name}")
                found[name] = (_affect(row, "valence"), _affect(row, "arousal"))
            except ValueError as error:
                if on_bad_record == "fail":
                    raise DataError(path, place, str(error)) from error
                found[name] = ValueError(f"{AFFECT_NAME}, {place}: {error}")
        return found


def _read_csv(
    files: _Files, name: str, on_bad_record: str, names: _Names
) -> Iterator[Face | BadRecord]:
    path = files.locate(name)
    with files.open(name) as raw, _text(raw, path) as text:
        reader = csv.reader(text)
        header = [cell.strip() for cell in next(reader, [])]
        _require_columns(header, ["emotion", "pixels", "Usage"], path)
        if ("valence" in header) != ("arousal" in header):
            raise DataError(path, "line 1", "of valence and arousal, expected both or neither")
        # A line with nothing in it, such as the last one of many files, is no record.
        for number, row in enumerate(filter(None, reader), start=1):
            try:
                face = _face_of_row(header, row, f"{PurePosixPath(name).name}#{number}")
                label = row[header.index("emotion")].strip()
                if _CLASS_ID.fullmatch(label):
                    names.labels.add(face.split, CSV_CLASSES, int(label))
                elif label:
                    names.classes.add(label, f"record {number}")
                yield face
            except ValueError as error:
                if on_bad_record == "fail":
                    raise DataError(path, f"record {number}", str(error)) from error
                yield BadRecord(name, f"record {number}", str(error))


def _face_of_row(header: list[str], row: list[str], image_path: str) -> Face:
    if len(row) != len(header):
        raise ValueError(f"expected {len(header)} cells, found {len(row)}")
    cells = dict(zip(header, row, strict=True))
    usage = cells["Usage"].strip()
    if usage not in USAGES:
        raise ValueError(f"Usage {usage[:SHOWN]!r}: expected one of {', '.join(USAGES)}")
    affect: dict[str, Any] = {
        name: _affect(cells, name) for name in ("valence", "arousal") if name in cells
    }
    return Face(
        parse_pixels(cells["pixels"]),
        image_path,
        USAGES[usage],
        _class_of_cell(cells["emotion"].strip()),
        **affect,
    )


def _class_of_cell(cell: str) -> str:
    """The class that an id or a name stands for; an empty cell is an image without a label."""
    if not cell:
        return ""
    if not _CLASS_ID.fullmatch(cell):
        return class_name(cell)
    if not 0 <= int(cell) < len(CSV_CLASSES):
        raise ValueError(f"emotion {cell}: expected 0 to {len(CSV_CLASSES) - 1}")
    return CSV_CLASSES[int(cell)]


def _affect(cells: Mapping[str, str], name: str) -> float:
    try:
        value = float(cells[name])
    except (TypeError, ValueError):
        value = math.nan
    if not -1 <= value <= 1:
        # A row that ends before has no cell here.
        shown = cells[name] and cells[name][:SHOWN]
        raise ValueError(f"{name} {shown!r}: expected a number of -1 to 1")
    return value


def _require_columns(header: Sequence[str], required: list[str], path: Path) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        problem = f"no column {', '.join(missing)}; expected {', '.join(required)}"
        raise DataError(path, "line 1", wrong_separator(header, required) or problem)


@contextmanager
def _text(raw: IO[bytes], path: Path) -> Iterator[Iterator[str]]:
    """*raw* as lines of UTF-8 text."""
    with table_errors(path), io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        yield bounded_lines(text, path)


@contextmanager
def table_errors(path: Path) -> Iterator[None]:
    """Within it, what is no CSV in UTF-8 is a `DataError` that names *path*."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(path, None, f"expected UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise DataError(path, None, f"not a CSV: {error}; is a quote left open?") from error

"""FER2013 in the layouts that are in use, read one image at a time.

* CSV, as ``fer2013.csv`` (``emotion,pixels,Usage``) or ``icml_face_data.csv`` (``emotion, Usage,
  pixels``), with optional columns ``valence`` and ``arousal``;
* folders, ``train|test/<emotion>/*.jpg`` or other images that OpenCV reads, with an optional
  ``affect.csv`` (``image_path,valence,arousal``) beside ``train``.

Either may lie in a folder or in a zip archive, which is read in place. Class names decide what an
image is labelled with; ids occur in the CSV layouts only, whose order is `CSV_CLASSES`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.media import IMAGES, Sorted, sort_files
from affectlab.datasets.names import Ids, Spellings
from affectlab.errors import DataError
from affectlab.face.faces import Face
from affectlab.face.fer_folders import read_folders
from affectlab.face.fer_table import CSV_NAMES, read_table
from affectlab.face.files import open_files
from affectlab.files.quarantine import ON_BAD_RECORD, BadRecord

logger = logging.getLogger(__name__)


def read_raw(
    directory: Path | str,
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    ids: LabelIds | None = None,
    exclusion: Exclusion | None = None,
) -> Iterator[Face | BadRecord]:
    """Yield the images of a raw folder in the order of their file.

    Args:
        directory: holds the corpus, or one zip archive with it.
        on_bad_record: ``fail`` raises at the first bad image, ``skip`` yields it as `BadRecord`.
        similar_names: ``refuse`` raises in the end where a class is spelled in several ways
            (``angry`` and ``Angry``), and at images whose names differ so; ``merge`` takes the
            spellings as one class and such images as different ones.
        ids: gets the labels that came as numbers.
        exclusion: images that are passed over, good or bad; None for none.

    Raises:
        DataError: an image is bad and *on_bad_record* is ``fail``; or the whole corpus is:
            missing, of an unknown layout, without an image, an archive that is corrupt, or with a
            class that is spelled in several ways.
    """
    if on_bad_record not in ON_BAD_RECORD:
        raise ValueError(f"on_bad_record must be fail or skip, not {on_bad_record!r}")
    classes, exclusion = Spellings("class"), exclusion or Exclusion()
    with open_files(Path(directory)) as files:
        tables = [name for name in files.names if PurePosixPath(name).name in CSV_NAMES]
        images = sort_files(IMAGES, files.names, files.head)
        if len(tables) > 1:
            raise DataError(directory, None, f"more than one table: {', '.join(tables)}")
        if tables:
            items = read_table(
                files, tables[0], on_bad_record, classes, ids or LabelIds(), exclusion
            )
            _report_unread(directory, tables[0], images)
        elif images.read or images.unread:
            items = read_folders(
                files, images, on_bad_record, classes, Ids(similar_names), exclusion
            )
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
        classes.check(directory, similar_names)


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

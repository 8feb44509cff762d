"""FER2013 as one table of pixels."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.names import Spellings
from affectlab.errors import DataError
from affectlab.face.faces import CSV_CLASSES, SHOWN, USAGES, Face, class_name
from affectlab.face.files import Files
from affectlab.face.pixels import parse_pixels
from affectlab.face.tables import affect_of, require_columns, table_lines
from affectlab.files.quarantine import BadRecord

CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
_CLASS_ID = re.compile(r"-?[0-9]{1,9}")


def read_table(
    files: Files,
    name: str,
    on_bad_record: str,
    classes: Spellings,
    ids: LabelIds,
    exclusion: Exclusion,
) -> Iterator[Face | BadRecord]:
    """Yield the images of a table in its order.

    Args:
        files: of the corpus.
        name: of the table.
        on_bad_record: ``fail`` raises at the first bad image, ``skip`` yields it as `BadRecord`.
        classes: gets the spellings of labels.
        ids: gets the labels that came as numbers.
        exclusion: images that are passed over, good or bad.

    Raises:
        DataError: the file is no such table, or an image is bad.
    """
    path = files.locate(name)
    with files.open(name) as raw, table_lines(raw, path) as text:
        reader = csv.reader(text)
        header = [cell.strip() for cell in next(reader, [])]
        require_columns(header, ["emotion", "pixels", "Usage"], path)
        if ("valence" in header) != ("arousal" in header):
            raise DataError(path, "line 1", "of valence and arousal, expected both or neither")
        # A line with nothing in it, such as the last one of many files, is no record.
        for number, row in enumerate(filter(None, reader), start=1):
            image_path = f"{PurePosixPath(name).name}#{number}"
            if exclusion.drops((image_path, None)):
                continue
            try:
                face = _face_of_row(header, row, image_path)
                label = row[header.index("emotion")].strip()
                if _CLASS_ID.fullmatch(label):
                    ids.add(face.split, CSV_CLASSES, int(label))
                elif label:
                    classes.add(label, f"record {number}")
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
        name: affect_of(cells, name) for name in ("valence", "arousal") if name in cells
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

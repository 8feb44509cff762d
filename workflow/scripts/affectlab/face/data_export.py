"""The converted images of a corpus as a data set of the package `datasets`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.datasets.description import read_description
from affectlab.datasets.export import write_data_set
from affectlab.face.data import Faces, read_faces


def export_faces(folder: Path, target: Path) -> dict[str, int]:
    """Write the images, their labels and what else is known of them, one data set a split.

    Images are PNG, of the size and colour of the conversion; so nothing is lost a second time.

    Args:
        folder: where the conversion wrote.
        target: folder that does not exist yet; `datasets.load_from_disk` reads it again.

    Returns:
        Split -> images.

    Raises:
        DataError: the folder holds no converted images.
        UserError: *target* exists.
    """
    description = read_description(folder / "description.json")
    faces = read_faces(folder / "faces.npy", folder / "metadata.csv", description)

    def rows(split: str) -> Iterator[dict[str, Any]]:
        return (_row(faces, int(number)) for number in faces.rows_of(split))

    return write_data_set(sorted(set(faces.splits.tolist())), rows, target, _features(faces))


def _row(faces: Faces, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": faces.paths[number],
        "image": {"bytes": _png(faces.images[number]), "path": None},
        "label": str(faces.emotions[number]) or None,
        "split": str(faces.splits[number]),
    }
    if faces.groups is not None:
        row["group"] = faces.groups[number]
    if faces.folds is not None:
        row["fold"] = int(faces.folds[number])
    if faces.affect is not None:
        row["valence"], row["arousal"] = (_known(value) for value in faces.affect[number])
    return row


def _features(faces: Faces) -> Any:
    from datasets import ClassLabel, Features, Image, Value

    columns: dict[str, Any] = {
        "id": Value("string"),
        "image": Image(),
        "label": ClassLabel(names=list(faces.classes)),
        "split": Value("string"),
    }
    if faces.groups is not None:
        columns["group"] = Value("string")
    if faces.folds is not None:
        columns["fold"] = Value("int64")
    if faces.affect is not None:
        columns |= {"valence": Value("float64"), "arousal": Value("float64")}
    return Features(columns)


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def _known(value: float) -> float | None:
    """A number; None where the table has none."""
    return None if np.isnan(value) else float(value)

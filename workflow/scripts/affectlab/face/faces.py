"""A face, and the classes and splits of FER2013 under all their names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from affectlab.datasets.names import name_key

if TYPE_CHECKING:
    import numpy as np

SIDE = 48
"""Height and width of the images of FER2013, in pixels."""

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Class names of FER2013 in the order of our own ids (and the original project's)."""

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


@dataclass(frozen=True, slots=True)
class Face:
    """One image with what its source says of it.

    Attributes:
        pixels: uint8 ``[H, W]``, or ``[H, W, 3]`` in colour (RGB); None once they are stored
            elsewhere.
        image_path: path of the file in the corpus, or ``<csv file>#<record>``.
        split: one of `SPLITS`; of own images empty until they are divided.
        emotion: name of its class, or the empty string for an image without a label.
        valence: -1..1, or None.
        arousal: -1..1, or None.
        format: of the original file: its ending without the dot, ``csv`` for a row of a table.
        size: width and height of the original image, such as ``48x48``.
        group: such as the person shown, whose images stay together; None if not known.
        fold: of the cross-validation; None without one.
    """

    pixels: np.ndarray | None
    image_path: str
    split: str
    emotion: str
    valence: float | None = None
    arousal: float | None = None
    format: str = "csv"
    size: str = f"{SIDE}x{SIDE}"
    group: str | None = None
    fold: int | None = None

    def without_pixels(self) -> Face:
        """Return the same without the image."""
        return replace(self, pixels=None)


def class_name(text: str) -> str:
    """Find the class that *text* spells.

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

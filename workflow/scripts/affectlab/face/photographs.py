"""Photographs of any size: reading them, finding faces, and making faces as the corpus has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from affectlab.errors import DataError, UserError
from affectlab.face.faces import SIDE
from affectlab.face.images import MOST_BYTES, claimed_size, undecodable

DETECTOR = "haarcascade_frontalface_default.xml"


def read_image(path: Path | str) -> np.ndarray:
    """An image file as grey levels, uint8 ``[H, W]``, turned as its camera says.

    Raises:
        DataError: no such file, or no image.
    """
    import cv2

    try:
        with Path(path).open("rb") as stream:
            # No more: a device or a pipe has no size, and may have no end.
            data = stream.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(path, None, "no such file") from error
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        problem = f"expected an image of at most {MOST_BYTES / 1e6:.0f} MB, found a longer file"
        raise DataError(path, None, problem)
    try:
        claimed_size(data, Path(path).name)
    except ValueError as error:
        raise DataError(path, None, str(error)) from error
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error as error:
        raise DataError(path, None, f"an image that OpenCV refuses: {error.err}") from error
    if image is None:
        raise DataError(path, None, undecodable(Path(path).name, data))
    return image


def detect_faces(image: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Frontal faces in a grey photograph, from the left: left, top, width and height of each.

    Uses the cascade of Viola and Jones that ships with OpenCV: quick, and blind to faces that
    are turned or covered.
    """
    import cv2
    import cv2.data

    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / DETECTOR))
    found = cascade.detectMultiScale(image, scaleFactor=1.1, minNeighbors=5, minSize=(24, 24))
    return sorted((int(x), int(y), int(w), int(h)) for x, y, w, h in found)


def prepare(image: np.ndarray) -> np.ndarray:
    """Any face image as the corpus has them: grey, 48 x 48, uint8.

    Raises:
        UserError: not uint8, or neither ``[H, W]`` nor ``[H, W, 1]`` nor ``[H, W, 3]``.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise UserError(
            f"expected a uint8 image [H, W] or [H, W, 3], found {image.dtype} {list(image.shape)}"
        )
    if image.ndim == 3:
        if image.shape[2] not in (1, 3):
            raise UserError(f"expected 1 or 3 channels, found {image.shape[2]}")
        image = image[..., 0] if image.shape[2] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if image.shape == (SIDE, SIDE):
        return image
    larger = image.shape[0] > SIDE or image.shape[1] > SIDE
    # Averaging when it shrinks; anything else would alias.
    method = cv2.INTER_AREA if larger else cv2.INTER_LINEAR
    return cv2.resize(image, (SIDE, SIDE), interpolation=method)

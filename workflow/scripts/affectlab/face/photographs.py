"""Photographs of any size: reading them, finding faces, and making inputs of a network."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from affectlab.errors import DataError, UserError
from affectlab.face.faces import SIDE
from affectlab.face.images import MOST_BYTES, claimed_size, undecodable
from affectlab.face.pixels import CUT, JPEG_END

DETECTOR = "haarcascade_frontalface_default.xml"


def read_image(path: Path | str, *, color: bool = False) -> np.ndarray:
    """An image file as `decode_photograph` gives it.

    Raises:
        DataError: no such file, or no image.
    """
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
        return decode_photograph(data, Path(path).name, color=color)
    except ValueError as error:
        raise DataError(path, None, str(error)) from error


def decode_photograph(data: bytes, name: str, *, color: bool) -> np.ndarray:
    """Decode an image file of any size and format, turned as its camera says.

    Args:
        data: the file.
        name: of the file, for the message.
        color: whether colours are kept.

    Returns:
        uint8: grey levels ``[H, W]``, or RGB ``[H, W, 3]``.

    Raises:
        ValueError: no image, or one that is too large.
    """
    import cv2

    claimed_size(data, name)
    kind = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), kind)
    except cv2.error as error:
        raise ValueError(f"an image that OpenCV refuses: {error.err}") from error
    if image is None:
        raise ValueError(undecodable(name, data))
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if color else image


def check_whole(data: bytes) -> None:
    """See that a JPEG is not cut off: OpenCV fills the missing part with grey.

    Raises:
        ValueError: it is.
    """
    from PIL import Image

    # Some cameras write more behind the end of the picture, so its absence there proves nothing.
    if data[:3] != b"\xff\xd8\xff" or JPEG_END in data[-64:]:
        return
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except OSError as error:
        raise ValueError(CUT) from error


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


def prepare(image: np.ndarray, side: int = SIDE, *, color: bool = False) -> np.ndarray:
    """Any face image as a network takes them; one that is no square is stretched.

    Args:
        image: uint8, grey ``[H, W]`` or ``[H, W, 1]``, or RGB ``[H, W, 3]``.
        side: height and width of the result.
        color: whether the result has colours.

    Returns:
        uint8 ``[side, side]``, or ``[side, side, 3]`` in colour.

    Raises:
        UserError: not uint8, or neither ``[H, W]`` nor ``[H, W, 1]`` nor ``[H, W, 3]``.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise UserError(
            f"expected a uint8 image [H, W] or [H, W, 3], found {image.dtype} {list(image.shape)}"
        )
    if image.ndim == 3 and image.shape[2] not in (1, 3):
        raise UserError(f"expected 1 or 3 channels, found {image.shape[2]}")
    image = with_channels(image, color=color)
    if image.shape[:2] == (side, side):
        return image
    larger = image.shape[0] > side or image.shape[1] > side
    # Averaging when it shrinks; anything else would alias.
    method = cv2.INTER_AREA if larger else cv2.INTER_LINEAR
    return cv2.resize(image, (side, side), interpolation=method)


def with_channels(image: np.ndarray, *, color: bool) -> np.ndarray:
    """An image in colour ``[H, W, 3]``, or its grey levels ``[H, W]``."""
    import cv2

    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if color and image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return image if color or image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def image_format(data: bytes) -> str:
    """The format of an image by its content, such as ``jpeg``: an ending may be wrong."""
    import io

    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return str(image.format or "unknown").lower()

"""Grey images of 48 x 48 pixels, from image files and from numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affectlab.face.faces import SIDE
from affectlab.face.images import claimed_size, undecodable

if TYPE_CHECKING:
    import numpy as np

CUT = "expected a whole image file; this one is cut off"
JPEG_END = b"\xff\xd9"
PNG_END = b"IEND\xaeB`\x82"


def decode_image(data: bytes, name: str = "image") -> np.ndarray:
    """Decode an image file, uint8 ``[48, 48]``; *name* is for the message.

    Raises:
        ValueError: cut off, no image, in colour, or of another size.
    """
    import cv2
    import numpy as np

    _check_size(*claimed_size(data, name))
    # OpenCV fills the missing part of a JPEG with grey and reports it on stderr only. Of other
    # formats it refuses what is cut off.
    whole = not (
        (data[:4] == b"\x89PNG" and PNG_END not in data[-16:])
        or (data[:3] == b"\xff\xd8\xff" and JPEG_END not in data[-64:])
    )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        # Of an image whose header claims more pixels than OpenCV takes.
        raise ValueError("expected an image file that OpenCV can read") from error
    if image is None or not whole:
        raise ValueError(undecodable(name, data) if image is None else CUT)
    if image.ndim == 3:
        if (image[..., :3] != image[..., :1]).any():
            raise ValueError("expected a grey image, found one in colour")
        image = np.ascontiguousarray(image[..., 0])
    _check_size(image.shape[1], image.shape[0])
    if image.dtype != np.uint8:
        raise ValueError(f"expected 8 bits per pixel, found {image.dtype}")
    return image


def _check_size(width: int, height: int) -> None:
    if (width, height) != (SIDE, SIDE):
        raise ValueError(f"expected {SIDE}x{SIDE} pixels, found {width}x{height}")


def parse_pixels(text: str) -> np.ndarray:
    """Parse an image from 2304 numbers between spaces, row by row, uint8 ``[48, 48]``.

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

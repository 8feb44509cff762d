"""What an image file claims, looked at before any memory is taken for it."""

from __future__ import annotations

import io
import struct
import warnings

from affectlab.datasets.media import IMAGES, START_BYTES

MOST_PIXELS = 100_000_000
"""Larger images are refused: two of the largest cameras' pictures are smaller."""

MOST_BYTES = 200 << 20
"""Of an image file."""

_NO_IMAGE = "expected a whole image file; this one is cut off or is none"
PNG_START = b"\x89PNG\r\n\x1a\n"


def undecodable(name: str, data: bytes) -> str:
    """Why the content *data* of the file *name* cannot be decoded as an image."""
    return IMAGES.misnomer(name, data[:START_BYTES]) or _NO_IMAGE


def claimed_size(data: bytes, name: str = "image") -> tuple[int, int]:
    """Width and height by the header of an image file, before it is decoded.

    OpenCV takes the memory that a header asks for: 4 GB for a file of 1,478 bytes whose only
    fault is the length of one chunk, and 2 GB for 32,000 x 32,000 pixels in one colour.

    Args:
        data: a JPEG, PNG or another image file that Pillow knows.
        name: of the file, for the message.

    Raises:
        ValueError: no image, cut off, or of more than `MOST_PIXELS`.
    """
    from PIL import Image, UnidentifiedImageError

    if data.startswith(PNG_START):
        _check_chunks(data)
    try:
        # Our own limit is below that at which it warns; other warnings name no file.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
    except UnidentifiedImageError as error:
        raise ValueError(undecodable(name, data)) from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"expected at most {MOST_PIXELS:,} pixels, found far more") from error
    except Exception as error:
        # Its readers of single formats raise whatever `struct` or an index does.
        raise ValueError(undecodable(name, data)) from error
    if width * height > MOST_PIXELS:
        raise ValueError(f"expected at most {MOST_PIXELS:,} pixels, found {width}x{height}")
    if width < 1 or height < 1:
        raise ValueError(f"expected an image with pixels, found {width}x{height}")
    return width, height


def _check_chunks(data: bytes) -> None:
    """See that each chunk of a PNG file ends within it."""
    place = len(PNG_START)
    while place < len(data):
        if len(data) - place < 12:
            raise ValueError("expected a whole PNG file; this one is cut off")
        (length,) = struct.unpack_from(">I", data, place)
        place += 12 + length
        if place > len(data):
            problem = "this one is cut off: a chunk is longer than what is left"
            raise ValueError(f"expected a whole PNG file, {problem}")
        if data[place - length - 8 : place - length - 4] == b"IEND":
            return
    raise ValueError("expected a whole PNG file, this one is cut off: it has no end")

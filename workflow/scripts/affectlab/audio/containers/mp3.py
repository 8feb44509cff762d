"""MPEG audio files."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from affectlab.audio.containers.file import (
    MOST_CHUNKS,
    TAGS,
    TOLERATED_REST,
    CutShortError,
    File,
    Patch,
)

MP3_BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""(version, layer) -> kbit/s by the index in a frame's header, from 1 (ISO 11172-3, 13818-3)."""

MP3_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Bits of the version -> Hz by the index in a frame's header."""

MOST_SKIPPED = 1 << 20
"""Bytes of an MP3 file that may be neither frames nor tags; searching more would take minutes."""

_MP3_HEADER = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]")
"""Beginning of a frame: marks of its start, and a bit rate that exists."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """An MPEG audio frame: bytes, what all frames of a file share, bytes of side information."""

    size: int
    kind: tuple[int, int, int]
    side: int


def _mp3_frame(header: bytes) -> _Frame | None:
    """What the four bytes at the beginning of a frame say; None if they are none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    bits = 1000 * MP3_BITRATES[1 if version == 3 else 2, layer][bitrate - 1]
    hertz = MP3_RATES[version][rate]
    if layer == 1:
        size = (12 * bits // hertz + padding) * 4
    else:
        size = (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding
    mono = header[3] >> 6 == 3
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return _Frame(size, (version, layer, hertz), side)


def check_mp3(file: File) -> Patch | None:
    """Check that the last frame is whole and that there are as many frames as announced.

    Returns:
        A frame to be inserted that announces the others, if the file has none.

    Raises:
        CutShortError: frames are missing, or there are more than announced.
    """
    start = _after_id3(file)
    first = _mp3_frame(file.at(start, 4))
    if first is None:
        return None
    # Of the sound alone: old tags lie in the last 128 bytes.
    end = file.size - (128 if file.at(file.size - 128, 3) == b"TAG" else 0)
    count = _count_mp3(file, start, end, first)
    announced = _mp3_announced(file, start, first)
    if announced is None:
        # libsndfile guesses the length by the first frames and reads no further than that.
        return Patch(start, _mp3_announcement(file.at(start, 4), count), 0)
    # The frame that announces the others may count itself or not.
    if count < announced:
        raise CutShortError(f"cut short: it announces {announced} frames, it has {count}")
    if count > announced + 2:
        problem = f"it announces {announced} frames, it has {count}: recordings were joined"
        raise CutShortError(problem)
    return None


def _count_mp3(file: File, place: int, end: int, first: _Frame) -> int:
    """How many frames there are; all of them must be whole."""
    count = skipped = 0
    while place < end:
        header = file.at(place, 4)
        frame = _mp3_frame(header)
        if frame is None or frame.kind != first.kind:
            if header[:3] == b"ID3":
                place = _after_id3(file, place)
                continue
            if header[:3] in TAGS or len(header) < 4:
                break
            following = _next_frame(file, place + 1, first)
            skipped += following - place
            if skipped > MOST_SKIPPED:
                raise CutShortError(
                    f"corrupt: {skipped} bytes of it, before {following}, are no sound"
                )
            place = following
            continue
        if place + frame.size > end:
            problem = f"cut short: its last frame ends at byte {place + frame.size}, it has {end}"
            raise CutShortError(problem)
        count += 1
        place += frame.size
    return count


def _mp3_announcement(header: bytes, count: int) -> bytes:
    """A frame like the one of *header* that holds no sound and announces *count* others."""
    for bitrate in range(1, 15):
        own = bytes([*header[:2], bitrate << 4 | header[2] & 0x0F, header[3]])
        frame = _mp3_frame(own)
        if frame is not None and frame.size >= 4 + frame.side + 12:
            content = own + bytes(frame.side) + b"Xing" + struct.pack(">II", 1, count)
            return content.ljust(frame.size, b"\0")
    raise ValueError("no frame of this kind has room for a count")


def _after_id3(file: File, start: int = 0) -> int:
    """The first byte after the ID3v2 tags at a place, if there are any."""
    place = start
    for _ in range(MOST_CHUNKS):
        header = file.at(place, 10)
        if header[:3] != b"ID3" or len(header) < 10:
            break
        size = sum(byte << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
        place += 10 + size + (10 if header[5] & 0x10 else 0)
    # Some programs fill up with zeros behind the tag.
    rest = file.at(place, TOLERATED_REST)
    return place + len(rest) - len(rest.lstrip(b"\0")) if place > start else place


def _mp3_announced(file: File, place: int, first: _Frame) -> int | None:
    """Frames that a Xing, Info or VBRI header in the first frame announces."""
    xing = file.at(place + 4 + first.side, 12)
    if xing[:4] in (b"Xing", b"Info") and len(xing) == 12 and xing[7] & 1:
        return int.from_bytes(xing[8:], "big")
    vbri = file.at(place + 36, 18)
    return int.from_bytes(vbri[14:], "big") if vbri[:4] == b"VBRI" and len(vbri) == 18 else None


def _next_frame(file: File, place: int, first: _Frame) -> int:
    """Where two frames of the same kind begin; else where the search ends."""
    block = file.at(place, MOST_SKIPPED + 1)
    for found in _MP3_HEADER.finditer(block):
        if begins_frames(file, place + found.start(), first.kind):
            return place + found.start()
    return place + len(block)


def begins_frames(file: File, place: int, kind: tuple[int, int, int] | None = None) -> bool:
    """Tell whether two frames of one kind follow each other at a place."""
    frame = _mp3_frame(file.at(place, 4))
    if frame is None or frame.kind != (kind or frame.kind):
        return False
    following = _mp3_frame(file.at(place + frame.size, 4))
    return following is not None and following.kind == frame.kind

"""Containers that announce the size of their sound data: WAV, AIFF, AU, CAF and the like."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from affectlab.audio.containers.file import (
    MOST_CHUNKS,
    TAGS,
    TOLERATED_REST,
    CutShortError,
    File,
    Patch,
)

UNKNOWN_BELOW_2_GIB = 0x7FFF0000
UNKNOWN_ABOVE_2_GIB = 0x80010000
UNKNOWN_BELOW_4_GIB = 0xFFFF0000
"""Sizes in these ranges are what programs write that do not know how long a recording will be."""

W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")
W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")


@dataclass(frozen=True, slots=True)
class _SizeField:
    """The 32-bit size of the sound data: where it lies, and its form for `struct`."""

    place: int
    form: str


@dataclass(frozen=True, slots=True)
class _Data:
    """The sound data of a file: first byte, announced bytes (None: not known), size field.

    The field is None where libsndfile reads all data after a size of 0 by itself.
    """

    offset: int
    size: int | None
    size_field: _SizeField | None = None


def check_announced_size(file: File, magic: bytes) -> Patch | None:
    """Compare the sound data of a file with the size that its header announces.

    Args:
        file: of one of the formats in `FINDERS`.
        magic: its first bytes, a key of `FINDERS`.

    Returns:
        What to replace in the header so that libsndfile reads all of the sound, if it would not.

    Raises:
        CutShortError: sound is missing, or there is more than the header announces.
    """
    return _compare(file, FINDERS[magic](file))


def _compare(file: File, data: _Data | None) -> Patch | None:
    if data is None or data.size is None:
        return None
    there = max(0, file.size - data.offset)
    if data.size == 0:
        if data.size_field is None or not there or _chunk_at(file, data.offset, data.size_field):
            return None
        return Patch(data.size_field.place, struct.pack(data.size_field.form, there), 4)
    # A byte that fills up to an even number may be counted and not written.
    if data.size > there + 1:
        problem = f"cut short: its header announces {data.size} bytes of sound, it has {there}"
        raise CutShortError(problem)
    end = data.offset + data.size + data.size % 2
    if data.size_field and file.size - end > TOLERATED_REST:
        rest = file.at(end, 1 << 16)
        if (
            any(rest)
            and rest[:3] not in TAGS
            and not any(
                _chunk_at(file, place, data.size_field) for place in (end, data.offset + data.size)
            )
        ):
            raise CutShortError(
                f"its header announces {data.size} bytes of sound, {file.size - end} more bytes "
                "follow: the header is wrong, or recordings were joined"
            )
    return None


def _chunk_at(file: File, place: int, like: _SizeField) -> bool:
    """Whether a chunk that is no second file begins at a place and ends within the file."""
    name, size = file.at(place, 4), file.number(like.form, place + 4)
    return (
        size is not None
        and name not in (b"RIFF", b"RIFX", b"RF64", b"FORM", b".snd")
        and all(0x20 <= byte < 0x7F for byte in name)
        and place + 8 + size <= file.size + 1
    )


def _known(size: int) -> int | None:
    """A 32-bit size, or None for one that stands for a length that is not known."""
    unknown = UNKNOWN_BELOW_2_GIB <= size < UNKNOWN_ABOVE_2_GIB or size >= UNKNOWN_BELOW_4_GIB
    return None if unknown else size


def _find_in_chunks(file: File, order: str, names: tuple[bytes, ...]) -> _Data | None:
    """The sound data among chunks with 32-bit sizes, as in RIFF and IFF files."""
    place, large = 12, None
    for _ in range(MOST_CHUNKS):
        size = file.number(f"{order}I", place + 4)
        if size is None:
            return None
        name = file.at(place, 4)
        if name == b"ds64":
            large = file.number("<Q", place + 16)
        if name in names:
            if size == 0xFFFFFFFF and large is not None:
                return _Data(place + 8, large or None)
            return _Data(place + 8, _known(size), _SizeField(place + 4, f"{order}I"))
        place += 8 + size + size % 2
    return None


def _find_riff(file: File) -> _Data | None:
    return _find_in_chunks(file, "<", (b"data",))


def _find_rifx(file: File) -> _Data | None:
    return _find_in_chunks(file, ">", (b"data",))


def _find_iff(file: File) -> _Data | None:
    return _find_in_chunks(file, ">", (b"SSND", b"BODY"))


def _find_w64(file: File) -> _Data | None:
    place = 40
    for _ in range(MOST_CHUNKS):
        size = file.number("<q", place + 16)
        if size is None or size < 24:
            return None
        if file.at(place, 16) == W64_DATA:
            return _Data(place + 24, size - 24 or None)
        place += size + -size % 8
    return None


def _find_au(file: File, order: str) -> _Data | None:
    offset, size = file.number(f"{order}I", 4), file.number(f"{order}I", 8)
    if offset is None or size is None:
        return None
    return _Data(offset, None if size == 0xFFFFFFFF else size, _SizeField(8, f"{order}I"))


def _find_caf(file: File) -> _Data | None:
    place = 8
    for _ in range(MOST_CHUNKS):
        size = file.number(">q", place + 4)
        if size is None:
            return None
        if file.at(place, 4) == b"data":
            return _Data(place + 12, None if size < 0 else size)
        if size < 0:
            return None
        place += 12 + size
    return None


def _find_nist(file: File) -> _Data | None:
    """NIST SPHERE: a header of lines, such as ``sample_count -i 48000``."""
    header = file.at(0, 1024)
    # libsndfile does not read compressed data, and they are shorter than announced.
    if b"embedded" in header:
        return None
    lines = header.decode("ascii", errors="replace").split("\n")
    fields = {}
    for line in lines[2:]:
        name, _, rest = line.partition(" ")
        kind, _, value = rest.partition(" ")
        if kind == "-i" and value.strip().isascii() and value.strip().isdigit():
            fields[name] = int(value.strip()[:12])
    offset = lines[1].strip() if len(lines) > 1 else ""
    if not (offset.isascii() and offset.isdigit()) or "sample_count" not in fields:
        return None
    width = fields.get("channel_count", 1) * fields.get("sample_n_bytes", 1)
    return _Data(int(offset[:12]), fields["sample_count"] * width or None)


FINDERS: dict[bytes, Callable[[File], _Data | None]] = {
    b"RIFF": _find_riff,
    b"RIFX": _find_rifx,
    b"RF64": _find_riff,
    b"BW64": _find_riff,
    b"FORM": _find_iff,
    W64_RIFF: _find_w64,
    b".snd": lambda file: _find_au(file, ">"),
    b"dns.": lambda file: _find_au(file, "<"),
    b"caff": _find_caf,
    b"NIST_1A": _find_nist,
}
"""First bytes of a file -> what finds its sound data."""

"""Whether an audio file is whole, decided by its containers' own structure.

libsndfile reads what is left of a file that was cut short and reports nothing. Here the size of the
sound data that a header announces is compared with the bytes that are there. Sizes of the whole
file, such as that of RIFF, are not used: browsers and tools that write to a pipe get them wrong.

What can be found depends on the format:

* WAV, RF64, BW64, W64, AIFF, IFF, AU, CAF, NIST SPHERE, VOC: the announced size of the sound data.
  A program that writes to a pipe does not know it; of such a file nothing can be found.
* Ogg (Vorbis, Opus, FLAC, Speex): pages are whole, none is missing, and the last one is marked as
  the end of its stream.
* MP3: the last frame is whole. The number of frames is known only from a Xing, Info or VBRI header;
  without one, a cut between two frames cannot be found.
* AVR, MAT, MPC2K, WVE: the count that libsndfile reads in the header.
* FLAC and everything else with a count: the decoder gives fewer samples than announced, or fails.
* IRCAM, PAF, PVF: nothing in the file tells its length, so a cut cannot be found.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

UNKNOWN_BELOW_2_GIB = 0x7FFF0000
UNKNOWN_ABOVE_2_GIB = 0x80010000
UNKNOWN_BELOW_4_GIB = 0xFFFF0000
"""Sizes in these ranges are what programs write that do not know how long a recording will be."""

MOST_CHUNKS = 10_000
"""Chunks before the sound data that are looked at; no program writes so many."""

TOLERATED_REST = 4096
"""Bytes after the sound data that are no chunk and yet no reason to refuse a file: padding."""

W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")
W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")

OGG_PAGE = 27
OGG_BEGINS, OGG_ENDS = 2, 4

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

TAGS = (b"TAG", b"APE", b"LYR", b"ID3")
"""Beginnings of tags that programs append to files of any kind."""

MOST_SKIPPED = 1 << 20
"""Bytes of an MP3 file that may be neither frames nor tags; searching more would take minutes."""

_MP3_HEADER = re.compile(rb"\xff[\xe2-\xff][\x10-\xef]")
"""Beginning of a frame: marks of its start, and a bit rate that exists."""

COUNTS_IN_LOG = {
    "AVR": re.compile(r"Frames +: ([0-9]{1,18})"),
    "MAT4": re.compile(r"Cols +: ([0-9]{1,18})"),
    "MAT5": re.compile(r"Cols : ([0-9]{1,18})"),
    "MPC2K": re.compile(r"Frames +: ([0-9]{1,18})"),
    "WVE": re.compile(r"Data length ([0-9]{1,18})"),
}
"""Formats whose count of samples libsndfile reports in its log alone; the last one counts."""


class CutShortError(ValueError):
    """A file that ends before its sound does, or holds more than it announces."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Bytes that libsndfile has to see for others, so that it reads all of a file.

    Attributes:
        offset: of the first byte.
        content: put there.
        replaced: bytes of the file that it stands for; 0 to insert it.
    """

    offset: int
    content: bytes
    replaced: int


class PatchedFile(io.RawIOBase):
    """A file read with a `Patch` over it; the file itself stays as it is."""

    def __init__(self, stream: IO[bytes], patch: Patch) -> None:
        super().__init__()
        self._stream = stream
        self._patch = patch
        self._added = len(patch.content) - patch.replaced
        self._size = stream.seek(0, io.SEEK_END) + self._added
        self._place = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that any byte can be reached."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a byte of the patched file."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        """Return the place in the patched file."""
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill *buffer* with the next bytes, patched; return how many."""
        view = memoryview(buffer).cast("B")
        filled = 0
        # libsndfile takes fewer bytes than it asked for as the end of the file.
        while filled < len(view) and (content := self._next(len(view) - filled)):
            view[filled : filled + len(content)] = content
            filled += len(content)
            self._place += len(content)
        return filled

    def _next(self, most: int) -> bytes:
        """At most *most* bytes from the current place, of the file or of the patch."""
        begins, ends = self._patch.offset, self._patch.offset + len(self._patch.content)
        if begins <= self._place < ends:
            return self._patch.content[self._place - begins :][:most]
        before = self._place < begins
        self._stream.seek(self._place if before else self._place - self._added)
        return self._stream.read(min(most, begins - self._place) if before else most)


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


def check_whole(path: Path) -> Patch | None:
    """Compare a file with what its container announces.

    Returns:
        What to replace in the header so that libsndfile reads all of the sound, if it would not.

    Raises:
        CutShortError: sound is missing, or there is more than the header announces; says so.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        file = _File(stream)
        start = file.at(0, 40)
        if start[:4] == b"OggS":
            _check_ogg(file)
        elif start[:3] == b"ID3" or _begins_frames(file, 0):
            return _check_mp3(file)
        elif start[:19] == b"Creative Voice File":
            _check_voc(file)
        else:
            for magic, find in _FINDERS.items():
                if start.startswith(magic):
                    return _compare(file, find(file))
    return None


def check_log(format_name: str, log: str, found: int) -> None:
    """Compare the samples per channel of a file with the count in libsndfile's log.

    Raises:
        CutShortError: the log announces more than *found*.
    """
    pattern = COUNTS_IN_LOG.get(format_name)
    counts = pattern.findall(log) if pattern else []
    if counts and int(counts[-1]) > found:
        problem = f"cut short: its header announces {counts[-1]} samples, it has {found}"
        raise CutShortError(problem)


class _File:
    """Random access to a few bytes of a file at a time."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.size = stream.seek(0, io.SEEK_END)

    def at(self, offset: int, count: int) -> bytes:
        """Up to *count* bytes from *offset* on."""
        self._stream.seek(offset)
        return self._stream.read(count)

    def number(self, form: str, offset: int) -> int | None:
        """One number as `struct` packs it; None beyond the end."""
        content = self.at(offset, struct.calcsize(form))
        return struct.unpack(form, content)[0] if len(content) == struct.calcsize(form) else None


def _compare(file: _File, data: _Data | None) -> Patch | None:
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


def _chunk_at(file: _File, place: int, like: _SizeField) -> bool:
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


def _find_in_chunks(file: _File, order: str, names: tuple[bytes, ...]) -> _Data | None:
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


def _find_riff(file: _File) -> _Data | None:
    return _find_in_chunks(file, "<", (b"data",))


def _find_rifx(file: _File) -> _Data | None:
    return _find_in_chunks(file, ">", (b"data",))


def _find_iff(file: _File) -> _Data | None:
    return _find_in_chunks(file, ">", (b"SSND", b"BODY"))


def _find_w64(file: _File) -> _Data | None:
    place = 40
    for _ in range(MOST_CHUNKS):
        size = file.number("<q", place + 16)
        if size is None or size < 24:
            return None
        if file.at(place, 16) == W64_DATA:
            return _Data(place + 24, size - 24 or None)
        place += size + -size % 8
    return None


def _find_au(file: _File, order: str) -> _Data | None:
    offset, size = file.number(f"{order}I", 4), file.number(f"{order}I", 8)
    if offset is None or size is None:
        return None
    return _Data(offset, None if size == 0xFFFFFFFF else size, _SizeField(8, f"{order}I"))


def _find_caf(file: _File) -> _Data | None:
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


def _find_nist(file: _File) -> _Data | None:
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


_FINDERS: dict[bytes, Callable[[_File], _Data | None]] = {
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


def _check_voc(file: _File) -> None:
    """VOC: blocks with sizes, the first after a header that says where."""
    place = file.number("<H", 20)
    for _ in range(MOST_CHUNKS):
        header = b"" if place is None else file.at(place, 4)
        # A block of the type 0 is the end, without a size.
        if place is None or len(header) < 4 or header[0] == 0:
            return
        end = place + 4 + int.from_bytes(header[1:], "little")
        # libsndfile itself writes a size that is too large by up to two bytes.
        if end > file.size + 2:
            problem = f"cut short: a block of it ends at byte {end}, it has {file.size}"
            raise CutShortError(problem)
        place = end


def _check_ogg(file: _File) -> None:
    """Ogg (RFC 3533): whole pages with consecutive numbers; each stream ends with a marked page."""
    place = 0
    numbers: dict[bytes, int] = {}
    while place < file.size:
        header = file.at(place, OGG_PAGE + 255)
        if header[:4] != b"OggS" or len(header) < OGG_PAGE:
            # Whatever follows the end of all streams, such as a tag, is none of theirs.
            if numbers or b"OggS".startswith(header[:4]):
                raise CutShortError(f"cut short: no whole Ogg page at byte {place}")
            return
        table = header[OGG_PAGE : OGG_PAGE + header[26]]
        end = place + OGG_PAGE + header[26] + sum(table)
        if len(table) < header[26] or end > file.size:
            problem = f"cut short: its last Ogg page ends at byte {end}, it has {file.size}"
            raise CutShortError(problem)
        flags, serial = header[5], header[14:18]
        if place and flags & OGG_BEGINS and not numbers:
            # libsndfile reads the first one only.
            raise CutShortError(f"another recording begins at byte {place}: recordings were joined")
        number = int.from_bytes(header[18:22], "little")
        if not flags & OGG_BEGINS and serial in numbers and number != numbers[serial] + 1:
            raise CutShortError(f"an Ogg page is missing before byte {place}")
        numbers[serial] = number
        if flags & OGG_ENDS:
            del numbers[serial]
        place = end
    if numbers:
        raise CutShortError("cut short: no Ogg page marks the end of its stream")


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


def _check_mp3(file: _File) -> Patch | None:
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


def _count_mp3(file: _File, place: int, end: int, first: _Frame) -> int:
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


def _after_id3(file: _File, start: int = 0) -> int:
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


def _mp3_announced(file: _File, place: int, first: _Frame) -> int | None:
    """Frames that a Xing, Info or VBRI header in the first frame announces."""
    xing = file.at(place + 4 + first.side, 12)
    if xing[:4] in (b"Xing", b"Info") and len(xing) == 12 and xing[7] & 1:
        return int.from_bytes(xing[8:], "big")
    vbri = file.at(place + 36, 18)
    return int.from_bytes(vbri[14:], "big") if vbri[:4] == b"VBRI" and len(vbri) == 18 else None


def _next_frame(file: _File, place: int, first: _Frame) -> int:
    """Where two frames of the same kind begin; else where the search ends."""
    block = file.at(place, MOST_SKIPPED + 1)
    for found in _MP3_HEADER.finditer(block):
        if _begins_frames(file, place + found.start(), first.kind):
            return place + found.start()
    return place + len(block)


def _begins_frames(file: _File, place: int, kind: tuple[int, int, int] | None = None) -> bool:
    """Whether two frames of one kind follow each other at a place."""
    frame = _mp3_frame(file.at(place, 4))
    if frame is None or frame.kind != (kind or frame.kind):
        return False
    following = _mp3_frame(file.at(place + frame.size, 4))
    return following is not None and following.kind == frame.kind

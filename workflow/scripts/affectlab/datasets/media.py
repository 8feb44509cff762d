"""Which files are images or recordings: the same for a single file, a folder and raw data.

The ending decides if it is one that the medium uses. A file without an ending, or with another one,
is recognised by its first bytes. Files of the medium that the libraries here cannot decode, such as
HEIC or M4A, are told apart, so that each of them can be reported with how to convert it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

HEAD_BYTES = 64
"""First bytes of a file that tell what it is."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WEB_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head")

START_BYTES = 512
"""First bytes that tell what a file is that is none of the medium; white space may precede."""

BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Sizes of the second header of a bitmap; its two letters alone begin many texts."""

Verdict = Literal["read", "convert", "other"]


@dataclass(frozen=True, slots=True)
class Medium:
    """A kind of file.

    Attributes:
        name: with "file" after it, for messages.
        endings: that its library reads, in lower case.
        foreign: other endings of the medium -> name of the format.
        converter: command that converts such a file, before the names of both files.
        target: ending of what it writes.
        is_readable: whether first bytes are of a format that its library reads.
        foreign_format: name of the format that first bytes are of, if the library cannot read it.
    """

    name: str
    endings: tuple[str, ...]
    foreign: Mapping[str, str]
    converter: str
    target: str
    is_readable: Callable[[bytes], bool]
    foreign_format: Callable[[bytes], str | None]

    def judge(self, name: str, head: Callable[[], bytes]) -> Verdict:
        """What a file of a folder is to this medium.

        Args:
            name: of the file.
            head: gives its first `HEAD_BYTES`; not called if the ending decides.

        Returns:
            ``read``: one to decode. ``convert``: of the medium, in a format that cannot be
            decoded. ``other``: none of the medium.
        """
        ending = PurePosixPath(name).suffix.lower()
        if ending in self.endings:
            return "read"
        content = head()
        if ending in self.foreign:
            # Raw files of cameras are TIFF files as well; their first image is a thumbnail.
            renamed = self.is_readable(content) and not content.startswith(TIFF)
            return "read" if renamed else "convert"
        if self.is_readable(content):
            return "read"
        return "convert" if self.foreign_format(content) else "other"

    def advice(self, name: str, head: bytes) -> str | None:
        """How to convert a file that cannot be decoded; None if its format is not known."""
        path = PurePosixPath(name)
        form = self.foreign_format(head)
        if form is None and not self.is_readable(head):
            form = self.foreign.get(path.suffix.lower())
        if form is None:
            return None
        source, target = shlex.quote(path.name), shlex.quote(path.stem + self.target)
        example = f"{self.converter} {source} {target}"
        return f"{form}, a format that cannot be read here; convert it first: {example}"

    def misnomer(self, name: str, head: bytes) -> str | None:
        """What a file that cannot be decoded is instead; None if that is not known.

        Args:
            name: of the file.
            head: its first `START_BYTES`.
        """
        start = head.removeprefix(BYTE_ORDER_MARK).lstrip().lower()
        if not head:
            return "an empty file"
        if start.startswith(WEB_PAGE_STARTS) and b"<svg" not in start:
            return f"a web page saved under the name of an {self.name} file"
        if start.startswith(b"version https://git-lfs"):
            return f"a Git LFS pointer, not the {self.name}; fetch it with git lfs pull"
        return self.advice(name, head[:HEAD_BYTES])


@dataclass(slots=True)
class Sorted:
    """Files of one medium.

    Attributes:
        read: names of those to decode, in their order.
        unread: names of those that have to be converted first, with the advice how.
    """

    read: list[str] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)


def sort_files(medium: Medium, names: Iterable[str], head: Callable[[str], bytes]) -> Sorted:
    """Sort out the files of a medium.

    Args:
        medium: which one.
        names: of files of any kind.
        head: gives the first `HEAD_BYTES` of a file by its name.
    """
    found = Sorted()
    for name in names:
        verdict = medium.judge(name, lambda name=name: head(name))  # type: ignore[misc]
        if verdict == "read":
            found.read.append(name)
        elif verdict == "convert":
            found.unread.append((name, medium.advice(name, head(name)) or "cannot be read"))
    return found


def read_head(path: Path) -> bytes:
    """The first `HEAD_BYTES` of a file; nothing of one that cannot be opened or is no file."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError:
        # Whoever needs the file will report why.
        return b""


TIFF = (b"II*\0", b"MM\0*")
_IMAGE_MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    *TIFF,
)
_AUDIO_MAGIC = (
    b"RIFX",
    b"RF64",
    b"BW64",
    b"riff\x2e\x91\xcf\x11",
    b"fLaC",
    b"OggS",
    b".snd",
    b"caff",
    b"NIST_1A",
    b"Creative Voice File",
    b"ID3",
    # MPEG-1 and -2, layer III, without a tag.
    b"\xff\xfb",
    b"\xff\xfa",
    b"\xff\xf3",
    b"\xff\xf2",
)


def _brands(head: bytes) -> set[bytes]:
    """Brands of an ISO media file, such as AVIF, HEIC or M4A."""
    if head[4:8] != b"ftyp":
        return set()
    size = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[place : place + 4] for place in range(16, size - 3, 4))}


def _is_image(head: bytes) -> bool:
    bitmap = head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BMP_HEADERS
    return (
        head.startswith(_IMAGE_MAGIC)
        or bitmap
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or bool(_brands(head) & {b"avif", b"avis"})
    )


def _foreign_image(head: bytes) -> str | None:
    brands = _brands(head)
    if brands & {b"avif", b"avis"}:
        return None
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return "HEIC"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL"
    return "Photoshop" if head.startswith(b"8BPS") else None


def _is_audio(head: bytes) -> bool:
    return (
        head.startswith(_AUDIO_MAGIC)
        or (head[:4] == b"RIFF" and head[8:12] == b"WAVE")
        or (head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC", b"8SVX", b"16SV"))
    )


def _foreign_audio(head: bytes) -> str | None:
    if _brands(head) & {b"M4A ", b"M4B ", b"M4P "}:
        return "M4A"
    for magic, form in (
        (b"\xff\xf1", "AAC"),
        (b"\xff\xf9", "AAC"),
        (b"ADIF", "AAC"),
        (b"#!AMR", "AMR"),
        (b"MAC ", "Monkey's Audio"),
        (b"wvpk", "WavPack"),
        (b"DSD ", "DSF"),
    ):
        if head.startswith(magic):
            return form
    return None


_CAMERA = dict.fromkeys(
    (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"), "a raw file of a camera"
)

IMAGES = Medium(
    name="image",
    endings=(
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".avif"),
        *(".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm", ".jp2"),
    ),
    foreign={
        ".heic": "HEIC",
        ".heif": "HEIC",
        ".jxl": "JPEG XL",
        ".psd": "Photoshop",
        ".svg": "SVG",
        **_CAMERA,
    },
    converter="magick",
    target=".png",
    is_readable=_is_image,
    foreign_format=_foreign_image,
)

RECORDINGS = Medium(
    name="audio",
    endings=(
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus"),
        *(".mp3", ".mp2", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist"),
        *(".voc", ".8svx"),
    ),
    foreign={
        ".m4a": "M4A",
        ".m4b": "M4A",
        ".aac": "AAC",
        ".amr": "AMR",
        ".3ga": "3GP",
        ".wma": "WMA",
        ".weba": "WebM",
        ".webm": "WebM",
        ".mka": "Matroska",
        ".ape": "Monkey's Audio",
        ".wv": "WavPack",
        ".dsf": "DSF",
        ".spx": "Speex",
    },
    converter="ffmpeg -i",
    target=".wav",
    is_readable=_is_audio,
    foreign_format=_foreign_audio,
)

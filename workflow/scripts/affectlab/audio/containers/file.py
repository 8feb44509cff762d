"""A file that is looked at in places, and what libsndfile has to see instead of a part of it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import IO

MOST_CHUNKS = 10_000
"""Chunks before the sound data that are looked at; no program writes so many."""

TOLERATED_REST = 4096
"""Bytes after the sound data that are no chunk and yet no reason to refuse a file: padding."""

TAGS = (b"TAG", b"APE", b"LYR", b"ID3")
"""Beginnings of tags that programs append to files of any kind."""


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


class File:
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

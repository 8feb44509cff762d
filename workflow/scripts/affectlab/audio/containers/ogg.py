"""Ogg files: Vorbis, Opus, FLAC, Speex."""

from __future__ import annotations

from affectlab.audio.containers.file import CutShortError, File

OGG_PAGE = 27
OGG_BEGINS, OGG_ENDS = 2, 4


def check_ogg(file: File) -> None:
    """Check the pages (RFC 3533): whole, consecutive, the last one of each stream marked."""
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

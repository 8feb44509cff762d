"""Creative Voice files."""

from __future__ import annotations

from affectlab.audio.containers.file import MOST_CHUNKS, CutShortError, File


def check_voc(file: File) -> None:
    """Check that all blocks, which have sizes, are whole; the header has the place of the first."""
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

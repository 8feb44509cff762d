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

import re
from pathlib import Path

from affectlab.audio.containers.chunks import FINDERS, check_announced_size
from affectlab.audio.containers.file import CutShortError, File, Patch
from affectlab.audio.containers.mp3 import begins_frames, check_mp3
from affectlab.audio.containers.ogg import check_ogg
from affectlab.audio.containers.voc import check_voc

COUNTS_IN_LOG = {
    "AVR": re.compile(r"Frames +: ([0-9]{1,18})"),
    "MAT4": re.compile(r"Cols +: ([0-9]{1,18})"),
    "MAT5": re.compile(r"Cols : ([0-9]{1,18})"),
    "MPC2K": re.compile(r"Frames +: ([0-9]{1,18})"),
    "WVE": re.compile(r"Data length ([0-9]{1,18})"),
}
"""Formats whose count of samples libsndfile reports in its log alone; the last one counts."""


def check_whole(path: Path) -> Patch | None:
    """Compare a file with what its container announces.

    Returns:
        What to replace in the header so that libsndfile reads all of the sound, if it would not.

    Raises:
        CutShortError: sound is missing, or there is more than the header announces; says so.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        file = File(stream)
        start = file.at(0, 40)
        if start[:4] == b"OggS":
            check_ogg(file)
        elif start[:3] == b"ID3" or begins_frames(file, 0):
            return check_mp3(file)
        elif start[:19] == b"Creative Voice File":
            check_voc(file)
        else:
            for magic in FINDERS:
                if start.startswith(magic):
                    return check_announced_size(file, magic)
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

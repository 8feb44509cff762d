"""Reading audio: any rate, channels and sample format to mono samples at one rate."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from affectlab.core.errors import DataError

Samples = npt.NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")

RATES = (1_000, 768_000)
"""Sampling rates, in Hz, that are taken for those of sound."""

MIN_SECONDS = 0.001
"""Shorter files hold nothing to be heard, and no sample at a lower rate."""

MAX_SECONDS = 3600.0
"""Longer files are no clips; they would not fit into memory either."""

SIZES = {b"RIFF": "<I", b"RIFX": ">I", b"FORM": ">I"}
"""First bytes of WAV and AIFF files -> how the size of the rest is written after them."""

UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""What programs write that do not know yet how long a recording will be."""

AHEAD = 4
"""Files decoded ahead of use, per thread."""


def read_audio(path: Path | str, rate: int) -> Samples:
    """Read an audio file as mono samples at *rate*, loudness as it is.

    Channels are averaged. The resampler is soxr at its highest quality.

    Args:
        path: WAV, FLAC or another format of libsndfile.
        rate: wanted sampling rate in Hz.

    Returns:
        float32 ``[samples]``, full scale is 1.

    Raises:
        DataError: no such file, one that may not be read, not audio, cut short, without samples,
            or with samples that are not finite.
    """
    samples, found = read_original(path)
    if found == rate:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, found, rate, quality="VHQ"), dtype=np.float32)


def read_original(path: Path | str) -> tuple[Samples, int]:
    """Read an audio file as mono samples at its own rate; see `read_audio`."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as stream:
            if not RATES[0] <= stream.samplerate <= RATES[1]:
                problem = f"a sampling rate of {stream.samplerate} Hz is not one of sound"
                raise DataError(path, None, problem)
            if stream.frames > MAX_SECONDS * stream.samplerate:
                raise DataError(path, None, "longer than an hour; cut it into clips")
            frames = stream.read(dtype="float32", always_2d=True)
            rate = int(stream.samplerate)
    # A TypeError where the ending is .raw: bare samples, of which nothing says what they are.
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise DataError(path, None, _why_unreadable(Path(path), error)) from error
    if len(frames) == 0:
        raise DataError(path, None, "holds no samples")
    _check_whole(Path(path))
    if len(frames) < MIN_SECONDS * rate:
        problem = f"{len(frames)} samples at {rate} Hz, less than a millisecond of sound"
        raise DataError(path, None, problem)
    if not np.isfinite(frames).all():
        raise DataError(path, None, "holds samples that are not finite numbers")
    return frames.mean(axis=1, dtype=np.float32), rate


def read_format(path: Path | str) -> tuple[int, str]:
    """Read the channels of an audio file, and its container and coding, such as "WAV PCM_16".

    Raises:
        DataError: it cannot be read.
    """
    import soundfile

    try:
        found = soundfile.info(str(path))
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise DataError(path, None, _why_unreadable(Path(path), error)) from error
    return int(found.channels), f"{found.format} {found.subtype}"


def _check_whole(path: Path) -> None:
    """Refuse a WAV or AIFF file shorter than its header says: libsndfile reads what is left."""
    with path.open("rb") as stream:
        start = stream.read(8).ljust(8, b"\0")
    if start[:4] not in SIZES:
        return
    (size,) = struct.unpack(SIZES[start[:4]], start[4:])
    if size in UNKNOWN_SIZES:
        return
    found = path.stat().st_size
    if found < size + 8:
        problem = f"cut short: its header announces {size + 8} bytes, it has {found}"
        raise DataError(path, None, problem)


def _why_unreadable(path: Path, error: Exception) -> str:
    try:
        if path.is_dir():
            return "a folder, expected an audio file"
        if not path.is_file():
            return "no such file"
        start = path.read_bytes()[:512].lstrip().lower()
    except OSError as denied:
        return f"cannot be read: {denied.strerror}"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page saved under the name of an audio file"
    if not start:
        return "an empty file"
    return f"not audio that can be read: {str(error).rpartition(': ')[2]}"


def windows(samples: Samples, length: int) -> list[Samples]:
    """Cut samples into consecutive windows of *length*, the last one shorter.

    A last window of less than a tenth is dropped, unless it is the only one: it would hold a
    syllable at most.
    """
    starts = range(0, len(samples), length)
    pieces = [samples[start : start + length] for start in starts]
    if len(pieces) > 1 and len(pieces[-1]) < length / 10:
        pieces.pop()
    return pieces


def in_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Iterator[Result]:
    """Yield ``function(item)`` in order, a few items ahead, so that memory stays bounded."""
    source = iter(items)
    with ThreadPoolExecutor(max_workers=threads) as pool:
        waiting = [pool.submit(function, item) for item in islice(source, AHEAD * threads)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(function, item) for item in islice(source, 1)]

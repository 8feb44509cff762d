"""Reading audio: any rate, channels and sample format to mono samples at one rate.

Files are read in blocks, so that memory does not grow with their length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from affectlab.audio.containers.file import CutShortError, PatchedFile
from affectlab.audio.containers.whole import check_log, check_whole
from affectlab.datasets.media import RECORDINGS, START_BYTES
from affectlab.errors import DataError, first_line

if TYPE_CHECKING:
    from soundfile import SoundFile

Samples = npt.NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")

RATES = (1_000, 768_000)
"""Sampling rates, in Hz, that are taken for those of sound."""

MOST_CHANNELS = 64
"""Channels of the largest microphone arrays; a header with more is wrong or hostile."""

MIN_SECONDS = 0.001
"""Shorter files hold nothing to be heard, and no sample at a lower rate."""

MAX_SECONDS = 3600.0
"""Longer files are no clips."""

BLOCK_SAMPLES = 1 << 16
"""Samples, over all channels, that are decoded at a time."""

SILENT_DB = -80.0
"""Half the range of a clip below which it counts as silent: three steps of 16-bit samples."""

CANCELLING_SHARE = 0.1
"""Channels cancel each other if their mix has less than this share of the power of a mix of
unrelated channels: two channels of equal power have then a correlation below -0.9."""

AHEAD = 4
"""Files decoded ahead of use, per thread."""

UNKNOWN_FRAMES = (1 << 63) - 1
"""What libsndfile reports for a file that does not tell how long it is."""


class Mixture:
    """Power and range of a recording before and after its channels are mixed to one.

    Constant offsets are left out: they are no sound.
    """

    def __init__(self) -> None:
        self._count = 0
        self._channels = 1
        self._sums: npt.NDArray[np.float64] | float = 0.0
        self._squares: npt.NDArray[np.float64] | float = 0.0
        self._mixed_sum = self._mixed_square = 0.0
        self._lowest, self._highest = np.inf, -np.inf

    def add(self, frames: Samples, mixed: Samples) -> None:
        """Add a block: *frames* ``[n, channels]`` and their mean *mixed* ``[n]``."""
        exact, mean = frames.astype(np.float64), mixed.astype(np.float64)
        self._count += len(mean)
        self._channels = exact.shape[1]
        self._sums = self._sums + exact.sum(axis=0)
        self._squares = self._squares + (exact**2).sum(axis=0)
        self._mixed_sum += float(mean.sum())
        self._mixed_square += float((mean**2).sum())
        self._lowest = min(self._lowest, float(mean.min()))
        self._highest = max(self._highest, float(mean.max()))

    @property
    def silent(self) -> bool:
        """Whether the mix holds no sound: its range is below `SILENT_DB` of full scale."""
        return self._highest - self._lowest <= 2 * 10 ** (SILENT_DB / 20)

    @property
    def cancelling(self) -> bool:
        """Whether sound of the channels is lost in their mix; see `CANCELLING_SHARE`."""
        before = float(np.sum(self._power(self._sums, self._squares))) / self._channels**2
        after = float(self._power(self._mixed_sum, self._mixed_square))
        # Rounding of a silent recording is no sound that could be lost.
        audible = before * self._channels > 10 ** (SILENT_DB / 10)
        return audible and after < CANCELLING_SHARE * before

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must know before trusting an answer on this recording."""
        found = []
        if self.cancelling:
            found.append(
                "its channels cancel each other when they are mixed to one: most of the sound is "
                "lost; save one channel by itself"
            )
        if self.silent:
            found.append("it holds no sound: the prediction is that for silence")
        return tuple(found)

    def _power(
        self, sums: npt.NDArray[np.float64] | float, squares: npt.NDArray[np.float64] | float
    ) -> npt.NDArray[np.float64] | float:
        return np.maximum(squares / self._count - (sums / self._count) ** 2, 0.0)


class Recording:
    """An audio file that is being read; made by `open_recording`.

    Attributes:
        rate: of the file, in Hz.
        channels: of the file.
        format: container and coding, such as ``WAV PCM_16``.
    """

    def __init__(self, path: Path, stream: SoundFile) -> None:
        self._path = path
        self._stream = stream
        self.rate = int(stream.samplerate)
        self.channels = int(stream.channels)
        self.format = f"{stream.format} {stream.subtype}"

    def blocks(self, mixture: Mixture | None = None) -> Iterator[Samples]:
        """Yield the recording as mono float32 samples at its own rate; channels are averaged.

        Args:
            mixture: gets every block, to tell afterwards what was lost by the mixing.

        Raises:
            DataError: the file is cut short or corrupt, holds no samples, more than an hour, or
                samples that are not finite.
        """
        import soundfile

        size = max(1, BLOCK_SAMPLES // self.channels)
        found = 0
        while True:
            try:
                frames = self._stream.read(size, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, RuntimeError) as error:
                problem = f"cut short or corrupt: {_reason(error)} after {self._seconds(found)}"
                raise DataError(self._path, None, problem) from error
            if len(frames) == 0:
                break
            found += len(frames)
            if found > MAX_SECONDS * self.rate:
                raise DataError(self._path, None, "longer than an hour; cut it into clips")
            if not np.isfinite(frames).all():
                problem = "holds samples that are not finite numbers"
                raise DataError(self._path, None, problem)
            mixed = frames.mean(axis=1, dtype=np.float32)
            if mixture is not None:
                mixture.add(frames, mixed)
            yield mixed
        self._check_count(found)

    def _check_count(self, found: int) -> None:
        announced = int(self._stream.frames)
        if found == 0:
            raise DataError(self._path, None, "holds no samples")
        if found < announced < UNKNOWN_FRAMES:
            problem = f"cut short: it announces {announced} samples, it has {found}"
            raise DataError(self._path, None, problem)
        if found < MIN_SECONDS * self.rate:
            problem = f"{found} samples at {self.rate} Hz, less than a millisecond of sound"
            raise DataError(self._path, None, problem)

    def _seconds(self, samples: int) -> str:
        return f"{samples / self.rate:.3g} s"


@contextmanager
def open_recording(path: Path | str) -> Iterator[Recording]:
    """Open an audio file after its header and its container were checked.

    Args:
        path: a format of libsndfile with a header of its own.

    Raises:
        DataError: no such file, one that may not be read, not audio, cut short, or longer, with
            more channels or at another rate than recordings have.
    """
    file = Path(path)
    with ExitStack() as files:
        stream = _open(file, files)
        if not RATES[0] <= stream.samplerate <= RATES[1]:
            problem = f"a sampling rate of {stream.samplerate} Hz is not one of sound"
            raise DataError(file, None, problem)
        if stream.channels > MOST_CHANNELS:
            problem = f"{stream.channels} channels, more than {MOST_CHANNELS}"
            raise DataError(file, None, problem)
        if MAX_SECONDS * stream.samplerate < stream.frames < UNKNOWN_FRAMES:
            raise DataError(file, None, "longer than an hour; cut it into clips")
        yield Recording(file, stream)


def _open(path: Path, files: ExitStack) -> SoundFile:
    """A file as libsndfile reads it; *files* closes it."""
    import soundfile

    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            # A pipe would be waited for, and cannot be read twice.
            raise DataError(path, None, "a pipe or a device, expected an audio file")
        patch = check_whole(path)
        raw = files.enter_context(path.open("rb", buffering=0))
        # A descriptor in place of a path: of some endings, such as .au or .gsm, libsndfile would
        # take any bytes for samples.
        source = raw.fileno() if patch is None else PatchedFile(raw, patch)
        stream: SoundFile = files.enter_context(_sequential()(source, closefd=False))
        check_log(stream.format, stream.extra_info, stream.frames)
    except CutShortError as error:
        raise DataError(path, None, str(error)) from error
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError) as error:
        raise DataError(path, None, _why_unreadable(path, error)) from error
    return stream


@cache
def _sequential() -> type[SoundFile]:
    """`SoundFile` that reads from the beginning to the end.

    The original seeks after each block. Compressed files of some kinds, and FLAC files of unknown
    length, cannot do that.
    """
    import soundfile

    class Sequential(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    return Sequential


def read_audio(path: Path | str, rate: int) -> Samples:
    """Read an audio file as mono samples at *rate*, loudness as it is.

    Channels are averaged. The resampler is soxr at its highest quality.

    Args:
        path: WAV, FLAC or another format of libsndfile.
        rate: wanted sampling rate in Hz.

    Returns:
        float32 ``[samples]``, full scale is 1.

    Raises:
        DataError: see `open_recording` and `Recording.blocks`.
    """
    with open_recording(path) as recording:
        return np.concatenate(list(resampled(recording.blocks(), recording.rate, rate)))


def resampled(blocks: Iterable[Samples], found: int, wanted: int) -> Iterator[Samples]:
    """Blocks of a recording at the rate *wanted*, as if it had been resampled in one piece."""
    if found == wanted:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(found, wanted, 1, dtype="float32", quality="VHQ")
    waiting: Samples | None = None
    for block in blocks:
        if waiting is not None:
            yield stream.resample_chunk(waiting)
        waiting = block
    if waiting is not None:
        yield stream.resample_chunk(waiting, last=True)


def windows(blocks: Iterable[Samples], length: int) -> Iterator[Samples]:
    """Cut a recording into consecutive windows of *length* samples, the last one shorter.

    A last window of less than a tenth is dropped, unless it is the only one: it would hold a
    syllable at most.
    """
    complete: Samples | None = None
    rest: list[Samples] = []
    held = 0
    for block in blocks:
        rest.append(block)
        held += len(block)
        if held < length:
            continue
        joined = np.concatenate(rest)
        for start in range(0, held - length + 1, length):
            if complete is not None:
                yield complete
            # A copy, so that the block need not be held with it.
            complete = joined[start : start + length].copy()
        rest = [joined[held - held % length :].copy()]
        held = len(rest[0])
    if complete is not None:
        yield complete
    if complete is None or held >= length / 10:
        yield np.concatenate(rest)


def _reason(error: Exception) -> str:
    return first_line(error).rpartition(": ")[2].rstrip(".")


def _why_unreadable(path: Path, error: Exception) -> str:
    try:
        if path.is_dir():
            return "a folder, expected an audio file"
        if not path.is_file():
            return "no such file"
        with path.open("rb") as stream:
            start = stream.read(START_BYTES)
    except OSError as denied:
        return f"cannot be read: {denied.strerror}"
    if misnomer := RECORDINGS.misnomer(path.name, start):
        return misnomer
    return f"not audio that can be read: {_reason(error)}"


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

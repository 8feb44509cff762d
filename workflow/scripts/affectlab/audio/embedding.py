"""Embedding recordings: windows in full batches, and a cache of the vectors.

While a corpus is being embedded its parts lie in a cache beside the result, each vector under the
hash of its audio. An interrupted job resumes there, and clips that are added to a corpus later
are the only ones computed. The vectors of clips that are no longer in the corpus are removed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from affectlab.audio.data import Clip
from affectlab.audio.encoders.base import Encoder, Moments, merge
from affectlab.audio.store import Embeddings
from affectlab.audio.views import STATISTICS
from affectlab.audio.waveform import (
    Mixture,
    Samples,
    in_parallel,
    open_recording,
    resampled,
    windows,
)
from affectlab.errors import DataError
from affectlab.files.integrity import check_file, forget_digest
from affectlab.files.io import clear_leftovers, sealed_path, sha256_file

logger = logging.getLogger(__name__)

BATCH_SECONDS = 30.0
"""Sound in a batch, in seconds; on a CPU more of it gains nothing."""

BATCH_WINDOWS = 32

PART_CLIPS = 64
"""Clips between two writes to the cache, at most."""

PART_SECONDS = 120.0
"""Sound that is held decoded at a time, in seconds, with at most one window more."""

AHEAD_SECONDS = 30.0
"""Sound of each clip that is decoded before it is needed, in seconds, and one window more."""


def shard(clips: Sequence[Clip], number: int, of: int) -> list[Clip]:
    """Every *of*-th clip, beginning with the clip *number* (0-based)."""
    return list(clips[number::of])


def embed_clips(
    clips: Sequence[Clip],
    raw_directory: Path,
    encoder: Encoder,
    cache: Path,
    provenance: Mapping[str, Any],
    threads: int,
) -> Embeddings:
    """Embed clips, using and extending the cache.

    Args:
        clips: of the corpus.
        raw_directory: the folder that their paths start from.
        encoder: the frozen encoder.
        cache: folder of this encoder's cached vectors; made if need be.
        provenance: stored with the result; the cache belongs to it.
        threads: files decoded at the same time.

    Raises:
        DataError: an audio file cannot be read; names it.
    """
    known = _read_cache(cache, provenance)
    hashes = {clip.id: sha256_file(_audio_file(raw_directory, clip)) for clip in clips}
    wanted = [clip for clip in clips if hashes[clip.id] not in known]
    logger.info("%d clips, %d of them already embedded", len(clips), len(clips) - len(wanted))
    done = 0
    for part in embed_files([raw_directory / clip.path for clip in wanted], encoder, threads):
        owners = wanted[done : done + len(part.vectors)]
        pairs = zip(owners, part.vectors, strict=True)
        vectors = {hashes[clip.id]: vector for clip, vector in pairs}
        _write_part(cache, vectors, provenance)
        known |= vectors
        done += len(owners)
        logger.info("%d of %d clips embedded", done, len(wanted))
    shape = (len(clips), len(encoder.layers), len(STATISTICS), encoder.dim)
    found = [known[hashes[clip.id]] for clip in clips]
    return Embeddings(
        tuple(clip.id for clip in clips),
        tuple(clip.subject for clip in clips),
        tuple(hashes[clip.id] for clip in clips),
        encoder.layers,
        np.stack(found) if found else np.zeros(shape, dtype=np.float32),
        provenance,
    )


class Embedded(NamedTuple):
    """Some audio files in their order.

    Attributes:
        vectors: ``[files, layers, 2, dim]``.
        mixtures: how loud each was before and after its channels were mixed.
    """

    vectors: npt.NDArray[np.float32]
    mixtures: list[Mixture]


def embed_files(paths: Sequence[Path], encoder: Encoder, threads: int = 1) -> Iterator[Embedded]:
    """Yield the vectors of audio files, a part of the files at a time, in order.

    However many files there are and however long they are, only `PART_SECONDS` of sound are held
    decoded, and a few files of which `AHEAD_SECONDS` each are read ahead.

    Raises:
        DataError: a file cannot be read as audio.
    """
    queue = _Queue(encoder)
    mixtures: list[Mixture] = []
    for clip in in_parallel(lambda path: _read_ahead(path, encoder), paths, threads):
        for piece in clip.pieces:
            queue.add(piece)
        mixtures.append(clip.mixture)
        if queue.end_clip() or len(mixtures) == PART_CLIPS:
            yield Embedded(queue.take(), mixtures)
            mixtures = []
    if mixtures:
        yield Embedded(queue.take(), mixtures)


def embed_waves(waves: Sequence[Samples], encoder: Encoder) -> npt.NDArray[np.float32]:
    """Vectors ``[n, layers, 2, dim]`` of clips that are already decoded at the encoder's rate."""
    queue = _Queue(encoder)
    for wave in waves:
        for piece in windows([wave], encoder.window):
            queue.add(piece)
        queue.end_clip()
    return queue.take()


class _Queue:
    """Windows of clips that wait until there are enough of them for full batches."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._waiting: list[tuple[int, int, Samples]] = []
        self._samples = 0
        # Of each clip that was not taken yet, with the place of each window in it.
        self._clips: list[list[Moments | None]] = [[]]
        self._worked = False

    def add(self, piece: Samples) -> None:
        """Add the next window of the clip that is being read."""
        if self._samples >= PART_SECONDS * self._encoder.rate:
            self._work()
        clip = self._clips[-1]
        self._waiting.append((len(self._clips) - 1, len(clip), piece))
        clip.append(None)
        self._samples += len(piece)

    def end_clip(self) -> bool:
        """End the clip that is being read; return whether `take` is due."""
        self._clips.append([])
        return self._worked or self._samples >= PART_SECONDS * self._encoder.rate

    def take(self) -> npt.NDArray[np.float32]:
        """Vectors ``[clips, layers, 2, dim]`` of all clips that were ended since the last call."""
        self._work()
        vectors = []
        for clip in self._clips[:-1]:
            merged = merge([moments for moments in clip if moments is not None])
            vectors.append(np.stack([merged.mean[0], merged.std[0]], axis=1))
        self._clips = [[]]
        self._worked = False
        return np.stack(vectors)

    def _work(self) -> None:
        # Windows of like length share a batch, so that little of it is padding.
        order = sorted(range(len(self._waiting)), key=lambda place: len(self._waiting[place][2]))
        lengths = [len(piece) for _, _, piece in self._waiting]
        for batch in _batches(order, lengths, self._encoder.rate):
            moments = self._encoder.embed([self._waiting[place][2] for place in batch])
            for row, place in enumerate(batch):
                clip, number, _ = self._waiting[place]
                self._clips[clip][number] = moments.row(row)
        self._waiting = []
        self._samples = 0
        self._worked = True


@dataclass(frozen=True, slots=True)
class _Clip:
    """The windows of a clip, the first of them already read; *mixture* is complete after them."""

    pieces: Iterator[Samples]
    mixture: Mixture


def _read_ahead(path: Path, encoder: Encoder) -> _Clip:
    """Decode the beginning of a clip; the rest is decoded when it is used."""
    mixture = Mixture()
    pieces = _windows_of(path, encoder, mixture)
    ahead: list[Samples] = []
    samples = 0
    for piece in pieces:
        ahead.append(piece)
        samples += len(piece)
        if samples >= AHEAD_SECONDS * encoder.rate:
            break
    return _Clip(chain(ahead, pieces), mixture)


def _windows_of(path: Path, encoder: Encoder, mixture: Mixture) -> Iterator[Samples]:
    with open_recording(path) as recording:
        blocks = resampled(recording.blocks(mixture), recording.rate, encoder.rate)
        yield from windows(blocks, encoder.window)


def _audio_file(root: Path, clip: Clip) -> Path:
    path = root / clip.path
    if not path.is_file():
        raise DataError(path, None, f"no such file; it is the audio of the clip {clip.id}")
    return path


def _batches(order: Sequence[int], lengths: Sequence[int], rate: int) -> Iterator[list[int]]:
    """Cut *order*, by rising length, where a batch would be too long or too large."""
    batch: list[int] = []
    for place in order:
        longest = lengths[place] / rate
        if batch and ((len(batch) + 1) * longest > BATCH_SECONDS or len(batch) == BATCH_WINDOWS):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _read_cache(cache: Path, provenance: Mapping[str, Any]) -> dict[str, npt.NDArray[np.float32]]:
    """Hash of audio -> vectors, from all parts that were made by the same encoder."""
    expected = json.dumps(dict(provenance), sort_keys=True)
    known: dict[str, npt.NDArray[np.float32]] = {}
    clear_leftovers(cache)
    for path in sorted(cache.glob("*.npz")):
        part = _read_part(path)
        if part is not None and part.provenance == expected:
            known |= part.vectors
    return known


class _Part(NamedTuple):
    """A file of the cache: hash of audio -> vectors, and the provenance as JSON."""

    vectors: dict[str, npt.NDArray[np.float32]]
    provenance: str


def _read_part(path: Path) -> _Part | None:
    """Read a file of the cache; None if it is corrupt, which is logged."""
    try:
        check_file(path)
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            vectors = dict(zip(stored["hashes"].tolist(), stored["vectors"], strict=True))
            return _Part(vectors, str(stored["provenance"]))
    except Exception:
        # NumPy and zipfile raise many unrelated types; what is embedded again is right again.
        logger.warning("%s is corrupt; its clips are embedded again", path)
        return None


def prune_cache(cache: Path, hashes: Collection[str]) -> None:
    """Remove the vectors of audio that a corpus no longer has.

    Args:
        cache: folder of cached vectors; it may be missing.
        hashes: SHA-256 of the audio that stays.
    """
    for path in sorted(cache.glob("*.npz")):
        part = _read_part(path)
        kept = {} if part is None else {h: v for h, v in part.vectors.items() if h in hashes}
        if part is not None and len(kept) == len(part.vectors):
            continue
        forget_digest(path)
        path.unlink()
        if part is not None and kept:
            _write_part(cache, kept, json.loads(part.provenance))


def _write_part(
    cache: Path, vectors: Mapping[str, npt.NDArray[np.float32]], provenance: Mapping[str, Any]
) -> None:
    first = min(vectors)
    with sealed_path(cache / f"{first}.npz") as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            hashes=np.array(list(vectors)),
            vectors=np.stack(list(vectors.values())),
            provenance=np.array(json.dumps(dict(provenance), sort_keys=True)),
        )

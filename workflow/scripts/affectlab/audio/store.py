"""Embeddings: computed once for each clip and encoder, kept in one file with what they are of.

While a corpus is being embedded its parts lie in a cache beside the result, each vector under the
hash of its audio. An interrupted job goes on there, and clips that are added to a corpus later
are the only ones computed.
"""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from affectlab.audio.data import Clip
from affectlab.audio.encoders import Encoder, Moments, merge
from affectlab.audio.waveform import (
    Mixture,
    Samples,
    in_parallel,
    open_recording,
    resampled,
    windows,
)
from affectlab.errors import DataError, UserError, reading
from affectlab.files.integrity import check_file, checked
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

STATISTICS = ("mean", "std")

VERSION = 2
"""Rises when windows, pooling or an encoder's own code change the vectors of the same audio."""

FOREIGN_FORMS = (
    ".npz with ids and vectors, .npy with the column id in a .csv beside it, or .parquet with id"
    " and one column a feature"
)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of clips.

    Attributes:
        ids: of the clips, ``[n]``.
        subjects: ``[n]``.
        hashes: SHA-256 of each audio file, ``[n]``; empty texts where it is not known.
        layers: names of the layers.
        vectors: ``[n, layers, 2, dim]`` float32: mean and standard deviation over frames.
        provenance: encoder, its revision and settings, corpus.
    """

    ids: tuple[str, ...]
    subjects: tuple[str, ...]
    hashes: tuple[str, ...]
    layers: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    provenance: Mapping[str, Any]

    def of(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the given clips, in their order.

        Raises:
            UserError: a clip has none.
        """
        places = {name: place for place, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in places]
        if missing:
            raise UserError(
                f"{len(missing)} clips have no embedding, the first is {missing[0]!r}: embed the "
                "corpus again"
            )
        return self.vectors[[places[name] for name in ids]]


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


def write_embeddings(path: Path, embeddings: Embeddings) -> None:
    """Write a store: one npz file, the same bytes for the same contents."""
    with sealed_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            ids=np.array(embeddings.ids),
            subjects=np.array(embeddings.subjects),
            hashes=np.array(embeddings.hashes),
            layers=np.array(embeddings.layers),
            vectors=embeddings.vectors,
            provenance=np.array(json.dumps(dict(embeddings.provenance), sort_keys=True)),
        )


@checked("path", check_file)
def read_embeddings(path: Path) -> Embeddings:
    """Read a store that `write_embeddings` wrote.

    Raises:
        DataError: the file is missing, no such store, or not what was written.
    """
    with (
        reading(path, "a store of embeddings"),
        path.open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        texts = [_texts(stored[name]) for name in ("ids", "subjects", "hashes", "layers")]
        vectors = stored["vectors"]
        provenance = json.loads(str(stored["provenance"]))
        ids, subjects, hashes, layers = texts
        if vectors.dtype != np.float32 or vectors.ndim != 4:
            raise ValueError(f"vectors of the type {vectors.dtype} and shape {vectors.shape}")
        if not len(ids) == len(subjects) == len(hashes) == len(vectors):
            raise ValueError(f"{len(ids)} ids for {len(vectors)} vectors")
        if vectors.shape[1:3] != (len(layers), len(STATISTICS)):
            raise ValueError(f"{len(layers)} layers for vectors of the shape {vectors.shape}")
        if not isinstance(provenance, dict):
            raise ValueError("a provenance that is no object")
    return Embeddings(ids, subjects, hashes, layers, vectors, provenance)


def _texts(array: npt.NDArray[Any]) -> tuple[str, ...]:
    """A stored row of texts."""
    if array.ndim != 1 or array.dtype.kind != "U":
        raise ValueError(f"an array of {array.dtype} where texts were expected")
    return tuple(array.tolist())


def gather(parts: Sequence[Embeddings], clips: Sequence[Clip]) -> Embeddings:
    """Shards as one store, in the order of *clips*."""
    ids = [name for part in parts for name in part.ids]
    subjects = [name for part in parts for name in part.subjects]
    hashes = [name for part in parts for name in part.hashes]
    order = {name: place for place, name in enumerate(ids)}
    if absent := [clip.id for clip in clips if clip.id not in order]:
        raise UserError(f"the stored embeddings lack {len(absent)} clips, {absent[0]!r} among them")
    places = [order[clip.id] for clip in clips]
    return Embeddings(
        tuple(ids[place] for place in places),
        tuple(subjects[place] for place in places),
        tuple(hashes[place] for place in places),
        parts[0].layers,
        np.concatenate([part.vectors for part in parts])[places],
        parts[0].provenance,
    )


def import_embeddings(
    path: Path, clips: Sequence[Clip], provenance: Mapping[str, Any]
) -> Embeddings:
    """Take embeddings that were computed elsewhere.

    Args:
        path: ``.npz`` with ``ids`` and ``vectors``; ``.npy`` with a ``.csv`` beside it whose
            column ``id`` names the rows; or ``.parquet`` with ``id`` and one column a feature.
        clips: of the corpus; each must be there once.
        provenance: stored with them.

    Raises:
        DataError: ids and vectors do not fit each other or the corpus, or a number is not finite.
    """
    ids, table = _read_foreign(path)
    if table.ndim != 2 or len(table) != len(ids) or table.shape[1] == 0:
        problem = f"expected one row for each of {len(ids)} ids, found the shape {table.shape}"
        raise DataError(path, None, problem)
    if not np.issubdtype(table.dtype, np.number) or np.iscomplexobj(table):
        raise DataError(path, None, "holds other features than real numbers")
    with np.errstate(over="ignore"):
        table = table.astype(np.float32)
    if not np.isfinite(table).all():
        raise DataError(path, None, "holds numbers that are not finite in single precision")
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated:
        raise DataError(path, None, f"the id {repeated[0]!r} occurs more than once")
    places = {name: place for place, name in enumerate(ids)}
    missing = [clip.id for clip in clips if clip.id not in places]
    if missing:
        problem = f"has no vector for {len(missing)} clips, the first is {missing[0]!r}"
        raise DataError(path, None, problem)
    mean = table[[places[clip.id] for clip in clips]]
    return Embeddings(
        tuple(clip.id for clip in clips),
        tuple(clip.subject for clip in clips),
        ("",) * len(clips),
        ("precomputed",),
        np.stack([mean, np.zeros_like(mean)], axis=1)[:, None],
        provenance,
    )


def _read_foreign(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    if path.suffix not in (".npz", ".npy", ".parquet"):
        raise DataError(path, None, f"expected {FOREIGN_FORMS}")
    with reading(path, FOREIGN_FORMS):
        if path.suffix == ".npz":
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                ids = stored["ids"].astype(str)
                if ids.ndim != 1:
                    problem = f"expected one id a row, found the shape {ids.shape}"
                    raise DataError(path, None, problem)
                vectors = stored["vectors"]
                # A member of another name than .npy comes as its bytes.
                if not isinstance(vectors, np.ndarray):
                    raise TypeError("vectors that are no array")
                return ids.tolist(), vectors
        if path.suffix == ".npy":
            beside = path.with_suffix(".csv")
            with beside.open(encoding="utf-8-sig", newline="") as text:
                names = [row["id"] for row in csv.DictReader(text)]
            with path.open("rb") as stream:
                return names, np.load(stream, allow_pickle=False)
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        columns = [name for name in table.column_names if name != "id"]
        vectors = np.column_stack([table[name].to_numpy() for name in columns])
        return [str(name) for name in table["id"].to_pylist()], vectors


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
        try:
            check_file(path)
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                if str(stored["provenance"]) == expected:
                    known |= dict(zip(stored["hashes"].tolist(), stored["vectors"], strict=True))
        except Exception:
            # NumPy and zipfile raise many unrelated types; what is embedded again is right again.
            logger.warning("%s is corrupt; its clips are embedded again", path)
    return known


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

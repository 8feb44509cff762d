"""The store of embeddings: one file with the vectors of a corpus and their provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.audio.data import Clip
from affectlab.audio.encoders.precomputed import read_vectors
from affectlab.audio.views import STATISTICS
from affectlab.errors import UserError, reading
from affectlab.files.integrity import check_file, checked
from affectlab.files.io import sealed_path

VERSION = 2
"""Rises when windows, pooling or an encoder's own code change the vectors of the same audio."""


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
    """Read vectors that another program computed; see `read_vectors`.

    Args:
        path: the file.
        clips: of the corpus; each must be in the file once.
        provenance: stored with the vectors.

    Raises:
        DataError: the file does not fit the corpus.
    """
    mean = read_vectors(path, [clip.id for clip in clips])
    return Embeddings(
        tuple(clip.id for clip in clips),
        tuple(clip.subject for clip in clips),
        ("",) * len(clips),
        ("precomputed",),
        np.stack([mean, np.zeros_like(mean)], axis=1)[:, None],
        provenance,
    )

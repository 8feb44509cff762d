"""Tables of embeddings for retrieval: written for many texts, searched for the nearest ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from affectlab.entity.predict import GbertPredictor
from affectlab.entity.queries import Query, locate
from affectlab.entity.vmf import DIMENSION
from affectlab.errors import UserError
from affectlab.files.io import atomic_path

FINGERPRINT_KEY = "affectlab.entity.model"
"""Key of `GbertPredictor.fingerprint` in the metadata of a table of embeddings."""

EMBEDDED_TOGETHER = 8192
"""Texts whose tokens and answers `write_embeddings` holds at once (about 90 MB)."""


def write_embeddings(
    predictor: GbertPredictor, texts: Sequence[str], path: Path, *, batch_size: int
) -> None:
    """Embed whole texts and write a Parquet table for a retrieval system.

    Columns: ``text``, ``mu`` (fixed list of 64 float32, unit length: the inner product is the
    cosine), ``kappa``, ``label``. The file's metadata name the model (`FINGERPRINT_KEY`).

    Raises:
        UserError: a text is empty or no text (before any is embedded), or the file cannot be
            written.
    """
    schema = pa.schema(
        {
            "text": pa.string(),
            "mu": pa.list_(pa.float32(), DIMENSION),
            "kappa": pa.float32(),
            "label": pa.string(),
        },
        metadata={FINGERPRINT_KEY: predictor.fingerprint()},
    )
    for number, text in enumerate(texts, start=1):
        locate(Query(text), number)
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(texts), EMBEDDED_TOGETHER):
            part = list(texts[start : start + EMBEDDED_TOGETHER])
            answers = predictor.predict(part, batch_size=batch_size, first=start + 1)
            columns = {
                "text": part,
                "mu": [answer.mu for answer in answers],
                "kappa": [answer.kappa for answer in answers],
                "label": [answer.label for answer in answers],
            }
            writer.write_table(pa.table(columns, schema=schema))


def nearest(
    predictor: GbertPredictor, path: Path, texts: Sequence[str], k: int, *, batch_size: int
) -> list[list[dict[str, Any]]]:
    """For each of *texts* the *k* rows of a table of `write_embeddings` with the largest cosine.

    The search is exact, which at 64 numbers a text needs no index. A table that does not name the
    model that made it, as other software may write one, causes a warning.

    Raises:
        UserError: the file is no such table, or is corrupted, or another model wrote it: the
            directions of two models have nothing to do with each other.
    """
    table, known = _read_table(path)
    writer = (table.schema.metadata or {}).get(FINGERPRINT_KEY.encode())
    if writer is None:
        warnings.warn(
            f"{path}: does not say which model made these embeddings; if it was another one, the "
            "cosines mean nothing",
            stacklevel=2,
        )
    elif writer != predictor.fingerprint().encode():
        raise UserError(f"{path}: these are embeddings by another model; embed the texts again")
    found = []
    for direction in predictor.embed(texts, batch_size=batch_size)[0]:
        cosines = known @ direction
        found.append(
            [
                {
                    "text": table["text"][place].as_py(),
                    "label": table["label"][place].as_py(),
                    "cosine": float(cosines[place]),
                }
                for place in largest(cosines, k).tolist()
            ]
        )
    return found


def _read_table(path: Path) -> tuple[pa.Table, np.ndarray]:
    """Texts and labels of a table of `write_embeddings`, and its directions (n, 64)."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        table = parquet.read_table(path, columns=["text", "label", "mu"])
        table.validate(full=True)
        mu = table["mu"].cast(pa.list_(pa.float32(), DIMENSION)).combine_chunks()
        directions = mu.flatten().to_numpy().reshape(len(table), DIMENSION)
        shown = table.select(["text", "label"])
        if not np.isfinite(directions).all():
            raise ValueError("mu holds what is no finite number")
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path}: not a table written by `affectlab embed`: {error}") from error
    return shown, directions


def largest(values: np.ndarray, k: int) -> np.ndarray:
    """Places of the *k* largest of *values* (n,), largest first, equal ones in their order."""
    if k < len(values):
        # All that reach the k-th largest: more than k where values are equal.
        least = np.partition(values, len(values) - k)[len(values) - k]
        places = np.flatnonzero(values >= least)
    else:
        places = np.arange(len(values))
    return places[np.argsort(-values[places], kind="stable")][:k]

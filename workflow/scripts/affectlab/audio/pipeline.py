"""Embedding a corpus, in shards that may run on different machines, and bringing them together."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from affectlab.assets.checkpoints import weights_digest
from affectlab.assets.manifest import manifest_directory, read_manifest
from affectlab.audio.data import usable_clips
from affectlab.audio.embedding import embed_clips, prune_cache, shard
from affectlab.audio.encoders.kinds import KINDS, vector_files
from affectlab.audio.settings import Encoder
from affectlab.audio.store import (
    VERSION,
    gather,
    import_embeddings,
    read_embeddings,
    write_embeddings,
)
from affectlab.evaluation.records import model_identity
from affectlab.files.io import sha256_file


def embed_shard(
    *,
    records_path: Path,
    measures_path: Path,
    raw_directory: Path,
    model_manifest_path: Path | None,
    name: str,
    spec: Encoder,
    number: int,
    of: int,
    threads: int,
    cache: Path,
    output_path: Path,
) -> None:
    """Embed every *of*-th clip of a corpus, from the clip *number* on.

    Args:
        records_path: of the corpus.
        measures_path: of its audit.
        raw_directory: the folder that clips' paths start from.
        model_manifest_path: of the encoder's checkpoint, if it has one.
        name: of the encoder in the configuration.
        spec: the encoder, as configured.
        number: of the shard, from 0.
        of: how many shards there are.
        threads: of this job.
        cache: folder of cached vectors.
        output_path: gets the store of this shard.
    """
    from affectlab.audio.encoders.registry import load_encoder
    from affectlab.models.devices import set_threads

    set_threads(threads)
    clips = shard(usable_clips(records_path, measures_path), number, of)
    if KINDS[spec.kind].imported:
        digests = [sha256_file(file) for file in vector_files(spec.path)]
        digest = digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest()
        source = {"name": name, "kind": spec.kind, "sha256": digest}
        found = import_embeddings(Path(spec.path), clips, {"encoder": source})
        write_embeddings(output_path, found)
        return
    directory = None if model_manifest_path is None else manifest_directory(model_manifest_path)
    manifest = None if model_manifest_path is None else read_manifest(model_manifest_path)
    encoder = load_encoder(spec.kind, directory, layers=spec.layers, padding=spec.padding)
    identity = model_identity(spec.checkpoint or spec.kind, manifest)
    provenance: dict[str, Any] = {
        "encoder": {
            "name": name,
            "model": identity["name"],
            "revision": identity["revision"],
            "sha256": identity["sha256"],
            "weights": [] if directory is None else weights_digest(directory),
            **encoder.settings,
        },
        "rate": encoder.rate,
        "window": encoder.window,
        "version": VERSION,
    }
    found = embed_clips(clips, raw_directory, encoder, cache, provenance, threads)
    write_embeddings(output_path, found)


def gather_shards(
    *,
    records_path: Path,
    measures_path: Path,
    shard_paths: Sequence[Path],
    cache: Path,
    output_path: Path,
) -> None:
    """Write the store of a whole corpus from those of its shards, and prune their *cache*.

    The cache keeps no vectors of clips that were left out or deleted since.
    """
    parts = [read_embeddings(Path(path)) for path in shard_paths]
    found = gather(parts, usable_clips(records_path, measures_path))
    write_embeddings(output_path, found)
    prune_cache(cache, set(found.hashes))

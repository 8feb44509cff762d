"""Views: the sets of features that a probe chooses among, made of stored vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Views = Mapping[str, npt.NDArray[Any]]
"""Name -> ``[n, d]``: the sets of features among which the inner folds choose."""

STATISTICS = ("mean", "std")
"""Of the frames that make up a vector, in the order in which they are stored."""

MIX = "mix"
"""The view of all layers side by side."""


def make_views(
    vectors: npt.NDArray[np.float32],
    layers: Sequence[str],
    views: Sequence[str],
    statistics: Sequence[str],
) -> dict[str, npt.NDArray[np.float32]]:
    """Make feature sets from stored vectors ``[n, layers, 2, dim]``."""
    names = list(layers) if "layers" in views or len(layers) == 1 else []
    if MIX in views and len(layers) > 1:
        names.append(MIX)
    return {name: make_view(vectors, layers, name, statistics) for name in names}


def make_view(
    vectors: npt.NDArray[np.float32], layers: Sequence[str], view: str, statistics: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Make one feature set ``[n, d]`` from stored vectors: a layer by its name, or `MIX`."""
    columns = [place for place, name in enumerate(STATISTICS) if name in statistics]
    chosen = vectors if view == MIX else vectors[:, [layers.index(view)]]
    return chosen[:, :, columns].reshape(len(vectors), -1)


def pool_subjects(
    vectors: npt.NDArray[Any], subjects: Sequence[str]
) -> tuple[list[str], npt.NDArray[Any]]:
    """Make one item for each subject, in sorted order: the mean of the vectors of their clips."""
    names, codes = np.unique(np.asarray(subjects), return_inverse=True)
    sums = np.zeros((len(names), *vectors.shape[1:]))
    np.add.at(sums, codes, vectors)
    counts = np.bincount(codes).reshape(-1, *([1] * (vectors.ndim - 1)))
    return names.tolist(), (sums / counts).astype(vectors.dtype)

"""Weights that hold no NaN and no infinity: with one of them a model predicts the same for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from affectlab.errors import DataError

if TYPE_CHECKING:
    import torch


def check_finite_arrays(arrays: Mapping[str, npt.NDArray[np.floating]], source: Path | str) -> None:
    """Check weights that are NumPy arrays.

    Raises:
        DataError: one holds NaN or infinity; names it.
    """
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise _not_finite(name, source)


def check_finite_tensors(tensors: Iterable[tuple[str, torch.Tensor]], source: Path | str) -> None:
    """Check weights that are PyTorch tensors, on any device, in one pass without a copy.

    Integers, such as packed 4-bit weights, are passed over.

    Raises:
        DataError: one holds NaN or infinity; names it.
    """
    import torch

    with torch.no_grad():
        for name, tensor in tensors:
            if not tensor.is_floating_point() or tensor.numel() == 0:
                continue
            # The extremes of a tensor with a NaN are NaN.
            if not all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(tensor)):
                raise _not_finite(name, source)


def _not_finite(name: str, source: Path | str) -> DataError:
    problem = f"the weights {name} hold NaN or infinity: the model is corrupt, take another copy"
    return DataError(source, None, problem)

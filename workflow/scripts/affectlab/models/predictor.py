"""The interface that the predictors of all experiments share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from affectlab.models.devices import Precision


@runtime_checkable
class Result(Protocol):
    """What a predictor returns for one item."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""


@runtime_checkable
class Predictor(Protocol):
    """A trained model of an experiment, ready to predict.

    An item is a text, an image, the path of a recording or a case, depending on the experiment.
    """

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> Self:
        """Load the ``model`` directory of a run.

        Args:
            path: the directory.
            device: a PyTorch device name; the GPU if there is one, by default.
            precision: of matrix products. ``auto`` takes bfloat16, of about three digits, where
                the device multiplies it faster.
            threads: CPU threads; PyTorch's own choice by default.

        Raises:
            UserError: no such directory, or not a model of the experiment.
        """

    def predict(self, items: Any, /) -> Any:
        """Predict one item, or each of several.

        Returns:
            The `Result` of one item; for a sequence of items a list of them, in order.
        """

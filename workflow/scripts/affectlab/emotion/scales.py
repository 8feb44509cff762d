"""Units of numbers: models predict standardised numbers, users read those of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.datasets.numbers import is_finite_number
from affectlab.errors import UserError

if TYPE_CHECKING:
    import numpy as np

KEY = "number_scales"
"""The entry of a model's settings that holds the scales."""


@dataclass(frozen=True, slots=True)
class Scales:
    """Mean and standard deviation of each number in the training split.

    Attributes:
        names: of the numbers.
        means: in units of the data.
        deviations: in units of the data; 1 for a number that does not vary.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @classmethod
    def of(cls, values: np.ndarray, names: Sequence[str]) -> Scales:
        """The scales of training values, float64 (n, numbers)."""
        import numpy as np

        spread = values.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        return cls(tuple(names), tuple(values.mean(axis=0).tolist()), tuple(spread.tolist()))

    def standardised(self, values: np.ndarray) -> np.ndarray:
        """Numbers in units of the data, (n, numbers), as deviations from the mean."""
        import numpy as np

        return (values - np.array(self.means)) / np.array(self.deviations)

    def restored(self, values: np.ndarray) -> np.ndarray:
        """Standardised numbers (n, numbers) in units of the data, float64."""
        import numpy as np

        return np.asarray(values, np.float64) * np.array(self.deviations) + np.array(self.means)

    def to_dict(self) -> dict[str, Any]:
        """The scales as JSON data."""
        return {
            "names": list(self.names),
            "means": list(self.means),
            "deviations": list(self.deviations),
        }


def scales_of(settings: Mapping[str, Any], path: Path) -> Scales:
    """The scales in the settings of a model.

    Args:
        settings: with the entry `KEY`.
        path: of the settings, for messages.

    Raises:
        UserError: they are missing or broken.
    """
    stored = settings.get(KEY)
    lists = stored.values() if isinstance(stored, dict) else ()
    if (
        not isinstance(stored, dict)
        or set(stored) != {"names", "means", "deviations"}
        or not all(isinstance(one, list) for one in lists)
        or len({len(one) for one in lists}) != 1
        or not _are_sound(stored)
    ):
        raise UserError(f"{path}: expected {KEY} with names, means and deviations of the numbers")
    return Scales(*(tuple(stored[key]) for key in ("names", "means", "deviations")))


def _are_sound(stored: Mapping[str, list[Any]]) -> bool:
    names = stored["names"]
    return (
        len(names) > 0
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
        and all(map(is_finite_number, [*stored["means"], *stored["deviations"]]))
        and all(one > 0 for one in stored["deviations"])
    )

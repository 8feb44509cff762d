"""What a network of the face experiment takes and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from affectlab.face.data import Faces
from affectlab.face.faces import CLASSES, SIDE
from affectlab.face.labels import AFFECT, LIMITS

REGRESSED = (tuple(LIMITS), AFFECT, ())
"""The values that a network may regress: all, those of affect alone, or none."""


@dataclass(frozen=True, slots=True)
class Interface:
    """Inputs and outputs of a network; without arguments those of FER2013.

    Attributes:
        classes: names, in the order of the logits.
        regressed: names of the values behind the logits, in the order of `LIMITS`.
        side: height and width of the images, in pixels.
        color: whether images have colours (RGB) instead of grey levels.
    """

    classes: tuple[str, ...] = CLASSES
    regressed: tuple[str, ...] = tuple(LIMITS)
    side: int = SIDE
    color: bool = False

    @property
    def channels(self) -> int:
        """Of an image."""
        return 3 if self.color else 1

    @property
    def sizes(self) -> tuple[int, int]:
        """How many logits, and how many regressed values."""
        return len(self.classes), len(self.regressed)

    @property
    def limits(self) -> np.ndarray:
        """Largest absolute value of each regressed value, float64."""
        return np.array([LIMITS[name] for name in self.regressed], dtype=np.float64)

    def to_config(self) -> dict[str, Any]:
        """What is stored with a model; the images are left out where they are as in FER2013."""
        found: dict[str, Any] = {"classes": list(self.classes), "regressed": list(self.regressed)}
        if (self.side, self.color) != (SIDE, False):
            found["image"] = {"size": self.side, "color": self.color}
        return found

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Interface:
        """Read what `to_config` stored.

        Raises:
            ValueError: it is not that.
        """
        classes: Any = config.get("classes")
        regressed: Any = config.get("regressed")
        image = config.get("image", {"size": SIDE, "color": False})
        if not _are_names(classes) or len(classes) < 2:
            raise ValueError("expected the names of at least two classes")
        if not isinstance(regressed, list) or tuple(regressed) not in REGRESSED:
            raise ValueError("expected the names of valence, arousal and the proxies, or fewer")
        if not isinstance(image, dict) or not _is_image(image.get("size"), image.get("color")):
            raise ValueError("expected a size of images in pixels, and whether they have colours")
        return cls(tuple(classes), tuple(regressed), image["size"], image["color"])


def interface_of(faces: Faces, labels: Mapping[str, np.ndarray]) -> Interface:
    """What a network for these data takes and gives; *labels* as of `labels.labels_of`."""
    return Interface(
        faces.classes,
        tuple(name for name in LIMITS if name in labels),
        faces.images.shape[1],
        faces.images.ndim == 4,
    )


def _are_names(names: Any) -> bool:
    return (
        isinstance(names, list)
        and all(isinstance(name, str) and name for name in names)
        and len(set(names)) == len(names)
    )


def _is_image(size: Any, color: Any) -> bool:
    return type(size) is int and 8 <= size <= 4096 and isinstance(color, bool)

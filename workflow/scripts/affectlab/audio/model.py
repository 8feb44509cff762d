"""A fitted probe as a directory: weights as safetensors, everything else as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.audio.label_set_target import THRESHOLDS, sigmoid
from affectlab.audio.solver import softmax
from affectlab.audio.views import STATISTICS
from affectlab.datasets.description import Target
from affectlab.datasets.numbers import is_finite_number
from affectlab.errors import DataError, reading
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models.finite import check_finite_arrays

FACTS = "probe.json"
WEIGHTS = "probe.safetensors"

FIELDS = ("encoder", "statistics", "task", "unit", "view", "warning")
"""What the facts of every probe hold, on top of `TARGET_FIELDS`."""

TARGET_FIELDS: Mapping[Target, tuple[str, ...]] = {
    "class": ("classes", "temperature"),
    "classes": ("classes", THRESHOLDS),
    "numbers": ("numbers",),
}
"""What is predicted -> the facts about it; the first are the names of the outputs."""

WARNING = (
    "Not a diagnostic instrument: it says how a recording resembles those of its training data, "
    "and nothing certain about the person who speaks."
)


@dataclass(frozen=True, slots=True)
class ProbeModel:
    """Standardisation, then linear layers with ReLU between them, then what the target needs.

    That is softmax of one class, the logistic function of several classes, and nothing of numbers.

    Attributes:
        mean, scale: of the features, ``[d]``.
        layers: weights ``[in, out]`` and biases ``[out]``.
        facts: what the features are of and what the outputs mean; see `FIELDS`.
    """

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    layers: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
    facts: Mapping[str, Any]

    @property
    def target(self) -> Target:
        """What is predicted of a recording."""
        return _target_of(self.facts)

    def probabilities(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Class probabilities ``[n, K]`` of features ``[n, d]``.

        Those of one class have the temperature applied; those of several classes do not add up.
        """
        if self.target == "classes":
            return sigmoid(self.outputs(features))
        return softmax(self.outputs(features) / self.facts["temperature"])

    def outputs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Logits, or numbers in units of the data, ``[n, K]`` of features ``[n, d]``."""
        values: npt.NDArray[Any] = (features.astype(np.float64) - self.mean) / self.scale
        for number, (weights, biases) in enumerate(self.layers):
            values = (np.maximum(values, 0.0) if number else values) @ weights + biases
        return np.asarray(values)


def save(model: ProbeModel, directory: Path) -> None:
    """Write the directory, atomically."""
    from safetensors.numpy import save_file

    tensors = {"mean": model.mean, "scale": model.scale}
    for number, (weights, biases) in enumerate(model.layers):
        tensors |= {f"layers.{number}.weight": weights, f"layers.{number}.bias": biases}
    with sealed_path(directory) as temporary:
        temporary.mkdir()
        save_file(
            {name: np.ascontiguousarray(t, dtype=np.float32) for name, t in tensors.items()},
            temporary / WEIGHTS,
        )
        write_json(temporary / FACTS, dict(model.facts))


@checked("directory", check_directory)
def load(directory: Path) -> ProbeModel:
    """Read a directory that `save` wrote.

    Raises:
        DataError: it is none.
    """
    from safetensors.numpy import load_file

    facts = read_json(directory / FACTS)
    target = _target_of(facts) if isinstance(facts, dict) else "class"
    fields = sorted((*FIELDS, *TARGET_FIELDS[target]))
    missing = [name for name in fields if not isinstance(facts, dict) or name not in facts]
    if missing:
        raise DataError(directory / FACTS, None, f"lacks {', '.join(missing)}: not an audio probe")
    if problem := _facts_problem(facts):
        raise DataError(directory / FACTS, None, problem)
    with reading(directory / WEIGHTS, "the weights of an audio probe"):
        tensors = load_file(directory / WEIGHTS)
        check_finite_arrays(tensors, directory / WEIGHTS)
        count = sum(name.endswith(".bias") for name in tensors)
        layers = [
            (tensors[f"layers.{number}.weight"], tensors[f"layers.{number}.bias"])
            for number in range(count)
        ]
        model = ProbeModel(tensors["mean"], tensors["scale"], layers, facts)
        # They fit each other if they can be used.
        found = model.outputs(np.zeros((1, len(model.mean)), dtype=np.float32)).shape
        named = TARGET_FIELDS[target][0]
        if found != (1, len(facts[named])):
            raise ValueError(f"weights for {found[-1]} {named}, {len(facts[named])} names")
        return model


def _target_of(facts: Mapping[str, Any]) -> Target:
    if "numbers" in facts:
        return "numbers"
    return "classes" if THRESHOLDS in facts else "class"


def _facts_problem(facts: Mapping[str, Any]) -> str | None:
    """What is wrong with the values that say what a probe is of."""
    for name in (TARGET_FIELDS[_target_of(facts)][0], "statistics"):
        if (
            not isinstance(facts[name], list)
            or not facts[name]
            or not all(isinstance(text, str) for text in facts[name])
        ):
            return f"{name}: expected a list of texts"
    if not set(facts["statistics"]) <= set(STATISTICS):
        return f"statistics: expected {' or '.join(STATISTICS)}"
    for name in ("view", "warning"):
        if not isinstance(facts[name], str):
            return f"{name}: expected a text"
    if THRESHOLDS in facts and not _are_thresholds(facts[THRESHOLDS], facts["classes"]):
        return f"{THRESHOLDS}: expected a number from 0 to 1 for each class"
    temperature = facts.get("temperature", 1.0)
    if (
        isinstance(temperature, bool)
        or not isinstance(temperature, int | float)
        or not 0 < temperature < math.inf
    ):
        return "temperature: expected a positive number"
    return None


def _are_thresholds(found: Any, classes: Sequence[str]) -> bool:
    return (
        isinstance(found, dict)
        and set(found) == set(classes)
        and all(is_finite_number(one) and 0 <= one <= 1 for one in found.values())
    )

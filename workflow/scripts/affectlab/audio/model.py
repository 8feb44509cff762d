"""A fitted probe as a directory: weights as safetensors, everything else as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.audio.solver import softmax
from affectlab.audio.views import STATISTICS
from affectlab.errors import DataError, reading
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models.finite import check_finite_arrays

FACTS = "probe.json"
WEIGHTS = "probe.safetensors"

FIELDS = ("classes", "encoder", "statistics", "task", "temperature", "unit", "view", "warning")

WARNING = (
    "Not a diagnostic instrument: it says how a recording resembles those of its training data, "
    "and nothing certain about the person who speaks."
)


@dataclass(frozen=True, slots=True)
class ProbeModel:
    """Standardisation, then linear layers with ReLU between them, then softmax.

    Attributes:
        mean, scale: of the features, ``[d]``.
        layers: weights ``[in, out]`` and biases ``[out]``.
        facts: what the features are of and what the outputs mean; see `FIELDS`.
    """

    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    layers: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
    facts: Mapping[str, Any]

    def probabilities(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Class probabilities ``[n, K]`` of features ``[n, d]``, temperature applied."""
        values: npt.NDArray[Any] = (features.astype(np.float64) - self.mean) / self.scale
        for number, (weights, biases) in enumerate(self.layers):
            values = (np.maximum(values, 0.0) if number else values) @ weights + biases
        return softmax(values / self.facts["temperature"])


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
    missing = [name for name in FIELDS if not isinstance(facts, dict) or name not in facts]
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
        found = model.probabilities(np.zeros((1, len(model.mean)), dtype=np.float32)).shape
        if found != (1, len(facts["classes"])):
            raise ValueError(f"weights for {found[-1]} classes, {len(facts['classes'])} names")
        return model


def _facts_problem(facts: Mapping[str, Any]) -> str | None:
    """What is wrong with the values that say what a probe is of."""
    for name in ("classes", "statistics"):
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
    temperature = facts["temperature"]
    if (
        isinstance(temperature, bool)
        or not isinstance(temperature, int | float)
        or not 0 < temperature < math.inf
    ):
        return "temperature: expected a positive number"
    return None

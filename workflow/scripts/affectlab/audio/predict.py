"""The predictors of the audio experiment, one for each target: see `PREDICTORS`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from affectlab.assets.checkpoints import weights_digest
from affectlab.audio.embedding import embed_files
from affectlab.audio.encoders.base import Encoder
from affectlab.audio.encoders.kinds import find_kind
from affectlab.audio.encoders.registry import load_encoder
from affectlab.audio.label_set_target import THRESHOLDS
from affectlab.audio.model import FACTS, ProbeModel, load
from affectlab.audio.views import MIX, make_view
from affectlab.datasets.description import Target
from affectlab.errors import DataError, UserError
from affectlab.models.devices import Precision, set_threads


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a probe predicts for one recording.

    Attributes:
        file: path of the recording.
        label: the likeliest class.
        probabilities: of each class.
        warnings: why the prediction cannot be trusted: silence, or channels that cancel each other.
    """

    file: str
    label: str
    probabilities: dict[str, float]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "file": self.file,
            "label": self.label,
            "probabilities": self.probabilities,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class NumberPrediction:
    """What a probe of numbers predicts for one recording.

    Attributes:
        file: path of the recording.
        values: name of a number -> the number, in units of the training data.
        warnings: as of `Prediction`.
    """

    file: str
    values: dict[str, float]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {"file": self.file, "values": self.values, "warnings": list(self.warnings)}


@dataclass(frozen=True, slots=True)
class MultilabelPrediction:
    """What a probe of several classes predicts for one recording.

    Attributes:
        file: path of the recording.
        labels: classes whose probability reaches their threshold, in the order of the classes; may
            be empty.
        probabilities: of each class.
        thresholds: of each class.
        warnings: as of `Prediction`.
    """

    file: str
    labels: tuple[str, ...]
    probabilities: dict[str, float]
    thresholds: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "file": self.file,
            "labels": list(self.labels),
            "probabilities": self.probabilities,
            "thresholds": dict(self.thresholds),
            "warnings": list(self.warnings),
        }


P = TypeVar("P")


class _FittedProbe(ABC, Generic[P]):
    """A fitted probe with its frozen encoder, whatever it predicts."""

    target: ClassVar[Target]
    """What it predicts of a recording."""

    def __init__(self, model: ProbeModel, encoder: Encoder, threads: int = 1) -> None:
        self._model = model
        self._encoder = encoder
        self._threads = threads
        self._view, self._statistics = _features_of(model, encoder)
        self.warning: str = model.facts["warning"]

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        encoder: Path | str | None = None,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> Self:
        """Load the ``model`` directory of a run and the encoder that it was fitted to.

        Args:
            path: the directory of the probe.
            encoder: checkpoint of its encoder; None for an encoder without weights.
            device: a PyTorch device name; the GPU if there is one, by default. Encoders without
                weights compute on the CPU.
            precision: of the encoder's matrix products; probes are fitted to those of ``fp32``.
            threads: CPU threads, of PyTorch and to decode files; PyTorch's own choice and one, by
                default.

        Raises:
            UserError: no such directory, no probe, a probe of another target or on precomputed
                embeddings, or an encoder whose features are not those that it was fitted to.
        """
        if threads is not None:
            set_threads(threads)
        folder = Path(path)
        if not (folder / FACTS).is_file():
            raise UserError(f"{folder}: not the model directory of an audio run (no {FACTS})")
        model = load(folder)
        if model.target != cls.target:
            found, expected = PREDICTED[model.target], PREDICTED[cls.target]
            raise UserError(f"{folder}: expected a probe of {expected}, found one of {found}")
        facts = model.facts["encoder"]
        if not isinstance(facts, dict) or "kind" not in facts:
            raise DataError(folder / FACTS, "encoder", "expected an object that names its kind")
        name = str(facts.get("model", facts["kind"]))
        kind = find_kind(facts["kind"])
        if kind.imported:
            raise UserError(
                f"{folder}: this probe was fitted to precomputed embeddings; there is no encoder "
                "for recordings"
            )
        if encoder is None and kind.checkpoint is not None:
            raise UserError(f"{folder}: name the directory of its encoder, {name} (--encoder)")
        if encoder is not None:
            _check_weights(facts, name, Path(encoder))
        loaded = load_encoder(
            kind.name,
            None if encoder is None else Path(encoder),
            layers=facts.get("layers", "last"),
            padding=facts.get("padding", "none"),
            device=device,
            precision=precision,
        )
        return cls(model, loaded, threads or 1)

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, files: Path | str
    ) -> P: ...

    @overload
    def predict(self, files: Sequence[Path | str]) -> list[P]: ...

    def predict(self, files: Path | str | Sequence[Path | str]) -> P | list[P]:
        """Predict one recording, or each of several, in order.

        A probe of subjects predicts from one recording at a time here. Pool the predictions of a
        subject's recordings yourself.

        Raises:
            DataError: a file cannot be read as audio.
        """
        if isinstance(files, str | Path):
            return self._predict([files])[0]
        return self._predict(files)

    def _predict(self, files: Sequence[Path | str]) -> list[P]:
        found: list[P] = []
        for part in embed_files([Path(path) for path in files], self._encoder, self._threads):
            features = make_view(part.vectors, self._encoder.layers, self._view, self._statistics)
            rows = self._outputs(features)
            for row, mixture in zip(rows, part.mixtures, strict=True):
                found.append(self._result(str(files[len(found)]), row, mixture.warnings))
        return found

    @abstractmethod
    def _outputs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """What the model gives for features ``[n, d]``."""

    @abstractmethod
    def _result(self, file: str, row: npt.NDArray[np.float64], warnings: tuple[str, ...]) -> P:
        """A row of the outputs as a prediction."""


class AudioProbe(_FittedProbe[Prediction]):
    """A fitted probe of one class with its frozen encoder.

    Not a diagnostic instrument: see `warning` and the model card.

    Example:
        >>> probe = AudioProbe.from_directory("results/audio/RUN/seed0/model", encoder="whisper")
        >>> probe.predict("clip.wav").label
        'calm'
    """

    target = "class"

    def __init__(self, model: ProbeModel, encoder: Encoder, threads: int = 1) -> None:
        super().__init__(model, encoder, threads)
        self.classes: tuple[str, ...] = tuple(model.facts["classes"])

    def _outputs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return self._model.probabilities(features)

    def _result(
        self, file: str, row: npt.NDArray[np.float64], warnings: tuple[str, ...]
    ) -> Prediction:
        probabilities = {name: float(p) for name, p in zip(self.classes, row, strict=True)}
        return Prediction(file, self.classes[int(row.argmax())], probabilities, warnings)


class AudioMultilabelProbe(_FittedProbe[MultilabelPrediction]):
    """A fitted probe of several classes with its frozen encoder.

    Not a diagnostic instrument: see `warning` and the model card.

    Example:
        >>> probe = AudioMultilabelProbe.from_directory("results/audio/RUN/seed0/model")
        >>> probe.predict("clip.wav").labels
        ('calm', 'sad')
    """

    target = "classes"

    def __init__(self, model: ProbeModel, encoder: Encoder, threads: int = 1) -> None:
        super().__init__(model, encoder, threads)
        self.classes: tuple[str, ...] = tuple(model.facts["classes"])
        stored = model.facts[THRESHOLDS]
        self.thresholds: Mapping[str, float] = {name: stored[name] for name in self.classes}

    def _outputs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return self._model.probabilities(features)

    def _result(
        self, file: str, row: npt.NDArray[np.float64], warnings: tuple[str, ...]
    ) -> MultilabelPrediction:
        probabilities = {name: float(p) for name, p in zip(self.classes, row, strict=True)}
        labels = tuple(name for name, p in probabilities.items() if p >= self.thresholds[name])
        return MultilabelPrediction(file, labels, probabilities, self.thresholds, warnings)


class AudioRegressor(_FittedProbe[NumberPrediction]):
    """A fitted probe of numbers, such as valence, with its frozen encoder.

    Not a diagnostic instrument: see `warning` and the model card.

    Example:
        >>> probe = AudioRegressor.from_directory("results/audio/RUN/seed0/model")
        >>> probe.predict("clip.wav").values
        {'valence': 0.71, 'arousal': 0.43}
    """

    target = "numbers"

    def __init__(self, model: ProbeModel, encoder: Encoder, threads: int = 1) -> None:
        super().__init__(model, encoder, threads)
        self.names: tuple[str, ...] = tuple(model.facts["numbers"])

    def _outputs(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return self._model.outputs(features)

    def _result(
        self, file: str, row: npt.NDArray[np.float64], warnings: tuple[str, ...]
    ) -> NumberPrediction:
        values = {name: float(one) for name, one in zip(self.names, row, strict=True)}
        return NumberPrediction(file, values, warnings)


PREDICTORS: Mapping[Target, type[AudioProbe | AudioMultilabelProbe | AudioRegressor]] = {
    "class": AudioProbe,
    "classes": AudioMultilabelProbe,
    "numbers": AudioRegressor,
}
"""What a probe predicts -> its predictor."""

PREDICTED: Mapping[Target, str] = {
    "class": "classes",
    "classes": "several classes",
    "numbers": "numbers",
}
"""The same -> as messages call it."""


def target_of(directory: Path) -> Target:
    """What the probe in a model directory predicts.

    Raises:
        UserError: no such directory, or no probe.
    """
    if not (directory / FACTS).is_file():
        raise UserError(f"{directory}: not the model directory of an audio run (no {FACTS})")
    return load(directory).target


def _check_weights(encoder: Mapping[str, Any], name: str, directory: Path) -> None:
    """Raise if *directory* has other safetensors or .bin weights than the probe was fitted to."""

    found = weights_digest(directory)
    # Where one side has none, as with GE2E's .pt or older probes, the loader alone judges.
    if found and encoder.get("weights") and found != encoder["weights"]:
        raise UserError(
            f"{directory}: its weights are not those of {name} that the probe was "
            "fitted to: answers would mean nothing"
        )


def _features_of(model: ProbeModel, encoder: Encoder) -> tuple[str, list[str]]:
    """The view and the statistics of an encoder's vectors that a probe was fitted to.

    Raises:
        UserError: the encoder cannot have been its own.
    """
    view, width = model.facts["view"], len(model.mean)
    layers = len(encoder.layers) if view == MIX else 1
    statistics = list(model.facts["statistics"])
    # Older probes name the deviation that they were fitted without, too.
    if len(statistics) > 1 and width == layers * encoder.dim:
        statistics = ["mean"]
    if view not in (MIX, *encoder.layers) or width != layers * encoder.dim * len(statistics):
        own = model.facts["encoder"].get("model", model.facts["encoder"]["kind"])
        raise UserError(
            f"the probe was fitted to {width} features of {own}, {view}; this encoder gives "
            f"{encoder.dim} a layer, for {', '.join(encoder.layers)}: it is another one"
        )
    return view, statistics

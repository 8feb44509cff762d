"""Asking a fitted probe about recordings: `AudioProbe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.assets.checkpoints import weights_digest
from affectlab.audio.embedding import embed_files
from affectlab.audio.encoders.base import Encoder
from affectlab.audio.encoders.kinds import find_kind
from affectlab.audio.encoders.registry import load_encoder
from affectlab.audio.model import FACTS, ProbeModel, load
from affectlab.audio.views import MIX, make_view
from affectlab.errors import DataError, UserError


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


class AudioProbe:
    """A fitted probe with its frozen encoder.

    Not a diagnostic instrument: see `warning` and the model card.

    Example:
        >>> probe = AudioProbe.from_directory("results/audio/RUN/seed0/model", "whisper-base")
        >>> probe.predict(["clip.wav"])[0].label
        'calm'
    """

    def __init__(self, model: ProbeModel, encoder: Encoder) -> None:
        self._model = model
        self._encoder = encoder
        self._view, self._statistics = _features_of(model, encoder)
        self.classes: tuple[str, ...] = tuple(model.facts["classes"])
        self.warning: str = model.facts["warning"]

    @classmethod
    def from_directory(
        cls, directory: Path | str, encoder_directory: Path | str | None = None
    ) -> AudioProbe:
        """Load the ``model`` directory of a run and the encoder that it was fitted to.

        Args:
            directory: of the probe.
            encoder_directory: checkpoint of its encoder; None for an encoder without weights.

        Raises:
            UserError: no such directory, no probe, a probe on precomputed embeddings, or an
                encoder whose features are not those that it was fitted to.
        """
        folder = Path(directory)
        if not (folder / FACTS).is_file():
            raise UserError(f"{folder}: not the model directory of an audio run (no {FACTS})")
        model = load(folder)
        encoder = model.facts["encoder"]
        if not isinstance(encoder, dict) or "kind" not in encoder:
            raise DataError(folder / FACTS, "encoder", "expected an object that names its kind")
        name = str(encoder.get("model", encoder["kind"]))
        kind = find_kind(encoder["kind"])
        if kind.imported:
            raise UserError(
                f"{folder}: this probe was fitted to precomputed embeddings; there is no encoder "
                "to ask about a recording"
            )
        if encoder_directory is None and kind.checkpoint is not None:
            raise UserError(f"{folder}: name the directory of its encoder, {name} (--encoder)")
        if encoder_directory is not None:
            _check_weights(encoder, name, Path(encoder_directory))
        return cls(
            model,
            load_encoder(
                kind.name,
                None if encoder_directory is None else Path(encoder_directory),
                layers=encoder.get("layers", "last"),
                padding=encoder.get("padding", "none"),
            ),
        )

    def predict(self, files: Sequence[Path | str]) -> list[Prediction]:
        """Say what recordings sound like, in their order.

        A probe of subjects is asked about one recording at a time here; pool the answers of a
        subject's recordings yourself.

        Raises:
            TypeError: *files* is one path.
            DataError: a file cannot be read as audio.
        """
        if isinstance(files, str | Path):
            raise TypeError("expected a sequence of paths, not one")
        answers: list[Prediction] = []
        for part in embed_files([Path(path) for path in files], self._encoder):
            features = make_view(part.vectors, self._encoder.layers, self._view, self._statistics)
            rows = self._model.probabilities(features)
            for row, mixture in zip(rows, part.mixtures, strict=True):
                answers.append(
                    Prediction(
                        str(files[len(answers)]),
                        self.classes[int(row.argmax())],
                        {name: float(p) for name, p in zip(self.classes, row, strict=True)},
                        mixture.warnings,
                    )
                )
        return answers


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

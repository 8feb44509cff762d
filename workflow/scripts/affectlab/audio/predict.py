"""Asking a fitted probe about recordings: `AudioProbe`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from affectlab.audio.encoders import WITHOUT_WEIGHTS, Encoder, load_encoder
from affectlab.audio.model import FACTS, ProbeModel, load
from affectlab.audio.probe import MIX, make_views
from affectlab.audio.store import embed_waves
from affectlab.audio.waveform import read_audio
from affectlab.core.errors import UserError


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a probe says of one recording: the likeliest class and the probability of each."""

    file: str
    label: str
    probabilities: dict[str, float]


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
            UserError: no such directory, no probe, or a probe on precomputed embeddings.
        """
        folder = Path(directory)
        if not (folder / FACTS).is_file():
            raise UserError(f"{folder}: not the model directory of an audio run (no {FACTS})")
        model = load(folder)
        encoder = model.facts["encoder"]
        if encoder["kind"] == "precomputed":
            raise UserError(
                f"{folder}: this probe was fitted to precomputed embeddings; there is no encoder "
                "to ask about a recording"
            )
        if encoder_directory is None and encoder["kind"] not in WITHOUT_WEIGHTS:
            raise UserError(
                f"{folder}: name the directory of its encoder, {encoder['model']} (--encoder)"
            )
        return cls(
            model,
            load_encoder(
                encoder["kind"],
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
            DataError: a file cannot be read as audio.
        """
        waves = [read_audio(path, self._encoder.rate) for path in files]
        if not waves:
            return []
        vectors = embed_waves(waves, self._encoder)
        facts = self._model.facts
        wanted = MIX if facts["view"] == MIX else "layers"
        statistics = facts["statistics"]
        # The standard deviation over frames is left out where the probe was fitted without.
        width = len(self._model.mean) // (len(self._encoder.layers) if wanted == MIX else 1)
        if width == self._encoder.dim:
            statistics = ["mean"]
        features = make_views(vectors, self._encoder.layers, [wanted], statistics)[facts["view"]]
        rows = self._model.probabilities(features)
        return [
            Prediction(
                str(path),
                self.classes[int(row.argmax())],
                {name: float(p) for name, p in zip(self.classes, row, strict=True)},
            )
            for path, row in zip(files, rows, strict=True)
        ]

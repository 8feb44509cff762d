"""Recordings that a classifier from elsewhere predicts, without training."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from affectlab.assets.checkpoints import PROCESSOR_FILE
from affectlab.assets.safe_loading import from_directory
from affectlab.audio.data import Clip
from affectlab.audio.outside import divided
from affectlab.audio.predictions import OUTSIDE, Corpus
from affectlab.audio.settings import AudioRun
from affectlab.audio.waveform import Samples, in_parallel, read_audio
from affectlab.config.pretrained import PRETRAINED
from affectlab.errors import UserError, first_line
from affectlab.evaluation.class_mapping import Mapped
from affectlab.evaluation.outside import complete_record
from affectlab.evaluation.pretrained_records import DIGITS, Reading, TheirModel, about_model
from affectlab.files.io import round_significant, write_json, write_jsonl

if TYPE_CHECKING:
    from affectlab.models.classifiers import Batch

LONGEST_SECONDS = 60.0
"""Sound that a model without a window of its own reads of a recording."""

SHORTEST_SECONDS = 0.1
"""Shorter recordings are followed by silence: convolutions over waves need some frames."""

RECORDINGS = 8
"""Recordings in a batch, at most."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The feature extractor of a model.

    Attributes:
        extractor: of transformers.
        rate: sampling rate that it takes, in Hz.
        seconds: sound that it reads of a recording.
    """

    extractor: Any
    rate: int
    seconds: float

    @classmethod
    def of(cls, directory: Path) -> Listener:
        """Load the feature extractor of a model.

        Raises:
            UserError: the folder holds none that can be used.
        """
        from transformers import AutoFeatureExtractor

        path = directory / PROCESSOR_FILE
        if not path.is_file():
            raise UserError(f"{directory}: no {path.name} in this folder of an audio classifier")
        try:
            extractor = from_directory(AutoFeatureExtractor, directory)
            rate = int(extractor.sampling_rate)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{directory}: the feature extractor cannot be loaded: {first_line(error)}"
            ) from error
        return cls(extractor, rate, min(LONGEST_SECONDS, _window(extractor, rate)))

    def is_longer(self, wave: Samples) -> bool:
        """Whether a recording at `rate` is longer than what is read of it."""
        return len(wave) > round(self.seconds * self.rate)

    def inputs(self, wave: Samples) -> dict[str, np.ndarray]:
        """A recording at `rate` as the model takes it, each array with one row."""
        read = wave[: round(self.seconds * self.rate)]
        missing = round(SHORTEST_SECONDS * self.rate) - len(read)
        if missing > 0:
            read = np.concatenate([read, np.zeros(missing, dtype=np.float32)])
        found = self.extractor(read, sampling_rate=self.rate, return_tensors="np")
        return {
            name: np.asarray(array, np.int64 if name.endswith("mask") else np.float32)
            for name, array in found.items()
        }


def _window(extractor: Any, rate: int) -> float:
    """Seconds that a feature extractor keeps of a recording; infinity where it keeps all."""
    samples = getattr(extractor, "n_samples", None)
    if isinstance(samples, int):
        return samples / rate
    frames = getattr(extractor, "max_length", None)
    # Of spectrograms in frames of 10 ms, as those of the AST are.
    return frames / 100 if isinstance(frames, int) else np.inf


def predict(
    clips: Sequence[Clip],
    corpus: Corpus,
    classes: Sequence[str],
    run: AudioRun,
    *,
    raw_directory: Path,
    directory: Path,
    hub_ids: Collection[str],
    key: str,
    threads: int,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Store the predictions of a classifier as a table of somebody else's is stored.

    Where subjects are scored, a subject has the mean probabilities of its clips.

    Args:
        clips: with a label for the task of the run.
        corpus: the items that are scored.
        classes: of the task, in the order of their ids.
        run: the recipe.
        raw_directory: the folder that the paths of clips start from.
        directory: of the model.
        hub_ids: ids of the data on the hub, to find them on the card of the model.
        key: dotted path of the mapping of classes, for messages.
        threads: CPU threads.
        predictions_path: predictions.jsonl.
        record_path: outside.json, see `pretrained_records.about_model`.

    Raises:
        UserError: the model cannot be used, or none of its classes is one of the data.
        DataError: a recording cannot be read, or a file of the model is corrupt.
    """
    from transformers import AutoModelForAudioClassification

    from affectlab.models.classifiers import load_mapped

    classifier, mapping = load_mapped(
        directory,
        AutoModelForAudioClassification,
        run.pretrained,
        purpose="an audio classifier",
        classes=classes,
        key=key,
        threads=threads,
    )
    listener = Listener.of(directory)
    scored = divided(corpus)[0]
    by_subject, known = run.unit == "subject", set(scored)
    heard = [one for one in clips if (one.subject if by_subject else one.id) in known]
    cut: set[str] = set()
    paths = [raw_directory / one.path for one in heard]
    batches = _batches(listener, [one.id for one in heard], paths, cut, threads)
    mapped = mapping.apply(classifier.log_probabilities(batches, len(heard)))
    ids = [one.id for one in heard]
    shares = _shares(mapped, heard, by_subject=by_subject)
    rows = [
        {
            "id": name,
            "subject": corpus.items[name].subject,
            "label": str(corpus.items[name].label),
            "scheme": OUTSIDE,
            "repeat": 0,
            "probabilities": [round_significant(float(share), DIGITS) for share in shares[name]],
        }
        for name in scored
    ]
    model = TheirModel(run.model, directory, classifier.weights, hub_ids)
    reading = Reading(f"{listener.seconds:g} s", frozenset(cut))
    about = about_model(model, mapped, ids, set(ids), reading)
    write_jsonl(predictions_path, rows, sealed=True)
    write_json(
        record_path,
        complete_record(PRETRAINED, {"probabilities": True, "scheme": OUTSIDE, **about}),
        sealed=True,
    )


def _batches(
    listener: Listener, ids: Sequence[str], paths: Sequence[Path], cut: set[str], threads: int
) -> Iterator[Batch]:
    """Recordings in batches of the same length: what padding adds would change the predictions.

    Adds to *cut* the ids of those that are longer than what is read.
    """
    from affectlab.models.classifiers import Batch

    places: list[int] = []
    waiting: list[dict[str, np.ndarray]] = []

    def batch() -> Batch:
        names = waiting[0]
        joined = {name: np.concatenate([one[name] for one in waiting]) for name in names}
        return Batch(np.array(places), joined)

    waves = in_parallel(lambda path: read_audio(path, listener.rate), paths, threads)
    for place, wave in enumerate(waves):
        if listener.is_longer(wave):
            cut.add(ids[place])
        found = listener.inputs(wave)
        full = len(waiting) == RECORDINGS
        if waiting and (full or _shapes(found) != _shapes(waiting[0])):
            yield batch()
            places, waiting = [], []
        places.append(place)
        waiting.append(found)
    if waiting:
        yield batch()


def _shapes(inputs: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in inputs.items()}


def _shares(mapped: Mapped, clips: Sequence[Clip], *, by_subject: bool) -> dict[str, np.ndarray]:
    """Item -> probabilities in the order of the classes, the mean over its clips."""
    rows: dict[str, list[int]] = {}
    for row, clip in enumerate(clips):
        rows.setdefault(clip.subject if by_subject else clip.id, []).append(row)
    return {name: mapped.probabilities[own].mean(axis=0) for name, own in rows.items()}

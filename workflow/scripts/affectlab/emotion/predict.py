"""The predictor of the emotion experiment, `EmotionClassifier`, and the predictions of a run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from affectlab.emotion import tfidf
from affectlab.emotion.data import Data, Record
from affectlab.errors import UserError, reading
from affectlab.files.io import round_significant, write_jsonl
from affectlab.files.text import is_encodable

if TYPE_CHECKING:
    import numpy as np
    from sklearn.pipeline import Pipeline

    from affectlab.models.devices import Precision

logger = logging.getLogger(__name__)

DEFAULT_BATCH_SIZE = 64
MAX_LENGTH = 32_768
"""Tokens after which a text is cut where the tokenizer knows no limit; recipes go no higher."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model predicts for one text.

    Attributes:
        label: the likeliest class.
        probabilities: of each class.
        cut: whether the text was longer than what the model reads, so that its end was left out.
    """

    label: str
    probabilities: dict[str, float]
    cut: bool = False

    def top(self, k: int) -> list[tuple[str, float]]:
        """The *k* likeliest classes with their probabilities, likeliest first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:k]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {"label": self.label, "probabilities": self.probabilities, "cut": self.cut}


class _Backend(Protocol):
    classes: tuple[str, ...]
    max_length: int | None

    def probabilities(
        self, texts: Sequence[str], batch_size: int
    ) -> tuple[np.ndarray, list[int]]: ...


class EmotionClassifier:
    """A trained model of the emotion experiment, whichever way it was trained.

    Example:
        >>> classifier = EmotionClassifier.from_directory("results/emotion/minilm/seed42/model")
        >>> classifier.predict("i feel so happy today").label
        'joy'
    """

    def __init__(self, backend: _Backend) -> None:
        self._backend = backend
        self.classes = backend.classes

    @classmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> EmotionClassifier:
        """Load the ``model`` directory of a run.

        Args:
            path: a Hugging Face checkpoint of a text classifier, or a TF-IDF model.
            device: a PyTorch device name; the GPU if there is one, by default.
            precision: of a network's matrix products. ``auto`` takes bfloat16, of about
                three digits, where the device multiplies it faster.
            threads: CPU threads; PyTorch's own choice by default.

        Raises:
            UserError: no such directory, or not a model of this experiment.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such model directory")
        if (folder / "config.json").exists():
            return cls(_Network(folder, device, threads, precision))
        if (folder / tfidf.SETTINGS_FILE).exists():
            return cls.from_pipeline(tfidf.load(folder))
        hint = f"; did you mean {folder / 'model'}?" if (folder / "model").is_dir() else ""
        expected = f"expected a folder with config.json or {tfidf.SETTINGS_FILE}"
        raise UserError(f"{folder}: no model here, {expected}{hint}")

    @classmethod
    def from_pipeline(cls, pipeline: Pipeline) -> EmotionClassifier:
        """Take a fitted pipeline of `tfidf.build_pipeline`."""
        return cls(_TfidfModel(pipeline))

    @property
    def max_length(self) -> int | None:
        """Tokens that the model reads of a text; None if it reads all."""
        return self._backend.max_length

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, texts: str, *, batch_size: int = ..., first: int = ...
    ) -> Prediction: ...

    @overload
    def predict(
        self, texts: Sequence[str], *, batch_size: int = ..., first: int = ...
    ) -> list[Prediction]: ...

    def predict(
        self, texts: str | Sequence[str], *, batch_size: int = DEFAULT_BATCH_SIZE, first: int = 1
    ) -> Prediction | list[Prediction]:
        """Classify one text, or each of several, in order.

        Of a text of more than `max_length` tokens only the beginning is read: a warning reports how
        many these are, and ``cut`` of their predictions is true.

        Args:
            texts: one text, or several.
            batch_size: texts at a time.
            first: number of the first text in messages.

        Raises:
            TypeError: *texts* contains something else than strings.
            UserError: a text is empty or no valid Unicode.
        """
        if isinstance(texts, str):
            return self.predict([texts], batch_size=batch_size, first=first)[0]
        for number, text in enumerate(texts, start=first):
            if not isinstance(text, str):
                raise TypeError(f"text {number}: expected a string, found {type(text).__name__}")
            if not text.strip():
                raise UserError(f"text {number}: is empty")
            if not is_encodable(text):
                raise UserError(f"text {number}: holds half a surrogate pair, no valid Unicode")
        if len(texts) == 0:
            return []
        rows, cut = self._backend.probabilities(texts, batch_size)
        if cut:
            what = "1 text is" if len(cut) == 1 else f"{len(cut)} texts are"
            warnings.warn(
                f"{what} longer than the model's {self.max_length} tokens, so the end was not "
                f"read: text {first + cut[0]}{', ...' if len(cut) > 1 else ''}",
                stacklevel=2,
            )
        return [
            Prediction(
                self.classes[int(row.argmax())],
                {name: float(p) for name, p in zip(self.classes, row, strict=True)},
                cut=place in set(cut),
            )
            for place, row in enumerate(rows)
        ]


class _Network:
    def __init__(
        self, directory: Path, device: str | None, threads: int | None, precision: Precision
    ) -> None:
        import torch

        from affectlab.emotion import model
        from affectlab.models import text_models
        from affectlab.models.devices import compute_dtype, named_device, set_threads

        if threads is not None:
            set_threads(threads)
        self._model = model
        self._device = named_device(device)
        self._dtype = compute_dtype(precision, self._device)
        self.classes = _stored_classes(directory)
        self._tokenizer = text_models.load_tokenizer(directory)
        self._network = model.load_network(
            directory,
            self._tokenizer,
            self.classes,
            dtype=torch.float32,
            device=self._device,
            trained=True,
        ).eval()
        self.max_length: int | None = min(MAX_LENGTH, self._tokenizer.model_max_length)
        text_models.check_vocabulary(self._tokenizer, self._network, directory)
        with reading(directory, "a text classifier whose files fit each other"):
            self.probabilities([text_models.TRIAL], 1)

    def probabilities(self, texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]:
        """Class probabilities, float64 (n, classes), and the places of texts that were cut."""
        import numpy as np
        from scipy.special import softmax

        limit = self.max_length or MAX_LENGTH
        token_ids = self._model.encode(self._tokenizer, texts, max_length=limit)
        logits = self._model.predict_logits(
            self._network,
            token_ids,
            pad_id=self._tokenizer.pad_token_id,
            batch_size=batch_size,
            dtype=self._dtype,
            device=self._device,
        )
        cut = self._model.cut_texts(self._tokenizer, texts, token_ids, max_length=limit)
        return softmax(logits.astype(np.float64), axis=1), cut


class _TfidfModel:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.classes = tuple(map(str, self._pipeline.classes_))
        self.max_length: int | None = None

    def probabilities(self, texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]:
        """Class probabilities, float64 (n, classes); no text is cut."""
        return self._pipeline.predict_proba(list(texts)), []


def _stored_classes(directory: Path) -> tuple[str, ...]:
    """The names of a checkpoint's outputs, in their order.

    Raises:
        UserError: it has none, or the names that transformers gives classes without any.
    """
    from affectlab.files.io import read_json

    config = read_json(directory / "config.json")
    stored = config.get("id2label") if isinstance(config, dict) else None
    stored = stored if isinstance(stored, dict) else {}
    names = [stored.get(str(i)) for i in range(len(stored))]
    named = names and all(isinstance(name, str) for name in names)
    if not named or names[0] == "LABEL_0" or len(set(names)) < len(names):
        raise UserError(
            f"{directory / 'config.json'}: id2label is {names}, expected the names of classes: not "
            "a model of the emotion experiment"
        )
    return tuple(map(str, names))


def predict_records(
    *,
    data: Data,
    model_directory: Path,
    predictions_path: Path,
    splits: Sequence[str],
    threads: int,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> None:
    """Store a model's probabilities for every record of *splits*, one JSON object a line.

    ``cut`` tells of which texts the model read the beginning alone.
    """
    records = [record for record in data.records if record.split in splits]
    classifier = EmotionClassifier.from_directory(model_directory, threads=threads)
    write_jsonl(
        predictions_path,
        prediction_rows(classifier, records, data.classes, batch_size),
        sealed=True,
    )


def prediction_rows(
    classifier: EmotionClassifier,
    records: Sequence[Record],
    classes: Sequence[str],
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> list[dict[str, Any]]:
    """The lines of predictions.jsonl of *records*; probabilities in the order of *classes*."""
    with warnings.catch_warnings():
        # Counted below, for the log.
        warnings.simplefilter("ignore", UserWarning)
        predictions = classifier.predict([record.text for record in records], batch_size=batch_size)
    if cut := sum(prediction.cut for prediction in predictions):
        logger.warning(
            "%d of %d texts are longer than max_length (%d tokens): their ends were not read",
            cut,
            len(records),
            classifier.max_length,
        )
    return [
        {
            "id": record.id,
            "split": record.split,
            "label": record.label,
            "prediction": prediction.label,
            "cut": prediction.cut,
            "probabilities": {
                name: round_significant(prediction.probabilities[name]) for name in classes
            },
        }
        for record, prediction in zip(records, predictions, strict=True)
    ]

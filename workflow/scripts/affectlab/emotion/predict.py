"""The predictor of classes, `EmotionClassifier`, and the lines of its predictions."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

from affectlab.emotion import tfidf, tfidf_numbers
from affectlab.emotion.data import Record
from affectlab.emotion.scales import KEY
from affectlab.errors import UserError, reading
from affectlab.files.io import read_json, round_significant
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


def predicts_numbers(directory: Path) -> bool:
    """Whether the model in a folder predicts numbers, and not classes."""
    if (directory / tfidf_numbers.SETTINGS_FILE).exists():
        return True
    path = directory / "config.json"
    config = read_json(path) if path.exists() else None
    return isinstance(config, dict) and KEY in config


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
        if predicts_numbers(folder):
            raise UserError(f"{folder}: the model predicts numbers; load it by EmotionRegressor")
        if (folder / "config.json").exists():
            return cls(_NetworkClassifier(TextNetwork(folder, device, threads, precision)))
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
        check_texts(texts, first)
        if len(texts) == 0:
            return []
        rows, cut = self._backend.probabilities(texts, batch_size)
        if cut:
            warnings.warn(cut_warning(cut, self.max_length, first), stacklevel=2)
        return [
            Prediction(
                self.classes[int(row.argmax())],
                {name: float(p) for name, p in zip(self.classes, row, strict=True)},
                cut=place in set(cut),
            )
            for place, row in enumerate(rows)
        ]


def check_texts(texts: Sequence[str], first: int) -> None:
    """See that texts can be read.

    Args:
        texts: to be predicted.
        first: number of the first text in messages.

    Raises:
        TypeError: *texts* contains something else than strings.
        UserError: a text is empty or no valid Unicode.
    """
    for number, text in enumerate(texts, start=first):
        if not isinstance(text, str):
            raise TypeError(f"text {number}: expected a string, found {type(text).__name__}")
        if not text.strip():
            raise UserError(f"text {number}: is empty")
        if not is_encodable(text):
            raise UserError(f"text {number}: holds half a surrogate pair, no valid Unicode")


def cut_warning(cut: Sequence[int], max_length: int | None, first: int) -> str:
    """Report how many texts are longer than a model reads.

    Args:
        cut: places of these texts.
        max_length: tokens that the model reads.
        first: number of the first text in messages.
    """
    what = "1 text is" if len(cut) == 1 else f"{len(cut)} texts are"
    return (
        f"{what} longer than the model's {max_length} tokens, so the end was not read: text "
        f"{first + cut[0]}{', ...' if len(cut) > 1 else ''}"
    )


class TextNetwork:
    """A trained network of the experiment, from texts to its outputs.

    Attributes:
        names: of its outputs.
        max_length: tokens that it reads of a text.
        config: its stored configuration.
    """

    def __init__(
        self, directory: Path, device: str | None, threads: int | None, precision: Precision
    ) -> None:
        """Load a checkpoint; see `EmotionClassifier.from_directory`.

        Raises:
            UserError: it is not a model of this experiment.
        """
        import torch

        from affectlab.emotion import model
        from affectlab.models import text_models
        from affectlab.models.devices import compute_dtype, named_device, set_threads

        if threads is not None:
            set_threads(threads)
        self._model = model
        self._device = named_device(device)
        self._dtype = compute_dtype(precision, self._device)
        self.config = read_json(directory / "config.json")
        self.names = _stored_names(self.config, directory)
        self._tokenizer = text_models.load_tokenizer(directory)
        self._network = model.load_network(
            directory,
            self._tokenizer,
            self.names,
            dtype=torch.float32,
            device=self._device,
            trained=True,
            settings={"problem_type": self.config.get("problem_type")},
        ).eval()
        self.max_length: int = min(MAX_LENGTH, self._tokenizer.model_max_length)
        text_models.check_vocabulary(self._tokenizer, self._network, directory)
        with reading(directory, "a text classifier whose files fit each other"):
            self.outputs([text_models.TRIAL], 1)

    def outputs(self, texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]:
        """Outputs, float32 (n, outputs), and the places of texts that were cut."""
        limit = self.max_length
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
        return logits, cut


class _NetworkClassifier:
    def __init__(self, network: TextNetwork) -> None:
        self._network = network
        self.classes = network.names
        self.max_length: int | None = network.max_length

    def probabilities(self, texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]:
        """Class probabilities, float64 (n, classes), and the places of texts that were cut."""
        import numpy as np
        from scipy.special import softmax

        logits, cut = self._network.outputs(texts, batch_size)
        return softmax(logits.astype(np.float64), axis=1), cut


class _TfidfModel:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.classes = tuple(map(str, self._pipeline.classes_))
        self.max_length: int | None = None

    def probabilities(self, texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]:
        """Class probabilities, float64 (n, classes); no text is cut."""
        return self._pipeline.predict_proba(list(texts)), []


def _stored_names(config: Any, directory: Path) -> tuple[str, ...]:
    """The names of a checkpoint's outputs, in their order.

    Raises:
        UserError: it has none, or the names that transformers gives classes without any.
    """
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
    log_cut([prediction.cut for prediction in predictions], classifier.max_length)
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


def log_cut(cut: Sequence[bool], max_length: int | None) -> None:
    """Log how many texts a model read the beginning of alone.

    Args:
        cut: of each text, whether it was longer.
        max_length: tokens that the model reads.
    """
    if any(cut):
        logger.warning(
            "%d of %d texts are longer than max_length (%d tokens): their ends were not read",
            sum(cut),
            len(cut),
            max_length,
        )

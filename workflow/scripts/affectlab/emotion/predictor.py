"""What the predictors of this experiment have in common, whatever they predict of a text."""

from __future__ import annotations

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar, overload

from affectlab.datasets.description import Target
from affectlab.emotion import tfidf, tfidf_multilabel, tfidf_numbers
from affectlab.emotion.data import Item
from affectlab.emotion.scales import KEY as SCALES_KEY
from affectlab.emotion.thresholds import KEY as THRESHOLDS_KEY
from affectlab.errors import UserError, reading
from affectlab.files.io import read_json
from affectlab.files.text import is_encodable

if TYPE_CHECKING:
    import numpy as np

    from affectlab.models.devices import Precision

logger = logging.getLogger(__name__)

DEFAULT_BATCH_SIZE = 64
MAX_LENGTH = 32_768
"""Tokens after which a text is cut where the tokenizer knows no limit; recipes go no higher."""

_TFIDF_FILES: Mapping[str, Target] = {
    tfidf_numbers.SETTINGS_FILE: "numbers",
    tfidf_multilabel.SETTINGS_FILE: "classes",
    tfidf.SETTINGS_FILE: "class",
}


def model_target(directory: Path) -> Target | None:
    """What the model in a folder predicts of a text; None where there is no model."""
    for name, target in _TFIDF_FILES.items():
        if (directory / name).exists():
            return target
    path = directory / "config.json"
    if not path.exists():
        return None
    config = read_json(path)
    keys = config if isinstance(config, dict) else {}
    if SCALES_KEY in keys:
        return "numbers"
    return "classes" if THRESHOLDS_KEY in keys else "class"


@dataclass(frozen=True, slots=True)
class Backend:
    """A loaded model.

    Attributes:
        names: of the classes or numbers.
        max_length: tokens that it reads of a text; None if it reads all.
        run: from texts and a batch size to what it predicts, float64 (n, names), and the places of
            texts that were cut.
    """

    names: tuple[str, ...]
    max_length: int | None
    run: Callable[[Sequence[str], int], tuple[np.ndarray, list[int]]]

    @classmethod
    def of_words(
        cls, names: tuple[str, ...], predict: Callable[[Sequence[str]], np.ndarray]
    ) -> Backend:
        """A model that reads all words of a text."""
        return cls(names, None, lambda texts, batch_size: (predict(texts), []))

    @classmethod
    def of_network(
        cls, network: TextNetwork, transform: Callable[[np.ndarray], np.ndarray]
    ) -> Backend:
        """A network; *transform* makes predictions of its outputs, both (n, names)."""

        def run(texts: Sequence[str], batch_size: int) -> tuple[np.ndarray, list[int]]:
            outputs, cut = network.outputs(texts, batch_size)
            return transform(outputs), cut

        return cls(network.names, network.max_length, run)


class TextPrediction(Protocol):
    """What a model predicts for one text."""

    @property
    def cut(self) -> bool:
        """Whether the text was longer than what the model reads, so that its end was left out."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON data."""

    def stored(self, names: Sequence[str]) -> dict[str, Any]:
        """What a line of predictions.jsonl has of it, names in this order."""


PredictionT = TypeVar("PredictionT", bound=TextPrediction)


class TextPredictor(ABC, Generic[PredictionT]):
    """A trained model of the experiment."""

    target: ClassVar[Target]

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @classmethod
    @abstractmethod
    def from_directory(
        cls,
        path: Path | str,
        *,
        device: str | None = None,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> Self:
        """Load the ``model`` directory of a run."""

    @abstractmethod
    def _prediction(self, row: np.ndarray, cut: bool) -> PredictionT:
        """The prediction for one text from a row of the model, float64 (names,)."""

    @property
    def max_length(self) -> int | None:
        """Tokens that the model reads of a text; None if it reads all."""
        return self._backend.max_length

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, texts: str, *, batch_size: int = ..., first: int = ...
    ) -> PredictionT: ...

    @overload
    def predict(
        self, texts: Sequence[str], *, batch_size: int = ..., first: int = ...
    ) -> list[PredictionT]: ...

    def predict(
        self, texts: str | Sequence[str], *, batch_size: int = DEFAULT_BATCH_SIZE, first: int = 1
    ) -> PredictionT | list[PredictionT]:
        """Predict one text, or each of several, in order.

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
        rows, cut = self._backend.run(texts, batch_size)
        if cut:
            warnings.warn(cut_warning(cut, self.max_length, first), stacklevel=2)
        places = set(cut)
        return [self._prediction(row, place in places) for place, row in enumerate(rows)]


_EXPECTED: Mapping[Target, str] = {
    "class": "a model that predicts one class",
    "classes": "a model that predicts several classes",
    "numbers": "a model that predicts numbers",
}
_LOADED_BY: Mapping[Target, str] = {
    "class": "one class; load it by EmotionClassifier",
    "classes": "several classes; load it by EmotionMultilabelClassifier",
    "numbers": "numbers; load it by EmotionRegressor",
}


def model_folder(path: Path | str, target: Target) -> Path:
    """The folder of a model that predicts a *target*.

    Args:
        path: as the user gave it.
        target: that is wanted.

    Raises:
        UserError: no such folder, no model in it, or one of another target.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model directory")
    found = model_target(folder)
    if found == target:
        return folder
    if found is not None:
        raise UserError(
            f"{folder}: expected {_EXPECTED[target]}; this model predicts {_LOADED_BY[found]}"
        )
    meant = f"; did you mean {folder / 'model'}?" if (folder / "model").is_dir() else ""
    expected = f"expected a folder with config.json or {tfidf.SETTINGS_FILE}"
    raise UserError(f"{folder}: no model here, {expected}{meant}")


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
    predictor: TextPredictor[PredictionT],
    records: Sequence[Item],
    names: Sequence[str],
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> list[dict[str, Any]]:
    """The lines of predictions.jsonl of *records*; classes or numbers in the order of *names*."""
    with warnings.catch_warnings():
        # Counted below, for the log.
        warnings.simplefilter("ignore", UserWarning)
        predictions = predictor.predict([record.text for record in records], batch_size=batch_size)
    log_cut([prediction.cut for prediction in predictions], predictor.max_length)
    return [
        {
            "id": record.id,
            "split": record.split,
            **record.truth,
            **prediction.stored(names),
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

"""Fitting the word-count baseline of the emotion experiment, whatever it predicts."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.emotion.data import Data, needed
from affectlab.emotion.multilabel_data import MultilabelData
from affectlab.emotion.objectives import class_scores, multilabel_scores, number_scores
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.predict_multilabel import EmotionMultilabelClassifier
from affectlab.emotion.predict_numbers import EmotionRegressor
from affectlab.emotion.predictor import TextPredictor, prediction_rows
from affectlab.emotion.ratings import Ratings
from affectlab.emotion.readers import AnyData
from affectlab.emotion.settings import EmotionRun
from affectlab.errors import UserError
from affectlab.files.io import write_jsonl
from affectlab.training.outputs import Outputs

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from affectlab.emotion.tfidf_multilabel import TfidfMultilabel
    from affectlab.emotion.tfidf_numbers import TfidfRegressor


class _Fitted(ABC):
    """A model, and the data that it was fitted on."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the model as a folder."""

    @abstractmethod
    def scores(self, split: str) -> dict[str, float]:
        """Loss and scores of a split of the data."""

    @abstractmethod
    def predictor(self) -> TextPredictor[Any]:
        """The predictor of the model."""


def train_tfidf(*, data: AnyData, run: EmotionRun, seed: int, outputs: Outputs) -> None:
    """Fit the word-count baseline on the train split of *data*; see `train.train_network`.

    Raises:
        UserError: a split has no records, the texts have no words in common, or, with one class for
            each text, a class has no training text.
    """
    started = time.monotonic()
    fitted = _fit(data, run, seed)
    history = [
        {"step": 1, "epoch": 1.0, "split": split, **fitted.scores(split)}
        for split in ("train", "validation")
    ]
    seconds = time.monotonic() - started
    fitted.save(outputs.model)
    outputs.write(history, {"seconds": seconds, "device": "cpu", "steps": 1, "best_epoch": 1.0})


def cross_validate(
    data: AnyData, run: EmotionRun, seed: int, predictions_path: Path, splits: Sequence[str]
) -> None:
    """Fit TF-IDF without each fold in turn; store what it predicts of the *splits* of each.

    Args:
        data: with folds.
        run: as configured.
        seed: of the solver.
        predictions_path: where the predictions of all folds go.
        splits: of the fold's data, see `Data.for_fold`.
    """
    rows: list[dict[str, Any]] = []
    for fold in range(data.description.folds or 0):
        own = data.for_fold(fold)
        records = [record for split in splits for record in own.of_split(split)]
        predictor = _fit(own, run, seed).predictor()
        rows += prediction_rows(predictor, records, data.description.classes)
    write_jsonl(predictions_path, rows, sealed=True)


def _fit(data: AnyData, run: EmotionRun, seed: int) -> _Fitted:
    needed(data, "the data")
    if isinstance(data, Ratings):
        return _fit_numbers(data, run)
    if isinstance(data, MultilabelData):
        return _fit_multilabel(data, run, seed)
    return _fit_classes(data, run, seed)


@dataclass(frozen=True, slots=True)
class _FittedClasses(_Fitted):
    data: Data
    pipeline: Pipeline

    def save(self, directory: Path) -> None:
        from affectlab.emotion import tfidf

        tfidf.save(self.pipeline, directory)

    def scores(self, split: str) -> dict[str, float]:
        import numpy as np

        columns = [list(self.pipeline.classes_).index(name) for name in self.data.classes]
        members = self.data.of_split(split)
        texts = [record.text for record in members]
        probabilities = self.pipeline.predict_proba(texts)[:, columns]
        return class_scores(np.log(probabilities), self.data.labels_of(members))

    def predictor(self) -> EmotionClassifier:
        return EmotionClassifier.from_pipeline(self.pipeline)


@dataclass(frozen=True, slots=True)
class _FittedNumbers(_Fitted):
    data: Ratings
    model: TfidfRegressor

    def save(self, directory: Path) -> None:
        from affectlab.emotion import tfidf_numbers

        tfidf_numbers.save(self.model, directory)

    def scores(self, split: str) -> dict[str, float]:
        members = self.data.of_split(split)
        predicted = self.model.predict([record.text for record in members])
        outputs = self.model.scales.standardised(predicted)
        return number_scores(outputs, self.data.values_of(members), self.model.scales)

    def predictor(self) -> EmotionRegressor:
        return EmotionRegressor.from_tfidf(self.model)


@dataclass(frozen=True, slots=True)
class _FittedMultilabel(_Fitted):
    data: MultilabelData
    model: TfidfMultilabel

    def save(self, directory: Path) -> None:
        from affectlab.emotion import tfidf_multilabel

        tfidf_multilabel.save(self.model, directory)

    def scores(self, split: str) -> dict[str, float]:
        members = self.data.of_split(split)
        logits = self.model.logits([record.text for record in members])
        return multilabel_scores(logits, self.data.labels_of(members))

    def predictor(self) -> EmotionMultilabelClassifier:
        return EmotionMultilabelClassifier.from_tfidf(self.model)


def _fit_classes(data: Data, run: EmotionRun, seed: int) -> _FittedClasses:
    from affectlab.emotion import tfidf

    training = data.of_split("train")
    shares = data.shares_of(training)
    if absent := [
        name for name, share in zip(data.classes, shares.sum(axis=0), strict=True) if share == 0
    ]:
        raise UserError(f"no text of the class {min(absent)} is in the train split")
    pipeline = tfidf.build_pipeline(run.tfidf, seed)
    texts = [record.text for record in training]
    if data.description.annotators is None:
        labels = [record.label for record in training]
        return _FittedClasses(data, tfidf.fit(pipeline, texts, labels))
    return _FittedClasses(data, tfidf.fit_shares(pipeline, texts, shares, data.classes))


def _fit_numbers(data: Ratings, run: EmotionRun) -> _FittedNumbers:
    from affectlab.emotion import tfidf_numbers

    training = data.of_split("train")
    texts = [record.text for record in training]
    model = tfidf_numbers.fit(run.tfidf, texts, data.values_of(training), data.names)
    return _FittedNumbers(data, model)


def _fit_multilabel(data: MultilabelData, run: EmotionRun, seed: int) -> _FittedMultilabel:
    from affectlab.emotion import tfidf_multilabel

    training, validation = data.of_split("train"), data.of_split("validation")
    texts = [record.text for record in training]
    model = tfidf_multilabel.fit(run.tfidf, texts, data.labels_of(training), data.names, seed)
    unseen = [record.text for record in validation]
    return _FittedMultilabel(data, model.with_thresholds(unseen, data.labels_of(validation)))

"""Texts that a classifier from elsewhere predicts, without training."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from transformers import AutoModelForSequenceClassification

from affectlab.config.pretrained import PRETRAINED
from affectlab.emotion.data import Data
from affectlab.emotion.outside import held_out_labels
from affectlab.emotion.settings import EmotionRun
from affectlab.evaluation.outside import store_predicted
from affectlab.evaluation.outside_splits import predicted_once
from affectlab.evaluation.pretrained_records import (
    Reading,
    TheirModel,
    about_model,
    prediction_fields,
)
from affectlab.models.classifier_inputs import Texts
from affectlab.models.classifiers import load_mapped


def predict(
    data: Data,
    run: EmotionRun,
    directory: Path,
    hub_ids: Collection[str],
    *,
    key: str,
    threads: int,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Store the predictions of a classifier as `predict_records` stores those of our networks.

    Args:
        data: that it predicts.
        run: its recipe.
        directory: of the model.
        hub_ids: ids of the data on the hub, to find them on the card of the model.
        key: dotted path of the mapping of classes, for messages.
        threads: CPU threads.
        predictions_path: predictions.jsonl.
        record_path: outside.json, see `pretrained_records.about_model`.

    Raises:
        UserError: the model cannot be used, or none of its classes is one of the data.
        DataError: a file of the model is corrupt.
    """
    classifier, mapping = load_mapped(
        directory,
        AutoModelForSequenceClassification,
        run.pretrained,
        purpose="a text classifier",
        classes=data.classes,
        key=key,
        threads=threads,
    )
    items = predicted_once(held_out_labels(data), folded=data.description.folds is not None)
    records = [one for one in data.records if any(one.id in own for own in items.values())]
    ids = [one.id for one in records]
    texts = Texts.of(directory, [one.text for one in records])
    mapped = mapping.apply(classifier.log_probabilities(texts.batches(), len(ids)))
    cut = frozenset(ids[place] for place in texts.cut)
    model = TheirModel(run.model, directory, classifier.weights, hub_ids)
    reading = Reading(f"{texts.max_length} tokens", cut)
    store_predicted(
        PRETRAINED,
        items,
        {
            name: {**prediction_fields(data.classes, shares), "cut": name in cut}
            for name, shares in zip(ids, mapped.probabilities, strict=True)
        },
        {
            **about_model(model, mapped, ids, items["test"], reading),
            "max_length": texts.max_length,
        },
        predictions_path=predictions_path,
        record_path=record_path,
    )

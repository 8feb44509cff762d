"""Face images that a classifier from elsewhere predicts, without training."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from transformers import AutoModelForImageClassification

from affectlab.config.pretrained import PRETRAINED
from affectlab.evaluation.outside import store_predicted
from affectlab.evaluation.outside_splits import predicted_once
from affectlab.evaluation.pretrained_records import (
    Reading,
    TheirModel,
    about_model,
    prediction_fields,
)
from affectlab.face.outside import labels_of_splits
from affectlab.face.scored_data import ScoredData
from affectlab.face.settings import FaceRun
from affectlab.models.classifier_inputs import image_batches
from affectlab.models.classifiers import load_mapped


def predict(
    data: ScoredData,
    run: FaceRun,
    directory: Path,
    hub_ids: Collection[str],
    *,
    key: str,
    result_split: str,
    threads: int,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Store the predictions of a classifier as `predict.predict_corpus` stores ours.

    Args:
        data: that it predicts.
        run: its recipe.
        directory: of the model.
        hub_ids: ids of the data on the hub, to find them on the card of the model.
        key: dotted path of the mapping of classes, for messages.
        result_split: the split whose scores are the result.
        threads: CPU threads.
        predictions_path: predictions.jsonl.
        record_path: outside.json, see `pretrained_records.about_model`.

    Raises:
        UserError: the model cannot be used, or none of its classes is one of the data.
        DataError: a file of the model is corrupt.
    """
    classifier, mapping = load_mapped(
        directory,
        AutoModelForImageClassification,
        run.pretrained,
        purpose="an image classifier",
        classes=data.faces.classes,
        key=key,
        threads=threads,
    )
    faces = data.faces
    known = labels_of_splits(data, result_split)
    del known["train"]
    items = predicted_once(known, folded=faces.folds is not None)
    wanted = {name for own in items.values() for name in own}
    rows = [row for row, name in enumerate(faces.paths) if name in wanted]
    ids = [faces.paths[row] for row in rows]
    batches = image_batches(directory, faces.images[rows])
    mapped = mapping.apply(classifier.log_probabilities(batches, len(ids)))
    model = TheirModel(run.model, directory, classifier.weights, hub_ids)
    scored = items[data.result_split(result_split)]
    store_predicted(
        PRETRAINED,
        items,
        {
            name: prediction_fields(faces.classes, shares)
            for name, shares in zip(ids, mapped.probabilities, strict=True)
        },
        about_model(model, mapped, ids, scored, Reading(None, frozenset())),
        predictions_path=predictions_path,
        record_path=record_path,
    )

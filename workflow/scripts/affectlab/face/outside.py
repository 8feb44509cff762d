"""Predictions that somebody else made for our images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.config.models import Outside
from affectlab.evaluation import outside
from affectlab.face.labels import LIMITS
from affectlab.face.scored_data import ScoredData, corpus_of, held_out


def store(
    data: ScoredData,
    recipe: Outside,
    seed: int,
    *,
    result_split: str,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Store the predictions of a table as `predict.predict_splits` stores ours.

    Args:
        data: that they are of.
        recipe: of the table.
        seed: of the run.
        result_split: the split whose scores are the result.
        predictions_path: predictions.jsonl.
        record_path: outside.json, see `outside.Matched.to_dict`.

    Raises:
        DataError: see `outside.store`.
    """
    headline = data.result_split(result_split)
    labels = labels_of_splits(data, result_split)
    training = labels.pop("train")
    outside.store(
        recipe,
        data.faces.classes,
        labels,
        # Of a cross-validation, each image is held out once.
        {} if data.faces.folds is not None else training,
        headline=headline,
        seed=seed,
        predictions_path=predictions_path,
        record_path=record_path,
        limits={name: LIMITS[name] for name in data.regressed},
        withdrawn=data.faces.description.excluded_items > 0,
    )


def labels_of_splits(data: ScoredData, result_split: str) -> dict[str, dict[str, str]]:
    """Class of each labelled image, by id, of the training split and of those that are predicted.

    Args:
        data: that they are of.
        result_split: the split whose scores are the result.
    """
    headline = data.result_split(result_split)
    corpus = corpus_of(data, headline)
    return {
        split: {name: corpus.classes[label] for name, label in corpus.labels[split].items()}
        for split in ("train", *held_out(headline))
    }


def regressed_of(data: ScoredData, found: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names of the regressed values that a run predicts.

    Args:
        data: that it predicts.
        found: outside.json, where somebody else predicted; None for a run of our own.
    """
    return data.regressed if found is None else tuple(found["numbers"])

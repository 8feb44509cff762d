"""Scores of predicted numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from affectlab.datasets.texts import text_conditions
from affectlab.emotion.groups import numbered_groups, scored_splits
from affectlab.emotion.ratings import Rating, Ratings
from affectlab.emotion.scored import ScorerTarget
from affectlab.evaluation.number_conditions import predict_numbers
from affectlab.evaluation.regression import COMPARED, NumberScorer, RatedCorpus, RatedPredictions
from affectlab.evaluation.scoring import HELD_OUT


class NumberTarget(ScorerTarget[RatedPredictions]):
    """The scoring of data with numbers."""

    compared: ClassVar[tuple[str, ...]] = COMPARED

    def __init__(self, data: Ratings) -> None:
        super().__init__(NumberScorer(rated_corpus_of(data)), {"numbers": list(data.names)})
        self._names = data.names

    def draw(self, predictions: Mapping[str, RatedPredictions], folder: Path) -> None:
        """Draw predictions against true values."""
        from affectlab.evaluation import plots

        test = predictions["test"]
        panels = {
            name: (test.true[:, d], test.predicted[:, d]) for d, name in enumerate(self._names)
        }
        plots.scatter(folder / "predicted_values", panels)


def rated_corpus_of(data: Ratings) -> RatedCorpus:
    """Numbers, trivial baselines and groups of a data set, without texts.

    In a cross-validation each split holds every item, and the baselines are those of the training
    folds.

    Raises:
        UserError: a split has no records.
    """
    group = numbered_groups(data)
    parts = [data]
    if data.description.folds is None:
        scored_splits(data)
    else:
        parts = [data.for_fold(fold) for fold in range(data.description.folds)]
    values: dict[str, dict[str, list[float]]] = {split: {} for split in HELD_OUT}
    means: dict[str, dict[str, list[float]]] = {split: {} for split in HELD_OUT}
    conditions: dict[str, dict[str, list[float]]] = {split: {} for split in HELD_OUT}
    for part in parts:
        for split in HELD_OUT:
            records = part.of_split(split)
            values[split] |= _values(part, records)
            means[split] |= _means(part, records)
            conditions[split] |= _from_conditions(part, records)
    return RatedCorpus(data.names, values, means, group, conditions)


def _values(data: Ratings, records: Sequence[Rating]) -> dict[str, list[float]]:
    rows = data.values_of(records).tolist()
    return {one.id: row for one, row in zip(records, rows, strict=True)}


def _means(data: Ratings, records: Sequence[Rating]) -> dict[str, list[float]]:
    """The training means of *data*, for each of *records*."""
    mean = data.values_of(data.of_split("train")).mean(axis=0).tolist()
    return {one.id: mean for one in records}


def _from_conditions(data: Ratings, records: Sequence[Rating]) -> dict[str, list[float]]:
    """What length and language tell of the numbers of *records*, learnt from the training split."""
    train = data.of_split("train")
    found = predict_numbers(
        text_conditions([one.text for one in train]),
        data.values_of(train),
        text_conditions([one.text for one in records]),
    )
    return {one.id: row for one, row in zip(records, found.tolist(), strict=True)}

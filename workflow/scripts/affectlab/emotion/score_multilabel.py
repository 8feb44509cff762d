"""Scores of predicted label sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from affectlab.emotion.groups import conditions_of, numbered_groups, scored_splits
from affectlab.emotion.multilabel_data import MultilabelData
from affectlab.emotion.scored import ScorerTarget
from affectlab.evaluation import conditions
from affectlab.evaluation.multilabel import COMPARED, LabelSets, Prior, per_class
from affectlab.evaluation.multilabel_predictions import MultilabelCorpus, MultilabelScorer
from affectlab.evaluation.scoring import HELD_OUT
from affectlab.evaluation.stats import Array


class MultilabelTarget(ScorerTarget[LabelSets]):
    """The scoring of data with any number of classes for each text."""

    compared: ClassVar[tuple[str, ...]] = COMPARED

    def __init__(self, data: MultilabelData) -> None:
        described = {"classes": list(data.names), "target": "classes"}
        super().__init__(MultilabelScorer(multilabel_corpus_of(data)), described)
        self._names = data.names

    def more(self, predictions: Mapping[str, LabelSets]) -> dict[str, Any]:
        """The scores of each class."""
        return {"per_class": per_class(predictions["test"], self._names)}

    def draw(self, predictions: Mapping[str, LabelSets], folder: Path) -> None:
        """Draw precision against recall, with the thresholds."""
        from affectlab.evaluation import plots

        test = predictions["test"]
        panels = {
            name: (test.true[:, k], test.stated[:, k], test.decided[:, k])
            for k, name in enumerate(self._names)
        }
        plots.precision_recall(folder / "precision_recall", panels)


def multilabel_corpus_of(data: MultilabelData) -> MultilabelCorpus:
    """Label sets, trivial baselines and groups of a data set, without texts.

    Raises:
        UserError: a split has no records.
    """
    group = numbered_groups(data)
    parts = [data]
    if data.description.folds is None:
        scored_splits(data)
    else:
        parts = [data.for_fold(fold) for fold in range(data.description.folds)]
    labels: dict[str, dict[str, tuple[str, ...]]] = {split: {} for split in HELD_OUT}
    priors: dict[str, dict[str, Prior]] = {split: {} for split in HELD_OUT}
    by_conditions: dict[str, dict[str, Array]] = {split: {} for split in HELD_OUT}
    for part in parts:
        prior = Prior.of(part.labels_of(part.of_split("train")))
        for split in HELD_OUT:
            records = part.of_split(split)
            labels[split] |= {one.id: one.labels for one in records}
            priors[split] |= {one.id: prior for one in records}
            by_conditions[split] |= _predicted_by_conditions(part, split)
    return MultilabelCorpus(data.names, labels, priors, group, {"conditions": by_conditions})


def _predicted_by_conditions(data: MultilabelData, split: str) -> dict[str, Array]:
    """The classes that length and language of a text alone predict: item -> booleans (classes,)."""
    by_split = {name: data.of_split(name) for name in ("train", split)}
    columns = conditions_of(by_split)
    known = data.labels_of(by_split["train"]).astype(np.int64)
    found = [
        conditions.predict(columns["train"], own, columns[split], balanced=True).astype(bool)
        for own in known.T
    ]
    table = np.stack(found, axis=1)
    return {one.id: row for one, row in zip(by_split[split], table, strict=True)}

"""Scores of predicted classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.emotion.data import Data, Record
from affectlab.emotion.groups import conditions_of, groups_of, scored_splits
from affectlab.emotion.methods import SEEDLESS
from affectlab.emotion.scored import Scored
from affectlab.evaluation import classification
from affectlab.evaluation.by_subgroup import ScoredItems
from affectlab.evaluation.classification import Corpus, reliability_at, scored_record
from affectlab.evaluation.comparison import Run
from affectlab.evaluation.predictions import scope_of
from affectlab.evaluation.scoring import HELD_OUT


class ClassTarget:
    """The scoring of data with one class for each text."""

    compared: ClassVar[tuple[str, ...]] = classification.COMPARED

    def __init__(self, data: Data) -> None:
        self._data = data

    @cached_property
    def corpus(self) -> Corpus:
        """See `corpus_of`."""
        return corpus_of(self._data)

    @property
    def described(self) -> Mapping[str, object]:
        """What is predicted, as ``data`` of metrics.json has it."""
        return {"classes": list(self._data.classes)}

    def score(
        self,
        predictions_path: Path | str,
        overlapping: set[str] | None,
        baseline_path: Path | str | None,
        bootstrap: Bootstrap,
        outside: Mapping[str, Any] | None = None,
    ) -> Scored:
        """See `scored.Target`."""
        corpus = self.corpus
        predictions = classification.read_predictions(
            predictions_path, corpus, scope=scope_of(outside)
        )
        against = None
        if baseline_path is not None:
            against = classification.read_predictions(baseline_path, corpus)
        record = scored_record(predictions, corpus, overlapping, against, bootstrap)
        comparison = record.pop("comparison")

        def draw(folder: Path) -> None:
            from affectlab.evaluation import plots

            confusion = np.array(record["confusion_matrix"])
            plots.confusion_matrix(folder / "confusion_matrix", confusion, corpus.classes)
            if outside is not None:
                return
            test, temperature = predictions["test"], record["calibration"]["temperature"]
            plots.reliability(
                folder / "reliability",
                {
                    "as trained": reliability_at(test, 1.0),
                    "after temperature scaling": reliability_at(test, temperature),
                },
            )

        def items() -> ScoredItems:
            return classification.scored_items(predictions["test"], corpus, bootstrap.level)

        if outside is None:
            return Scored(record, comparison, draw, items)
        swapped = classification.swapped_names_of(predictions["test"], corpus, bootstrap.level)
        return Scored(record, comparison, draw, items, {"outside": {**outside, **swapped}})

    @staticmethod
    def read_runs(
        metrics_paths: Sequence[Path | str],
        predictions_paths: Sequence[Path | str],
        targets: Mapping[str, ClassTarget],
        bootstrap: Bootstrap,
    ) -> list[Run]:
        """See `scored.Target`."""
        corpora = {name: target.corpus for name, target in targets.items()}
        return classification.read_runs(
            metrics_paths, predictions_paths, corpora, bootstrap, seedless=SEEDLESS
        )


def corpus_of(data: Data) -> Corpus:
    """Labels and groups of a data set, and what needs no text.

    Texts of one held-out split that are nearly the same are a group, and so are those of one
    author. Training texts are not scored, so each is alone. In a cross-validation every text is
    held out once.

    Raises:
        UserError: a split has no records.
    """
    if data.description.folds is not None:
        return _cross_validated(data)
    by_split = scored_splits(data)
    group: dict[str, int] = {}
    for split, own in by_split.items():
        numbers = groups_of(own) if split in HELD_OUT else range(len(own))
        first = len(group)
        group |= {one.id: first + number for one, number in zip(own, numbers, strict=True)}
    return Corpus.of(data.classes, _labels(data, by_split), group, conditions_of(by_split))


def _cross_validated(data: Data) -> Corpus:
    """A corpus in which each split holds every item; conditions are learnt without its fold."""
    everything = dict.fromkeys(("train", *HELD_OUT), data.records)
    group = {
        one.id: number for one, number in zip(data.records, groups_of(data.records), strict=True)
    }
    whole = Corpus.of(data.classes, _labels(data, everything), group, conditions_of(everything))
    answers: dict[str, dict[str, int]] = {name: {} for name in whole.conditions}
    for fold in range(data.description.folds or 0):
        by_split = {split: data.for_fold(fold).of_split(split) for split in ("train", "test")}
        part = Corpus.of(data.classes, _labels(data, by_split), group, conditions_of(by_split))
        for name, found in part.conditions.items():
            answers[name] |= found
    return replace(whole, conditions=answers)


def _labels(data: Data, by_split: Mapping[str, Sequence[Record]]) -> dict[str, dict[str, int]]:
    return {
        split: dict(zip([one.id for one in own], data.labels_of(own).tolist(), strict=True))
        for split, own in by_split.items()
    }

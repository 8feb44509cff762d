"""Stored predictions of label sets: reading, checking and scoring them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from affectlab.config.models import Bootstrap
from affectlab.evaluation import multilabel, stats
from affectlab.evaluation.by_subgroup import ItemScore
from affectlab.evaluation.comparison import Score
from affectlab.evaluation.multilabel import LabelSets, Prior
from affectlab.evaluation.predictions import (
    COMPLETE,
    ROUNDING,
    Line,
    Scope,
    check_scope,
    prediction_lines,
)
from affectlab.evaluation.scoring import HELD_OUT


@dataclass(frozen=True, slots=True)
class MultilabelCorpus:
    """What evaluation needs of data with label sets: no text.

    Attributes:
        classes: L names, in the order of the columns of the tables.
        labels: split -> item -> its classes; holds the splits that are predicted.
        priors: split -> item -> what the training items of its model tell of it.
        group: a number per item; items that are alike share one.
        answers: name of a further trivial baseline -> split -> item -> booleans ``[L]``.
    """

    classes: tuple[str, ...]
    labels: Mapping[str, Mapping[str, tuple[str, ...]]]
    priors: Mapping[str, Mapping[str, Prior]]
    group: Mapping[str, int]
    answers: Mapping[str, Mapping[str, Mapping[str, stats.Array]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """The prediction of a line: the predicted classes, and numbers in the order of the classes.

    Somebody else may state no probabilities, or no thresholds; these are None.
    """

    decided: frozenset[str]
    probabilities: list[float] | None
    thresholds: list[float] | None


@dataclass(frozen=True, slots=True)
class MultilabelScorer:
    """The `scoring.Scorer` of data with label sets."""

    corpus: MultilabelCorpus
    compared: ClassVar[tuple[str, ...]] = multilabel.COMPARED

    def read(self, path: Path | str, scope: Scope | None = None) -> dict[str, LabelSets]:
        """Read the predictions of the splits `HELD_OUT` and check them.

        Args:
            path: predictions.jsonl of a run.
            scope: of a run on somebody else's predictions; None for one of our own.

        Raises:
            DataError: a line is not a prediction, a class is predicted below its threshold or
                left out above it, or the items are not exactly those of the corpus.
        """
        corpus = self.corpus
        found: dict[str, dict[str, Decided]] = {split: {} for split in HELD_OUT}
        for line in prediction_lines(path):
            split, name = line.text("split"), line.text("id")
            if split not in found or name not in corpus.labels[split]:
                raise line.error(f"{name!r} is no item of the split {split!r}")
            if name in found[split]:
                raise line.error(f"a second prediction for {name!r}")
            if line.names("labels", corpus.classes) != list(corpus.labels[split][name]):
                raise line.error("the labels are not those of the records")
            found[split][name] = (
                read_decided(line, corpus.classes)
                if scope is None
                else read_decided_by_others(line, corpus.classes, probabilities=scope.probabilities)
            )
        check_scope(path, found, corpus.labels, COMPLETE if scope is None else scope)
        return {split: self._as_arrays(split, items) for split, items in found.items() if items}

    def groups_of(self, split: LabelSets) -> list[int]:
        """See `scoring.Scorer`."""
        return [self.corpus.group[name] for name in split.ids]

    def scores(self, split: LabelSets) -> dict[str, Score]:
        """See `multilabel.scores`."""
        return multilabel.scores(split.true, split.decided, self.groups_of(split))

    def score_split(self, split: LabelSets, bootstrap: Bootstrap) -> dict[str, Any]:
        """``n``, ``groups`` and ``metrics``; see `multilabel.score_split`."""
        return multilabel.score_split(split, self.groups_of(split), bootstrap)

    def item_scores(self, split: LabelSets, bootstrap: Bootstrap) -> dict[str, ItemScore]:
        """See `multilabel.item_scores`."""
        return multilabel.item_scores(split, bootstrap.level)

    def bounds(self, score: str) -> tuple[float, float]:
        """See `scoring.Scorer`."""
        return 0.0, 1.0

    def _as_arrays(self, split: str, lines: Mapping[str, Decided]) -> LabelSets:
        corpus = self.corpus
        ids = tuple(sorted(lines))
        shape = (len(ids), len(corpus.classes))
        return LabelSets(
            ids,
            indicators([corpus.labels[split][name] for name in ids], corpus.classes),
            indicators([tuple(lines[name].decided) for name in ids], corpus.classes),
            as_table([lines[name].probabilities for name in ids], shape),
            as_table([lines[name].thresholds for name in ids], shape),
            tuple(corpus.priors[split][name] for name in ids),
            {
                name: np.stack([given[split][item] for item in ids])
                for name, given in corpus.answers.items()
            },
        )


def as_table(rows: Sequence[list[float] | None], shape: tuple[int, ...]) -> stats.Floats | None:
    """Rows as an array of this *shape*; None where one is not stated."""
    if any(row is None for row in rows):
        return None
    return np.array(rows, np.float64).reshape(shape)


def read_decided_by_others(line: Line, classes: Sequence[str], *, probabilities: bool) -> Decided:
    """The prediction of a line that somebody else made, with or without *probabilities*.

    Raises:
        DataError: it is none.
    """
    return Decided(
        frozenset(line.names("prediction", classes)),
        line.shares("probabilities", classes) if probabilities else None,
        line.shares("thresholds", classes) if "thresholds" in line.values else None,
    )


def indicators(sets: Sequence[Sequence[str]], classes: Sequence[str]) -> stats.Array:
    """Label sets as booleans ``[n, L]``."""
    place = {name: number for number, name in enumerate(classes)}
    table = np.zeros((len(sets), len(classes)), dtype=bool)
    for row, names in zip(table, sets, strict=True):
        row[[place[name] for name in names]] = True
    return table


def read_decided(line: Line, classes: Sequence[str]) -> Decided:
    """The prediction of a line, in its fields prediction, probabilities and thresholds.

    Raises:
        DataError: it is none, or a class is predicted below its threshold or left out above it.
    """
    decided = frozenset(line.names("prediction", classes))
    probabilities = line.shares("probabilities", classes)
    thresholds = line.shares("thresholds", classes)
    for name, probability, threshold in zip(classes, probabilities, thresholds, strict=True):
        margin = probability - threshold
        if (margin < -ROUNDING and name in decided) or (margin > ROUNDING and name not in decided):
            raise line.error(f"prediction: {name} is not on the side of its threshold")
    return Decided(decided, probabilities, thresholds)

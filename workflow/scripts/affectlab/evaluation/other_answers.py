"""What a model predicts for other data, and which of their items it was trained on: two files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.errors import DataError
from affectlab.evaluation import stats
from affectlab.evaluation.classification import Corpus, Predictions
from affectlab.evaluation.predictions import ROUNDING, check_items, prediction_lines
from affectlab.files.io import read_json, round_significant, write_json, write_jsonl

WHOLE = "all"
"""Stands for the split where the other data have no test split."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Predictions of a model for labelled items.

    Attributes:
        ids: of the n items.
        groups: ``[n]``, the group of each; items of one group are not independent.
        labels: ``[n]``, names of their true classes, in the words of their own data.
        predicted: ``[n]`` class ids of the model.
        probabilities: ``[n, K]``, of the classes of the model.
    """

    ids: Sequence[str]
    groups: Sequence[Any]
    labels: Sequence[str]
    predicted: stats.Integers
    probabilities: stats.Floats

    @classmethod
    def within(cls, found: Predictions, corpus: Corpus) -> Answers:
        """The predictions of a run for held-out items of its own data."""
        assert found.probabilities is not None
        return cls(
            found.ids,
            [corpus.group[name] for name in found.ids],
            [corpus.classes[place] for place in found.labels.tolist()],
            found.predicted,
            found.probabilities,
        )


def write_answers(
    path: Path,
    ids: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    probabilities: stats.Array,
) -> None:
    """Store what a model predicts for items of other data, one JSON object a line.

    Args:
        path: of the file.
        ids: of the n items.
        labels: ``[n]``, true classes in the words of the other data.
        classes: of the model.
        probabilities: ``[n, K]``.
    """
    decided = np.asarray(probabilities).argmax(axis=1)
    write_jsonl(
        path,
        (
            {
                "id": name,
                "label": label,
                "prediction": classes[place],
                "probabilities": {
                    one: round_significant(float(share))
                    for one, share in zip(classes, row, strict=True)
                },
            }
            for name, label, place, row in zip(ids, labels, decided, probabilities, strict=True)
        ),
        sealed=True,
    )


def read_answers(
    path: Path, classes: Sequence[str], labels: Mapping[str, str], groups: Mapping[str, Any]
) -> Answers:
    """Read what `write_answers` stored and check it against the records.

    Args:
        path: of the file.
        classes: of the model.
        labels: item -> true class, of all items that are tested.
        groups: item -> its group.

    Raises:
        DataError: a line is no such prediction, or the items are not those of the records.
    """
    found: dict[str, tuple[int, list[float]]] = {}
    for line in prediction_lines(path):
        name = line.text("id")
        if name not in labels or name in found:
            raise line.error(f"{name!r} is no item of the records, or it occurs twice")
        line.same("label", labels[name])
        place = list(classes).index(line.one_of("prediction", classes))
        shares = line.distribution("probabilities", classes)
        if shares[place] < max(shares) - ROUNDING:
            raise line.error("prediction: another class has a higher probability")
        found[name] = place, shares
    check_items(path, "the other data", found, labels.keys())
    ids = sorted(found)
    return Answers(
        ids,
        [groups[name] for name in ids],
        [labels[name] for name in ids],
        np.array([found[name][0] for name in ids], dtype=np.int64),
        np.array([found[name][1] for name in ids]),
    )


def write_copies(path: Path, rule: str, found: Mapping[str, Collection[str]]) -> None:
    """Store which items of other data are near copies of own ones.

    Args:
        path: of the file.
        rule: how alike they are, as a sentence's end.
        found: item of the other data -> splits of the own data with a near copy.
    """
    write_json(
        path,
        {"rule": rule, "copies": {name: sorted(own) for name, own in sorted(found.items())}},
        sealed=True,
    )


def copies_in_training(path: Path, trained_on: Collection[str]) -> dict[str, Any]:
    """``rule`` and ``items`` of the near copies of training items.

    Args:
        path: what `write_copies` stored.
        trained_on: splits that the model was trained on.

    Raises:
        DataError: the file is no such record.
    """
    stored = read_json(path)
    try:
        found = {name: set(own) for name, own in stored["copies"].items()}
        rule = str(stored["rule"])
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(path, None, "expected a rule and copies") from error
    return {"rule": rule, "items": [name for name, own in found.items() if own & set(trained_on)]}

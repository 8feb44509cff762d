"""What is stored of the predictions of a classifier from elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectlab.evaluation.class_mapping import Mapped, mapping_sentences
from affectlab.evaluation.foreign_cards import card_sentences, read_card
from affectlab.files.io import round_significant

DIGITS = 6


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of an item a model reads.

    Attributes:
        limit: such as ``128 tokens``; None where it reads all.
        cut: ids of the items of which it did not read the end.
    """

    limit: str | None
    cut: frozenset[str]


@dataclass(frozen=True, slots=True)
class TheirModel:
    """A classifier from elsewhere, as a record tells which it is.

    Attributes:
        name: in the registry of models.
        directory: with its files.
        weights: name of the ONNX file that was run; None for the weights of transformers.
        data: names of the data that it is scored on, such as ids on the hub.
    """

    name: str
    directory: Path
    weights: str | None
    data: Collection[str]


def prediction_fields(classes: Sequence[str], shares: np.ndarray) -> dict[str, Any]:
    """The ``prediction`` and ``probabilities`` of an item, as predictions.jsonl has them.

    Args:
        classes: of the data, in the order of their ids.
        shares: probabilities in the same order, ``[classes]``.
    """
    return {
        "prediction": classes[int(shares.argmax())],
        "probabilities": {
            name: round_significant(float(share), DIGITS)
            for name, share in zip(classes, shares, strict=True)
        },
    }


def about_model(
    model: TheirModel, mapped: Mapped, ids: Sequence[str], scored: Collection[str], reading: Reading
) -> dict[str, Any]:
    """What outside.json has of a classifier, in addition to what all kinds have.

    Args:
        model: which it is.
        mapped: its predictions.
        ids: of the predicted items, in the order of *mapped*.
        scored: ids of those whose scores are the headline.
        reading: how much of the items it read.
    """
    rows = [row for row, name in enumerate(ids) if name in scored]
    return {
        "model": model.name,
        "weights": model.weights,
        "classes": mapped.record(rows),
        "reading": {"limit": reading.limit, "cut": len(reading.cut & set(scored))},
        "card": read_card(model.directory, model.data),
    }


def pretrained_sentences(
    record: Mapping[str, Any], found: Mapping[str, Any], what: str
) -> list[str]:
    """The sentences on a classifier from elsewhere.

    Args:
        record: metrics.json of the run.
        found: its outside.json.
        what: plural of an item.
    """
    weights = "" if found["weights"] is None else f" ({found['weights']})"
    sentences = [
        f"{found['model']}{weights} predicts these {what} as it is; nothing was trained here."
        f" Whether its makers trained or tuned it on these {what} is not known.",
        *mapping_sentences(found["classes"], what),
    ]
    reading = found["reading"]
    if reading["cut"]:
        sentences.append(
            f"{reading['cut']} of {found['classes']['items']} {what} are longer than the"
            f" {reading['limit']} that it reads; their ends were not read."
        )
    return [*sentences, *card_sentences(record, found["card"])]

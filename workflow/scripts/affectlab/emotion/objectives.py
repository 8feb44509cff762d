"""What a network is trained for: one class by cross-entropy, label sets by binary cross-entropy, or
numbers by squared error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.emotion.data import Data, Record
from affectlab.emotion.multilabel_data import MultilabelData
from affectlab.emotion.ratings import Ratings
from affectlab.emotion.readers import AnyData
from affectlab.emotion.scales import KEY, Scales
from affectlab.emotion.thresholds import KEY as THRESHOLDS_KEY
from affectlab.emotion.thresholds import chosen_thresholds, probabilities_of
from affectlab.files.io import read_json, write_json

if TYPE_CHECKING:
    import numpy as np

    from affectlab.training.loop import LossSum


def _is_complete(directory: Path) -> None:
    """Add nothing: the checkpoint holds all that the predictor needs."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What a network is trained for.

    Attributes:
        outputs: names of its outputs.
        targets: of the training items: class ids, int64 (n,), or float32 (n, outputs).
        loss_sum: see `training.loop.Task`.
        scores: from outputs (n, outputs) for the validation items to their scores, with ``loss``.
        select_by: the score that decides which weights are kept.
        settings: entries of the model's configuration.
        complete: adds to the folder of the trained model what depends on it, see `train`.
    """

    outputs: tuple[str, ...]
    targets: np.ndarray
    loss_sum: LossSum
    scores: Callable[[np.ndarray], dict[str, float]]
    select_by: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    complete: Callable[[Path], None] = _is_complete


def objective_of(data: AnyData, label_smoothing: float) -> Objective:
    """What a network is trained for on *data*; *label_smoothing* concerns single classes only."""
    if isinstance(data, Ratings):
        return number_objective(data)
    if isinstance(data, MultilabelData):
        return multilabel_objective(data)
    return class_objective(data, label_smoothing)


def class_objective(data: Data, label_smoothing: float) -> Objective:
    """One class for each text: cross-entropy, chosen by accuracy.

    With several annotators the network learns the shares of their votes.
    """
    from affectlab.emotion.model import cross_entropy_sum

    labels = data.labels_of(data.of_split("validation"))
    return Objective(
        outputs=data.classes,
        targets=_class_targets(data, data.of_split("train")),
        loss_sum=cross_entropy_sum(label_smoothing),
        scores=lambda logits: class_scores(logits, labels),
        select_by="accuracy",
    )


def number_objective(data: Ratings) -> Objective:
    """Numbers for each text: mean squared error of standardised numbers, chosen by CCC."""
    import numpy as np

    from affectlab.emotion.model import squared_error_sum

    training = data.values_of(data.of_split("train"))
    scales = Scales.of(training, data.names)
    values = data.values_of(data.of_split("validation"))
    return Objective(
        outputs=data.names,
        targets=scales.standardised(training).astype(np.float32),
        loss_sum=squared_error_sum,
        scores=lambda outputs: number_scores(outputs, values, scales),
        select_by="ccc",
        settings={"problem_type": "regression", KEY: scales.to_dict()},
    )


def multilabel_objective(data: MultilabelData) -> Objective:
    """Several classes for each text: binary cross-entropy, chosen by macro-F1.

    The thresholds of the stored model are chosen on validation by the predictor's own arithmetic.
    """
    import numpy as np

    from affectlab.emotion.model import binary_cross_entropy_sum

    validation = data.of_split("validation")
    true = data.labels_of(validation)

    def complete(directory: Path) -> None:
        from affectlab.emotion.predictor import DEFAULT_BATCH_SIZE, TextNetwork

        texts = [record.text for record in validation]
        network = TextNetwork(directory, None, None, "fp32")
        outputs, _ = network.outputs(texts, DEFAULT_BATCH_SIZE)
        found = chosen_thresholds(true, probabilities_of(outputs), data.names)
        thresholds = dict(zip(data.names, found, strict=True))
        path = directory / "config.json"
        write_json(path, {**read_json(path), THRESHOLDS_KEY: thresholds})

    return Objective(
        outputs=data.names,
        targets=data.labels_of(data.of_split("train")).astype(np.float32),
        loss_sum=binary_cross_entropy_sum,
        scores=lambda logits: multilabel_scores(logits, true),
        select_by="macro_f1",
        settings={"problem_type": "multi_label_classification"},
        complete=complete,
    )


def multilabel_scores(logits: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Loss (mean binary cross-entropy, nats) and macro-F1 at thresholds chosen on these items.

    Args:
        logits: of the network, (n, classes).
        true: booleans (n, classes).
    """
    import numpy as np

    from affectlab.evaluation.multilabel import scores
    from affectlab.evaluation.thresholds import choose_thresholds

    logits = logits.astype(np.float64)
    probabilities = probabilities_of(logits)
    decided = choose_thresholds(true, probabilities).decide(probabilities)
    # -log p of a class that is there is log(1 + exp(-logit)), and the other way round.
    losses = np.logaddexp(0, np.where(true, -logits, logits))
    found = scores(true, decided, range(len(true)))
    return {"loss": float(losses.mean()), "macro_f1": found["macro_f1"].value}


def class_scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Loss (mean cross-entropy, nats), accuracy and macro-F1 of logits (n, classes)."""
    import numpy as np
    from scipy.special import log_softmax

    from affectlab.evaluation.stats import accuracy, confusion_matrix, macro_f1

    confusion = confusion_matrix(labels, logits.argmax(axis=1), logits.shape[1])
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    return {
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "accuracy": float(accuracy(confusion)),
        "macro_f1": float(macro_f1(confusion)),
    }


def number_scores(outputs: np.ndarray, values: np.ndarray, scales: Scales) -> dict[str, float]:
    """Loss (mean squared error of standardised numbers) and mean CCC.

    Args:
        outputs: of the network, standardised, (n, numbers).
        values: in units of the data, float64 (n, numbers).
        scales: of the training split.
    """
    import numpy as np

    from affectlab.evaluation.stats import concordance, pair_columns

    aims = scales.standardised(values)
    columns = [pair_columns(outputs[:, d], aims[:, d]).sum(axis=0) for d in range(values.shape[1])]
    return {
        "loss": float(((outputs - aims) ** 2).mean()),
        "ccc": float(concordance(np.array(columns)).mean()),
    }


def _class_targets(data: Data, records: Sequence[Record]) -> np.ndarray:
    import numpy as np

    if data.description.annotators is None:
        return data.labels_of(records)
    return data.shares_of(records).astype(np.float32)

"""How the two methods of this experiment are trained: what they see, and their losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from affectlab.config.models import Training
from affectlab.entity import losses
from affectlab.entity.corrupt import corrupted_copies
from affectlab.entity.data import Record, targets_of
from affectlab.entity.labels import neutral_of, normalised
from affectlab.entity.losses import Loss
from affectlab.entity.model import EmotionEmbedder
from affectlab.entity.settings import EntityRun, Gbert, Vmf
from affectlab.training import distributed


class Method(ABC):
    """A method of this experiment.

    Attributes:
        classes: how many.
        heads: settings of new `heads.Heads`.
        whole_texts: whether the network sees no spans, but whole texts alone.
        scaled_labels: whether labels are scaled to a sum of 1.
        validation_loss: what chooses the weights; None takes the log-loss of the side head.
    """

    classes: int
    heads: dict[str, Any]
    whole_texts = False
    scaled_labels = True
    validation_loss: Loss | None = None

    @abstractmethod
    def prepare(self, network: EmotionEmbedder) -> None:
        """Set *network* up for the training; what is added to its heads is added to `heads`."""

    def labels(self, records: Sequence[Record]) -> np.ndarray:
        """Labels of all targets, float32 (n, K)."""
        return soft_labels(records, self.classes, scaled=self.scaled_labels)

    def examples(self, records: Sequence[Record], seed: int) -> tuple[list[Record], np.ndarray]:
        """Return the records that are trained on, copies included, and their labels."""
        return list(records), self.labels(records)

    @abstractmethod
    def training_loss(self, labels: np.ndarray) -> Loss:
        """Return the loss of a training on *labels*: one value per target."""

    def training_row(self, row: Mapping[str, Any], recipe: Training) -> dict[str, Any]:
        """Return a row of training losses as the history holds it."""
        return dict(row)

    @abstractmethod
    def calibration(
        self, found: Mapping[str, Any], before: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return the calibration of ``texts`` and ``spans``.

        Args:
            found: as of `decisions.fit_calibration`, on the validation split.
            before: the calibration of the run that this one started from.
        """


class Published(Method):
    """The published method (``gbert``)."""

    def __init__(self, settings: Gbert, classes: Sequence[str]) -> None:
        self.classes = len(classes)
        self.heads = {}
        self.whole_texts = settings.train_on == "sentence"
        self.scaled_labels = settings.normalise_labels
        self.validation_loss = self._loss = losses.published_loss(settings, neutral_of(classes))

    def prepare(self, network: EmotionEmbedder) -> None:
        """Leave the network as it is."""

    def training_loss(self, labels: np.ndarray) -> Loss:
        """Return the published loss."""
        return self._loss

    def training_row(self, row: Mapping[str, Any], recipe: Training) -> dict[str, Any]:
        """Add the loss times the accumulated batches, which the original's log shows."""
        return {**row, "logged_loss": row["loss"] * recipe.gradient_accumulation}

    def calibration(
        self, found: Mapping[str, Any], before: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Use the concentration as the network gives it."""
        texts = {**found, "kappa": None}
        return {"texts": texts, "spans": _of_spans(texts)}


class Corrected(Method):
    """The corrected method (``vmf``): a likelihood, class weights, corrupted copies of texts.

    The contrastive part of its loss compares the targets of a batch, so it is not defined for one
    target alone. Therefore the log-loss chooses the weights.
    """

    def __init__(self, settings: Vmf, classes: Sequence[str]) -> None:
        self.classes = len(classes)
        self._settings = settings
        self.heads = {"kappa_min": settings.kappa_min, "kappa_start": settings.kappa_start}

    def prepare(self, network: EmotionEmbedder) -> None:
        """Set the smallest concentration, and add the adapter of spans if the run has one."""
        network.heads.kappa_min = self._settings.kappa_min
        if (adapter := self._settings.span_adapter) is not None:
            self.heads["adapter"] = network.add_adapter(
                hidden=adapter.hidden, dropout=adapter.dropout
            )

    def examples(self, records: Sequence[Record], seed: int) -> tuple[list[Record], np.ndarray]:
        """Add corrupted copies of a share of the records, with softened labels."""
        copies = corrupted_copies(records, self._settings.corrupted_share, seed)
        copied = softened(self.labels(copies), self._settings.corrupted_softening)
        return [*records, *copies], np.concatenate([self.labels(records), copied])

    def training_loss(self, labels: np.ndarray) -> Loss:
        """Return the corrected loss, weighted by class if the run asks for it."""
        if self._settings.weights.contrast > 0:
            distributed.warn_of_shares("contrast")
        loss = losses.corrected_loss(self._settings)
        cap = self._settings.class_weight_cap
        if cap is None:
            return loss
        return losses.weighted(loss, losses.class_weights(torch.from_numpy(labels), cap))

    def calibration(
        self, found: Mapping[str, Any], before: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Under an adapter of spans, whole texts keep the calibration from before it."""
        texts = found
        if before is not None and self._settings.span_adapter is not None:
            texts = before["texts"]
        return {"texts": texts, "spans": _of_spans(found)}


def method_of(run: EntityRun, classes: Sequence[str]) -> Method:
    """The method of a run on data with these *classes*, with its settings."""
    if run.method == "gbert":
        return Published(run.gbert, classes)
    return Corrected(run.vmf, classes)


def soft_labels(records: Sequence[Record], classes: int, *, scaled: bool = True) -> np.ndarray:
    """Labels of all targets, float32 (n, K), *scaled* to a sum of 1 or as they stand."""
    labels = [target.label for target in targets_of(records)]
    found = [normalised(label) if scaled else label for label in labels]
    return np.array(found, dtype=np.float32).reshape(-1, classes)


def softened(labels: np.ndarray, softening: float) -> np.ndarray:
    """Labels (n, K) moved by *softening*, 0 to 1, towards the uniform distribution.

    For targets in a corrupted text, whose label is less certain: Soft Augmentation (Liu et al.,
    CVPR 2023, arXiv 2211.04625). Towards the class priors it would hardly be less sure where one
    class has most of them, as with spans, seven of eight of which are neutral.
    """
    return (1 - softening) * labels + softening / labels.shape[1]


def _of_spans(calibration: Mapping[str, Any]) -> dict[str, Any]:
    """A span gets its likeliest class alone, whatever was found for whole texts."""
    return {**calibration, "thresholds": None}

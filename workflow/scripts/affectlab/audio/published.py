"""The published probe, defects included, so that its numbers can be made again and explained.

Clips are split at random, so most subjects are on both sides; the epoch is chosen by the very
clips that are reported; and with `drop_last` the last incomplete batch is left out on both
sides, so that the reported share is of a multiple of the batch size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from affectlab.audio.settings import PublishedProbe
from affectlab.config.models import Training, given
from affectlab.errors import UserError
from affectlab.training.job import Job
from affectlab.training.loop import Task, fit

HIDDEN = (512, 256, 128)
"""Widths of the ``mlp`` head."""


class Fitted(NamedTuple):
    """A trained head and what it says of the validation clips.

    ``train`` and ``validation`` are the clips of both sides that were not left out; ``layers``
    holds weights ``[in, out]`` and biases ``[out]``, with ReLU between layers.
    """

    train: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    layers: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
    best_epoch: float


def random_split(
    count: int, validation_share: float, batch_size: int, drop_last: bool, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Clips of train and validation, each in random order, whoever speaks in them.

    Raises:
        UserError: a side is smaller than a batch, so that nothing of it would be left.
    """
    order = np.random.default_rng(seed).permutation(count)
    held_out = round(validation_share * count)
    train, validation = order[held_out:], order[:held_out]
    if drop_last:
        train = train[: len(train) // batch_size * batch_size]
        validation = validation[: len(validation) // batch_size * batch_size]
    if not len(train) or not len(validation):
        raise UserError(
            f"{count} clips are too few for batches of {batch_size} on both sides of the split"
        )
    return train, validation


def train_head(
    vectors: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    classes: int,
    settings: PublishedProbe,
    training: Training,
    *,
    seed: int,
    threads: int,
    work_directory: Path,
) -> Fitted:
    """Split at random, train a head, keep the epoch that is best on the validation clips.

    Args:
        vectors: ``[n, d]``.
        labels: ``[n]`` class ids.
        classes: K.
        settings: of the split and the head.
        training: of the head.
        seed: of split, weights and batches.
        threads: of the CPU.
        work_directory: for checkpoints; removed in the end.
    """
    # A small head on stored features: no work for a GPU, and its rule asks for none.
    job = Job(work_directory, seed=seed, threads=threads, device=torch.device("cpu"))
    train, validation = random_split(
        len(vectors), settings.validation_share, training.batch_size, settings.drop_last, seed
    )
    features = torch.as_tensor(vectors)
    targets = torch.as_tensor(labels)
    network = _head(vectors.shape[1], classes, settings.head)
    identity = [
        *(given(training), settings.head, settings.validation_share, settings.drop_last),
        *(vectors.shape, labels.tolist(), float(vectors.sum())),
    ]
    fitted = fit(
        network,
        _task(features, targets, train, validation),
        training,
        seed=seed,
        device=job.device,
        checkpoint_directory=job.checkpoints,
        checkpoint_fingerprint=job.owner(identity),
    )
    with torch.inference_mode():
        probabilities = network(features[validation]).double().softmax(dim=1).numpy()
    job.remove_checkpoints()
    best_epoch = fitted.summary["best_epoch"]
    return Fitted(train, validation, probabilities, _layers(network), best_epoch)


def _task(
    features: torch.Tensor,
    targets: torch.Tensor,
    train: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
) -> Task:
    def collate(items: np.ndarray) -> dict[str, torch.Tensor]:
        chosen = train[items]
        return {"features": features[chosen], "labels": targets[chosen]}

    def loss_sum(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional.cross_entropy(model(batch["features"]), batch["labels"], reduction="sum")

    def evaluate(model: nn.Module) -> dict[str, float]:
        logits = model(features[validation]).float()
        loss = functional.cross_entropy(logits, targets[validation])
        right = (logits.argmax(dim=1) == targets[validation]).float().mean()
        return {"loss": float(loss), "accuracy": float(right)}

    return Task(
        lengths=[1] * len(train),
        collate=collate,
        loss_sum=loss_sum,
        evaluate=evaluate,
        select_by="accuracy",
    )


def shared_subjects(
    subjects: npt.NDArray[np.str_],
    train: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
) -> float:
    """Share of the validation clips whose subject was heard in training."""
    return float(np.isin(subjects[validation], subjects[train]).mean())


def _head(width: int, classes: int, kind: Literal["linear", "mlp"]) -> nn.Sequential:
    sizes = [width, *(HIDDEN if kind == "mlp" else ()), classes]
    modules: list[nn.Module] = []
    for before, after in pairwise(sizes):
        modules += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def _layers(
    network: nn.Sequential,
) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    linear: Sequence[nn.Linear] = [part for part in network if isinstance(part, nn.Linear)]
    return [
        (part.weight.detach().cpu().numpy().T.copy(), part.bias.detach().cpu().numpy())
        for part in linear
    ]

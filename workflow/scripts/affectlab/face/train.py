"""Fitting one run of the face experiment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from affectlab.assets.checkpoints import weights_digest
from affectlab.config.models import given
from affectlab.datasets.description import Description
from affectlab.errors import DataError, UserError
from affectlab.evaluation.stats import accuracy, confusion_matrix, log_loss_items, macro_f1
from affectlab.face.augment import augment, mix
from affectlab.face.data import Faces, read_faces, require_images
from affectlab.face.interface import Interface, interface_of
from affectlab.face.labels import AFFECT, class_distribution, labels_of
from affectlab.face.model import build_network, levels, predict_images, save_network
from affectlab.face.networks import HEAD_NAMES
from affectlab.face.settings import Augmentation, FaceRun, Loss
from affectlab.files.io import sha256_file
from affectlab.training.job import Job
from affectlab.training.loop import Task
from affectlab.training.outputs import Outputs

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 256


def train_network(
    *,
    faces_path: Path,
    metadata_path: Path,
    labels_path: Path | None,
    description: Description,
    fold: int | None,
    base_model: Path | None,
    run: FaceRun,
    seed: int,
    threads: int,
    outputs: Outputs,
) -> None:
    """Train a network on classes and, where they are known, valence, arousal and the proxies.

    May be called in several processes (`training.launch`); the main one writes.

    Args:
        faces_path: images of the corpus.
        metadata_path: their table.
        labels_path: ``metadata_with_labels.csv``; None for data without proxies.
        description: of the data set.
        fold: of the cross-validation, which is left out; None trains on the split train.
        base_model: checkpoint directory of the pretrained backbone, or None.
        run: as configured.
        seed: seed of initialisation, augmentation, dropout and data order.
        threads: CPU threads.
        outputs: where the results go; the model as of `model.save_network`.

    Raises:
        DataError: an input is corrupt, or the labels belong to another corpus.
        UserError: no images to train on or to choose by, a broken checkpoint.
    """
    faces = read_faces(faces_path, metadata_path, description, fold)
    rows = np.concatenate([faces.rows_of(s, labelled=True) for s in run.train_on])
    if len(rows) == 0:
        raise UserError(f"{metadata_path}: no labelled images in {', '.join(run.train_on)}")
    held_out = require_images(faces, "validation", metadata_path)
    labels = labels_of(faces, labels_path)
    interface = interface_of(faces, labels)
    targets = target_table(faces, labels, run.loss, labels_path or metadata_path)
    job = Job(outputs.work, seed=seed, threads=threads)
    network = build_network(run, base_model, interface).to(job.device)
    logger.info("%s network: %d parameters, %d images", run.method, _size(network), len(rows))
    # In memory as bytes: pages of the file would be read again in each epoch's random order.
    images, others = np.array(faces.images[rows]), np.array(faces.images[held_out])
    task = Task(
        lengths=[1] * len(rows),
        collate=collator(
            images,
            targets[rows],
            run.augmentation,
            run.training.label_smoothing,
            len(faces.classes),
        ),
        loss_sum=loss_function(run.loss, interface),
        evaluate=_evaluator(
            others, faces.class_ids(held_out), targets[held_out], interface, job.device
        ),
        select_by="accuracy" if run.select_on else None,
        head=HEAD_NAMES,
    )
    files = (faces_path, metadata_path, *([] if labels_path is None else [labels_path]))
    # The views at test time do not change a training.
    decisive = {key: value for key, value in given(run).items() if key != "test_time"}
    base = None if base_model is None else weights_digest(base_model)
    identity = [decisive, fold, *map(sha256_file, files), base]
    fitted = job.fit(network, task, run.training, identity=identity)
    save = partial(save_network, network, run)
    job.finish(outputs, save, fitted, parameters=_size(network), images=len(rows))


def target_table(
    faces: Faces,
    labels: Mapping[str, np.ndarray],
    loss: Loss,
    labels_path: Path | str,
) -> np.ndarray:
    """What a network should answer for each image: float32 ``[N, outputs]``, NaN where unknown.

    The first are a distribution over the classes: all on the label, or a share
    ``votes_weight`` of it as the FER+ taggers voted.

    Args:
        faces: the corpus.
        labels: as `labels.labels_of` gives them.
        loss: of the run.
        labels_path: for messages.

    Raises:
        DataError: the labels belong to another corpus.
        UserError: votes are asked for, but the corpus has none.
    """
    if labels["image_path"].tolist() != faces.paths:
        raise DataError(labels_path, None, "the images are not those of the corpus")
    # The last row is that of images without a label, whose id is -1.
    count = len(faces.classes)
    classes = np.vstack([np.eye(count), np.full(count, np.nan)])[faces.class_ids()]
    if loss.votes_weight > 0:
        if faces.votes is None:
            raise UserError(
                "loss.votes_weight is above 0, but no FER+ votes were joined: name their data set "
                "under face.votes, or set the weight to 0"
            )
        voted = class_distribution(faces.votes)
        mixed = (1 - loss.votes_weight) * classes + loss.votes_weight * voted
        classes = np.where(np.isnan(voted), classes, mixed)
    regressed = [labels[name] for name in interface_of(faces, labels).regressed]
    return np.column_stack([classes, *regressed]).astype(np.float32)


def collator(
    images: np.ndarray,
    targets: np.ndarray,
    augmentation: Augmentation,
    label_smoothing: float,
    classes: int,
) -> Callable[[np.ndarray], dict[str, torch.Tensor]]:
    """A function from item indices to an augmented batch: ``images`` and ``targets``.

    Args:
        images: uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.
        targets: see `target_table`.
        augmentation: of the run.
        label_smoothing: share of each class target that is spread over all classes.
        classes: how many there are.
    """
    smooth = targets.copy()
    shares = smooth[:, :classes]
    shares *= 1 - label_smoothing
    shares += label_smoothing / classes
    stored_images, stored_targets = torch.from_numpy(images), torch.from_numpy(smooth)

    def collate(indices: np.ndarray) -> dict[str, torch.Tensor]:
        chosen = torch.from_numpy(indices)
        batch = augment(levels(stored_images[chosen]), augmentation)
        batch, wanted = mix(batch, stored_targets[chosen], augmentation)
        return {"images": batch, "targets": wanted}

    return collate


def loss_function(
    settings: Loss, interface: Interface
) -> Callable[[nn.Module, dict[str, torch.Tensor]], torch.Tensor]:
    """The sum over a batch of cross-entropy and weighted errors of the regressed values, if any.

    Squared errors of valence and arousal, absolute errors of the two proxies; unknown targets
    (NaN) cost nothing.
    """

    def loss_sum(network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        sizes = interface.sizes
        logits, values = network(batch["images"]).split(sizes, dim=1)
        classes, wanted = batch["targets"].split(sizes, dim=1)
        loss = functional.cross_entropy(logits, classes, reduction="sum")
        errors = (values - wanted).where(~wanted.isnan(), 0.0)
        loss = loss + settings.affect_weight * errors[:, : len(AFFECT)].square().sum()
        return loss + settings.proxy_weight * errors[:, len(AFFECT) :].abs().sum()

    return loss_sum


def _evaluator(
    images: np.ndarray,
    labels: np.ndarray,
    targets: np.ndarray,
    interface: Interface,
    device: torch.device,
) -> Callable[[nn.Module], dict[str, float]]:
    count = len(interface.classes)

    def evaluate(network: nn.Module) -> dict[str, float]:
        probabilities, regressed = predict_images(
            network,
            images,
            interface=interface,
            test_time="none",
            batch_size=EVALUATION_BATCH,
            device=device,
        )
        confusion = confusion_matrix(labels, probabilities.argmax(axis=1), count)
        errors = np.abs(regressed - targets[:, count:])
        kinds = {"affect_mae": errors[:, : len(AFFECT)], "proxy_mae": errors[:, len(AFFECT) :]}
        known = {name: own for name, own in kinds.items() if not np.isnan(own).all()}
        return {
            "loss": float(log_loss_items(probabilities, labels).mean()),
            "accuracy": float(accuracy(confusion)),
            "macro_f1": float(macro_f1(confusion)),
            **{name: float(np.nanmean(own)) for name, own in known.items()},
        }

    return evaluate


def _size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())

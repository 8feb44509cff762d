"""Training one stage of a run after another, each stored so that an interrupted run skips it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy.special import log_softmax
from torch import nn
from transformers import PreTrainedTokenizerBase

from affectlab.config.models import Training
from affectlab.entity import encoding, stored_states
from affectlab.entity import model as networks
from affectlab.entity.data import Record, of_split, stage_subset, targets_of
from affectlab.entity.encoding import Row
from affectlab.entity.heads import Embedding
from affectlab.entity.losses import Loss
from affectlab.entity.methods import Method
from affectlab.entity.model import EmotionEmbedder
from affectlab.entity.settings import Stage
from affectlab.errors import DataError, UserError
from affectlab.files.integrity import check_file
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models import devices
from affectlab.training.batching import Batch, Collate
from affectlab.training.job import Job
from affectlab.training.loop import Fitted, Task

logger = logging.getLogger(__name__)

EVALUATION_BATCH = 64

Answers = Callable[[Any], list[np.ndarray]]
"""Mu, kappa and logits of all targets by a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTrainer:
    """A network and what all stages of its training share.

    Attributes:
        job: the frame of the training.
        network: it is trained in place.
        tokenizer: of its encoder.
        method: of the run.
        max_length: tokens of the longest row.
        subset_seed: of the order in which stages take entities, and of corrupted copies.
        identity: what decides the result besides the seed and the number of the stage.
    """

    job: Job
    network: EmotionEmbedder
    tokenizer: PreTrainedTokenizerBase
    method: Method
    max_length: int
    subset_seed: int
    identity: Sequence[Any]

    def train(self, number: int, stage: Stage, records: Sequence[Record]) -> Fitted:
        """Train the stage *number* from 0, or load what an earlier process came to.

        Args:
            number: of the stage.
            stage: as configured.
            records: of its data set.

        Raises:
            UserError: there are no texts to train on or to validate on, a broken checkpoint.
        """
        identity = [number, *self.identity]
        owner = self.job.owner(identity)
        stem = self.job.checkpoints / f"stage{number}"
        finished = load_stage(self.network, stem, owner)
        if finished is not None:
            logger.info("stage %d was finished before", number + 1)
            return finished
        fitted = self._fit(number, stage, records, identity)
        if self.job.is_main:
            store_stage(self.network, stem, owner, fitted)
        return fitted

    def _fit(
        self,
        number: int,
        stage: Stage,
        records: Sequence[Record],
        identity: Sequence[Any],
    ) -> Fitted:
        recipe = stage.training
        train = stage_subset(of_split(records, "train"), stage.entities, self.subset_seed)
        validation = of_split(records, "validation")
        for split, members in (("train", train), ("validation", validation)):
            if not members:
                raise UserError(f"stage {number + 1}, data {stage.data}: no texts to {split} on")
        train, labels = self.method.examples(train, self.subset_seed)
        rows, held_out = (
            encode_records(self.tokenizer, part, self.max_length) for part in (train, validation)
        )
        self.network.encoder.get_input_embeddings().sparse = recipe.sparse_embeddings
        if recipe.gradient_checkpointing:
            self.network.encoder.activation_checkpointing_enable({"use_reentrant": False})
        logger.info(
            "stage %d: %d texts and %d targets of %s, %d to validate on",
            *(number + 1, len(train), len(targets_of(train)), stage.data),
            len(targets_of(validation)),
        )
        started = time.monotonic()
        network, collate, answers = self._feed(rows, labels, held_out, self.job.dtype(recipe))
        preparing = time.monotonic() - started
        devices.seed_everything(self.job.seed)
        task = Task(
            lengths=[len(row.token_ids) for row in rows],
            collate=collate,
            loss_sum=_loss_sum(self.method.training_loss(labels)),
            evaluate=_evaluator(
                answers, self.method.labels(validation), self.method.validation_loss
            ),
            select_by="negative_loss",
            head=networks.HEAD_NAMES,
            item_weights=[len(row.spans) for row in rows],
        )
        fitted = self.job.fit(network, task, recipe, identity=identity, stage=f"stage{number}")
        fitted.summary["seconds"] += preparing
        history = [self._row(row, number, recipe) for row in fitted.history]
        return Fitted(history, fitted.summary)

    def _feed(
        self, rows: Sequence[Row], labels: np.ndarray, held_out: Sequence[Row], dtype: torch.dtype
    ) -> tuple[nn.Module, Collate, Answers]:
        """What is trained, its batches, and its answers to the rows *held_out*.

        An adapter on a frozen encoder is trained on states that are computed once, if they fit
        into memory.
        """
        embed = self.embedding_in(dtype)
        if not stored_states.fit_in_memory(self.network, rows):
            whole = self.method.whole_texts
            pad_id = self.tokenizer.pad_token_id
            collate = encoding.collator(rows, labels, pad_id=pad_id, whole_texts=whole)

            def answers(network: EmotionEmbedder) -> list[np.ndarray]:
                ask = networks.without_prototypes(network)
                return embed(ask, held_out, whole_texts=whole)

            return self.network, collate, answers
        logger.info("the encoder is frozen: its states of every text are computed once")
        states, held_out_states = (
            stored_states.compute(self.network, part, embed) for part in (rows, held_out)
        )
        return (
            stored_states.AdapterOnStates(self.network.heads),
            stored_states.collator(states, rows, labels),
            partial(stored_states.answers, held_out_states, device=self.job.device),
        )

    def _row(self, row: Mapping[str, Any], number: int, recipe: Training) -> dict[str, Any]:
        found = self.method.training_row(row, recipe) if row["split"] == "train" else row
        return {**found, "stage": number + 1}

    def embedding_in(self, dtype: torch.dtype) -> Callable[..., list[np.ndarray]]:
        """`model.embed_rows` on the device, with matrix products in *dtype*."""
        return partial(
            networks.embed_rows,
            pad_id=self.tokenizer.pad_token_id,
            batch_size=EVALUATION_BATCH,
            dtype=dtype,
            device=self.job.device,
        )


def encode_records(tokenizer: Any, records: Sequence[Record], max_length: int) -> list[Row]:
    """Rows of all targets of the records, numbered in the order of `data.targets_of`."""
    rows, cut = encoding.encode(
        tokenizer,
        [record.text for record in records],
        [[target.span for target in record.targets] for record in records],
        max_length=max_length,
        names=[f"target {target.id}" for target in targets_of(records)],
    )
    if cut:
        logger.warning(
            "%d whole texts are longer than %d tokens and were cut", len(cut), max_length
        )
    return rows


def _loss_sum(loss: Loss) -> Callable[[nn.Module, Batch], torch.Tensor]:
    def loss_sum(network: nn.Module, batch: Batch) -> torch.Tensor:
        return loss(network(batch), batch["labels"]).sum()

    return loss_sum


def _evaluator(
    answers: Answers, labels: np.ndarray, item_loss: Loss | None
) -> Callable[[Any], dict[str, float]]:
    """Validation scores of a network; with *item_loss* the loss is that, else the log-loss."""

    def evaluate(network: Any) -> dict[str, float]:
        mu, kappa, logits = answers(network)
        scores = validation_scores(kappa, logits, labels)
        if item_loss is not None:
            found = Embedding(
                torch.from_numpy(mu),
                torch.from_numpy(kappa),
                torch.from_numpy(logits),
                network.heads.directions().cpu(),
            )
            loss = float(item_loss(found, torch.from_numpy(labels)).mean())
            scores |= {"loss": loss, "negative_loss": -loss}
        return scores

    return evaluate


def validation_scores(
    kappa: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Log-loss of the side head (nats), its accuracy, and the mean concentration."""
    log_probabilities = log_softmax(logits.astype("float64"), axis=1)
    shares = labels / labels.sum(axis=1, keepdims=True)
    loss = float(-(shares * log_probabilities).sum(axis=1).mean())
    return {
        "loss": loss,
        "negative_loss": -loss,
        "accuracy": float((logits.argmax(axis=1) == labels.argmax(axis=1)).mean()),
        "kappa": float(kappa.mean()),
    }


def store_stage(network: nn.Module, stem: Path, owner: str, fitted: Fitted) -> None:
    """Store what a stage came to: weights in ``STEM.safetensors``, the rest in ``STEM.json``.

    Args:
        network: as the stage left it.
        stem: path without an ending.
        owner: fingerprint of the stage.
        fitted: its history and training summary.
    """
    with sealed_path(stem.with_suffix(".safetensors")) as temporary:
        state = network.state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, temporary)
    write_json(stem.with_suffix(".json"), {"owner": owner, **fitted._asdict()}, sealed=True)


def load_stage(network: nn.Module, stem: Path, owner: str) -> Fitted | None:
    """Load what `store_stage` stored.

    Args:
        network: is given the weights, and is in eval mode then.
        stem: path without an ending.
        owner: fingerprint of the stage; what belongs to another is not used.

    Returns:
        History and training summary. None if the stage must be trained: it was not finished, it
        is another, or a file is corrupt.
    """
    record_path, weights_path = stem.with_suffix(".json"), stem.with_suffix(".safetensors")
    if not record_path.exists():
        return None
    try:
        stored = read_json(record_path)
        if stored["owner"] != owner:
            return None
        fitted = Fitted(list(stored["history"]), dict(stored["summary"]))
        check_file(weights_path)
        weights = load_file(weights_path)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, DataError) as error:
        logger.warning("%s: the stage is trained again: %s", record_path, error)
        return None
    network.load_state_dict(weights)
    # As `fit` leaves it: with dropout, the calibration would be another one.
    network.eval()
    return fitted

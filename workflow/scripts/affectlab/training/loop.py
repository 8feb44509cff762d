"""The one way of training: every experiment's networks are fitted by `fit`.

A small loop of our own instead of the `transformers` Trainer, for two reasons that were measured
(``benchmarks/train_throughput.py``): lazy updates of embedding rows need a second optimizer, and
a resumed CPU run must end in the same bytes as an undisturbed one, whatever moment it was killed
at. Device and processes come from `accelerate`.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from affectlab.config.models import Training
from affectlab.errors import UserError
from affectlab.evaluation.records import peak_device_memory_mb, peak_memory_mb
from affectlab.models.devices import compute_dtype
from affectlab.training.batching import Batch, Collate
from affectlab.training.checkpoints import CheckpointFolder, TrainingState
from affectlab.training.display import Board, progress_bar, scalar_writer
from affectlab.training.distributed import (
    sum_over_processes,
    sum_sparse_over_processes,
    warn_of_shares,
)
from affectlab.training.launch import TERMINATED_EXIT_STATUS
from affectlab.training.recipe import (
    learning_rate_factor,
    make_optimizers,
    update_schedule,
)
from affectlab.training.weights import MasterWeights, WeightAverage

if TYPE_CHECKING:
    from accelerate import PartialState

logger = logging.getLogger(__name__)

LossSum = Callable[[nn.Module, Batch], torch.Tensor]
Evaluate = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a network is trained on, and by which scores its weights are chosen.

    Attributes:
        lengths: tokens per training item, shape (n,); decides how items are batched.
        collate: item indices, int64 (b,), to tensors on the CPU.
        loss_sum: sum of the items' losses over a batch, a scalar tensor.
        evaluate: validation metrics of the model in eval mode; holds ``loss`` and *select_by*.
        select_by: the metric whose largest value decides which weights are kept (ties: lower
            loss); None keeps the last ones.
        head: name parts of the parameters that take ``head_learning_rate``.
        item_weights: what an update's loss is divided by, per item, e.g. its number of target
            tokens; 1 if None.
    """

    lengths: Sequence[int]
    collate: Collate
    loss_sum: LossSum
    evaluate: Evaluate
    select_by: str | None
    head: Sequence[str] = ()
    item_weights: Sequence[float] | None = None


class Fitted(NamedTuple):
    """What a training came to: the rows of its history, and its training summary."""

    history: list[dict[str, Any]]
    summary: dict[str, Any]


def fit(
    model: nn.Module,
    task: Task,
    recipe: Training,
    *,
    seed: int,
    device: torch.device,
    checkpoint_directory: Path,
    checkpoint_fingerprint: str,
    tensorboard_directory: Path | None = None,
) -> Fitted:
    """Fit *model* in place; its trained weights end as those of the best evaluation, in float32.

    A run that was killed resumes from its checkpoint in *checkpoint_directory*. On the CPU, with
    the same number of threads, it ends in the same bytes as an undisturbed run (with another
    number the log warns). SIGTERM (as schedulers send before they take a machine away) writes a
    checkpoint and ends the process. Several processes (`training.launch`) each take a share of
    every batch and sum their gradients: the updates are those of one process, dropout apart, if
    every item's loss is its own (neither contrast nor batch normalisation).

    Args:
        model: the network, on *device*; parameters with ``requires_grad`` are trained.
        task: items, loss and evaluation.
        recipe: optimiser, schedule and batching.
        seed: seed of the data order.
        device: where batches are moved to.
        checkpoint_directory: private to this run; empty or holding its checkpoint.
        checkpoint_fingerprint: a checkpoint with another one is discarded.
        tensorboard_directory: where event files go, or None.

    Raises:
        UserError: the loss is not finite, a checkpoint cannot be read, or the disk is full.
    """
    from accelerate import PartialState

    processes = PartialState()
    schedule = update_schedule(task.lengths, recipe, seed)
    state = _initial_state(model, recipe, task.head, device)
    folder = CheckpointFolder(checkpoint_directory, checkpoint_fingerprint)
    _resume(folder, state, processes, updates=sum(map(len, schedule)))
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        warn_of_shares("batch normalisation")
    if processes.num_processes > 1:
        # Each process draws its own dropout; equal streams would drop alike in every share.
        stream = np.random.default_rng([seed, state.progress.step, processes.process_index])
        torch.manual_seed(int(stream.integers(2**63)))
    board_directory = tensorboard_directory if processes.is_main_process else None
    board = scalar_writer(board_directory, state.progress.step)
    _Training(model, task, recipe, state, folder, processes, board).run(schedule)
    processes.wait_for_everyone()
    folder.load_best(state)
    state.weights.restore()
    model.eval()
    # From here on the main process may remove what the others have just read.
    processes.wait_for_everyone()
    return Fitted(state.progress.history, _summary(state, recipe, processes.num_processes))


def _initial_state(
    model: nn.Module, recipe: Training, head: Sequence[str], device: torch.device
) -> TrainingState:
    weights = MasterWeights(model, compute_dtype(recipe.precision, device))
    return TrainingState(
        weights=weights,
        average=WeightAverage(weights, recipe.ema_decay),
        optimizers=make_optimizers(weights, recipe, head),
        device=device,
    )


def _resume(
    folder: CheckpointFolder, state: TrainingState, processes: PartialState, *, updates: int
) -> None:
    if processes.is_main_process:
        folder.clear_leftovers()
    if folder.restore(state):
        logger.info("resuming from update %d of %d", state.progress.step, updates)


def _summary(state: TrainingState, recipe: Training, processes: int) -> dict[str, Any]:
    """Return the training summary: what was kept, where it was computed, and its cost."""
    progress, device = state.progress, state.device
    return {
        "best_epoch": progress.best_epoch,
        "best_step": progress.best_step,
        "steps": progress.step,
        "seconds": progress.seconds,
        "samples_per_second": progress.items / progress.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "peak_device_memory_mb": peak_device_memory_mb(),
        "precision": str(compute_dtype(recipe.precision, device)).removeprefix("torch."),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processes": processes,
        "recipe": recipe.model_dump(),
    }


@dataclass
class _Training:
    """A network while it is fitted."""

    model: nn.Module
    task: Task
    recipe: Training
    state: TrainingState
    folder: CheckpointFolder
    processes: PartialState
    board: Board

    def __post_init__(self) -> None:
        weights = self.task.item_weights
        n = len(self.task.lengths)
        self.item_weights = np.ones(n) if weights is None else np.asarray(weights, float)

    def run(self, schedule: Sequence[Sequence[list[np.ndarray]]]) -> None:
        """Make the updates of *schedule*, of each epoch, that have not been made.

        Raises:
            SystemExit: after SIGTERM, when a checkpoint is written.
        """
        recipe, progress = self.recipe, self.state.progress
        total_steps = sum(map(len, schedule))
        warmup = recipe.warmup_steps
        if isinstance(warmup, float):
            warmup = round(warmup * total_steps)
        self.model.train()
        since = time.monotonic()
        shown = self.processes.is_main_process
        with _stop_request() as stop, progress_bar(total_steps, progress.step, shown=shown) as bar:
            while progress.epoch < recipe.epochs and not self._patience_is_over():
                groups = schedule[progress.epoch]
                evaluation_points = {
                    round(len(groups) * (i + 1) / recipe.evaluations_per_epoch)
                    for i in range(recipe.evaluations_per_epoch)
                }
                while progress.group < len(groups):
                    factor = learning_rate_factor(
                        progress.step, total=total_steps, warmup=warmup, schedule=recipe.schedule
                    )
                    loss, stop_now = self._update(groups[progress.group], factor, stop)
                    bar(loss)
                    if progress.group in evaluation_points:
                        self._evaluate_and_keep_best(progress.epoch + progress.group / len(groups))
                        if self._patience_is_over():
                            break
                    now = time.monotonic()
                    if stop_now or now - since >= 60 * recipe.checkpoint_minutes:
                        progress.seconds += now - since
                        since = now
                        if self.processes.is_main_process:
                            self.folder.save(self.state)
                    if stop_now:
                        logger.warning("SIGTERM: checkpoint written at update %d", progress.step)
                        self.processes.wait_for_everyone()
                        raise SystemExit(TERMINATED_EXIT_STATUS)
                progress.epoch += 1
                progress.group = 0
        progress.seconds += time.monotonic() - since

    def _update(
        self, group: Sequence[np.ndarray], factor: float, stop: _StopRequest
    ) -> tuple[float, bool]:
        """Make one update with the batches *group*, at *factor* of the peak learning rates.

        Returns:
            The mean loss of its items, and whether to stop, the same in all processes.
        """
        state, progress = self.state, self.state.progress
        optimizers = state.optimizers
        for parameters in chain.from_iterable(o.param_groups for o in optimizers):
            parameters["lr"] = parameters["peak_lr"] * factor
        group_weight = float(sum(self.item_weights[batch].sum() for batch in group))
        loss = self._accumulate_gradients(group, group_weight)
        stop_now = stop.received
        dense = list(state.weights.dense.values())
        if self.processes.num_processes > 1:
            # The signal may reach the processes at different updates.
            loss, stops = sum_over_processes(dense, loss, float(stop_now))
            sum_sparse_over_processes(list(state.weights.sparse.values()))
            stop_now = stops > 0
        if not math.isfinite(loss):
            raise UserError(
                f"the training loss became {loss} at update {progress.step + 1}: lower "
                "the learning rate, lengthen the warm-up or use precision fp32"
            )
        nn.utils.clip_grad_norm_(dense, self.recipe.max_grad_norm)
        for optimizer in optimizers:
            optimizer.step()
        state.weights.publish(touched_only=True)
        state.average.update(progress.step)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.group += 1
        progress.items += sum(len(batch) for batch in group)
        progress.loss_sum += loss * group_weight
        progress.loss_weight += group_weight
        return loss, stop_now

    def _accumulate_gradients(self, group: Sequence[np.ndarray], group_weight: float) -> float:
        """Add the gradients of this process's shares of *group* to the masters'.

        A share may be empty: there may be more processes than items.

        Returns:
            The shares' part of the mean loss.
        """
        rank, count = self.processes.process_index, self.processes.num_processes
        device = self.state.device
        total = 0.0
        for indices in (batch[rank::count] for batch in group):
            if not len(indices):
                continue
            batch = {
                name: tensor.to(device, non_blocking=True)
                for name, tensor in self.task.collate(indices).items()
            }
            loss = self.task.loss_sum(self.model, batch) / group_weight
            loss.backward()
            self.state.weights.collect_gradients()
            total += loss.item()
        return total

    def _evaluate_and_keep_best(self, epoch: float) -> None:
        """Score the weights, or their average, and store them if they are the best so far."""
        progress = self.state.progress
        with self.state.average.in_place():
            metrics = self._validation_metrics()
            rate = self.state.optimizers[0].param_groups[0]["lr"]
            train_row = {"loss": progress.loss_sum / progress.loss_weight, "learning_rate": rate}
            for split, row in (("train", train_row), ("validation", metrics)):
                progress.history.append(
                    {"step": progress.step, "epoch": round(epoch, 4), "split": split, **row}
                )
                for name, value in row.items():
                    self.board(f"{split}/{name}", value, progress.step)
            progress.loss_sum = progress.loss_weight = 0.0
            by = self.task.select_by
            score = float(progress.step) if by is None else metrics[by]
            loss = metrics["loss"]
            if (score, -loss) > (progress.best_score, -progress.best_loss):
                progress.best_score, progress.best_loss = score, loss
                progress.best_epoch, progress.best_step = round(epoch, 4), progress.step
                progress.evaluations_without_gain = 0
                if self.processes.is_main_process:
                    self.folder.save_best(self.state)
            else:
                progress.evaluations_without_gain += 1
        logger.info(
            "epoch %.2f: train loss %.4f, validation %s",
            epoch,
            train_row["loss"],
            ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()),
        )

    def _validation_metrics(self) -> dict[str, float]:
        from accelerate.utils import broadcast_object_list

        self.model.eval()
        with torch.inference_mode():
            # All processes decide by the same numbers, to the last bit.
            [metrics] = broadcast_object_list([dict(self.task.evaluate(self.model))])
        self.model.train()
        return metrics

    def _patience_is_over(self) -> bool:
        patience = self.recipe.early_stopping_patience
        return patience is not None and self.state.progress.evaluations_without_gain >= patience


@dataclass
class _StopRequest:
    """Whether a SIGTERM came, so that the loop can finish its update and save."""

    received: bool = False


@contextmanager
def _stop_request() -> Iterator[_StopRequest]:
    """Note SIGTERM while the block runs, then restore the previous handler."""
    request = _StopRequest()

    def note(_signal: int, _frame: Any) -> None:
        request.received = True

    previous = signal.signal(signal.SIGTERM, note)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, previous)

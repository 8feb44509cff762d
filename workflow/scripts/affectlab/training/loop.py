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
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from affectlab.errors import UserError
from affectlab.evaluation.records import peak_device_memory_mb, peak_memory_mb
from affectlab.files.io import writing_to
from affectlab.models.devices import Precision, compute_dtype
from affectlab.training.batching import Batch, Collate, bucketed_batches, update_groups
from affectlab.training.checkpoints import CheckpointFolder, TrainingState
from affectlab.training.distributed import (
    sum_over_processes,
    sum_sparse_over_processes,
    warn_of_shares,
)
from affectlab.training.launch import TERMINATED_EXIT_STATUS
from affectlab.training.weights import MasterWeights, WeightAverage

if TYPE_CHECKING:
    from accelerate import PartialState

logger = logging.getLogger(__name__)

LossSum = Callable[[nn.Module, Batch], torch.Tensor]
Evaluate = Callable[[nn.Module], Mapping[str, float]]
Board = Callable[[str, float, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is fitted; the ``training`` block of a run in the configuration."""

    epochs: int
    batch_size: int
    learning_rate: float
    head_learning_rate: float | None
    weight_decay: float
    warmup_steps: int | float
    schedule: Literal["linear", "cosine", "constant"]
    gradient_accumulation: int
    max_grad_norm: float
    label_smoothing: float
    precision: Precision
    token_budget: int | None
    early_stopping_patience: int | None
    gradient_checkpointing: bool
    evaluations_per_epoch: int
    checkpoint_minutes: float
    sparse_embeddings: bool
    ema_decay: float | None


def learning_rate_factor(step: int, *, total: int, warmup: int, schedule: str) -> float:
    """Factor on the peak learning rate for the update number *step* (0-based).

    Linear warm-up over *warmup* updates, then linear or cosine decay to 0 at *total*, or none. The
    first update has ``1 / warmup`` of the peak; in transformers it has 0, and all are one later.
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total - warmup)
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return max(0.0, 1.0 - progress)


def parameter_groups(
    parameters: Mapping[str, nn.Parameter], *, head: Sequence[str], recipe: Recipe
) -> list[dict[str, Any]]:
    """Named parameters as optimizer groups by learning rate and weight decay.

    Biases and norm gains (one-dimensional parameters) are not decayed. Parameters whose name
    holds one of *head* get ``head_learning_rate``.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        rate = recipe.learning_rate
        if recipe.head_learning_rate is not None and any(part in name for part in head):
            rate = recipe.head_learning_rate
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": members, "lr": rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]


def fit(
    model: nn.Module,
    *,
    recipe: Recipe,
    lengths: Sequence[int],
    collate: Collate,
    loss_sum: LossSum,
    evaluate: Evaluate,
    select_by: str | None,
    head: Sequence[str] = (),
    item_weights: Sequence[float] | None = None,
    seed: int,
    device: torch.device,
    checkpoint_directory: Path,
    checkpoint_fingerprint: str,
    tensorboard_directory: Path | None = None,
) -> dict[str, Any]:
    """Fit *model* in place; its trained weights end as those of the best evaluation, in float32.

    A run that was killed goes on from its checkpoint in *checkpoint_directory*; on the CPU, with
    the same number of threads, it ends in the same bytes as a run never disturbed (with another
    number the log warns). SIGTERM (as schedulers send before they take a machine away) writes a
    checkpoint and ends the process. Several processes (`training.launch`) each take a share of
    every batch and sum their gradients: the updates are those of one process, dropout apart, if
    every item's loss is its own (neither contrast nor batch normalisation).

    Args:
        model: the network, on *device*; parameters with ``requires_grad`` are trained.
        recipe: optimiser, schedule and batching.
        lengths: tokens per training item, shape (n,); decides how items are batched.
        collate: item indices, int64 (b,), to tensors on the CPU.
        loss_sum: sum of the items' losses over a batch, a scalar tensor.
        evaluate: validation metrics of the model in eval mode; holds ``loss`` and *select_by*.
        select_by: the metric whose largest value decides which weights are kept (ties: lower
            loss); None keeps the last ones.
        head: name parts of the parameters that take ``head_learning_rate``.
        item_weights: what an update's loss is divided by, per item, e.g. its number of target
            tokens; 1 if None.
        seed: seed of the data order.
        device: where batches are moved to.
        checkpoint_directory: private to this run; empty or holding its checkpoint.
        checkpoint_fingerprint: a checkpoint with another one is discarded.
        tensorboard_directory: where event files go, or None.

    Returns:
        History rows and facts of the run: ``history``, ``best_epoch``, ``best_step``, ``steps``,
        ``seconds``, ``samples_per_second``, ``peak_memory_mb``, ``precision``, ``device``.

    Raises:
        UserError: the loss is not finite, a checkpoint cannot be read, or the disk is full.
    """
    from accelerate import PartialState

    processes = PartialState()
    dtype = compute_dtype(recipe.precision, device)
    schedule = _schedule(lengths, recipe, seed)
    total_steps = sum(map(len, schedule))
    weights = MasterWeights(model, dtype)
    state = TrainingState(
        weights=weights,
        average=WeightAverage(weights, recipe.ema_decay),
        optimizers=_optimizers(weights, recipe, head),
        device=device,
    )
    folder = CheckpointFolder(checkpoint_directory, checkpoint_fingerprint)
    if processes.is_main_process:
        folder.clear_leftovers()
    if folder.restore(state):
        logger.info("resuming from update %d of %d", state.progress.step, total_steps)
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        warn_of_shares("batch normalisation")
    if processes.num_processes > 1:
        # Each process draws its own dropout; equal streams would drop alike in every share.
        stream = np.random.default_rng([seed, state.progress.step, processes.process_index])
        torch.manual_seed(int(stream.integers(2**63)))
    ones = np.ones(len(lengths))
    board_directory = tensorboard_directory if processes.is_main_process else None
    training = _Training(
        model=model,
        recipe=recipe,
        collate=collate,
        loss_sum=loss_sum,
        evaluate=evaluate,
        select_by=select_by,
        item_weights=ones if item_weights is None else np.asarray(item_weights, float),
        state=state,
        folder=folder,
        processes=processes,
        board=_summary_writer(board_directory, state.progress.step),
    )
    training.run(schedule)
    processes.wait_for_everyone()
    folder.load_best(state)
    weights.restore()
    model.eval()
    # From here on the main process may remove what the others have just read.
    processes.wait_for_everyone()
    progress = state.progress
    return {
        "history": progress.history,
        "best_epoch": progress.best_epoch,
        "best_step": progress.best_step,
        "steps": progress.step,
        "seconds": progress.seconds,
        "samples_per_second": progress.items / progress.seconds,
        "peak_memory_mb": peak_memory_mb(),
        "peak_device_memory_mb": peak_device_memory_mb(),
        "precision": str(dtype).removeprefix("torch."),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processes": processes.num_processes,
        "recipe": asdict(recipe),
    }


@dataclass(kw_only=True)
class _Training:
    """A network while it is fitted; the arguments of `fit`, and what came of them."""

    model: nn.Module
    recipe: Recipe
    collate: Collate
    loss_sum: LossSum
    evaluate: Evaluate
    select_by: str | None
    item_weights: np.ndarray
    state: TrainingState
    folder: CheckpointFolder
    processes: PartialState
    board: Board

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
        with _stop_request() as stop, _progress_bar(total_steps, progress.step, shown=shown) as bar:
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
                for name, tensor in self.collate(indices).items()
            }
            loss = self.loss_sum(self.model, batch) / group_weight
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
            score = float(progress.step) if self.select_by is None else metrics[self.select_by]
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
            [metrics] = broadcast_object_list([dict(self.evaluate(self.model))])
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


def _schedule(lengths: Sequence[int], recipe: Recipe, seed: int) -> list[list[list[np.ndarray]]]:
    """The batches of every update of every epoch."""
    return [
        update_groups(
            bucketed_batches(
                lengths,
                batch_size=recipe.batch_size,
                token_budget=recipe.token_budget,
                seed=seed,
                epoch=epoch,
            ),
            recipe.gradient_accumulation,
        )
        for epoch in range(recipe.epochs)
    ]


def _optimizers(
    weights: MasterWeights, recipe: Recipe, head: Sequence[str]
) -> list[torch.optim.Optimizer]:
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(parameter_groups(weights.dense, head=head, recipe=recipe), fused=True)
    ]
    if weights.sparse:
        tables = list(weights.sparse.values())
        optimizers.append(torch.optim.SparseAdam(tables, lr=recipe.learning_rate))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def _summary_writer(directory: Path | None, first_step: int) -> Board:
    """A function that writes one scalar to TensorBoard, or does nothing without *directory*."""
    if directory is None:
        return lambda name, value, step: None
    from torch.utils.tensorboard import SummaryWriter

    with writing_to(directory):
        writer = SummaryWriter(str(directory), purge_step=first_step)

    def add(name: str, value: float, step: int) -> None:
        with writing_to(directory):
            writer.add_scalar(name, value, step)
            writer.flush()

    return add


@contextmanager
def _progress_bar(total: int, done: int, *, shown: bool) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, a line every half minute elsewhere; call it once per update."""
    from tqdm import tqdm

    interval = 0.5 if sys.stderr.isatty() else 30.0
    with tqdm(
        total=total,
        initial=done,
        desc="training",
        unit="update",
        mininterval=interval,
        disable=not shown,
    ) as bar:

        def advance(loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        yield advance

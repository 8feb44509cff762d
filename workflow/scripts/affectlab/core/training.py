"""The one way of training: every experiment's networks are fitted by `fit`.

A small loop of our own instead of the `transformers` Trainer, for two reasons that were measured
(``benchmarks/train_throughput.py``): lazy updates of embedding rows need a second optimizer, and
a resumed CPU run must end in the same bytes as an undisturbed one, whatever moment it was killed
at. Device and processes come from `accelerate`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from affectlab.core.devices import Precision, compute_dtype
from affectlab.core.errors import UserError
from affectlab.core.io import atomic_path
from affectlab.core.records import peak_device_memory_mb, peak_memory_mb

logger = logging.getLogger(__name__)

Batch = dict[str, torch.Tensor]
Collate = Callable[[np.ndarray], Batch]
LossSum = Callable[[nn.Module, Batch], torch.Tensor]
Evaluate = Callable[[nn.Module], Mapping[str, float]]

CHECKPOINT_NAME = "checkpoint.pt"
BEST_NAME = "best-{step}.safetensors"
BUCKET_BATCHES = 50
TERMINATED_EXIT_STATUS = 128 + signal.SIGTERM


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


@dataclass(slots=True)
class Progress:
    """Where a run stands; everything but the tensors that a checkpoint holds."""

    epoch: int = 0
    group: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_weight: float = 0.0
    best_score: float = -math.inf
    best_loss: float = math.inf
    best_epoch: float = 0.0
    best_step: int = 0
    evaluations_without_gain: int = 0
    seconds: float = 0.0
    items: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def bucketed_batches(
    lengths: Sequence[int],
    *,
    batch_size: int,
    token_budget: int | None,
    seed: int,
    epoch: int,
) -> list[np.ndarray]:
    """Cut a shuffled epoch into batches of items of similar length.

    Items are shuffled, sorted by length inside pools of `BUCKET_BATCHES` batches, and the batches
    are shuffled again. With *token_budget* a batch is filled until its padded size (items x
    longest) would pass the budget; without, it holds *batch_size* items.

    Args:
        lengths: tokens (or samples) per item, shape (n,).
        batch_size: items per batch; with a budget, only the size of the sorting pools.
        token_budget: padded tokens per batch, or None. A longer item gets a batch of its own.
        seed: seed of the run.
        epoch: number of the epoch; each has its own order.

    Returns:
        Index arrays, int64, that hold every item exactly once.
    """
    generator = np.random.default_rng([seed, epoch])
    sizes = np.asarray(lengths)
    order = generator.permutation(len(sizes))
    pool_size = batch_size * BUCKET_BATCHES
    batches: list[np.ndarray] = []
    for start in range(0, len(order), pool_size):
        pool = order[start : start + pool_size]
        pool = pool[np.argsort(sizes[pool], kind="stable")]
        if token_budget is None:
            batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
        else:
            batches += filled_to_budget(pool, sizes, token_budget)
    return [batches[i] for i in generator.permutation(len(batches))]


def filled_to_budget(
    pool: np.ndarray, sizes: np.ndarray, budget: int, *, most: int | None = None
) -> Iterator[np.ndarray]:
    """Cut *pool*, sorted by rising size, where items x longest would pass *budget*.

    Args:
        pool: item indices, int64 (n,).
        sizes: tokens of every item.
        budget: padded tokens per batch; a longer item gets a batch of its own.
        most: items per batch.
    """
    start = 0
    for end in range(1, len(pool) + 1):
        full = end - start == most
        if full or end == len(pool) or (end + 1 - start) * sizes[pool[end]] > budget:
            yield pool[start:end]
            start = end


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


def fingerprint(*parts: Any) -> str:
    """Hash of what a checkpoint belongs to (recipe, data, model, seed): JSON-able values.

    How often checkpoints are written is not part of it, wherever it stands in a recipe.
    """

    def decisive(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {k: decisive(v) for k, v in part.items() if k != "checkpoint_minutes"}
        return [decisive(v) for v in part] if isinstance(part, list | tuple) else part

    parts = tuple(map(decisive, parts))
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


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
    checkpoint and ends the process. Several processes (`core.launch`) each take a share of every
    batch and sum their gradients: the updates are those of one process, dropout apart, if every
    item's loss is its own (neither contrast nor batch normalisation).

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
    from accelerate.utils import broadcast_object_list

    processes = PartialState()
    dtype = compute_dtype(recipe.precision, device)
    weights = np.ones(len(lengths)) if item_weights is None else np.asarray(item_weights, float)
    schedule = [_update_groups(lengths, recipe, seed, epoch) for epoch in range(recipe.epochs)]
    total_steps = sum(len(groups) for groups in schedule)
    warmup = recipe.warmup_steps
    warmup_steps = round(warmup * total_steps) if isinstance(warmup, float) else warmup
    master = _Weights(model, dtype)
    average = _Average(master, recipe.ema_decay)
    optimizers = _optimizers(master, recipe, head)
    progress = Progress()
    checkpoint_path = checkpoint_directory / CHECKPOINT_NAME
    if processes.is_main_process:
        patterns = (f".{CHECKPOINT_NAME}.*", "." + BEST_NAME.format(step="*") + ".*")
        for leftover in chain.from_iterable(map(checkpoint_directory.glob, patterns)):
            # Of a process that was killed as it wrote; each is as large as a checkpoint.
            shutil.rmtree(leftover)
    if checkpoint_path.exists():
        restored = _load_checkpoint(
            checkpoint_path, checkpoint_fingerprint, master, average, optimizers, device
        )
        if restored is not None:
            progress = restored
            logger.info("resuming from update %d of %d", progress.step, total_steps)
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        warn_of_shares("batch normalisation")
    if processes.num_processes > 1:
        # Each process draws its own dropout; equal streams would drop alike in every share.
        stream = np.random.default_rng([seed, progress.step, processes.process_index])
        torch.manual_seed(int(stream.integers(2**63)))
    board = _summary_writer(
        tensorboard_directory if processes.is_main_process else None, progress.step
    )
    stop_requested = _StopRequest()
    dense, sparse = list(master.dense.values()), list(master.sparse.values())
    last_checkpoint = time.monotonic()

    # The best step that the checkpoint on the disk names.
    resumable_best = progress.best_step

    def save_checkpoint() -> None:
        nonlocal resumable_best
        if processes.is_main_process:
            _save_checkpoint(
                checkpoint_path,
                checkpoint_fingerprint,
                master,
                average,
                optimizers,
                device,
                progress,
            )
            resumable_best = progress.best_step

    def evaluate_and_keep_best(epoch: float) -> None:
        model.eval()
        with torch.inference_mode():
            # All processes decide by the same numbers, to the last bit.
            [metrics] = broadcast_object_list([dict(evaluate(model))])
        model.train()
        rate = optimizers[0].param_groups[0]["lr"]
        train_row = {"loss": progress.loss_sum / progress.loss_weight, "learning_rate": rate}
        for split, row in (("train", train_row), ("validation", metrics)):
            progress.history.append(
                {"step": progress.step, "epoch": round(epoch, 4), "split": split, **row}
            )
            for name, value in row.items():
                board(f"{split}/{name}", value, progress.step)
        progress.loss_sum = progress.loss_weight = 0.0
        score = float(progress.step) if select_by is None else metrics[select_by]
        loss = metrics["loss"]
        if (score, -loss) > (progress.best_score, -progress.best_loss):
            progress.best_score, progress.best_loss = score, loss
            progress.best_epoch, progress.best_step = round(epoch, 4), progress.step
            progress.evaluations_without_gain = 0
            if processes.is_main_process:
                best_path = _best_path(checkpoint_directory, progress.best_step)
                _save_weights(master, best_path)
                # A run that is killed now goes on from the checkpoint, and with its best weights.
                kept = {best_path, _best_path(checkpoint_directory, resumable_best)}
                for path in set(checkpoint_directory.glob(BEST_NAME.format(step="*"))) - kept:
                    path.unlink()
        else:
            progress.evaluations_without_gain += 1
        logger.info(
            "epoch %.2f: train loss %.4f, validation %s",
            epoch,
            train_row["loss"],
            ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()),
        )

    model.train()
    started = time.monotonic()
    with (
        stop_requested.on_sigterm(),
        _progress_bar(total_steps, progress.step, shown=processes.is_main_process) as bar,
    ):
        while progress.epoch < recipe.epochs and not _patience_is_over(recipe, progress):
            groups = schedule[progress.epoch]
            evaluation_points = {
                round(len(groups) * (i + 1) / recipe.evaluations_per_epoch)
                for i in range(recipe.evaluations_per_epoch)
            }
            while progress.group < len(groups):
                group = groups[progress.group]
                factor = learning_rate_factor(
                    progress.step, total=total_steps, warmup=warmup_steps, schedule=recipe.schedule
                )
                _set_learning_rates(optimizers, factor)
                group_weight = float(sum(weights[batch].sum() for batch in group))
                loss = _accumulate_gradients(
                    model,
                    master,
                    [batch[processes.process_index :: processes.num_processes] for batch in group],
                    collate,
                    loss_sum,
                    group_weight,
                    device,
                )
                stop_now = stop_requested.received
                if processes.num_processes > 1:
                    # The signal may reach the processes at different updates.
                    loss, stops = _sum_over_processes(dense, loss, float(stop_now))
                    _sum_sparse_over_processes(sparse)
                    stop_now = stops > 0
                if not math.isfinite(loss):
                    raise UserError(
                        f"the training loss became {loss} at update {progress.step + 1}: lower "
                        "the learning rate, lengthen the warm-up or use precision fp32"
                    )
                nn.utils.clip_grad_norm_(dense, recipe.max_grad_norm)
                for optimizer in optimizers:
                    optimizer.step()
                master.publish(touched_only=True)
                average.update(progress.step)
                for optimizer in optimizers:
                    optimizer.zero_grad(set_to_none=True)
                progress.step += 1
                progress.group += 1
                progress.items += sum(len(batch) for batch in group)
                progress.loss_sum += loss * group_weight
                progress.loss_weight += group_weight
                bar(loss)
                if progress.group in evaluation_points:
                    with average.in_place():
                        evaluate_and_keep_best(progress.epoch + progress.group / len(groups))
                    if _patience_is_over(recipe, progress):
                        break
                now = time.monotonic()
                due = now - last_checkpoint >= 60 * recipe.checkpoint_minutes
                if due or stop_now:
                    progress.seconds += now - started
                    started = last_checkpoint = now
                    save_checkpoint()
                if stop_now:
                    logger.warning("SIGTERM: checkpoint written at update %d", progress.step)
                    processes.wait_for_everyone()
                    raise SystemExit(TERMINATED_EXIT_STATUS)
            progress.epoch += 1
            progress.group = 0
    progress.seconds += time.monotonic() - started
    processes.wait_for_everyone()
    _load_weights(master, _best_path(checkpoint_directory, progress.best_step))
    master.restore()
    model.eval()
    # From here on the main process may remove what the others have just read.
    processes.wait_for_everyone()
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


def warn_of_shares(what: str) -> None:
    """Log that *what* looks at a whole batch, if several processes have but a share of it each."""
    from accelerate import PartialState

    processes = PartialState()
    if processes.num_processes > 1 and processes.is_main_process:
        logger.warning(
            "%s is that of one process's share of a batch: the updates are not those of one "
            "process; for these take a batch %d times as large, or one process",
            what,
            processes.num_processes,
        )


def remove_checkpoints(directory: Path) -> None:
    """Delete a run's checkpoints once its results are stored."""
    shutil.rmtree(directory, ignore_errors=True)


class _Weights:
    """A network's trainable parameters: float32 masters and the copies it computes with.

    In float32 the two are the same. In bfloat16 the network itself is held in bfloat16, so that
    no product casts its weights; optimizers update the masters, which are copied over after each
    update. Tables with row-sparse gradients are kept apart, and only touched rows are copied.
    Batch normalisation stays in float32, for its running statistics need the digits; these and
    other buffers belong to the weights that are saved.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        self.working = {n: p for n, p in model.named_parameters() if p.requires_grad}
        tables = {
            id(module.weight)
            for module in model.modules()
            if isinstance(module, nn.Embedding) and module.sparse
        }
        stored = model.state_dict()
        self.buffers = {n: buffer for n, buffer in model.named_buffers() if n in stored}
        self.copied = dtype is not torch.float32
        self.masters = dict(self.working)
        if self.copied:
            exact = {
                id(parameter)
                for module in model.modules()
                if isinstance(module, nn.modules.batchnorm._BatchNorm)
                for parameter in module.parameters()
            }
            self.masters = {
                name: parameter
                if id(parameter) in exact
                else nn.Parameter(parameter.detach().float().clone())
                for name, parameter in self.working.items()
            }
            for parameter in model.parameters():
                if parameter.is_floating_point() and id(parameter) not in exact:
                    parameter.data = parameter.data.to(dtype)
        names = {name for name, parameter in self.working.items() if id(parameter) in tables}
        self.sparse = {name: self.masters[name] for name in names}
        self.dense = {name: p for name, p in self.masters.items() if name not in names}
        # Kept between updates: fresh memory of this size costs more than the copy into it.
        self.gradients: dict[str, torch.Tensor] = {}

    def collect_gradients(self) -> None:
        """Add the network's gradients to the masters', in float32."""
        if not self.copied:
            return
        for name, parameter in self.working.items():
            master = self.masters[name]
            if parameter.grad is None or master is parameter:
                continue
            if name in self.sparse:
                gradient = parameter.grad.float()
                master.grad = gradient if master.grad is None else master.grad + gradient
            elif master.grad is None:
                if name not in self.gradients:
                    self.gradients[name] = torch.empty_like(master)
                master.grad = self.gradients[name].copy_(parameter.grad)
            else:
                master.grad += parameter.grad
            parameter.grad = None

    @torch.no_grad()
    def publish(self, *, touched_only: bool = False) -> None:
        """Copy the masters into the network; of sparse tables, the *touched_only* rows."""
        if not self.copied:
            return
        torch._foreach_copy_([self.working[name] for name in self.dense], [*self.dense.values()])
        for name, master in self.sparse.items():
            if touched_only and master.grad is not None:
                rows = master.grad.coalesce().indices()[0]
                self.working[name][rows] = master[rows].to(self.working[name].dtype)
            elif not touched_only:
                self.working[name].copy_(master)

    def restore(self) -> None:
        """Give the network its masters as parameters, in float32."""
        for name, parameter in self.working.items():
            parameter.data = self.masters[name].data

    def state(self) -> dict[str, torch.Tensor]:
        """The masters and the buffers by name, to be saved."""
        return {name: master.detach() for name, master in self.masters.items()} | self.buffers

    @torch.no_grad()
    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Set masters, buffers and network to saved ones."""
        for name, tensor in (self.masters | self.buffers).items():
            tensor.copy_(state[name])
        self.publish()


class _Average:
    """A moving average of the weights over updates, which then is what is evaluated and kept.

    Exponential, as of Polyak and Juditsky 1992, https://doi.org/10.1137/0330046; early on the
    decay is (1 + n) / (10 + n) after n updates, so that the first weights are soon forgotten.
    Running statistics are averaged too; tables with row-sparse gradients are not. Without a decay
    there is no average.
    """

    def __init__(self, weights: _Weights, decay: float | None) -> None:
        self.weights = weights
        self.decay = decay
        self.averaged: dict[str, torch.Tensor] = {}
        if decay is not None:
            floats = {n: b for n, b in weights.buffers.items() if b.is_floating_point()}
            self.averaged = {n: master.data for n, master in weights.dense.items()} | floats
        self.values = {name: tensor.clone() for name, tensor in self.averaged.items()}

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the present weights, after *updates* earlier ones."""
        if self.decay is not None:
            decay = min(self.decay, (1 + updates) / (10 + updates))
            torch._foreach_lerp_(
                list(self.values.values()), list(self.averaged.values()), 1.0 - decay
            )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While the block runs, masters and network hold the average."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, value in self.values.items():
            kept = value.clone()
            value.copy_(self.averaged[name])
            self.averaged[name].copy_(kept)
        if self.values:
            self.weights.publish()


class _StopRequest:
    """Notes a SIGTERM, so that the loop can finish its update and save."""

    def __init__(self) -> None:
        self.received = False

    @contextmanager
    def on_sigterm(self) -> Iterator[None]:
        """Listen while the block runs, then restore the previous handler."""

        def note(_signal: int, _frame: Any) -> None:
            self.received = True

        previous = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous)


def _update_groups(
    lengths: Sequence[int], recipe: Recipe, seed: int, epoch: int
) -> list[list[np.ndarray]]:
    """An epoch's batches, gathered by the optimizer update they belong to."""
    batches = bucketed_batches(
        lengths,
        batch_size=recipe.batch_size,
        token_budget=recipe.token_budget,
        seed=seed,
        epoch=epoch,
    )
    size = recipe.gradient_accumulation
    return [batches[i : i + size] for i in range(0, len(batches), size)]


def _optimizers(
    weights: _Weights, recipe: Recipe, head: Sequence[str]
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


def _set_learning_rates(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor


def _accumulate_gradients(
    model: nn.Module,
    master: _Weights,
    batches: Sequence[np.ndarray],
    collate: Collate,
    loss_sum: LossSum,
    group_weight: float,
    device: torch.device,
) -> float:
    """Add the gradients of *batches* to the masters'; return their share of the mean loss.

    A batch may be empty: the share of a process where there are more processes than items.
    """
    total = 0.0
    for indices in batches:
        if not len(indices):
            continue
        batch = {
            name: tensor.to(device, non_blocking=True) for name, tensor in collate(indices).items()
        }
        loss = loss_sum(model, batch) / group_weight
        loss.backward()
        master.collect_gradients()
        total += loss.item()
    return total


def _sum_over_processes(parameters: Sequence[nn.Parameter], *numbers: float) -> list[float]:
    """Sum gradients, in place, and *numbers* over all processes with one reduction.

    A parameter that no process has a gradient for stays without, so that no optimizer moves it.
    """
    from accelerate.utils import reduce

    gradients = [
        torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters
    ]
    present = [float(p.grad is not None) for p in parameters]
    flat = torch.cat([*gradients, gradients[0].new_tensor([*present, *numbers])])
    flat = reduce(flat, reduction="sum")
    *summed, rest = flat.split([*(p.numel() for p in parameters), len(present) + len(numbers)])
    counts = rest.tolist()
    for parameter, gradient, count in zip(parameters, summed, counts, strict=False):
        parameter.grad = gradient.view_as(parameter) if count else None
    return counts[len(present) :]


def _sum_sparse_over_processes(tables: Sequence[nn.Parameter]) -> None:
    """Sum row-sparse gradients, in place, over all processes."""
    from accelerate.utils import reduce

    for table in tables:
        total = torch.zeros_like(table)
        touched = torch.zeros(len(table), device=table.device)
        if table.grad is not None:
            gradient = table.grad.coalesce()
            [rows] = gradient.indices()
            total[rows], touched[rows] = gradient.values(), 1.0
        total, touched = reduce(total, reduction="sum"), reduce(touched, reduction="sum")
        rows = touched.nonzero().flatten()
        table.grad = torch.sparse_coo_tensor(rows[None], total[rows], table.shape).coalesce()


def _patience_is_over(recipe: Recipe, progress: Progress) -> bool:
    patience = recipe.early_stopping_patience
    return patience is not None and progress.evaluations_without_gain >= patience


def _best_path(directory: Path, step: int) -> Path:
    """Where the weights after *step* updates lie, if they are or were the best."""
    return directory / BEST_NAME.format(step=step)


def _save_weights(weights: _Weights, path: Path) -> None:
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file({n: p.contiguous() for n, p in weights.state().items()}, temporary)


def _load_weights(weights: _Weights, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: missing or damaged weights of the best evaluation: delete its folder to "
            "start this run again from the beginning"
        ) from error
    weights.load(state)


def _save_checkpoint(
    path: Path,
    owner: str,
    weights: _Weights,
    average: _Average,
    optimizers: Sequence[torch.optim.Optimizer],
    device: torch.device,
    progress: Progress,
) -> None:
    state = {
        "fingerprint": owner,
        "threads": torch.get_num_threads(),
        "progress": asdict(progress),
        "parameters": weights.state(),
        "average": average.values,
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "random_state": torch.get_rng_state(),
        # Of this process's GPU alone: the next one may see fewer.
        "gpu_random_state": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def _load_checkpoint(
    path: Path,
    owner: str,
    weights: _Weights,
    average: _Average,
    optimizers: Sequence[torch.optim.Optimizer],
    device: torch.device,
) -> Progress | None:
    """Restore everything from *path*, or return None if it belongs to another run."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch.load raises half a dozen unrelated types for a damaged file.
        raise UserError(
            f"{path}: damaged checkpoint ({type(error).__name__}): delete its folder to start "
            "this run again from the beginning"
        ) from error
    if state["fingerprint"] != owner:
        logger.warning("%s belongs to another recipe, data or model: starting anew", path)
        return None
    threads = torch.get_num_threads()
    began_with = state.get("threads", threads)
    if device.type == "cpu" and began_with != threads:
        logger.warning(
            "going on with %d threads where %d began: sums are rounded in another order, so the "
            "result will not be, to the byte, that of a run never disturbed",
            threads,
            began_with,
        )
    weights.load(state["parameters"])
    for name, value in average.values.items():
        value.copy_(state["average"][name])
    for optimizer, stored in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(stored)
    torch.set_rng_state(state["random_state"])
    if device.type == "cuda" and state["gpu_random_state"] is not None:
        torch.cuda.set_rng_state(state["gpu_random_state"], device)
    return Progress(**state["progress"])


def _summary_writer(directory: Path | None, first_step: int) -> Callable[[str, float, int], None]:
    """A function that writes one scalar to TensorBoard, or does nothing without *directory*."""
    if directory is None:
        return lambda name, value, step: None
    from torch.utils.tensorboard import SummaryWriter

    @contextmanager
    def clear_errors() -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = f"{directory}: cannot be written: {error.strerror or error}"
            raise UserError(problem) from error

    with clear_errors():
        writer = SummaryWriter(str(directory), purge_step=first_step)

    def add(name: str, value: float, step: int) -> None:
        with clear_errors():
            writer.add_scalar(name, value, step)
            writer.flush()

    return add


@contextmanager
def _progress_bar(total: int, done: int, *, shown: bool) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, a line every half minute elsewhere; call it once per update."""
    import sys

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

"""How a network is fitted: the recipe of the configuration, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from affectlab.config.models import Training
from affectlab.training.batching import bucketed_batches, update_groups
from affectlab.training.weights import MasterWeights


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


def update_schedule(
    lengths: Sequence[int], recipe: Training, seed: int
) -> list[list[list[np.ndarray]]]:
    """Return the batches of every update of every epoch; *lengths* are tokens per item."""
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


def parameter_groups(
    parameters: Mapping[str, nn.Parameter], *, head: Sequence[str], recipe: Training
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


def make_optimizers(
    weights: MasterWeights, recipe: Training, head: Sequence[str]
) -> list[torch.optim.Optimizer]:
    """Return the optimizers of all masters; *head* as in `parameter_groups`.

    Each group keeps its peak learning rate as ``peak_lr``.
    """
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

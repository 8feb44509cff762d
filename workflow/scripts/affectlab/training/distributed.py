"""What processes that train together tell each other; `training.launch` starts them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import nn

logger = logging.getLogger(__name__)


def sum_over_processes(parameters: Sequence[nn.Parameter], *numbers: float) -> list[float]:
    """Sum gradients, in place, and *numbers* over all processes with one reduction.

    A parameter that no process has a gradient for stays without, so that no optimizer moves it.

    Returns:
        The sums of *numbers*.
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


def sum_sparse_over_processes(tables: Sequence[nn.Parameter]) -> None:
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

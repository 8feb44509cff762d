"""Which items are trained on together: batches of similar length, and their updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

Batch = dict[str, torch.Tensor]
Collate = Callable[[np.ndarray], Batch]

BUCKET_BATCHES = 50


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


def update_groups(batches: Sequence[np.ndarray], accumulation: int) -> list[list[np.ndarray]]:
    """An epoch's batches, gathered by the update that sums their gradients.

    Args:
        batches: index arrays, in the order they are trained on.
        accumulation: batches per update; the last update may have fewer.
    """
    starts = range(0, len(batches), accumulation)
    return [list(batches[start : start + accumulation]) for start in starts]

"""`training.batching`: batches of similar length that lose nothing."""

import numpy as np
import pytest

from affectlab.training.batching import bucketed_batches, update_groups


@pytest.mark.parametrize("budget", [None, 40])
def test_batches_hold_every_item_once_and_are_shuffled_per_epoch(budget):
    lengths = np.random.default_rng(0).integers(1, 30, 500)
    plans = [
        bucketed_batches(lengths, batch_size=7, token_budget=budget, seed=1, epoch=epoch)
        for epoch in (0, 0, 1)
    ]
    for plan in plans:
        assert sorted(np.concatenate(plan).tolist()) == list(range(500))
    flat = [np.concatenate(plan).tolist() for plan in plans]
    assert flat[0] == flat[1]
    assert flat[0] != flat[2]


def test_batches_of_similar_length_waste_little_padding():
    lengths = np.random.default_rng(0).integers(1, 100, 6400)
    plan = bucketed_batches(lengths, batch_size=32, token_budget=None, seed=0, epoch=0)
    padded = sum(len(batch) * lengths[batch].max() for batch in plan)
    assert padded / lengths.sum() < 1.05
    assert all(len(batch) <= 32 for batch in plan)


def test_a_token_budget_bounds_the_padded_size_and_is_used_up():
    lengths = np.random.default_rng(0).integers(1, 50, 2000)
    lengths[7] = 900
    plan = bucketed_batches(lengths, batch_size=16, token_budget=400, seed=0, epoch=0)
    sizes = [len(batch) * lengths[batch].max() for batch in plan]
    assert [len(batch) for batch, size in zip(plan, sizes, strict=True) if size > 400] == [1]
    assert np.median(sizes) > 340


def test_the_last_update_takes_the_batches_that_are_left():
    batches = [np.array([number]) for number in range(5)]
    gathered = [[batch.item() for batch in group] for group in update_groups(batches, 2)]
    assert gathered == [[0, 1], [2, 3], [4]]

"""Swapped class names are found; right ones, and bad models, are left alone."""

import numpy as np
import pytest

from affectlab.evaluation.swapped_names import swapped_names


def drawn(generator, n, size, accuracy, shares=None):
    """Labels, and predictions that are right with a probability and else random."""
    labels = generator.choice(size, n, p=shares)
    guesses = generator.integers(0, size, n)
    return labels, np.where(generator.random(n) < accuracy, labels, guesses)


@pytest.mark.parametrize(("size", "n"), [(2, 60), (4, 80), (28, 1000)])
def test_two_swapped_names_are_found(size, n):
    labels, predicted = drawn(np.random.default_rng(size), n, size, 0.9)
    turned = predicted.copy()
    turned[predicted == 0], turned[predicted == 1] = 1, 0
    assert swapped_names(labels, turned, range(n), size) == {0: 1, 1: 0}


def test_another_order_of_all_classes_is_found():
    labels, predicted = drawn(np.random.default_rng(1), 200, 28, 0.8)
    expected = {k: (k - 1) % 28 for k in range(28)}
    assert swapped_names(labels, (predicted + 1) % 28, range(200), 28) == expected


@pytest.mark.parametrize("size", [2, 3, 8])
def test_right_names_are_called_swapped_as_rarely_as_stated(size):
    """Chance level is the hardest case: every renaming is as good."""
    generator = np.random.default_rng(7)
    called = [
        bool(swapped_names(*drawn(generator, 120, size, 0.0), range(120), size)) for _ in range(400)
    ]
    assert np.mean(called) <= 0.02


def test_one_answer_for_all_is_no_swap():
    generator = np.random.default_rng(3)
    labels = generator.choice(3, 300, p=[0.8, 0.1, 0.1])
    assert swapped_names(labels, np.full(300, 2), range(300), 3) == {}


def test_items_of_one_group_have_one_vote():
    """Forty items of three speakers cannot show what forty items can."""
    labels, predicted = drawn(np.random.default_rng(0), 40, 2, 1.0)
    assert swapped_names(labels, 1 - predicted, range(40), 2) == {0: 1, 1: 0}
    assert swapped_names(labels, 1 - predicted, [n % 3 for n in range(40)], 2) == {}

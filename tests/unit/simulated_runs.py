"""Predictions drawn from stated models, for tests of what statistics promise of them.

Outcomes of one group follow a Dirichlet-multinomial law. It is another way to correlate them than
that of `affectlab.evaluation.planned_scores`, which copies outcomes.
"""

import numpy as np

from affectlab.evaluation import stats
from affectlab.evaluation.comparison import Resamples, Score, difference


def outcomes(generator, groups, shares, within):
    """Outcome ``[n]`` of each item, by *shares*; those of a group have the correlation *within*."""
    cut = np.cumsum(shares)[:-1]
    if within == 0:
        return np.searchsorted(cut, generator.random(len(groups)), side="right")
    size = int(groups.max()) + 1
    if within == 1:
        return np.searchsorted(cut, generator.random(size), side="right")[groups]
    known = np.asarray(shares) > 0
    own = np.zeros((size, len(shares)))
    concentration = np.asarray(shares)[known] * (1 - within) / within
    own[:, known] = generator.dirichlet(concentration, size=size)
    drawn = generator.random(len(groups))[:, None] > np.cumsum(own, axis=1)[groups]
    return np.minimum(drawn.sum(axis=1), len(shares) - 1)


def decided(generator, labels, right, classes):
    """Decisions ``[n]``: labels where *right*, else other classes by their shares."""
    found = labels.copy()
    counts = np.bincount(labels, minlength=classes) + 1 / classes
    for label in range(classes):
        rest = np.where(np.arange(classes) == label, 0, counts)
        wrong = np.flatnonzero(~right & (labels == label))
        found[wrong] = generator.choice(classes, size=len(wrong), p=rest / rest.sum())
    return found


def two_runs(first, second, agree):
    """Shares of items that both have right, the first alone, the second alone, and none."""
    apart = 1 - agree
    return (
        (first + second - apart) / 2,
        (apart + first - second) / 2,
        (apart - first + second) / 2,
        1 - (first + second + apart) / 2,
    )


def decision_score(statistic, labels, predicted, groups, classes):
    """The table of a score of the confusion matrix."""
    columns = stats.confusion_columns(labels, predicted, classes)
    return Score(
        "higher",
        stats.group_sums(columns, groups),
        lambda sums: statistic(sums.reshape(*sums.shape[:-1], classes, classes)),
    )


def clearly_better(first, second, groups, seed, resamples=400):
    """Whether the paired comparison calls *first* better than *second*."""
    draws = Resamples(groups, resamples, seed)
    found = difference(
        draws.trials([first]),
        draws.trials([second]),
        groups=len(first.table),
        level=0.95,
        over_seeds=False,
    )
    return found.limits[0] > 0


def unequal_labels(generator, items, classes):
    """Labels ``[items]`` in which the commonest class is three times as frequent as the rarest."""
    weights = np.linspace(3, 1, classes)
    labels = generator.choice(classes, size=items, p=weights / weights.sum())
    labels[:classes] = np.arange(classes)
    return generator.permutation(labels)


def unequal_groups(generator, items, number):
    """Groups ``[items]`` numbered from 0, each with one item at least."""
    groups = generator.choice(number, size=items, p=np.linspace(3, 1, number) / (2 * number))
    groups[:number] = np.arange(number)
    return generator.permutation(groups)

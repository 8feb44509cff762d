"""Intervals of single runs: limits against known ones, coverage, and never a width of 0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from affectlab.evaluation import intervals, stats
from affectlab.evaluation.calibration import calibration_error, mean_gap

LEVEL = 0.95
DATASETS = 250


def least(coverage: float, datasets: int = DATASETS) -> float:
    """The coverage that a method of the given coverage shows but in 1 of 1,000 simulations."""
    return coverage - 3.1 * math.sqrt(coverage * (1 - coverage) / datasets)


@pytest.mark.parametrize("n", [1, 2, 12, 20, 36, 200, 2000])
def test_a_share_of_independent_items_has_the_exact_interval(n: int) -> None:
    for right in {0, 1, n // 3, n - 1, n}:
        found = intervals.share_interval(np.c_[np.arange(n) < right, np.ones(n)], LEVEL)
        exact = binomtest(right, n).proportion_ci(LEVEL, method="exact")
        assert found == pytest.approx((right / n, exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("n", [12, 20, 36, 50, 200, 2000])
@pytest.mark.parametrize("share", [0.01, 0.03, 0.5, 0.9, 0.97, 0.99])
def test_the_interval_of_a_share_covers_it(n: int, share: float) -> None:
    counts = np.random.default_rng(n).binomial(n, share, DATASETS)
    # One table of n items for each count that occurs.
    kinds, places = np.unique(counts, return_inverse=True)
    hits = (np.arange(n) < kinds[:, None])[..., None] * 1.0
    _, limits = intervals.share_limits(hits, np.ones_like(hits), LEVEL)
    covered = (limits.low <= share) & (share <= limits.high)
    assert covered[places].mean() >= least(0.95)


@pytest.mark.parametrize("share", [0.8, 0.95, 0.97])
@pytest.mark.parametrize("correlation", [0.2, 0.7])
def test_the_interval_of_a_share_covers_it_where_items_of_a_group_are_correlated(
    share: float, correlation: float
) -> None:
    generator = np.random.default_rng(7)
    rest = (1 - correlation) / correlation
    rates = generator.beta(share * rest, (1 - share) * rest, (DATASETS, 24, 1))
    hits = generator.binomial(16, rates).astype(float)
    _, limits = intervals.share_limits(hits, np.full_like(hits, 16), LEVEL)
    covered = (limits.low <= share) & (share <= limits.high)
    assert covered.mean() >= least(0.93)


def test_where_all_items_agree_each_group_counts_as_one_item() -> None:
    found = intervals.share_interval(np.full((6, 2), 10.0), LEVEL)
    assert found.low == pytest.approx(binomtest(6, 6).proportion_ci(LEVEL, "exact").low)


@pytest.mark.parametrize("score", ["macro_f1", "balanced_accuracy", "macro_precision"])
@pytest.mark.parametrize("recall", [0.7, 0.95])
def test_the_interval_of_a_class_average_covers_it_with_a_rare_class(
    score: str, recall: float
) -> None:
    # The rare class has three items in the mean, of which half are found.
    priors = np.array([0.985 / 6] * 6 + [0.015])
    found = np.array([recall] * 6 + [recall / 2])
    cells = priors[:, None] * ((1 - found[:, None]) / 6 * (1 - np.eye(7)) + np.diag(found))
    draws = np.random.default_rng(3).multinomial(200, cells.ravel(), DATASETS)
    truths, covered = [], []
    for draw in draws.reshape(-1, 7, 7):
        items = np.repeat(np.eye(49), draw.ravel(), axis=0).reshape(-1, 7, 7)
        _, limits = intervals.confusion_limits(score, items, LEVEL)
        truth = _true_average(score, cells, draw)
        truths.append(truth)
        covered.append(limits.low <= truth <= limits.high)
    assert np.mean(covered) >= least(0.95)


def _true_average(score: str, cells: np.ndarray, draw: np.ndarray) -> float:
    """The average of true shares, over the classes that a sample has."""
    support, predicted = draw.sum(axis=1), draw.sum(axis=0)
    hits = np.diag(cells)
    if score == "balanced_accuracy":
        return float((hits / cells.sum(axis=1))[support > 0].mean())
    occurring = support + predicted > 0
    if score == "macro_precision":
        return float((hits / cells.sum(axis=0))[predicted > 0].sum() / occurring.sum())
    return float((2 * hits / (cells.sum(axis=1) + cells.sum(axis=0)))[occurring].mean())


@pytest.mark.parametrize(
    "score",
    ["accuracy", "micro_f1", "macro_f1", "macro_precision", "macro_recall", "balanced_accuracy"],
)
@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        (np.arange(21) % 7, np.arange(21) % 7),
        (np.arange(21) % 7, np.zeros(21, int)),
        (np.zeros(5, int), np.zeros(5, int)),
        (np.zeros(5, int), np.ones(5, int)),
        (np.array([3]), np.array([3])),
    ],
    ids=["perfect", "constant", "one class", "all wrong", "one item"],
)
def test_no_score_of_a_confusion_matrix_has_an_interval_without_width(
    score: str, labels: np.ndarray, predictions: np.ndarray
) -> None:
    table = stats.confusion_columns(labels, predictions, 7)
    found = intervals.confusion_interval(score, table, LEVEL)
    value = float(getattr(stats, score)(stats.confusion_matrix(labels, predictions, 7)))
    assert found.value == pytest.approx(value)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_an_unknown_score_of_a_confusion_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="no interval of the score 'kappa'"):
        intervals.confusion_interval("kappa", np.eye(4), LEVEL)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_mean_of_equal_values_has_a_width(value: float) -> None:
    table = np.c_[np.full(10, value), np.ones(10)]
    of_shares = intervals.mean_interval(table, LEVEL)
    of_losses = intervals.positive_mean_interval(table, LEVEL, 1.9)
    for found in (of_shares, of_losses):
        assert found.low <= found.value <= found.high
        assert found.high - found.low > 0.1


@pytest.mark.parametrize(("a", "b"), [(6.0, 9.0), (0.5, 5.0), (40.0, 1.0)])
@pytest.mark.parametrize("n", [20, 200])
def test_the_interval_of_a_mean_of_values_from_0_to_1_covers_it(n: int, a: float, b: float) -> None:
    values = np.random.default_rng(5).beta(a, b, (DATASETS, n))
    _, limits = intervals.mean_limits(values, np.ones_like(values), LEVEL)
    covered = (limits.low <= a / (a + b)) & (a / (a + b) <= limits.high)
    assert covered.mean() >= least(0.95)


@pytest.mark.parametrize("n", [20, 200])
def test_the_interval_of_a_mean_loss_covers_it(n: int) -> None:
    losses = np.random.default_rng(5).exponential(0.7, (DATASETS, n))
    _, limits = intervals.positive_mean_limits(losses, np.ones_like(losses), LEVEL, 1.0)
    assert ((limits.low <= 0.7) & (limits.high >= 0.7)).mean() >= least(0.95)


def test_scores_whose_resamples_agree_have_a_width() -> None:
    same = np.ones(100)
    found = [
        intervals.resampled_interval(1.0, same, 20, LEVEL),
        intervals.resampled_interval(0.0, 0 * same, 20, LEVEL),
        intervals.explained_variance_interval(1.0, same, 20, LEVEL),
        intervals.explained_variance_interval(0.0, 0 * same, 20, LEVEL),
        *(
            intervals.correlation_interval(
                value, value * same, items=20, groups=20, level=LEVEL, ranks=ranks
            )
            for value in (-1.0, 0.0, 1.0)
            for ranks in (False, True)
        ),
    ]
    for one in found:
        assert one.low <= one.value <= one.high
        assert one.high - one.low > 1e-3


def test_the_interval_of_a_rank_correlation_covers_it() -> None:
    from scipy.stats import spearmanr

    generator = np.random.default_rng(2)
    correlation, n, covered = 0.5, 30, []
    truth = 6 / np.pi * np.arcsin(correlation / 2)
    for _ in range(60):
        x = generator.normal(size=(2, n))
        x[1] = correlation * x[0] + math.sqrt(1 - correlation**2) * x[1]
        drawn = generator.integers(n, size=(80, n))
        ranks = x[:, drawn].argsort(axis=-1).argsort(axis=-1)
        # Ties of items drawn twice are broken by chance here, which the standard error absorbs.
        replicates = [float(np.corrcoef(*pair)[0, 1]) for pair in ranks.swapaxes(0, 1)]
        found = intervals.correlation_interval(
            float(spearmanr(*x)[0]), replicates, items=n, groups=n, level=LEVEL, ranks=True
        )
        covered.append(found.low <= truth <= found.high)
    assert np.mean(covered) >= least(0.95, 60)


def _overconfident(generator: np.random.Generator, n: int, gap: float) -> np.ndarray:
    """Columns of confidences above 0.5, and of answers that are right more rarely by *gap*."""
    confidence = 1 - 0.4 * generator.beta(1, 4, n)
    return stats.reliability_columns(confidence, generator.random(n) < confidence - gap, 15)


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_the_interval_of_the_calibration_error_covers_it(gap: float) -> None:
    generator = np.random.default_rng(11)
    found = [
        calibration_error(
            _overconfident(generator, 100, gap), np.arange(100), level=LEVEL, seed=seed
        )
        for seed in range(40)
    ]
    assert np.mean([one.low <= gap <= one.high for one in found]) >= least(0.95, 40)
    assert all(one.low <= one.value <= one.high for one in found)
    assert min(one.high - one.low for one in found) > 0.01
    # The plug-in value is too high, by what a calibrated model shows; the estimate is not.
    plug_in, value = (
        np.mean([getattr(one, name) for one in found]) for name in ("plug_in", "value")
    )
    assert value < plug_in
    assert abs(value - gap) < 0.025
    if gap == 0:
        assert value < plug_in / 2
        expected = np.mean([one.if_calibrated for one in found])
        spread = np.std([one.plug_in for one in found]) / math.sqrt(len(found))
        assert plug_in == pytest.approx(expected, abs=4 * spread)


def test_a_perfect_and_certain_model_has_a_calibration_interval() -> None:
    found = calibration_error(
        stats.reliability_columns(np.ones(20), np.ones(20), 15), np.arange(20), level=LEVEL, seed=0
    )
    assert (found.value, found.low, found.plug_in) == (0.0, 0.0, 0.0)
    # 20 right answers are not surprising down to a share of 0.83.
    assert found.high == pytest.approx(1 - 0.832, abs=0.02)


def test_correlated_items_widen_the_calibration_interval() -> None:
    columns = _overconfident(np.random.default_rng(4), 40, 0.05)
    alone = calibration_error(columns, np.arange(40), level=LEVEL, seed=0)
    copies, groups = (np.repeat(one, 5, axis=0) for one in (columns, np.arange(40)))
    grouped = calibration_error(copies, groups, level=LEVEL, seed=0)
    assert grouped.plug_in == pytest.approx(alone.plug_in)
    assert grouped.if_calibrated == pytest.approx(alone.if_calibrated, rel=0.15)
    assert grouped.high == pytest.approx(alone.high, rel=0.15)


def test_the_mean_gap_of_bins_is_corrected_for_chance() -> None:
    generator = np.random.default_rng(8)
    members = np.array_split(np.arange(200), 10)
    found = [
        mean_gap(generator.normal(size=200), members, np.arange(200), level=LEVEL, seed=seed)
        for seed in range(40)
    ]
    assert np.mean([one.low == 0 for one in found]) >= least(0.95, 40)
    assert np.mean([one.value for one in found]) < 0.06 < np.mean([one.plug_in for one in found])
    assert all(one.low <= one.value < one.high for one in found)


@pytest.mark.parametrize("values", [[0.1, 0.4, 0.9, 0.7, 0.2], [1.0] * 6])
def test_a_mean_with_other_bounds_is_the_same_mean_on_another_scale(values):
    shares = np.column_stack([values, np.ones(len(values))])
    marks = np.column_stack([[1 + 4 * value for value in values], np.ones(len(values))])
    found = intervals.mean_interval(marks, 0.95, (1.0, 5.0))
    expected = [1 + 4 * one for one in intervals.mean_interval(shares, 0.95)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.low < found.value

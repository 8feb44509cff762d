import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from affectlab.evaluation import stats


def draw(n, classes, seed, skill=0.7):
    """Labels and predictions that agree for about *skill* of the items."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=n)
    guesses = generator.integers(classes, size=n)
    return labels, np.where(generator.random(n) < skill, labels, guesses)


# --- functions of a confusion matrix -------------------------------------------------------


@pytest.mark.parametrize(("n", "classes", "seed"), [(1, 2, 0), (7, 6, 1), (40, 6, 2), (900, 3, 3)])
def test_scores_equal_scikit_learn(n, classes, seed):
    labels, predictions = draw(n, classes, seed)
    confusion = stats.confusion_matrix(labels, predictions, classes)
    every = list(range(classes))

    np.testing.assert_array_equal(
        confusion, metrics.confusion_matrix(labels, predictions, labels=every)
    )
    assert stats.accuracy(confusion) == pytest.approx(metrics.accuracy_score(labels, predictions))
    for ours, average in ((stats.macro_f1, "macro"), (stats.micro_f1, "micro")):
        expected = metrics.f1_score(labels, predictions, average=average, zero_division=0)
        assert ours(confusion) == pytest.approx(expected)
    assert stats.macro_precision(confusion) == pytest.approx(
        metrics.precision_score(labels, predictions, average="macro", zero_division=0)
    )
    # Recall over the classes that occur anywhere, not only among the labels.
    assert stats.macro_recall(confusion) == pytest.approx(
        metrics.recall_score(labels, predictions, average="macro", zero_division=0)
    )
    # And over those among the labels.
    assert stats.balanced_accuracy(confusion) == pytest.approx(
        metrics.balanced_accuracy_score(labels, predictions)
    )
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predictions, labels=every, zero_division=0
    )
    scores = stats.class_scores(confusion)
    np.testing.assert_allclose(scores.precision, precision)
    np.testing.assert_allclose(scores.recall, recall)
    np.testing.assert_allclose(scores.f1, f1)
    np.testing.assert_array_equal(scores.support, support)
    np.testing.assert_array_equal(scores.predicted, np.bincount(predictions, minlength=classes))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16])
def test_class_ids_may_be_of_any_integer_type(kind):
    labels = np.array([20, 27, 3], dtype=kind)
    predictions = np.array([20, 27, 4], dtype=kind)
    expected = metrics.confusion_matrix(labels, predictions, labels=range(28))
    np.testing.assert_array_equal(stats.confusion_matrix(labels, predictions, 28), expected)
    columns = stats.confusion_columns(labels, predictions, 28)
    np.testing.assert_array_equal(columns.sum(axis=0).reshape(28, 28), expected)


def test_scores_of_many_matrices_at_once():
    matrices = np.stack(
        [stats.confusion_matrix(*draw(50, 4, seed), 4) for seed in range(5)]
    ).reshape(5, 1, 4, 4)
    for score in (
        stats.accuracy,
        stats.macro_f1,
        stats.micro_f1,
        stats.macro_precision,
        stats.macro_recall,
        stats.balanced_accuracy,
    ):
        together = score(matrices)
        assert together.shape == (5, 1)
        np.testing.assert_allclose(together[:, 0], [score(one[0]) for one in matrices])


def test_class_never_predicted_counts_as_zero_and_absent_class_is_left_out():
    # Class 1 is never predicted, class 2 occurs nowhere.
    confusion = np.array([[3, 0, 0], [1, 0, 0], [0, 0, 0]])
    scores = stats.class_scores(confusion)
    np.testing.assert_allclose(scores.precision, [0.75, 0, 0])
    np.testing.assert_allclose(scores.f1, [6 / 7, 0, 0])
    assert stats.macro_f1(confusion) == pytest.approx((6 / 7 + 0) / 2)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([], [], "no items"),
        ([0, 1], [0], "1 predictions for 2 labels"),
        ([0, 3], [0, 0], "label lies outside 0..2"),
        ([0, 0], [0, -1], "prediction lies outside 0..2"),
    ],
)
@pytest.mark.parametrize("function", [stats.confusion_matrix, stats.confusion_columns])
def test_bad_pairs_are_refused(function, labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        function(np.array(labels, dtype=int), np.array(predictions, dtype=int), 3)


def test_macro_average_of_nothing_is_refused():
    with pytest.raises(ValueError, match="without items"):
        stats.macro_f1(np.zeros((3, 3), dtype=int))


# --- calibration -----------------------------------------------------------------------------


def ece_by_loop(confidence, correct, bins):
    """Guo et al. 2017, equation 3, one bin after the other."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_equals_the_definition(bins):
    generator = np.random.default_rng(0)
    confidence = generator.uniform(1 / 6, 1, 500)
    correct = generator.random(500) < confidence**2
    sums = stats.reliability_columns(confidence, correct, bins).sum(axis=0)
    expected = ece_by_loop(confidence, correct, bins)
    assert stats.expected_calibration_error(sums) == pytest.approx(expected)

    table = stats.reliability(confidence, correct, bins)
    filled = table.counts > 0
    gaps = np.abs(table.accuracy - table.confidence)[filled]
    assert (table.counts[filled] * gaps).sum() / 500 == pytest.approx(expected)
    assert np.isnan(table.accuracy[~filled]).all()


def test_ece_by_hand():
    # Bins of width 0.5: (0, .5] holds .5 (wrong), (.5, 1] holds .75 and 1.0 (both right).
    sums = stats.reliability_columns(np.array([0.5, 0.75, 1.0]), np.array([0, 1, 1]), 2).sum(axis=0)
    assert stats.expected_calibration_error(sums) == pytest.approx(1 / 3 * 0.5 + 2 / 3 * 0.125)


def test_confidence_outside_the_unit_interval_is_refused():
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        stats.reliability_columns(np.array([1.2]), np.array([1]), 10)
    with pytest.raises(ValueError, match="no items"):
        stats.reliability_columns(np.array([]), np.array([]), 10)


def test_log_loss_equals_scikit_learn():
    generator = np.random.default_rng(3)
    probabilities = softmax(generator.normal(size=(60, 4)), axis=1)
    labels = generator.integers(4, size=60)
    assert stats.log_loss_items(probabilities, labels).mean() == pytest.approx(
        metrics.log_loss(labels, probabilities, labels=range(4))
    )
    assert np.isfinite(stats.log_loss_items(np.array([[1.0, 0.0]]), np.array([1])))


def test_temperature_of_probabilities_equals_temperature_of_logits():
    logits = np.random.default_rng(4).normal(scale=4, size=(50, 6))
    np.testing.assert_allclose(
        stats.apply_temperature(softmax(logits, axis=1), 2.5), softmax(logits / 2.5, axis=1)
    )
    with pytest.raises(ValueError, match="positive"):
        stats.apply_temperature(softmax(logits, axis=1), 0.0)


def test_fitted_temperature_is_found_again():
    """Labels drawn from softmax(z / 2.5): the best temperature of softmax(z) is about 2.5."""
    generator = np.random.default_rng(5)
    logits = generator.normal(scale=5, size=(20_000, 4))
    truth = softmax(logits / 2.5, axis=1)
    labels = (truth.cumsum(axis=1) < generator.random((20_000, 1))).sum(axis=1)
    found = stats.fit_temperature(softmax(logits, axis=1), labels)
    assert found == pytest.approx(2.5, rel=0.05)

    # The likelihood is concave in 1 / T: an unbounded search from scikit-learn's loss agrees.
    def loss(inverse):
        return metrics.log_loss(labels, softmax(logits * inverse, axis=1))

    assert found == pytest.approx(1 / minimize_scalar(loss).x, rel=1e-5)


def test_temperature_of_a_faultless_model_stays_in_range():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    low, _ = stats.TEMPERATURE_RANGE
    assert stats.fit_temperature(probabilities, np.array([0, 1])) == pytest.approx(low, rel=0.01)
    with pytest.raises(ValueError, match="no items"):
        stats.fit_temperature(np.zeros((0, 2)), np.array([], dtype=int))


# --- bootstrap ---------------------------------------------------------------------------------


def accuracy_of(classes):
    return lambda sums: stats.accuracy(sums.reshape(*sums.shape[:-1], classes, classes))


def macro_f1_of(classes):
    return lambda sums: stats.macro_f1(sums.reshape(*sums.shape[:-1], classes, classes))


def test_group_sums_add_the_items_of_a_group():
    columns = np.array([[1.0, 0], [0, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(
        stats.group_sums(columns, ["b", "a", "b", "c"]), [[0, 1], [1, 1], [1, 0]]
    )
    with pytest.raises(ValueError, match="1 groups for 4 items"):
        stats.group_sums(columns, ["a"])
    with pytest.raises(ValueError, match="no items"):
        stats.group_sums(columns[:0], [])


def interval_of(statistic, table, resamples, level, seed):
    value = statistic(np.asarray(table).sum(axis=0))
    replicates = statistic(stats.resample_sums(table, resamples, seed))
    return stats.percentile_interval(value, replicates, level)


def test_interval_of_accuracy_matches_the_binomial():
    """With one item a group, the replicates of the accuracy are exactly binomial."""
    from scipy.stats import binom

    labels = np.zeros(1000, dtype=int)
    predictions = (np.arange(1000) >= 900).astype(int)
    table = stats.group_sums(stats.confusion_columns(labels, predictions, 2), np.arange(1000))
    interval = interval_of(accuracy_of(2), table, 20_000, 0.95, 0)
    assert interval.value == 0.9
    assert interval.low == pytest.approx(binom.ppf(0.025, 1000, 0.9) / 1000, abs=0.0015)
    assert interval.high == pytest.approx(binom.ppf(0.975, 1000, 0.9) / 1000, abs=0.0015)


def test_fast_and_slow_bootstrap_agree():
    """The multinomial short cut against drawing groups and scoring each resample anew."""
    labels, predictions = draw(300, 4, 6)
    groups = np.random.default_rng(7).integers(180, size=300)
    table = stats.group_sums(stats.confusion_columns(labels, predictions, 4), groups)
    fast = interval_of(macro_f1_of(4), table, 4000, 0.9, 1)
    scores = [
        metrics.f1_score(labels[items], predictions[items], average="macro", zero_division=0)
        for items in stats.resampled_items(groups, 1500, 2)
    ]
    slow = stats.percentile_interval(fast.value, np.array(scores), 0.9)
    assert fast.value == metrics.f1_score(labels, predictions, average="macro", zero_division=0)
    assert fast.low == pytest.approx(slow.low, abs=0.006)
    assert fast.high == pytest.approx(slow.high, abs=0.006)


def test_groups_widen_the_interval():
    """Every item copied four times: as groups, the interval stays; as items, it would halve."""
    labels, predictions = draw(200, 2, 8)
    once = stats.confusion_columns(labels, predictions, 2)
    copies = np.tile(once, (4, 1))
    alone = interval_of(accuracy_of(2), once, 5000, 0.95, 0)
    grouped = interval_of(
        accuracy_of(2), stats.group_sums(copies, np.tile(np.arange(200), 4)), 5000, 0.95, 0
    )
    naive = interval_of(accuracy_of(2), copies, 5000, 0.95, 0)
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=0.05)
    assert naive.high - naive.low == pytest.approx((alone.high - alone.low) / 2, rel=0.1)


def test_class_missing_from_a_resample_gives_a_finite_interval():
    labels = np.array([0] * 19 + [1])
    predictions = np.zeros(20, dtype=int)
    table = stats.confusion_columns(labels, predictions, 3)
    replicates = macro_f1_of(3)(stats.resample_sums(table, 500, 0))
    assert np.isfinite(replicates).all()
    # Without the rare item only class 0 occurs, and it is always right.
    assert replicates.max() == 1.0
    assert replicates.min() < 0.5


def test_resampling_is_reproducible_and_keeps_the_number_of_groups():
    table = np.random.default_rng(9).random((50, 3))
    first = stats.resample_sums(np.hstack([table, np.ones((50, 1))]), 40, 5)
    again = stats.resample_sums(np.hstack([table, np.ones((50, 1))]), 40, 5)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first[:, 3], 50)
    assert not np.array_equal(first, stats.resample_sums(np.c_[table, np.ones(50)], 40, 6))


def test_chunks_do_not_change_the_law(monkeypatch):
    table = np.random.default_rng(10).random((100, 1))
    whole = stats.resample_sums(table, 3000, 0).mean(axis=1)
    monkeypatch.setattr(stats, "RESAMPLED_CELLS", 250)
    parts = stats.resample_sums(table, 3000, 0).mean(axis=1)
    np.testing.assert_allclose(whole, parts)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.resample_sums(np.zeros((0, 2)), 10, 0), "no groups"),
        (lambda: stats.resample_sums(np.ones((3, 2)), 0, 0), "at least one resample"),
        (lambda: stats.percentile_interval(0.5, np.ones(3), 1.0), "level lies between"),
        (lambda: next(stats.resampled_items([], 10, 0)), "no items"),
    ],
)
def test_bootstrap_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("only_first", "only_second"), [(10, 3), (0, 6), (40, 55), (1, 0)])
def test_mcnemar_equals_statsmodels(only_first, only_second):
    first = np.r_[np.ones(30), np.ones(only_first), np.zeros(only_second), np.zeros(5)].astype(bool)
    second = np.r_[np.ones(30), np.zeros(only_first), np.ones(only_second), np.zeros(5)]
    table = [[30, only_first], [only_second, 5]]
    ours = stats.mcnemar(first, second.astype(bool))
    corrected = reference_mcnemar(table, exact=False, correction=True)
    assert (ours.only_first, ours.only_second) == (only_first, only_second)
    assert ours.exact_p == pytest.approx(reference_mcnemar(table, exact=True).pvalue)
    assert ours.chi2 == pytest.approx(corrected.statistic)
    assert ours.chi2_p == pytest.approx(corrected.pvalue)


def test_mcnemar_of_equals():
    agree = stats.mcnemar(np.array([1, 0, 1]), np.array([1, 0, 1]))
    assert agree == (0, 0, 1.0, 0.0, 1.0)
    even = stats.mcnemar(np.array([1, 0]), np.array([0, 1]))
    assert (even.exact_p, even.chi2, even.chi2_p) == (1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="no items"):
        stats.mcnemar(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="2 and 1 items"):
        stats.mcnemar(np.array([1, 0]), np.array([1]))


def test_holm_equals_statsmodels():
    for p_values in ([0.01, 0.04, 0.03], [0.5, 0.6, 0.02, 0.02], [0.2], [1.0, 1e-9]):
        expected = multipletests(p_values, method="holm")[1]
        np.testing.assert_allclose(stats.holm(p_values), expected)
    assert stats.holm([]) == []


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 1e6 + 0.1, 0.0])
@pytest.mark.parametrize("n", [1, 7, 1000])
def test_of_a_constant_truth_nothing_is_explained(constant, n):
    """Its deviations are rounding alone, and so were scores made of them."""
    truth = np.full(n, constant)
    spread = np.linspace(-1, 1, n) + constant
    sums = stats.pair_columns(spread, truth).sum(axis=0)
    assert stats.r_squared(sums) == 0
    alike = stats.pair_columns(truth, truth).sum(axis=0)
    assert stats.concordance(alike) == 0


@pytest.mark.parametrize("constant", [0.1, 1 / 3, -0.0441, 1e6 + 0.1])
def test_a_constant_answer_is_in_no_concordance(constant):
    """Its covariance with anything is rounding alone."""
    truth = np.random.default_rng(0).uniform(-1, 1, 280)
    for pair in ((np.full(280, constant), truth), (truth, np.full(280, constant))):
        assert stats.concordance(stats.pair_columns(*pair).sum(axis=0)) == 0


def test_a_small_spread_upon_a_large_mean_is_none_of_rounding():
    generator = np.random.default_rng(0)
    truth = 100 + 0.01 * generator.normal(size=500)
    sums = stats.pair_columns(truth, truth).sum(axis=0)
    assert stats.r_squared(sums) == pytest.approx(1, abs=1e-3)
    assert stats.concordance(sums) == pytest.approx(1, abs=1e-3)

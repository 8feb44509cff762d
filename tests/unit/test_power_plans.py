"""What a plan promises before training, compared with simulated runs and the actual statistics."""

import numpy as np
import pytest
from scipy.stats import t
from simulated_runs import (
    clearly_better,
    decided,
    decision_score,
    outcomes,
    two_runs,
    unequal_groups,
    unequal_labels,
)

from affectlab.errors import UserError
from affectlab.evaluation import intervals, regression, stats
from affectlab.evaluation.planned_numbers import Concordance, Mean
from affectlab.evaluation.planned_scores import Decisions, repeated_groups
from affectlab.evaluation.planning import (
    POWER,
    Question,
    design_effect,
    make_plan,
)

nightly = pytest.mark.nightly

STATISTICS = {
    "accuracy": stats.accuracy,
    "macro_f1": stats.macro_f1,
    "balanced_accuracy": stats.balanced_accuracy,
}

# Score, items, groups (None: each item alone), classes, expected, correlation within groups.
SETTINGS = [
    ("accuracy", 60, None, 3, 0.6, 0.0),
    ("accuracy", 300, 40, 4, 0.6, 1.0),
    ("macro_f1", 200, None, 6, 0.6, 0.0),
    ("balanced_accuracy", 240, 24, 8, 0.5, 0.3),
    *(
        pytest.param(score, items, groups, classes, expected, within, marks=nightly)
        for score in STATISTICS
        for items in (50, 200, 1000)
        for classes in (2, 4, 8)
        for expected in (0.55, 0.7, 0.9)
        for groups, within in ((None, 0.0), (25, 0.0), (25, 0.3), (25, 1.0))
    ),
]


def question(score, expected=0.5):
    return Question("score", "the score", score, expected, "stated")


def groups_of(generator, items, number):
    return np.arange(items) if number is None else unequal_groups(generator, items, number)


def case(items, groups, classes):
    generator = np.random.default_rng([items, groups or 0, classes])
    return (
        generator,
        unequal_labels(generator, items, classes),
        groups_of(generator, items, groups),
    )


@pytest.mark.parametrize(("score", "items", "groups", "classes", "expected", "within"), SETTINGS)
def test_the_planned_width_is_that_of_simulated_runs(
    score, items, groups, classes, expected, within, record_property
):
    generator, labels, codes = case(items, groups, classes)
    planned = Decisions(score, labels, codes, classes)
    [outlook] = make_plan(question(planned), expected=expected, within=within).outlooks
    recall = planned.quality(expected)
    widths = []
    for _ in range(300):
        right = outcomes(generator, codes, (recall, 1 - recall), within) == 0
        columns = stats.confusion_columns(
            labels, decided(generator, labels, right, classes), classes
        )
        found = intervals.confusion_interval(score, stats.group_sums(columns, codes), 0.95)
        widths.append(found.high - found.low)
    ratio = outlook.width / np.mean(widths)
    record_property("ratio", float(ratio))
    assert ratio == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("score", "items", "groups", "classes", "expected", "within"),
    [
        ("accuracy", 200, None, 3, 0.7, 0.0),
        ("macro_f1", 200, 40, 4, 0.6, 0.3),
        *(
            pytest.param(score, items, groups, classes, expected, within, marks=nightly)
            for score in STATISTICS
            for items in (100, 400, 1500)
            for classes, expected in ((2, 0.7), (6, 0.55), (4, 0.85))
            for groups, within in ((None, 0.0), (50, 0.3), (50, 1.0))
        ),
    ],
)
def test_the_smallest_difference_is_found_with_the_planned_power(
    score, items, groups, classes, expected, within, record_property
):
    generator, labels, codes = case(items, groups, classes)
    planned = Decisions(score, labels, codes, classes)
    plan = make_plan(question(planned), expected=expected, within=within)
    first = planned.quality(expected)
    # The loss of recall that lowers the score by the difference.
    second = planned.quality(expected - plan.outlooks[0].smallest_difference)
    shares = two_runs(first, second, plan.agree)
    trials = 400
    hits = 0
    for seed in range(trials):
        drawn = outcomes(generator, codes, shares, within)
        runs = [
            decision_score(
                STATISTICS[score],
                labels,
                decided(generator, labels, np.isin(drawn, right), classes),
                codes,
                classes,
            )
            for right in ((0, 1), (0, 2))
        ]
        hits += clearly_better(*runs, codes, seed)
    record_property("power", float(hits / trials))
    # 0.75 to 0.85, and two standard errors of 400 trials.
    assert hits / trials == pytest.approx(POWER, abs=0.09)


def correlated(generator, codes, within):
    common = generator.standard_normal(int(codes.max()) + 1)[codes]
    return within**0.5 * common + (1 - within) ** 0.5 * generator.standard_normal(len(codes))


NUMBERS = [
    (150, None, 0.5, 0.0),
    *(
        pytest.param(items, groups, expected, within, marks=nightly)
        for items in (60, 300)
        for expected in (0.3, 0.6, 0.85)
        for groups, within in ((None, 0.0), (30, 0.3), (30, 1.0))
    ),
]


@pytest.mark.parametrize(("items", "groups", "expected", "within"), NUMBERS)
def test_the_planned_concordance_is_that_of_simulated_runs(
    items, groups, expected, within, record_property
):
    """Width and power; each data set has new items, whose truth is correlated in groups."""
    generator = np.random.default_rng(items)
    codes = groups_of(generator, items, groups)

    def truth():
        return correlated(generator, codes, 0.2)

    planned = Concordance(truth()[:, None], codes)
    plan = make_plan(question(planned), expected=expected, within=within)
    [outlook] = plan.outlooks
    # Where no difference can be shown, not even a run without skill is found to be worse.
    found_difference = outlook.smallest_difference is not None
    worse = expected - outlook.smallest_difference if found_difference else 0.0
    widths, hits = [], 0
    trials = 200
    for seed in range(trials):
        true = truth()
        first = correlated(generator, codes, within)
        other = plan.agree * first + (1 - plan.agree**2) ** 0.5 * correlated(
            generator, codes, within
        )
        ours, theirs = (
            regression.scores(
                true[:, None],
                (quality * true + (1 - quality**2) ** 0.5 * error)[:, None],
                codes,
                ["valence"],
            )["ccc"]
            for quality, error in ((expected, first), (worse, other))
        )
        found = intervals.correlation_interval(
            ours.value,
            intervals.replicates_of(ours.statistic, ours.table, 400, seed),
            items=items,
            groups=len(ours.table),
            level=0.95,
            ranks=False,
        )
        widths.append(found.high - found.low)
        hits += clearly_better(ours, theirs, codes, seed)
    record_property("ratio", float(outlook.width / np.mean(widths)))
    record_property("power", float(hits / trials))
    assert outlook.width == pytest.approx(np.mean(widths), rel=0.1)
    assert hits / trials < POWER + 0.07
    assert hits / trials > POWER - 0.07 or not found_difference


@pytest.mark.parametrize(
    ("items", "groups", "expected", "within"),
    [
        (100, None, 0.3, 0.0),
        *(
            pytest.param(items, groups, expected, within, marks=nightly)
            for items in (40, 300)
            for expected in (0.1, 0.3, 0.6)
            for groups, within in ((None, 0.0), (20, 0.3))
        ),
    ],
)
def test_the_planned_mean_is_that_of_simulated_runs(
    items, groups, expected, within, record_property
):
    generator = np.random.default_rng(items)
    codes = groups_of(generator, items, groups)
    planned = Mean(generator.beta(3, 7, size=items), codes)
    plan = make_plan(question(planned), expected=expected, within=within)
    [outlook] = plan.outlooks
    widths = []
    for _ in range(200):
        values = group_values(generator, codes, expected, within, planned)
        table = stats.group_sums(np.c_[values, np.ones(items)], codes)
        found = intervals.mean_interval(table, 0.95)
        widths.append(found.high - found.low)
    record_property("ratio", float(outlook.width / np.mean(widths)))
    assert outlook.width == pytest.approx(np.mean(widths), rel=0.1)


def group_values(generator, codes, expected, within, planned):
    """Values of a Gaussian copula with the marginal distribution of the plan."""
    from scipy.stats import beta, norm

    mean, variance = planned.values.mean(), planned.values.var()
    size = mean * (1 - mean) / variance - 1
    ranks = norm.cdf(correlated(generator, codes, within))
    return beta.ppf(ranks, expected * size, (1 - expected) * size)


@pytest.mark.parametrize("width", [0.1, pytest.param(0.05, marks=nightly)])
@pytest.mark.parametrize("score", STATISTICS)
def test_as_many_items_as_planned_give_the_wanted_width(score, width):
    _, labels, codes = case(120, 24, 3)
    planned = Decisions(score, labels, codes, 3)
    plan = make_plan(question(planned), expected=0.7, within=0.2, width=width)
    needed = plan.outlooks[0].needed
    assert needed > 120
    places, groups = repeated_groups(codes, needed, 5)
    larger = Decisions(score, labels[places], groups, 3)
    [outlook] = make_plan(question(larger), expected=0.7, within=0.2).outlooks
    assert outlook.width == pytest.approx(width, rel=0.03)


def test_the_interval_of_independent_items_is_near_the_normal_one():
    labels = np.arange(2000) % 2
    planned = Decisions("accuracy", labels, np.arange(2000), 2)
    [outlook] = make_plan(question(planned), expected=0.5).outlooks
    assert outlook.width == pytest.approx(2 * 1.96 * (0.25 / 2000) ** 0.5, rel=0.02)
    assert outlook.design_effect == 1


def test_the_smallest_difference_of_independent_items_is_near_the_normal_one():
    """(1.96 + 0.84) standard errors of the difference of paired shares."""
    planned = Decisions("accuracy", np.zeros(1000, np.int64), np.arange(1000), 2)
    plan = make_plan(question(planned), expected=0.7, agree=0.8)
    found = plan.outlooks[0].smallest_difference
    assert found == pytest.approx(2.80 * ((0.2 - found**2) / 1000) ** 0.5, rel=0.03)


def test_items_that_agree_in_groups_count_as_one_each():
    groups = np.repeat(np.arange(50), 8)
    assert design_effect(groups, 1.0) == 8
    assert design_effect(groups, 0.5) == 4.5
    labels = np.tile([0, 1], 200)
    grouped = make_plan(question(Decisions("accuracy", labels, groups, 2)), expected=0.7)
    alone = make_plan(question(Decisions("accuracy", labels[:50], np.arange(50), 2)), expected=0.7)
    assert [one.within for one in grouped.outlooks] == [1.0, 0.0]
    # The interval over groups has a quantile of Student's t.
    wider = t.ppf(0.975, 49) / t.ppf(0.975, 399)
    assert grouped.outlooks[0].width == pytest.approx(wider * alone.outlooks[0].width, rel=0.02)


@pytest.mark.parametrize("expected", [0.2, 0.5, 0.9])
def test_a_score_is_reached_at_its_quality(expected):
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    for score, statistic in STATISTICS.items():
        planned = Decisions(score, labels, np.arange(100), 3)
        generator = np.random.default_rng(0)
        recall = planned.quality(expected)
        values = []
        for _ in range(200):
            right = generator.random(100) < recall
            predicted = decided(generator, labels, right, 3)
            values.append(statistic(stats.confusion_matrix(labels, predicted, 3)))
        assert np.mean(values) == pytest.approx(expected, abs=0.015)


def test_too_few_groups_detect_nothing():
    labels = np.arange(6) % 2
    planned = Decisions("accuracy", labels, np.zeros(6, np.int64), 2)
    assert all(one.smallest_difference is None for one in make_plan(question(planned)).outlooks)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"expected": 1.2}, "score 1.2: expected a value between 0 and 1"),
        ({"within": 2.0}, "correlation 2: expected a value from 0 to 1"),
        ({"width": 0.0}, "width 0: expected a value between 0 and 1"),
        (
            {"expected": 0.9, "agree": 0.5},
            "agreement 0.5: expected a value from 0.8 to 1; two runs with a score of 0.9 cannot",
        ),
    ],
)
def test_what_no_data_can_have_is_rejected(wish, message):
    planned = Decisions("accuracy", np.arange(50) % 2, np.arange(50), 2)
    with pytest.raises(UserError, match=message):
        make_plan(question(planned), **wish)

"""Scores by subgroup, and the largest gap: coverage by simulation, and cases worked by hand."""

import numpy as np
import pytest
from simulated_runs import outcomes

from affectlab.config.models import Bootstrap
from affectlab.evaluation import intervals, stats
from affectlab.evaluation.subgroups import (
    TOO_WIDE,
    SubgroupScore,
    largest_gap,
    subgroup_scores,
)

BOOTSTRAP = Bootstrap(resamples=200)
nightly = pytest.mark.nightly


def accuracy(sums):
    return stats.accuracy(sums.reshape(*np.shape(sums)[:-1], 2, 2))


def accuracy_interval(table):
    return intervals.confusion_interval("accuracy", table, 0.95)


def of_decisions(right, groups, subgroups):
    columns = stats.confusion_columns(np.zeros(len(right), np.int64), 1 - right, 2)
    return subgroup_scores(
        columns,
        accuracy,
        accuracy_interval,
        groups=groups,
        subgroups=subgroups,
        bootstrap=BOOTSTRAP,
    )


def of_numbers(predicted, true, groups, subgroups):
    def interval(table):
        replicates = intervals.replicates_of(stats.concordance, table, 200, 0)
        value = float(stats.concordance(table.sum(axis=0)))
        return intervals.correlation_interval(
            value,
            replicates,
            items=int(table[:, 0].sum()),
            groups=len(table),
            level=0.95,
            ranks=False,
        )

    return subgroup_scores(
        stats.pair_columns(predicted, true),
        stats.concordance,
        interval,
        groups=groups,
        subgroups=subgroups,
        bootstrap=BOOTSTRAP,
    )


def names_of(sizes):
    return np.repeat([f"s{place}" for place in range(len(sizes))], sizes)


def alone(generator, sizes, true):
    """Each item is a group; accuracies *true*."""
    right = generator.random(sum(sizes)) < np.repeat(true, sizes)
    return of_decisions(right.astype(np.int64), np.arange(len(right)), names_of(sizes).tolist())


def authors_of_one(generator, sizes, true):
    """Groups of four items, each in one subgroup; correlation 0.3 within."""
    right, groups = [], []
    for size, share in zip(sizes, true, strict=True):
        own = np.arange(size) // 4
        right.append(outcomes(generator, own, (1 - share, share), 0.3))
        groups.append(own + 1000 * len(groups))
    return of_decisions(np.concatenate(right), np.concatenate(groups), names_of(sizes).tolist())


def authors_of_all(generator, sizes, true):
    """Authors with items in every subgroup, who are easy or hard; sizes are equal."""
    groups = np.tile(np.arange(sizes[0]), len(sizes))
    common = generator.random(sizes[0])[groups]
    drawn = np.where(generator.random(len(groups)) < 0.6, common, generator.random(len(groups)))
    right = (drawn < np.repeat(true, sizes)).astype(np.int64)
    return of_decisions(right, groups, names_of(sizes).tolist())


def concordances(generator, sizes, true):
    """Numbers with these concordances."""
    values = generator.standard_normal(sum(sizes))
    quality = np.repeat(true, sizes)
    errors = generator.standard_normal(len(values))
    predicted = quality * values + np.sqrt(1 - quality**2) * errors
    return of_numbers(predicted, values, np.arange(len(values)), names_of(sizes).tolist())


def covered(world, sizes, true, datasets):
    """Coverage of the subgroups' intervals and of the interval of the largest gap."""
    generator = np.random.default_rng([*sizes, round(1000 * true[0])])
    known = {f"s{place}": value for place, value in enumerate(true)}
    single, gaps = [], []
    for _ in range(datasets):
        found = world(generator, sizes, true)
        single += [one.interval.low <= known[one.name] <= one.interval.high for one in found.scores]
        gap = found.gap
        difference = known[gap.higher] - known[gap.lower]
        gaps.append(gap.interval.low <= difference <= gap.interval.high)
    return np.mean(single), np.mean(gaps)


WORLDS = [alone, authors_of_one, authors_of_all, concordances]


@pytest.mark.parametrize(
    ("world", "count", "size", "gap", "datasets"),
    [
        (alone, 3, 60, 0.0, 300),
        (concordances, 2, 60, 0.2, 200),
        *(
            pytest.param(world, count, size, gap, 800, marks=nightly)
            for world in WORLDS
            for count in (2, 3, 6)
            for size in (40, 240)
            for gap in (0.0, 0.2)
        ),
    ],
)
def test_intervals_of_subgroups_and_of_the_largest_gap_cover(
    world, count, size, gap, datasets, record_property
):
    single, largest = covered(world, [size] * count, [0.65 - gap, *[0.65] * (count - 1)], datasets)
    record_property("single", float(single))
    record_property("largest", float(largest))
    # 0.93 to 0.97, and two and a half standard errors of so many data sets.
    noise = 2.5 * (0.95 * 0.05 / datasets) ** 0.5
    assert 0.93 - noise <= single
    assert 0.93 - noise <= largest
    # Exact intervals of few items cover more often.
    assert largest <= 0.985 + noise


def score(name, value, reach, n=100, groups=100):
    return SubgroupScore(name, n, groups, stats.Interval(value, value - reach, value + reach))


def test_the_gap_of_two_subgroups_has_the_usual_interval():
    found = largest_gap([score("a", 0.6, 0.03), score("b", 0.8, 0.04)], np.eye(2), BOOTSTRAP)
    assert (found.higher, found.lower, found.pairs) == ("b", "a", 1)
    assert found.interval.value == pytest.approx(0.2)
    assert found.interval.high - 0.2 == pytest.approx(0.05, rel=0.03)


def test_without_true_gaps_the_interval_is_that_of_the_studentised_range():
    """The 95 % quantile of the range of six standard normal values is 4.03."""
    found = largest_gap([score(f"s{n}", 0.7, 0.0196) for n in range(6)], np.eye(6), BOOTSTRAP)
    assert found.interval.high - found.interval.value == pytest.approx(0.01 * 4.03, rel=0.02)


def test_where_one_subgroup_clearly_differs_fewer_pairs_compete():
    equal = [score(f"s{n}", 0.9, 0.02) for n in range(5)]
    far = largest_gap([*equal, score("low", 0.3, 0.02)], np.eye(6), BOOTSTRAP)
    near = largest_gap([*equal, score("low", 0.89, 0.02)], np.eye(6), BOOTSTRAP)
    assert far.lower == near.lower == "low"
    widths = [one.interval.high - one.interval.low for one in (far, near)]
    assert widths[0] < 0.95 * widths[1]


def test_subgroups_that_share_authors_are_correlated():
    """Authors are right on all their items or on none: the gap is known exactly."""
    right = np.tile(np.repeat([1, 0], 40), 2)
    groups = np.tile(np.arange(80), 2)
    subgroups = names_of([80, 80]).tolist()
    together = of_decisions(right, groups, subgroups).gap
    apart = of_decisions(right, np.arange(160), subgroups).gap
    assert together.interval.high < 0.1 * apart.interval.high


def test_a_small_subgroup_is_reported():
    right = np.array([1, 0] * 10 + [1] * 600 + [0] * 200)
    found = of_decisions(right, np.arange(820), ["small"] * 20 + ["large"] * 800)
    large, small = found.scores
    assert (large.name, large.n, large.too_small, large.warning) == ("large", 800, False, None)
    assert small.interval.high - small.interval.low > TOO_WIDE
    assert small.warning.startswith("The subgroup small has 20 items. This is too few for its")
    record = found.as_record()
    assert record["scores"]["small"]["too_small"]
    assert record["largest_gap"]["higher"] == "large"


def test_items_of_one_group_are_too_few():
    right = np.array([1] * 400 + [0] * 400)
    groups = [0] * 400 + list(range(1, 401))
    found = of_decisions(right, groups, ["one"] * 400 + ["many"] * 400)
    assert found.scores[1].too_small
    assert "400 items in 1 groups" in found.scores[1].warning


def test_one_subgroup_has_no_gap():
    assert of_decisions(np.array([1, 0, 1]), [1, 2, 3], ["a"] * 3).gap is None


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="3 items, 2 groups, 3 subgroups"):
        of_decisions(np.array([1, 0, 1]), [1, 2], ["a"] * 3)

"""Label sets: thresholds, scores against scikit-learn, trivial baselines, intervals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from affectlab.config.models import Bootstrap
from affectlab.evaluation import intervals, multilabel, stats
from affectlab.evaluation.multilabel import LabelSets, Prior
from affectlab.evaluation.thresholds import choose_thresholds

CLASSES = ("anger", "fear", "joy", "trust")
BOOTSTRAP = Bootstrap(resamples=200)


def drawn(n, seed=0, classes=4, digits=2):
    """Label sets and probabilities that say something of them, with ties."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 1.5, size=(n, classes))
    true = generator.random((n, classes)) < expit(logits)
    noisy = logits + generator.normal(size=logits.shape)
    return true, np.round(expit(noisy), digits)


def sets_of(true, probabilities, thresholds=None, prior=None):
    n, size = true.shape
    cuts = np.full(size, 0.4) if thresholds is None else thresholds
    return LabelSets(
        tuple(f"i{number:04d}" for number in range(n)),
        true,
        probabilities >= cuts,
        probabilities,
        np.tile(cuts, (n, 1)),
        (prior or Prior.of(true),) * n,
    )


# --- thresholds


def test_a_threshold_has_the_best_f1_of_all():
    true, probabilities = drawn(200)
    found = choose_thresholds(true, probabilities)
    for k in range(4):
        ours = f1_score(true[:, k], probabilities[:, k] >= found.values[k])
        grid = np.unique(probabilities[:, k])
        best = max(f1_score(true[:, k], probabilities[:, k] >= one) for one in grid)
        assert ours == pytest.approx(best, abs=1e-12)


def test_of_equally_good_thresholds_the_nearest_to_one_half_is_taken():
    true = np.array([[1], [1], [0], [0]], bool)
    found = choose_thresholds(true, np.array([[0.9], [0.8], [0.2], [0.1]]))
    assert found.values[0] == pytest.approx(0.5)
    # The first item alone, or all four: an F1 of 2 / 3 either way.
    true = np.array([[1], [0], [0], [1]], bool)
    scores = np.array([[0.7], [0.6], [0.05], [0.04]])
    assert choose_thresholds(true, scores).values[0] == pytest.approx(0.65)


def test_thresholds_do_not_depend_on_the_order_of_the_items():
    shuffled = np.random.default_rng(1).permutation(200)
    true, probabilities = drawn(200)
    np.testing.assert_array_equal(
        choose_thresholds(true, probabilities).values,
        choose_thresholds(true[shuffled], probabilities[shuffled]).values,
    )


def test_a_class_without_positives_keeps_one_half():
    true, probabilities = drawn(50)
    true[:, 2] = False
    found = choose_thresholds(true, probabilities)
    assert found.values[2] == 0.5
    assert found.chosen.tolist() == [True, True, False, True]


def test_all_items_can_be_given_a_class():
    found = choose_thresholds(np.array([[1], [1]], bool), np.array([[0.0], [0.3]]))
    assert found.decide(np.array([[0.0], [0.3]])).all()
    found = choose_thresholds(np.array([[1], [0]], bool), np.array([[1.0], [np.nextafter(1, 0)]]))
    assert found.decide(np.array([[1.0], [np.nextafter(1, 0)]])).tolist() == [[True], [False]]


@pytest.mark.parametrize("shape", [(0, 4), (3, 2)])
def test_no_items_or_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"no items|shape"):
        choose_thresholds(np.zeros(shape, bool), np.zeros((shape[0], 4)))


# --- scores


def test_scores_are_those_of_scikit_learn():
    true, probabilities = drawn(150)
    split = sets_of(true, probabilities)
    found = multilabel.score_split(split, range(150), BOOTSTRAP)
    values = {name: entry["value"] for name, entry in found["metrics"].items()}
    assert values == pytest.approx(
        {
            "macro_f1": f1_score(true, split.decided, average="macro"),
            "micro_f1": f1_score(true, split.decided, average="micro"),
            "exact_match": accuracy_score(true, split.decided),
            "mean_average_precision": average_precision_score(true, probabilities),
        }
    )
    tables = multilabel.scores(true, split.decided, range(150))
    assert {name: one.value for name, one in tables.items()} == pytest.approx(
        {name: values[name] for name in tables}
    )
    each = f1_score(true, split.decided, average=None)
    for k, name in enumerate(CLASSES):
        row = multilabel.per_class(split, CLASSES)[name]
        assert row["f1"] == pytest.approx(each[k])
        assert row["average_precision"] == pytest.approx(
            average_precision_score(true[:, k], probabilities[:, k])
        )
        assert row["threshold"] == pytest.approx(0.4)
        assert (row["support"], row["predicted"]) == (
            true[:, k].sum(),
            split.decided[:, k].sum(),
        )
    for entry in found["metrics"].values():
        assert entry["ci"][0] < entry["value"] < entry["ci"][1]


def test_weighted_precisions_are_those_of_repeated_items():
    true, probabilities = drawn(60)
    weights = np.random.default_rng(3).integers(0, 4, size=(5, 60))
    found = multilabel.average_precisions(true, probabilities, weights)
    for row, own in zip(weights, found, strict=True):
        places = np.repeat(np.arange(60), row)
        expected = average_precision_score(true[places], probabilities[places], average=None)
        np.testing.assert_allclose(own, expected)


def test_a_class_that_does_not_occur_is_left_out():
    true, probabilities = drawn(80)
    true[:, 1], probabilities[:, 1] = False, 0.1
    split = sets_of(true, probabilities)
    found = multilabel.score_split(split, range(80), BOOTSTRAP)
    rest = [0, 2, 3]
    assert found["metrics"]["macro_f1"]["value"] == pytest.approx(
        f1_score(true[:, rest], split.decided[:, rest], average="macro")
    )
    assert found["metrics"]["mean_average_precision"]["value"] == pytest.approx(
        average_precision_score(true[:, rest], probabilities[:, rest])
    )
    assert multilabel.per_class(split, CLASSES)["fear"]["average_precision"] is None


def test_items_may_have_no_class():
    true = np.zeros((6, 4), bool)
    split = sets_of(true, np.full((6, 4), 0.1))
    found = multilabel.score_split(split, range(6), BOOTSTRAP)["metrics"]
    assert found["exact_match"]["value"] == 1
    assert found["macro_f1"]["value"] == 0
    assert "mean_average_precision" not in found


def test_items_are_left_out_with_all_that_belongs_to_them():
    split = sets_of(*drawn(5))
    rest = split.without({"i0001", "i0003"})
    assert rest.ids == ("i0000", "i0002", "i0004")
    np.testing.assert_array_equal(rest.decided, split.decided[[0, 2, 4]])
    assert len(rest.priors) == 3


# --- trivial baselines


def test_the_strongest_trivial_baseline_is_reported():
    generator = np.random.default_rng(2)
    train = generator.random((400, 4)) < [0.7, 0.1, 0.2, 0.05]
    true, probabilities = drawn(100)
    prior = Prior.of(train)
    found = multilabel.trivial_scores(sets_of(true, probabilities, prior=prior))
    sets, counts = np.unique(train, axis=0, return_counts=True)
    answers = {
        "all_classes": np.ones_like(true),
        "commonest_set": np.tile(sets[counts.argmax()], (100, 1)),
        "majority_of_each_class": np.tile([True, False, False, False], (100, 1)),
    }
    for name, score in (
        ("macro_f1", lambda one: f1_score(true, one, average="macro", zero_division=0)),
        ("micro_f1", lambda one: f1_score(true, one, average="micro", zero_division=0)),
        ("exact_match", lambda one: accuracy_score(true, one)),
    ):
        assert found[name][1] >= max(score(one) for one in answers.values()) - 1e-12
    assert found["mean_average_precision"] == ("class_shares", pytest.approx(true.mean()))
    known = replace(sets_of(true, probabilities), answers={"conditions": true})
    perfect = multilabel.trivial_scores(known)
    assert perfect["macro_f1"] == ("conditions", 1.0)


def test_drawing_by_shares_is_scored_by_its_expectation():
    """Against the mean of many draws; shares of one half are better than always one class."""
    generator = np.random.default_rng(5)
    prior = Prior(np.array([0.6, 0.4, 0.3]), np.array([True, False, False]))
    true = generator.random((3000, 3)) < prior.shares
    split = sets_of(true, true.astype(float), prior=prior)
    drawn_sets = generator.random((40, 3000, 3)) < prior.shares
    match = np.mean([accuracy_score(true, one) for one in drawn_sets])
    f1 = np.mean([f1_score(true, one, average="macro") for one in drawn_sets])
    shares = np.tile(prior.shares, (3000, 1))
    expected = np.where(true, shares, 1 - shares).prod(axis=1).mean()
    assert expected == pytest.approx(match, abs=0.005)
    found = multilabel.trivial_scores(split)
    assert found["macro_f1"][1] >= f1 - 0.005
    assert found["exact_match"][1] >= match - 0.005


def test_the_commonest_set_is_the_first_of_equals():
    prior = Prior.of(np.array([[0, 1], [1, 0], [1, 0], [0, 1]], bool))
    assert prior.commonest.tolist() == [False, True]
    np.testing.assert_allclose(prior.shares, 0.5)


# --- intervals


def coverage(trials, items, size=1, classes=5, seed=0):
    """How often the interval of macro-F1 covers that of the population.

    Args:
        trials: simulated data sets.
        items: in each of them.
        size: items of a group, which share their texts' difficulty and labels.
        classes: of unequal frequency.
        seed: of the generator.
    """
    generator = np.random.default_rng(seed)
    bias = np.linspace(-2.2, 0.3, classes)

    def sample(count):
        shared = generator.normal(size=(count // size, 1, classes))
        own = generator.normal(size=(count // size, size, classes))
        logits = (bias + 1.2 * (shared if size > 1 else 0) + own).reshape(-1, classes)
        true = generator.random(logits.shape) < expit(logits * 1.5)
        return true, logits + 0.5 * generator.normal(size=logits.shape) > 0.2

    true, decided = sample(size * (400_000 // size))
    value = f1_score(true, decided, average="macro")
    covered = 0
    for _ in range(trials):
        true, decided = sample(items)
        groups = np.arange(len(true)) // size
        hits, unions = (stats.group_sums(one, groups) for one in (true & decided, true | decided))
        _, limits = intervals.share_limits(
            hits, unions, 0.95, counted=(true | decided).any(axis=0), f1=True
        )
        covered += limits.low <= value <= limits.high
    return covered / trials


@pytest.mark.parametrize(("items", "size"), [(400, 4), (1000, 10)])
def test_the_interval_of_macro_f1_covers_the_truth(items, size):
    # 500 data sets: the standard error of this coverage is 0.01.
    assert 0.92 <= coverage(500, items, size) <= 0.98


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("items", "size", "most"),
    # It is exact rather than approximate, so few items make it wide.
    [(80, 1, 0.99), (300, 1, 0.98), (1000, 1, 0.97), (400, 4, 0.97), (1000, 10, 0.97)],
)
def test_the_interval_of_macro_f1_covers_the_truth_in_many_data_sets(items, size, most):
    assert 0.94 <= coverage(4000, items, size) <= most

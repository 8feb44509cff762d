"""Comparing runs: what a difference is of, how often it is called clear, and what covers."""

import numpy as np
import pytest

from affectlab.evaluation import comparison, stats
from affectlab.evaluation.comparison import RECIPES, TRAINED_MODELS, Resamples, Run, Trials

LEVEL = 0.95


def record(name, seed, value, ci, groups):
    score = {"value": value, "ci": ci, "direction": "higher", "baseline": None}
    return {
        "run": name,
        "protocol": "corrected",
        "method": "full",
        "seed": seed,
        "model": {"name": "m"},
        "data": {"name": "made", "split": "test", "n": groups, "groups": groups},
        "metrics": {"accuracy": score},
    }


def share_of(table):
    return comparison.Score("higher", table, lambda sums: sums[..., 0] / sums[..., 1])


def made_run(name, correct, resamples, *, seedless=False):
    """A run whose models are right about the items *correct* ``[k, n]``."""
    values, drawn = resamples.trials(
        [share_of(np.c_[row, np.ones(len(row))]) for row in correct.astype(float)]
    )
    records = [
        record(name, seed, value, np.quantile(rows, [0.025, 0.975]), correct.shape[1])
        for seed, (value, rows) in enumerate(zip(values, drawn, strict=True))
    ]
    return Run(
        records,
        "made",
        {"accuracy": Trials(values, drawn)},
        {"accuracy": (0.0, 1.0)},
        seedless=seedless,
        correct=list(correct),
    )


def pair_of(first, second):
    (pair,) = comparison.pairs([first, second], ["accuracy"], LEVEL)
    return pair


class Simulation:
    """Right and wrong predictions of models: easy and hard items, lucky and unlucky seeds."""

    def __init__(self, items, seed_sd, seed=0, resamples=200):
        self.generator = np.random.default_rng(seed)
        self.items, self.seed_sd = items, seed_sd
        self.draws = Resamples(range(items), resamples, seed)

    def runs(self, accuracies, seeds):
        """Runs with these expected accuracies and numbers of seeds on the same new items."""
        shared = self.generator.standard_normal(self.items)
        found = []
        for number, (accuracy, k) in enumerate(zip(accuracies, seeds, strict=True)):
            share = np.clip(accuracy + self.seed_sd * self.generator.standard_normal(k), 0.02, 0.98)
            own = self.generator.standard_normal((k, self.items))
            latent = np.sqrt(0.7) * shared + np.sqrt(0.3) * own
            correct = latent < _normal_quantile(share)[:, None]
            found.append(made_run(f"run{number}", correct, self.draws))
        return found


def _normal_quantile(share):
    from scipy.stats import norm

    return norm.ppf(share)


def called_clear(pair):
    return pair["compares"] == RECIPES and pair["differences"]["accuracy"]["significant"]


@pytest.mark.parametrize("seeds", [(1, 1), (2, 2), (1, 5), (3, 3), (3, 5)])
@pytest.mark.parametrize("items", [100, 1000])
def test_two_runs_of_one_recipe_are_seldom_called_clearly_different(seeds, items):
    simulated = Simulation(items, seed_sd=0.02)
    clear = [called_clear(pair_of(*simulated.runs((0.85, 0.85), seeds))) for _ in range(150)]
    # 0.07 and two standard errors of 150 data sets.
    assert np.mean(clear) <= 0.07 + 2 * np.sqrt(0.07 * 0.93 / 150)
    if min(seeds) < 3:
        assert not any(clear)


def test_a_real_difference_is_called_clear():
    simulated = Simulation(1000, seed_sd=0.01)
    clear = [called_clear(pair_of(*simulated.runs((0.85, 0.80), (5, 5)))) for _ in range(100)]
    assert np.mean(clear) >= 0.8


@pytest.mark.parametrize("seed_sd", [0.005, 0.05])
def test_the_interval_over_three_seeds_covers_other_items_and_seeds(seed_sd):
    simulated = Simulation(200, seed_sd=seed_sd)
    covered = 0
    for _ in range(300):
        (run,) = simulated.runs((0.85,), (3,))
        found = comparison.summarise(run, LEVEL)
        assert found["interval_covers"] == "items and seeds"
        low, high = found["metrics"]["accuracy"]["ci"]
        covered += low <= 0.85 <= high
    assert covered / 300 >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / 300)


def test_below_three_seeds_nothing_is_said_of_seeds():
    """With two seeds of a large spread, Welch and Satterthwaite's interval covers 0.88 to 0.91."""
    draws = Resamples(range(200), 200, 0)
    correct = np.zeros((2, 200), dtype=bool)
    correct[0, :180] = correct[1, :120] = True
    found = comparison.summarise(made_run("two", correct, draws), LEVEL)
    assert found["interval_covers"] == "items"
    entry = found["metrics"]["accuracy"]
    assert entry["sd"] == pytest.approx(np.sqrt(2) * 0.15)
    low, high = entry["ci"]
    # That of the mean of these two models.
    error = correct.mean(axis=0).std() / np.sqrt(200)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.2)


def test_a_single_seed_keeps_the_interval_of_its_run():
    run = made_run("one", np.arange(50)[None] < 40, Resamples(range(50), 100, 0))
    run.records[0]["metrics"]["accuracy"]["ci"] = [0.61, 0.93]
    entry = comparison.summarise(run, LEVEL)["metrics"]["accuracy"]
    assert (entry["ci"], entry["sd"]) == ([0.61, 0.93], None)
    run.records[0]["metrics"]["accuracy"]["ci"] = None
    assert comparison.summarise(run, LEVEL)["metrics"]["accuracy"]["ci"] is None


def test_equal_seeds_keep_the_limits_of_their_runs_and_have_a_width():
    """Of models that are right everywhere, no resample has another score."""
    run = made_run("perfect", np.ones((3, 20), dtype=bool), Resamples(range(20), 100, 0))
    for entry in run.records:
        entry["metrics"]["accuracy"]["ci"] = [0.832, 1.0]
    assert comparison.summarise(run, LEVEL)["metrics"]["accuracy"]["ci"] == pytest.approx(
        [0.832, 1.0]
    )
    found = pair_of(run, run)["differences"]["accuracy"]
    assert found["value"] == 0
    assert found["ci"][0] < 0 < found["ci"][1]
    assert not found["significant"]


def test_the_spread_between_seeds_adds_to_that_of_the_items_by_hand():
    # Items: standard error 0.01, the same for all seeds. Seeds: variance 4e-4 over 3.
    generator = np.random.default_rng(0)
    shared = 0.01 * generator.standard_normal(20_000)
    values = np.array([0.90, 0.92, 0.94])
    trials = Trials(values, values[:, None] + shared)
    records = [
        record("made", seed, value, [value - 0.0196, value + 0.0196], 1000)
        for seed, value in enumerate(values)
    ]
    run = Run(records, "made", {"accuracy": trials}, {"accuracy": (0.0, 0.95)})
    low, high = comparison.summarise(run, LEVEL)["metrics"]["accuracy"]["ci"]
    # Degrees of freedom: (1e-4 + 1.7 * 4e-4 / 3)^2 / ((1.7 * 4e-4 / 3)^2 / 2) = 4.154.
    assert 0.92 - low == pytest.approx(2.7363 * np.sqrt(1e-4 + 4e-4 / 3), rel=1e-3)
    assert high == 0.95


def test_noise_that_a_seed_and_an_item_share_counts_once():
    """Models that agree in nothing: the variance between seeds has all of it."""
    generator = np.random.default_rng(1)
    reaches = []
    for _ in range(100):
        correct = generator.random((10, 500)) < 0.8
        run = made_run("noise", correct, Resamples(range(500), 200, 0))
        low, high = comparison.summarise(run, LEVEL)["metrics"]["accuracy"]["ci"]
        reaches.append((high - low) / 2)
    error = np.sqrt(0.16 / 500 / 10)
    # Twice that variance would give 2.8 standard errors and more.
    assert 2.0 < np.mean(reaches) / error < 2.5


def test_one_model_is_the_recipe_where_no_seed_matters():
    draws = Resamples(range(400), 200, 0)
    generator = np.random.default_rng(2)
    trained = made_run("trained", generator.random((3, 400)) < 0.9, draws)
    plain = generator.random((1, 400)) < 0.6
    for seedless, compares in ((True, RECIPES), (False, TRAINED_MODELS)):
        pair = pair_of(trained, made_run("plain", plain, draws, seedless=seedless))
        assert pair["compares"] == compares
        assert called_clear(pair) == seedless
    summary = comparison.summarise(made_run("plain", plain, draws, seedless=True), LEVEL)
    assert (summary["seedless"], summary["interval_covers"]) == (True, "items")


def test_a_lucky_first_seed_decides_nothing():
    draws = Resamples(range(500), 200, 0)
    generator = np.random.default_rng(3)
    shares = np.array([[0.95, 0.80, 0.86], [0.80, 0.95, 0.86]])
    first, second = (
        made_run(name, generator.random((3, 500)) < share[:, None], draws)
        for name, share in zip("ab", shares, strict=True)
    )
    pair = pair_of(first, second)
    assert pair["first"]["seeds"] == [0, 1, 2]
    assert abs(pair["differences"]["accuracy"]["value"]) < 0.03
    assert not called_clear(pair)
    # The two models that are named differ, and McNemar's test is of them alone.
    assert pair["mcnemar"]["exact_p"] < 0.001


def test_the_difference_of_two_models_has_the_variance_of_what_differs():
    labels = np.arange(800) < 640
    other = labels.copy()
    other[:20] = False
    draws = Resamples(range(800), 4000, 0)
    first, second = (made_run(n, row[None], draws) for n, row in (("a", labels), ("b", other)))
    found = pair_of(first, second)["differences"]["accuracy"]
    assert found["value"] == pytest.approx(20 / 800)
    gain = labels.astype(float) - other
    expected = 1.963 * gain.std(ddof=1) / np.sqrt(800)
    assert (found["ci"][1] - found["ci"][0]) / 2 == pytest.approx(expected, rel=0.05)


def test_items_of_one_group_are_drawn_together():
    groups = np.repeat(np.arange(50), 8)
    generator = np.random.default_rng(4)
    correct = np.repeat(generator.random(50) < 0.7, 8)
    columns = np.c_[correct, np.ones(400)]
    draws = Resamples(groups, 3000, 0)
    (value,), (drawn,) = draws.trials([share_of(stats.group_sums(columns, groups))])
    assert value == correct.mean()
    assert drawn.std() == pytest.approx(correct.std() / np.sqrt(50), rel=0.05)
    assert set(np.round(drawn * 50, 6)) <= set(range(51))


def test_what_has_no_score_for_most_resamples_or_a_single_group_has_no_interval():
    values = np.array([0.5])
    missing = np.full((1, 100), np.nan)
    missing[:, :40] = 0.5
    for trials, groups in ((Trials(values, missing), 50), (Trials(values, missing * 0 + 1), 1)):
        found = comparison.difference(trials, trials, groups=groups, level=LEVEL, over_seeds=False)
        assert found == (0.0, None, None)


def test_runs_on_other_items_or_without_common_resamples_are_not_compared():
    draws = Resamples(range(30), 50, 0)
    first, second, third = (made_run(name, np.arange(30)[None] < 20, draws) for name in "abc")
    other = Run(second.records, "other", second.trials)
    without = Run(third.records, "made", {})
    assert comparison.pairs([first, other, without], ["accuracy"], LEVEL) == []


def test_pairs_on_other_items_do_not_count_for_holm():
    draws = Resamples(range(300), 200, 0)
    generator = np.random.default_rng(5)
    runs = [
        made_run(n, generator.random((1, 300)) < p, draws)
        for n, p in zip("abc", (0.9, 0.8, 0.7), strict=True)
    ]
    others = [Run(run.records, "other", run.trials, correct=run.correct) for run in runs[:2]]
    found = comparison.pairs([*runs, *others], ["accuracy"], LEVEL)
    assert len(found) == 4
    alone = found[-1]["differences"]["accuracy"]
    assert alone["holm_p"] == alone["p"]
    adjusted = [pair["differences"]["accuracy"]["holm_p"] for pair in found[:3]]
    assert adjusted == stats.holm([pair["differences"]["accuracy"]["p"] for pair in found[:3]])


@pytest.mark.parametrize(
    ("groups", "resamples", "message"), [([], 5, "no items"), ([1], 0, "at least one")]
)
def test_resamples_of_nothing_are_refused(groups, resamples, message):
    with pytest.raises(ValueError, match=message):
        Resamples(groups, resamples, 0)

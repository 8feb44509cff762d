"""Probes of numbers: the nested cross-validation, its choices, and what they may not see."""

import numpy as np
import pytest
from blocks import changed
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from affectlab.audio import experiment, probe, solver
from affectlab.audio.controls import permutation_test
from affectlab.audio.folds import number_folds
from affectlab.audio.items import Items
from affectlab.audio.settings import AudioRun, Probe
from affectlab.audio.store import Embeddings
from affectlab.audio.targets import NumberTarget
from affectlab.audio.views import make_view, make_views
from affectlab.errors import UserError

NAMES = ("valence", "arousal")
SETTINGS = Probe(
    views=["layers", "mix"],
    combine="choose",
    statistics=["mean"],
    strengths=[1e-3, 1e-2, 1e-1, 1],
    outer_folds=4,
    inner_folds=3,
    repeats=1,
    permutations=40,
    permutation_strength=0.01,
)


def speech(subjects=12, clips=5, features=20, signal=1.0, voice=1.0, seed=0):
    """Clips whose vectors hold two numbers and the voice of their subject."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(subjects), clips)
    values = generator.normal([5, 50], [1, 10], (len(groups), 2))
    directions = generator.standard_normal((2, features))
    voices = voice * generator.standard_normal((subjects, features))
    noise = generator.standard_normal((len(groups), features))
    standard = (values - [5, 50]) / [1, 10]
    view = signal * standard @ directions + voices[groups] + noise
    return view, NumberTarget(values, NAMES), groups


def concordance(predicted, true):
    """Lin's coefficient by its definition."""
    covariance = np.mean((predicted - predicted.mean()) * (true - true.mean()))
    gap = (predicted.mean() - true.mean()) ** 2
    return 2 * covariance / (predicted.var() + true.var() + gap)


def mean_concordance(predicted, true):
    return np.mean([concordance(predicted[:, d], true[:, d]) for d in range(true.shape[1])])


@pytest.mark.parametrize("features", [5, 90])
def test_the_path_is_that_of_scikit_learns_ridge(features):
    view, target, _ = speech(features=features)
    basis = solver.rotate(view)
    other, _, _ = speech(features=features, seed=1)
    found = solver.ridge_path(basis, target.values, SETTINGS.strengths)
    for strength, weights in zip(SETTINGS.strengths, found, strict=True):
        model = make_pipeline(StandardScaler(), Ridge(alpha=1 / strength))
        expected = model.fit(view, target.values).predict(other)
        np.testing.assert_allclose(weights.logits(basis.transform(other)), expected, rtol=1e-6)


def searched(view, target, groups, settings, seed):
    """The nested cross-validation by scikit-learn: C of each fold, predictions, training means."""
    found, means = np.zeros(target.values.shape), np.zeros(target.values.shape)
    strengths = []
    for train, test in number_folds(target.values[:, 0], groups, settings.outer_folds, seed):
        known, own = view[train], target.values[train]
        inner = number_folds(own[:, 0], groups[train], settings.inner_folds, seed)
        scores = []
        for strength in settings.strengths:
            model = make_pipeline(StandardScaler(), Ridge(alpha=1 / strength))
            held_out = np.zeros(own.shape)
            for inside, outside in inner:
                held_out[outside] = model.fit(known[inside], own[inside]).predict(known[outside])
            # In standardised numbers, of which the concordance does not depend.
            scores.append(mean_concordance(held_out / own.std(axis=0), own / own.std(axis=0)))
        strengths.append(settings.strengths[int(np.argmax(scores))])
        model = make_pipeline(StandardScaler(), Ridge(alpha=1 / strengths[-1]))
        found[test] = model.fit(known, own).predict(view[test])
        means[test] = own.mean(axis=0)
    return strengths, found, means


def test_it_is_the_nested_cross_validation_of_scikit_learn():
    view, target, groups = speech(signal=0.2, voice=2.0, seed=1)
    settings = changed(SETTINGS, strengths=[0.01, 0.03, 0.1, 0.3, 1])
    found = probe.nested({"only": view}, target, groups, settings, seed=3)
    strengths, expected, means = searched(view, target, groups, settings, seed=3)
    assert [choice.strength for choice in found.choices] == strengths
    assert len(set(strengths)) > 1
    np.testing.assert_allclose(found.outputs, expected, rtol=1e-6)
    np.testing.assert_allclose(found.priors["training_mean"], means, rtol=1e-12)
    assert found.calibrated is None


def test_the_view_with_the_signal_is_chosen():
    view, target, groups = speech(signal=2.0)
    views = {"noise": np.random.default_rng(1).standard_normal(view.shape), "signal": view}
    found = probe.nested(views, target, groups, SETTINGS, seed=0)
    assert {choice.view for choice in found.choices} == {"signal"}
    np.testing.assert_array_equal(found.outputs, found.by_view["signal"])


def test_held_out_numbers_are_never_looked_at():
    """Exchanging the numbers of one outer fold leaves all that is said of it as it was."""
    view, target, groups = speech(signal=0.5)
    _, test = target.make_folds(groups, SETTINGS.outer_folds, seed=0)[0]
    other = target.values.copy()
    # The order of the first number decides the folds, so it stays.
    other[test, 0] *= 1.001
    other[test, 1] += 1000
    first, second = (
        probe.nested({"only": view}, given, groups, SETTINGS, seed=0)
        for given in (target, NumberTarget(other, NAMES))
    )
    assert first.choices[0] == second.choices[0]
    np.testing.assert_array_equal(first.outputs[test], second.outputs[test])
    np.testing.assert_array_equal(
        first.priors["training_mean"][test], second.priors["training_mean"][test]
    )
    rest = np.setdiff1d(np.arange(len(groups)), test)
    assert (first.priors["training_mean"][rest] != second.priors["training_mean"][rest]).any()


@pytest.mark.parametrize("views", [["layers", "mix"], ["layers"]])
def test_the_blend_that_is_handed_on_is_one_model_that_answers_as_the_mean_of_all(views):
    first, target, groups = speech(features=12)
    second, _, _ = speech(features=12, seed=1)
    vectors = np.stack([first, second], axis=1).reshape(len(groups), 2, 2, 6).astype(np.float32)
    settings = changed(SETTINGS, views=views, statistics=["mean", "std"], combine="blend")
    features = make_views(vectors, ["a", "b"], views, settings.statistics)
    items = Items([], groups.astype(str), groups, target, NAMES, [], vectors, {})
    embeddings = Embeddings((), (), (), ("a", "b"), vectors, {"encoder": "tiny"})
    model = experiment._final(items, features, embeddings, AudioRun(task="label"), settings, 0)
    _, best = probe.choose(features, target, groups, settings, 0)
    apart = [
        make_pipeline(StandardScaler(), Ridge(alpha=1 / settings.strengths[best[name]]))
        .fit(view.astype(np.float64), target.values)
        .predict(view)
        for name, view in features.items()
    ]
    assert model.target == "numbers"
    assert model.facts["numbers"] == list(NAMES)
    mixed = make_view(vectors, ["a", "b"], model.facts["view"], settings.statistics)
    np.testing.assert_allclose(model.outputs(mixed), np.mean(apart, axis=0), rtol=1e-4)


# --- folds


@pytest.mark.parametrize("count", [8, 11, 40])
def test_folds_hold_every_item_once_and_no_subject_twice(count):
    generator = np.random.default_rng(count)
    groups = np.arange(count) // 2
    folds = number_folds(generator.normal(size=count), groups, 4, seed=1)
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(count))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])


def test_a_number_is_spread_over_the_folds():
    values = np.random.default_rng(0).normal(size=200)
    means = [values[test].mean() for _, test in number_folds(values, np.arange(200), 5, seed=0)]
    assert np.ptp(means) < 0.35
    random = [values[test].mean() for _, test in number_folds(values, None, 5, seed=0)]
    assert np.ptp(random) < 0.35


@pytest.mark.parametrize("values", [[0.0] * 19 + [1.0], [1.0] * 19 + [0.0], list(range(20))])
def test_numbers_that_are_nearly_constant_have_folds(values):
    assert len(number_folds(np.array(values, float), np.arange(20), 5, seed=0)) == 5


def test_too_few_subjects_or_items_are_named():
    values = np.arange(6.0)
    with pytest.raises(UserError, match="4 folds need as many subjects; there are 3"):
        number_folds(values, np.arange(6) // 2, 4, seed=0)
    with pytest.raises(UserError, match="7 folds need as many items; there are 6"):
        number_folds(values, None, 7, seed=0)


# --- controls


def test_a_signal_beats_every_permutation():
    view, target, groups = speech(signal=2.0)
    found = permutation_test(view, target, groups, SETTINGS, 0)
    assert found["p"] == 1 / 41
    assert found["observed"] > found["chance_95"]


def test_p_of_noise_is_uniform():
    """The share of p values up to .25 on noise is a quarter, give or take its own error."""
    settings = changed(SETTINGS, permutations=19, outer_folds=2)
    generator = np.random.default_rng(0)
    found = []
    for seed in range(80):
        _, target, groups = speech(subjects=8, clips=2, seed=seed)
        view = generator.standard_normal((16, 3))
        found.append(permutation_test(view, target, groups, settings, seed)["p"])
    # Four standard errors of 80 draws.
    assert np.mean(np.array(found) <= 0.25) == pytest.approx(0.25, abs=0.2)


def test_numbers_of_subjects_are_permuted_among_subjects_and_together():
    _, target, groups = speech()
    means = np.array([target.values[groups == group].mean(axis=0) for group in range(12)])
    shared = NumberTarget(means[groups], NAMES)
    moved = shared.permuted(groups, np.random.default_rng(1)).values
    assert not np.array_equal(moved, shared.values)
    rows = {tuple(row) for row in means}
    for group in range(12):
        own = {tuple(row) for row in moved[groups == group]}
        assert len(own) == 1
        assert own <= rows


def test_a_leak_shows_when_clips_are_split_at_random():
    """With numbers that belong to subjects, voices alone give the answer away."""
    view, target, groups = speech(signal=0.0, voice=5.0, subjects=20)
    means = np.array([target.values[groups == group].mean(axis=0) for group in range(20)])
    shared = NumberTarget(means[groups], NAMES)
    grouped, leaked = (
        probe.nested({"only": view}, shared, known, SETTINGS, 0).outputs for known in (groups, None)
    )
    assert shared.whole_score(leaked) > shared.whole_score(grouped) + 0.2

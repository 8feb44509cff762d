"""Probes of several classes for each item: against scikit-learn, and what they may not see."""

import numpy as np
import pytest
from blocks import changed
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from affectlab.audio import experiment, probe, solver
from affectlab.audio.controls import permutation_test
from affectlab.audio.folds import stratified_folds
from affectlab.audio.items import Items
from affectlab.audio.label_set_target import LabelSetTarget
from affectlab.audio.settings import AudioRun, Probe
from affectlab.audio.store import Embeddings
from affectlab.audio.views import make_view, make_views
from affectlab.errors import UserError

NAMES = ("calm", "glad", "sad")
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
    """Clips whose vectors hold three independent classes and the voice of their subject."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(subjects), clips)
    labels = generator.random((len(groups), 3)) < [0.5, 0.35, 0.2]
    directions = generator.standard_normal((3, features))
    voices = voice * generator.standard_normal((subjects, features))
    noise = generator.standard_normal((len(groups), features))
    view = signal * labels @ directions + voices[groups] + noise
    return view, LabelSetTarget(labels, NAMES), groups


def classifier(strength):
    one = LogisticRegression(C=strength, class_weight="balanced", max_iter=5000, tol=1e-8)
    return make_pipeline(StandardScaler(), OneVsRestClassifier(one))


def best_threshold_f1(true, probabilities):
    """The best F1 of any threshold, by trying each."""
    return max(f1_score(true, probabilities >= one) for one in np.unique(probabilities))


@pytest.mark.parametrize("features", [5, 90])
def test_the_path_is_that_of_scikit_learns_one_vs_rest(features):
    view, target, _ = speech(features=features)
    basis = solver.rotate(view)
    for strength, weights in zip(
        SETTINGS.strengths, target.fit_path(basis, SETTINGS.strengths), strict=True
    ):
        expected = classifier(strength).fit(view, target.labels).predict_proba(view)
        found = target.outputs(weights, basis.transform(view))
        np.testing.assert_allclose(found, expected, atol=2e-4)


def test_it_is_the_nested_cross_validation_of_scikit_learn():
    view, target, groups = speech(signal=0.5, seed=1)
    found = probe.nested({"only": view}, target, groups, SETTINGS, seed=3)
    assert found.calibrated is None
    folds = target.make_folds(groups, SETTINGS.outer_folds, 3)
    for (train, test), choice in zip(folds, found.choices, strict=True):
        known, own = view[train], target.labels[train]
        inner = target.part(train).make_folds(groups[train], SETTINGS.inner_folds, 3)
        outputs = []
        for strength in SETTINGS.strengths:
            answer = np.zeros(own.shape)
            for part, rest in inner:
                model = classifier(strength).fit(known[part], own[part])
                answer[rest] = model.predict_proba(known[rest])
            outputs.append(answer)
        scores = [average_precision_score(own, one, average="macro") for one in outputs]
        best = int(np.argmax(scores))
        assert choice.strength == SETTINGS.strengths[best]
        assert choice.score == pytest.approx(scores[best], abs=1e-6)
        for k, name in enumerate(NAMES):
            threshold = choice.tuned["class_thresholds"][name]
            reached = f1_score(own[:, k], outputs[best][:, k] >= threshold)
            assert reached == pytest.approx(best_threshold_f1(own[:, k], outputs[best][:, k]))
            np.testing.assert_array_equal(found.thresholds[test, k], threshold)
        expected = classifier(choice.strength).fit(known, own).predict_proba(view[test])
        np.testing.assert_allclose(found.outputs[test], expected, atol=2e-4)
        np.testing.assert_allclose(
            found.priors["class_shares"][test], np.tile(own.mean(axis=0), (len(test), 1))
        )


def test_the_commonest_label_set_is_that_of_the_training_items():
    labels = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0]], bool)
    priors = LabelSetTarget(labels, NAMES).priors(2)
    assert priors["commonest_set"].tolist() == [[1, 1, 0]] * 2
    assert priors["class_shares"].tolist() == [[0.75, 0.5, 0.0]] * 2


def test_held_out_labels_are_never_looked_at():
    """Exchanging the labels of one outer fold leaves all that is predicted of it as it was."""
    view, target, groups = speech(signal=0.5)
    folds = target.make_folds(groups, SETTINGS.outer_folds, seed=0)
    _, test = folds[0]
    labels = target.labels.copy()
    labels[test] = ~labels[test]
    first, second = (
        probe.predict_fold({"only": view}, given, groups, SETTINGS, 0, folds[0])
        for given in (target, LabelSetTarget(labels, NAMES))
    )
    assert first.choice == second.choice
    np.testing.assert_array_equal(first.by_view["only"], second.by_view["only"])
    for name, values in first.priors.items():
        np.testing.assert_array_equal(values, second.priors[name])


def test_the_view_with_the_signal_is_chosen_and_each_view_has_thresholds():
    view, target, groups = speech(signal=2.0)
    views = {"noise": np.random.default_rng(1).standard_normal(view.shape), "signal": view}
    found = probe.nested(views, target, groups, SETTINGS, seed=0)
    assert {choice.view for choice in found.choices} == {"signal"}
    np.testing.assert_array_equal(found.thresholds, found.view_thresholds["signal"])
    assert (found.view_thresholds["noise"] != found.thresholds).any()


def test_the_blend_that_is_handed_on_is_one_model_that_answers_as_the_mean_of_all():
    first, target, groups = speech(features=12)
    second, _, _ = speech(features=12, seed=1)
    vectors = np.stack([first, second], axis=1).reshape(len(groups), 2, 2, 6).astype(np.float32)
    settings = changed(SETTINGS, statistics=["mean", "std"], combine="blend")
    features = make_views(vectors, ["a", "b"], settings.views, settings.statistics)
    items = Items([], groups.astype(str), groups, target, NAMES, [], vectors, {})
    embeddings = Embeddings((), (), (), ("a", "b"), vectors, {"encoder": "tiny"})
    model = experiment._final(items, features, embeddings, AudioRun(task="label"), settings, 0)
    choice, best = probe.choose(features, target, groups, settings, 0)
    logits = [
        classifier(settings.strengths[best[name]])
        .fit(view.astype(np.float64), target.labels)
        .decision_function(view)
        for name, view in features.items()
    ]
    assert model.target == "classes"
    assert model.facts["classes"] == list(NAMES)
    assert model.facts["class_thresholds"] == pytest.approx(choice.tuned["class_thresholds"])
    mixed = make_view(vectors, ["a", "b"], model.facts["view"], settings.statistics)
    expected = 1 / (1 + np.exp(-np.mean(logits, axis=0)))
    np.testing.assert_allclose(model.probabilities(mixed), expected, atol=1e-3)


@pytest.mark.parametrize(("value", "odds"), [(False, 0.5 / 60.5), (True, 60.5 / 0.5)])
def test_a_class_that_no_or_every_training_item_has_is_constant(value, odds):
    view, target, _ = speech()
    labels = target.labels.copy()
    labels[:, 1] = value
    basis = solver.rotate(view)
    (weights,) = LabelSetTarget(labels, NAMES).fit_path(basis, [0.1])
    found = target.outputs(weights, basis.coordinates)
    np.testing.assert_allclose(found[:, 1], odds / (1 + odds))


# --- folds


def test_folds_hold_every_item_once_no_subject_twice_and_spread_the_rarest_class():
    _, target, groups = speech(subjects=40, clips=2)
    folds = target.make_folds(groups, 4, seed=1)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(80))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
    rarest = target.labels.sum(axis=0).argmin()
    random = target.make_folds(None, 4, seed=1)
    assert np.ptp([target.labels[test, rarest].sum() for _, test in random]) <= 1


def test_strata_that_are_too_small_for_the_folds_are_not_used():
    folds = stratified_folds(np.arange(12), None, 4, seed=0)
    assert [len(test) for _, test in folds] == [3] * 4


def test_too_few_subjects_are_named():
    _, target, groups = speech(subjects=3)
    with pytest.raises(UserError, match="4 folds need as many subjects; there are 3"):
        target.make_folds(groups, 4, seed=0)


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
    for seed in range(40):
        _, target, groups = speech(subjects=8, clips=2, seed=seed)
        view = generator.standard_normal((16, 3))
        found.append(permutation_test(view, target, groups, settings, seed)["p"])
    # Four standard errors of 40 draws.
    assert np.mean(np.array(found) <= 0.25) == pytest.approx(0.25, abs=0.28)


def test_label_sets_of_subjects_are_permuted_among_subjects_and_together():
    _, target, groups = speech()
    own = np.array([target.labels[groups == group][0] for group in range(12)])
    shared = LabelSetTarget(own[groups], NAMES)
    moved = shared.permuted(groups, np.random.default_rng(1)).labels
    assert not np.array_equal(moved, shared.labels)
    assert sorted(map(tuple, moved)) == sorted(map(tuple, shared.labels))
    assert all(len({tuple(row) for row in moved[groups == group]}) == 1 for group in range(12))


def test_a_leak_shows_when_clips_are_split_at_random():
    """With label sets that belong to subjects, voices alone give the answer away."""
    view, target, groups = speech(signal=0.0, voice=5.0, subjects=20)
    own = np.array([target.labels[groups == group][0] for group in range(20)])
    shared = LabelSetTarget(own[groups], NAMES)
    grouped, leaked = (
        probe.nested({"only": view}, shared, known, SETTINGS, 0).outputs for known in (groups, None)
    )
    assert shared.whole_score(leaked) > shared.whole_score(grouped) + 0.2

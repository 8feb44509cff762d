import numpy as np
import pytest
from blocks import changed
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from affectlab.audio import experiment, probe
from affectlab.audio.controls import permutation_test, speaker_accuracy
from affectlab.audio.folds import grouped_folds, random_folds
from affectlab.audio.items import Items
from affectlab.audio.processes import side_by_side
from affectlab.audio.scores import uar
from affectlab.audio.settings import AudioRun, Probe
from affectlab.audio.store import Embeddings
from affectlab.audio.targets import ClassTarget
from affectlab.audio.views import make_view, make_views, pool_subjects
from affectlab.errors import UserError
from affectlab.evaluation.conditions import permute

SETTINGS = Probe(
    views=["layers", "mix"],
    combine="choose",
    statistics=["mean"],
    strengths=[1e-3, 1e-2, 1e-1],
    outer_folds=4,
    inner_folds=3,
    repeats=1,
    permutations=40,
    permutation_strength=0.01,
)


def speech(subjects=12, clips=4, features=20, signal=1.5, voice=2.0, seed=0):
    """Clips of two classes, each with its speaker's voice on top."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(subjects), clips)
    labels = np.tile(np.arange(clips) % 2, subjects)
    directions = generator.standard_normal((2, features)) / features**0.5
    voices = voice * generator.standard_normal((subjects, features))
    noise = generator.standard_normal((len(labels), features))
    return signal * directions[labels] * 3 + voices[groups] + noise, labels, groups


def test_no_subject_is_on_both_sides():
    _, labels, groups = speech()
    for train, test in grouped_folds(labels, groups, 4, seed=1):
        assert not set(groups[train]) & set(groups[test])
    tested = np.concatenate([test for _, test in grouped_folds(labels, groups, 4, seed=1)])
    assert sorted(tested) == list(range(len(labels)))


def test_too_few_subjects_are_named():
    with pytest.raises(UserError, match="5 folds need as many subjects; there are 3"):
        grouped_folds(np.array([0, 1, 0]), np.array([0, 1, 2]), 5, seed=0)


@pytest.mark.parametrize(
    ("labels", "folds", "message"),
    [
        ([0, 1, 2, 0, 1, 2], 4, "4 folds need as many items of a class; no class has them"),
        ([1, 0, 0, 0, 0, 0], 3, r"3 folds holds one class alone: .* \(5, 1 items a class\)"),
    ],
)
def test_too_few_items_of_a_class_are_named(labels, folds, message):
    with pytest.raises(UserError, match=message):
        grouped_folds(np.array(labels), np.arange(len(labels)), folds, seed=0)


def test_folds_that_ignore_subjects_are_checked_too():
    with pytest.raises(UserError, match="2 folds holds one class alone"):
        random_folds(np.array([1, 0, 0, 0]), 2, seed=0)
    with pytest.raises(UserError, match="5 folds need as many items; there are 4"):
        random_folds(np.array([1, 0, 1, 0]), 5, seed=0)


def searched(view, labels, groups, settings, seed):
    """The nested cross-validation by scikit-learn.

    C of each outer fold, probabilities, and the same with the temperature that is the likeliest
    for what the inner folds predict.
    """
    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(class_weight="balanced", solver="newton-cg", tol=1e-9, max_iter=2000),
    )
    found = np.zeros((len(labels), labels.max() + 1))
    calibrated = np.zeros_like(found)
    strengths = []
    outer = StratifiedGroupKFold(settings.outer_folds, shuffle=True, random_state=seed)
    for train, test in outer.split(view, labels, groups):
        known = {"X": view[train], "y": labels[train], "groups": groups[train]}
        inner = StratifiedGroupKFold(settings.inner_folds, shuffle=True, random_state=seed)
        search = GridSearchCV(
            model,
            {"logisticregression__C": settings.strengths},
            scoring="balanced_accuracy",
            cv=inner,
        )
        search.fit(**known)
        strengths.append(search.best_params_["logisticregression__C"])
        found[test] = search.predict_proba(view[test])
        logs = cross_val_predict(
            search.best_estimator_, **known, cv=inner, method="predict_log_proba"
        )
        temperature = minimize_scalar(
            lambda t, logs=logs, y=labels[train]: log_loss(y, softmax(logs / t, axis=1)),
            bounds=(0.05, 20),
        ).x
        calibrated[test] = softmax(np.log(found[test]) / temperature, axis=1)
    return strengths, found, calibrated


def test_it_is_the_nested_cross_validation_of_scikit_learn():
    view, labels, groups = speech()
    found = probe.nested({"only": view}, ClassTarget(labels, 2), groups, SETTINGS, seed=3)
    _, expected, calibrated = searched(view, labels, groups, SETTINGS, seed=3)
    np.testing.assert_allclose(found.outputs, expected, atol=2e-3)
    np.testing.assert_allclose(found.calibrated, calibrated, atol=5e-3)
    assert abs(calibrated - expected).max() > 0.05


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("seed", [3, 4, 6, 9, 11])
def test_every_fold_chooses_the_c_of_grid_search(seed):
    """Where folds are unequal: scored all together, these would be other choices."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(16), generator.integers(1, 12, size=16))
    labels = generator.integers(3, size=len(groups))
    centres = generator.standard_normal((3, 20))
    view = 0.5 * centres[labels] + generator.standard_normal((len(labels), 20))
    strengths = [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0]
    settings = changed(SETTINGS, strengths=strengths, inner_folds=4)
    found = probe.nested({"only": view}, ClassTarget(labels, 3), groups, settings, seed)
    expected, _, _ = searched(view, labels, groups, settings, seed)
    assert [choice.strength for choice in found.choices] == expected


def test_the_view_with_the_signal_is_chosen():
    view, labels, groups = speech(signal=4.0)
    views = {"noise": np.random.default_rng(1).standard_normal(view.shape), "signal": view}
    found = probe.nested(views, ClassTarget(labels, 2), groups, SETTINGS, seed=0)
    assert {choice.view for choice in found.choices} == {"signal"}
    np.testing.assert_array_equal(found.outputs, found.by_view["signal"])


def two_layers():
    """Vectors [n, 2, 2, 6] of two layers that each know a part of the class."""
    first, labels, groups = speech(features=12)
    second, _, _ = speech(features=12, seed=1)
    vectors = np.stack([first, second], axis=1).reshape(len(labels), 2, 2, 6)
    return vectors.astype(np.float32), labels, groups


def test_a_blend_answers_by_the_mean_logits_of_all_views():
    vectors, labels, groups = two_layers()
    views = make_views(vectors, ["a", "b"], ["layers", "mix"], ["mean", "std"])
    settings = changed(SETTINGS, combine="blend")
    found = probe.nested(views, ClassTarget(labels, 2), groups, settings, seed=0)
    assert {(choice.view, choice.strength) for choice in found.choices} == {("blend", None)}
    # Of two classes the softmax of mean logits is the logistic function of the mean log odds.
    odds = np.mean([np.log(p[:, 1] / p[:, 0]) for p in found.by_view.values()], axis=0)
    np.testing.assert_allclose(found.outputs[:, 1], 1 / (1 + np.exp(-odds)), rtol=1e-9)
    chosen = probe.nested(views, ClassTarget(labels, 2), groups, SETTINGS, seed=0)
    for name, probabilities in chosen.by_view.items():
        np.testing.assert_array_equal(found.by_view[name], probabilities)


@pytest.mark.parametrize("views", [["layers", "mix"], ["layers"]])
def test_the_blend_that_is_handed_on_is_one_classifier_that_answers_as_all_of_them(views):
    vectors, labels, groups = two_layers()
    settings = changed(SETTINGS, views=views, statistics=["mean", "std"], combine="blend")
    features = make_views(vectors, ["a", "b"], views, settings.statistics)
    items = Items(
        [], groups.astype(str), groups, ClassTarget(labels, 2), ("no", "yes"), [], vectors, {}
    )
    embeddings = Embeddings((), (), (), ("a", "b"), vectors, {"encoder": "tiny"})
    recipe = AudioRun(task="2dep", unit="clip")
    model = experiment._final(items, features, embeddings, recipe, settings, 0)
    choice, best = probe.choose(features, items.target, items.groups, settings, 0)
    apart = {
        name: make_pipeline(
            StandardScaler(),
            LogisticRegression(
                C=SETTINGS.strengths[best[name]], class_weight="balanced", tol=1e-10
            ),
        ).fit(view.astype(np.float64), labels)
        for name, view in features.items()
    }
    odds = np.mean([apart[name].decision_function(features[name]) for name in apart], axis=0)
    assert model.facts["view"] == "mix"
    mixed = make_view(vectors, ["a", "b"], model.facts["view"], settings.statistics)
    expected = 1 / (1 + np.exp(-odds / choice.tuned["temperature"]))
    np.testing.assert_allclose(model.probabilities(mixed)[:, 1], expected, atol=2e-3)


def threads_for_linear_algebra(_):
    pools = threadpool_info()
    return {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_have_one_thread_each_whatever_the_environment_says(monkeypatch, processes):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "2")
    with threadpool_limits(2, "blas"):
        assert side_by_side(threads_for_linear_algebra, [0, 1], processes) == [{1}] * 2


def test_threads_change_nothing():
    view, labels, groups = speech(subjects=8)
    alone, shared = (
        probe.nested(
            {"only": view}, ClassTarget(labels, 2), groups, SETTINGS, seed=0, threads=threads
        )
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(alone.outputs, shared.outputs)


def test_held_out_labels_are_never_looked_at():
    """Flipping the labels of one outer fold leaves all that is said of it as it was."""
    view, labels, groups = speech()
    _, test = grouped_folds(labels, groups, SETTINGS.outer_folds, seed=0)[0]
    flipped = labels.copy()
    # Every subject has as many clips of one class as of the other: the folds stay.
    flipped[test] = 1 - flipped[test]
    first, second = (
        probe.nested({"only": view}, ClassTarget(given, 2), groups, SETTINGS, seed=0)
        for given in (labels, flipped)
    )
    assert first.choices[0] == second.choices[0]
    assert first.choices[1:] != second.choices[1:]
    for one, other in (
        (first.outputs, second.outputs),
        (first.calibrated, second.calibrated),
        (first.by_view["only"], second.by_view["only"]),
    ):
        np.testing.assert_array_equal(one[test], other[test])


def test_views_are_layers_statistics_and_their_mix():
    vectors = np.arange(2 * 3 * 2 * 4, dtype=np.float32).reshape(2, 3, 2, 4)
    names = ["a", "b", "c"]
    views = make_views(vectors, names, ["layers", "mix"], ["mean", "std"])
    assert list(views) == ["a", "b", "c", "mix"]
    assert views["b"].tolist() == vectors[:, 1].reshape(2, -1).tolist()
    assert views["mix"].shape == (2, 24)
    means = make_views(vectors, names, ["mix"], ["mean"])
    assert means["mix"].tolist() == vectors[:, :, 0].reshape(2, -1).tolist()


def test_subjects_are_pooled_by_their_mean():
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    names, pooled = pool_subjects(vectors, ["b", "a", "b", "b"])
    assert names == ["a", "b"]
    np.testing.assert_allclose(pooled, [[2, 3], [10 / 3, 13 / 3]])


def test_uar_is_the_mean_recall():
    assert uar(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3) == pytest.approx(5 / 6)


def test_labels_of_subjects_are_permuted_among_subjects():
    groups = np.repeat(np.arange(6), 3)
    labels = np.repeat([0, 0, 0, 0, 1, 1], 3)
    moved = permute(labels, groups, np.random.default_rng(1))
    assert sorted(moved) == sorted(labels)
    assert all(len(set(moved[groups == group])) == 1 for group in range(6))


def test_labels_of_clips_are_permuted_within_subjects():
    _, labels, groups = speech()
    moved = permute(labels, groups, np.random.default_rng(1))
    assert moved.tolist() != labels.tolist()
    for group in range(12):
        assert sorted(moved[groups == group]) == sorted(labels[groups == group])


def test_a_signal_beats_every_permutation():
    view, labels, groups = speech(signal=4.0)
    found = permutation_test(view, ClassTarget(labels, 2), groups, SETTINGS, 0)
    assert found["p"] == 1 / 41
    assert found["observed"] > found["chance_95"]
    none = changed(SETTINGS, permutations=0)
    assert permutation_test(view, ClassTarget(labels, 2), groups, none, 0) is None


def test_a_permutation_may_put_a_rare_class_into_one_fold():
    """Three of fifteen subjects: somewhere a training part has none of them."""
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(15), 2)
    labels = (groups < 3).astype(np.int64)
    settings = changed(SETTINGS, permutations=200, outer_folds=5)
    found = permutation_test(
        generator.standard_normal((30, 4)), ClassTarget(labels, 2), groups, settings, 0
    )
    assert found["count"] == 200
    assert 0 < found["p"] <= 1


def test_a_view_holds_the_statistics_that_are_named():
    vectors = np.arange(2 * 1 * 2 * 3, dtype=np.float32).reshape(2, 1, 2, 3)
    for names, expected in (
        (["mean"], vectors[:, 0, 0]),
        (["std"], vectors[:, 0, 1]),
        (["mean", "std"], vectors.reshape(2, 6)),
    ):
        assert np.array_equal(make_view(vectors, ["last"], "last", names), expected)


def test_p_of_noise_is_uniform():
    """The share of p values up to .25 on noise is a quarter, give or take its own error."""
    settings = changed(SETTINGS, permutations=19, outer_folds=2)
    generator = np.random.default_rng(0)
    _, labels, groups = speech(subjects=8, clips=2, features=3)
    found = [
        permutation_test(
            generator.standard_normal((16, 3)), ClassTarget(labels, 2), groups, settings, seed
        )["p"]
        for seed in range(60)
    ]
    # Four standard errors of 60 draws.
    assert np.mean(np.array(found) <= 0.25) == pytest.approx(0.25, abs=0.23)


def test_voices_are_recognised_where_there_are_voices():
    view, _, groups = speech(voice=5.0)
    found = speaker_accuracy(view, groups, SETTINGS, 0)
    assert found["accuracy"] > 0.9
    assert found["chance"] == pytest.approx(1 / 12)
    assert speaker_accuracy(view, np.arange(len(view)), SETTINGS, 0) is None


def test_a_leak_shows_when_clips_are_split_at_random():
    """With labels that belong to subjects, voices alone give the answer away."""
    view, _, groups = speech(signal=0.0, voice=5.0, subjects=16)
    labels = groups % 2
    grouped = probe.nested({"only": view}, ClassTarget(labels, 2), groups, SETTINGS, 0).outputs
    leaked = probe.nested({"only": view}, ClassTarget(labels, 2), None, SETTINGS, 0).outputs
    assert uar(labels, leaked.argmax(1), 2) > uar(labels, grouped.argmax(1), 2) + 0.2

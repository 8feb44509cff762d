"""The fast path is held against scikit-learn's own solvers."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from affectlab.audio import solver

STRENGTHS = [1e-4, 1e-2, 1.0, 100.0]


def problem(items, features, classes, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.arange(items) % classes
    labels[: items // 3] = 0
    centres = 0.5 * generator.standard_normal((classes, features))
    return 3 + 2 * (centres[labels] + generator.standard_normal((items, features))), labels


def peer(strength):
    return make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=strength, class_weight="balanced", solver="newton-cg", tol=1e-9, max_iter=5000
        ),
    )


@pytest.mark.parametrize(("items", "features"), [(60, 15), (40, 120)])
@pytest.mark.parametrize("classes", [2, 4])
def test_it_is_scikit_learns_answer(items, features, classes):
    values, labels = problem(items, features, classes)
    train, test = np.arange(items) % 4 != 0, np.arange(items) % 4 == 0
    basis = solver.rotate(values[train])
    path = solver.fit_path(basis, labels[train], classes, STRENGTHS)
    for strength, weights in zip(STRENGTHS, path, strict=True):
        expected = peer(strength).fit(values[train], labels[train]).predict_proba(values[test])
        found = weights.probabilities(basis.transform(values[test]))
        np.testing.assert_allclose(found, expected, atol=5e-3 if strength > 10 else 1e-3)


@pytest.mark.parametrize(("items", "features"), [(60, 15), (40, 120)])
def test_coefficients_of_features_give_the_same_scores(items, features):
    values, labels = problem(items, features, 3)
    basis = solver.rotate(values)
    weights = solver.fit_path(basis, labels, 3, [0.1])[0]
    standard = (values - basis.mean) / basis.scale
    np.testing.assert_allclose(
        standard @ basis.in_features(weights.coefficients),
        basis.coordinates @ weights.coefficients,
        atol=1e-9,
    )
    np.testing.assert_allclose(basis.transform(values), basis.coordinates, atol=1e-8)


@pytest.mark.parametrize("path", [[1e-3, 0.1, 1.0], [0.02, 0.03, 1.0]])
def test_a_start_elsewhere_on_the_path_changes_nothing(path):
    values, labels = problem(50, 30, 3)
    basis = solver.rotate(values)
    alone = solver.fit_path(basis, labels, 3, [1.0])[0]
    after = solver.fit_path(basis, labels, 3, path)[-1]
    np.testing.assert_allclose(
        alone.probabilities(basis.coordinates), after.probabilities(basis.coordinates), atol=2e-3
    )


def test_a_constant_feature_is_passed_over():
    values, labels = problem(40, 6, 2)
    constant = np.hstack([values, np.full((40, 1), 0.1)])
    plain, padded = (
        solver.fit_path(solver.rotate(v), labels, 2, [0.1])[0].probabilities(
            solver.rotate(v).coordinates
        )
        for v in (values, constant)
    )
    np.testing.assert_allclose(plain, padded, atol=1e-6)


def test_classes_weigh_the_same():
    found = solver.balanced_weights(np.array([0, 0, 0, 1]), 3)
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 2 / 3, 2])


@pytest.mark.parametrize(
    ("labels", "strengths", "message"),
    [
        ([0, 0, 0, 0], [1.0], "two classes"),
        ([0, 1, 0, 1], [1.0, 0.1], "rise"),
        ([0, 1, 0, 1], [0.1, 0.1], "rise"),
    ],
)
def test_what_cannot_be_fitted_is_refused(labels, strengths, message):
    basis = solver.rotate(np.random.default_rng(0).standard_normal((4, 2)))
    with pytest.raises(ValueError, match=message):
        solver.fit_path(basis, np.array(labels), 2, strengths)


def test_a_number_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite"):
        solver.rotate(np.array([[1.0, np.nan], [2.0, 3.0]]))

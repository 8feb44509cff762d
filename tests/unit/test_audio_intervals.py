"""Intervals of cross-validated probes: they cover, vary with the training part, have a width."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import coverage_probes

from affectlab.audio import refits, score_intervals
from affectlab.audio.halves import draw_halves, score_halves
from affectlab.audio.predictions import Predicted
from affectlab.audio.settings import Probe
from affectlab.audio.targets import ClassTarget
from affectlab.config.models import Bootstrap

BOOTSTRAP = Bootstrap(resamples=200)
DATASETS = 16
SETTINGS = Probe(
    views=["layers"],
    combine="choose",
    statistics=["mean"],
    strengths=[0.01],
    outer_folds=4,
    inner_folds=3,
    repeats=1,
    permutations=0,
    permutation_strength=0.01,
)


def simulated_widths(monkeypatch, with_refits):
    """Mean width of the UAR's interval over 1.96 x 2 standard deviations of the UAR itself."""
    if not with_refits:
        monkeypatch.setattr(coverage_probes, "Predicted", lambda *given: Predicted(*given[:5]))
    shape = coverage_probes.SHAPES[0]
    found = [
        coverage_probes.simulate(shape, np.random.default_rng([7, number]))["uar"]
        for number in range(DATASETS)
    ]
    values, low, high = np.array(found).T
    return float((high - low).mean() / (2 * 1.96 * values.std(ddof=1)))


@pytest.mark.parametrize(("with_refits", "least", "most"), [(True, 0.9, 1.35), (False, 0.5, 0.9)])
def test_refits_show_the_spread_that_a_bootstrap_of_fixed_predictions_hides(
    monkeypatch, with_refits, least, most
):
    """162 subjects, 18.5 % positive, no signal: 16 data sets, the full table is a benchmark."""
    assert least < simulated_widths(monkeypatch, with_refits) < most


def answers(labels, classes, repeats=2):
    """Predictions that are always right, subject by subject."""
    probabilities = np.tile(np.eye(classes)[labels] * 0.8 + 0.1, (repeats, 1, 1))
    names = tuple(f"s{number:02d}" for number in range(len(labels)))
    return Predicted(names, names, labels, probabilities, None, refits.SharedFolds(5, 10))


def test_perfect_answers_have_the_exact_limit():
    found = score_intervals.decision_scores(answers(np.arange(20) % 2, 2), 2, BOOTSTRAP)["accuracy"]
    low, high = found.interval(0.95)
    # Clopper and Pearson: 20 of 20.
    assert low == pytest.approx(0.832, abs=0.005)
    assert high == 1.0


@pytest.mark.parametrize("always", [False, True])
def test_no_interval_is_without_width(always):
    one = answers(np.arange(12) % 3, 3)
    if always:
        one = replace(one, probabilities=np.tile([0.5, 0.3, 0.2], (2, 12, 1)))
    scores = score_intervals.decision_scores(one, 3, BOOTSTRAP)
    scores |= score_intervals.ranking_scores(one, BOOTSTRAP)
    for name, score in scores.items():
        low, high = score.interval(0.95)
        assert low <= score.value <= high, name
        assert high - low > 0.05, name


def noise(subjects=24, clips=2, seed=0):
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(subjects), clips)
    return generator.standard_normal((len(groups), 3)), groups % 2, groups


def test_halves_share_no_subject_and_hold_them_all():
    _, labels, groups = noise()
    halves = draw_halves(ClassTarget(labels, 2), groups, SETTINGS, seed=1, draws=5)
    for one, two in halves:
        assert not set(groups[one.items]) & set(groups[two.items])
        assert set(groups[one.items]) | set(groups[two.items]) == set(groups)
        for half in (one, two):
            for train, test in (fold for folding in half.foldings for fold in folding):
                assert not set(groups[half.items][train]) & set(groups[half.items][test])


def test_too_few_subjects_fall_back_on_the_folds():
    _, labels, groups = noise(subjects=3)
    assert draw_halves(ClassTarget(labels, 2), groups, SETTINGS, seed=1) is None
    details = {"halves": None, "outer_folds": 5, "rarest": 2}
    found = score_intervals.read_refits(details, "grouped")
    assert found.spread("uar", 0.01, 10) == (pytest.approx(0.01 * 2.25), 4.0)


def test_halves_are_read_as_they_were_stored_whatever_the_threads():
    view, labels, groups = noise()
    halves = draw_halves(ClassTarget(labels, 2), groups, SETTINGS, seed=1, draws=4)
    one, two = (
        score_halves(view, ClassTarget(labels, 2), halves, 12, 0.01, threads) for threads in (1, 2)
    )
    details = {"halves": {"grouped": one.record()}, "outer_folds": 4, "rarest": 12}
    read = score_intervals.read_refits(details, "view_mix")
    for name, values in one.scores.items():
        assert values.shape == (4, 2, refits.FOLDINGS)
        assert np.array_equal(values, two.scores[name])
        assert np.array_equal(values, read.scores[name])


@pytest.mark.parametrize("scheme", ["official", "published"])
def test_a_single_split_is_not_stretched(scheme):
    folds = None if scheme == "published" else 5
    details = {"halves": None, "outer_folds": folds, "rarest": 10}
    assert score_intervals.read_refits(details, scheme) is None


def test_replicates_keep_their_ranks():
    replicates = np.random.default_rng(0).normal(0.6, 0.05, 400)
    found = refits.stretched(0.6, replicates, refits.Spread(0.01, 1e6), 0.95, 50)
    assert np.array_equal(np.argsort(found), np.argsort(replicates))
    assert found.std() == pytest.approx(0.1, rel=0.02)

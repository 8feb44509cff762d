"""Controls of a probe: a permutation test, and how well it tells who speaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.audio import solver
from affectlab.audio.folds import random_folds
from affectlab.audio.settings import Probe
from affectlab.audio.targets import Target
from affectlab.evaluation.stats import Integers

TIE = 1e-12
"""Scores this near to each other are equal, but for the order of their sums."""


def permutation_test(
    view: npt.NDArray[Any],
    target: Target,
    groups: Integers,
    settings: Probe,
    seed: int,
) -> dict[str, Any] | None:
    """Test that labels and features have nothing to do with each other.

    View and C are fixed beforehand, and subjects are assigned to the folds whatever their labels,
    so the test is exact, and every permutation reuses folds and rotations. Labels that belong to
    subjects are permuted among subjects, others within each subject. A training part that a
    permutation leaves with one class answers that class.

    Returns:
        ``count``, ``observed`` (`Target.whole_score`), ``p`` (one-sided, with the observed one
        counted) and the 95th percentile of the permuted scores; None if *settings* ask for no
        permutations.
    """
    from sklearn.model_selection import GroupKFold

    if not settings.permutations:
        return None
    splitter = GroupKFold(settings.outer_folds, shuffle=True, random_state=seed)
    folds = [
        (train, test, solver.rotate(view[train]))
        for train, test in splitter.split(view, groups=groups)
    ]
    moved = [(train, test, basis, basis.transform(view[test])) for train, test, basis in folds]

    def score(candidate: Target) -> float:
        outputs = np.zeros((len(target), target.width))
        for train, test, basis, coordinates in moved:
            outputs[test] = candidate.part(train).fixed_outputs(
                basis, settings.permutation_strength, coordinates
            )
        return candidate.whole_score(outputs)

    observed = score(target)
    generator = np.random.default_rng(seed)
    permuted = [score(target.permuted(groups, generator)) for _ in range(settings.permutations)]
    # Equal scores of other labels may differ in the last bit.
    reached = sum(value >= observed - TIE for value in permuted)
    return {
        "count": settings.permutations,
        "observed": observed,
        "p": (1 + reached) / (1 + settings.permutations),
        "chance_95": float(np.quantile(permuted, 0.95)),
    }


def speaker_accuracy(
    view: npt.NDArray[Any], groups: Integers, settings: Probe, seed: int
) -> dict[str, float] | None:
    """Score how well the same probe tells who speaks.

    Folds ignore subjects, for every subject must be known; C is that of the permutation test.

    Returns:
        ``accuracy`` and ``chance``; None where a subject has one clip, or there is one subject.
    """
    names, codes = np.unique(groups, return_inverse=True)
    counts = np.bincount(codes)
    if len(names) < 2 or counts.min() < 2:
        return None
    folds = random_folds(codes, min(settings.outer_folds, int(counts.min())), seed)
    right = 0
    for train, test in folds:
        probabilities = solver.fit_and_predict(
            view[train], codes[train], len(names), settings.permutation_strength, view[test]
        )
        right += int((probabilities.argmax(axis=1) == codes[test]).sum())
    return {"accuracy": right / len(codes), "chance": float(counts.max() / len(codes))}

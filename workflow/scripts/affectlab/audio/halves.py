"""Cross-validation on random halves of the subjects, from which the width of intervals follows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from affectlab.audio import refits, solver
from affectlab.audio.folds import Fold, grouped_folds
from affectlab.audio.processes import side_by_side
from affectlab.audio.scores import unweighted_scores
from affectlab.audio.settings import Probe
from affectlab.errors import UserError
from affectlab.evaluation.stats import Integers


class Half(NamedTuple):
    """Items of a half of the subjects, ``[m]``, and folds of them, one list for each folding."""

    items: Integers
    foldings: list[list[Fold]]


def draw_halves(
    labels: Integers, groups: Integers, settings: Probe, seed: int, draws: int = refits.DRAWS
) -> list[tuple[Half, Half]] | None:
    """Split the subjects into random halves, and each half into folds, *draws* times.

    A half has as many folds as the whole, or fewer if its subjects or items do not suffice.

    Returns:
        The halves; None if no halves can be cross-validated.
    """
    generator = np.random.default_rng(seed)
    names, codes = np.unique(groups, return_inverse=True)
    found: list[tuple[Half, Half]] = []
    for attempt in range(3 * draws):
        order = generator.permutation(len(names))
        sides = np.zeros(len(names), dtype=bool)
        sides[order[: len(names) // 2]] = True
        member = sides[codes]
        folding = generator.integers(2**31, size=refits.FOLDINGS)
        try:
            one, two = (
                _half(labels, groups, np.flatnonzero(side), settings, folding)
                for side in (member, ~member)
            )
        except UserError:
            # A half without two classes in each training part.
            if not found and attempt >= draws:
                return None
            continue
        found.append((one, two))
        if len(found) == draws:
            return found
    return None


def _half(
    labels: Integers, groups: Integers, items: Integers, settings: Probe, seeds: Integers
) -> Half:
    most = np.bincount(labels[items]).max() if len(items) else 0
    folds = int(min(settings.outer_folds, len(np.unique(groups[items])), most))
    if folds < 2:
        raise UserError("fewer than two folds")
    return Half(
        items,
        [grouped_folds(labels[items], groups[items], folds, int(seed)) for seed in seeds],
    )


def score_halves(
    view: npt.NDArray[Any],
    labels: Integers,
    halves: Sequence[tuple[Half, Half]],
    rarest: int,
    classes: int,
    settings: Probe,
    threads: int = 1,
) -> refits.Halves:
    """Cross-validate one view, with the C of the permutation test, on halves of the subjects.

    View and C are fixed beforehand: choosing them again would cost a nested cross-validation each.

    Args:
        view: ``[n, d]``.
        labels: ``[n]`` class ids.
        halves: of `draw_halves`.
        rarest: of `refits.Halves`.
        classes: K.
        settings: of the probe.
        threads: draws that are computed at the same time.
    """
    score = partial(_score_pair, view, labels, classes, settings.permutation_strength)
    scored = side_by_side(score, halves, threads)
    names = set.intersection(*(set(half) for pair in scored for half in pair))
    return refits.Halves(
        {name: np.array([[half[name] for half in pair] for pair in scored]) for name in names},
        rarest,
    )


def _score_pair(
    view: npt.NDArray[Any],
    labels: Integers,
    classes: int,
    strength: float,
    pair: tuple[Half, Half],
) -> list[dict[str, list[float]]]:
    """Scores of both halves: name -> one value a folding."""
    found: list[dict[str, list[float]]] = []
    for half in pair:
        features, known = view[half.items], labels[half.items]
        values: dict[str, list[float]] = {}
        for folding in half.foldings:
            probabilities = np.zeros((len(known), classes))
            for train, test in folding:
                probabilities[test] = solver.fit_and_predict(
                    features[train], known[train], classes, strength, features[test]
                )
            for name, value in unweighted_scores(known, probabilities, classes).items():
                values.setdefault(name, []).append(value)
        found.append(values)
    return found

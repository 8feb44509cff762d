"""Cross-validation on random halves of the subjects, from which the width of intervals follows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from affectlab.audio import refits, solver
from affectlab.audio.folds import Fold
from affectlab.audio.processes import side_by_side
from affectlab.audio.settings import Probe
from affectlab.audio.targets import Target
from affectlab.errors import UserError
from affectlab.evaluation.stats import Integers


class Half(NamedTuple):
    """Items of a half of the subjects, ``[m]``, and folds of them, one list for each folding."""

    items: Integers
    foldings: list[list[Fold]]


def draw_halves(
    target: Target, groups: Integers, settings: Probe, seed: int, draws: int = refits.DRAWS
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
                _half(target, groups, np.flatnonzero(side), settings, folding)
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
    target: Target, groups: Integers, items: Integers, settings: Probe, seeds: Integers
) -> Half:
    own, subjects = target.part(items), groups[items]
    folds = min(settings.outer_folds, own.most_folds(subjects))
    if folds < 2:
        raise UserError("fewer than two folds")
    return Half(items, [own.make_folds(subjects, folds, int(seed)) for seed in seeds])


def score_halves(
    view: npt.NDArray[Any],
    target: Target,
    halves: Sequence[tuple[Half, Half]],
    rarest: int,
    strength: float,
    threads: int = 1,
) -> refits.Halves:
    """Cross-validate one view with one C on halves of the subjects.

    View and C are fixed beforehand: choosing them again would cost a nested cross-validation each.

    Args:
        view: ``[n, d]``.
        target: of the items.
        halves: of `draw_halves`.
        rarest: of `refits.Halves`.
        strength: C.
        threads: draws that are computed at the same time.
    """
    score = partial(_score_pair, view, target, strength)
    scored = side_by_side(score, halves, threads)
    names = set.intersection(*(set(half) for pair in scored for half in pair))
    return refits.Halves(
        {name: np.array([[half[name] for half in pair] for pair in scored]) for name in names},
        rarest,
    )


def _score_pair(
    view: npt.NDArray[Any],
    target: Target,
    strength: float,
    pair: tuple[Half, Half],
) -> list[dict[str, list[float]]]:
    """Scores of both halves: name -> one value a folding."""
    found: list[dict[str, list[float]]] = []
    for half in pair:
        features, known = view[half.items], target.part(half.items)
        values: dict[str, list[float]] = {}
        for folding in half.foldings:
            outputs = np.zeros((len(known), known.width))
            for train, test in folding:
                basis = solver.rotate(features[train])
                outputs[test] = known.part(train).fixed_outputs(
                    basis, strength, basis.transform(features[test])
                )
            for name, value in known.scores(outputs).items():
                values.setdefault(name, []).append(value)
        found.append(values)
    return found

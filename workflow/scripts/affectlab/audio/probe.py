"""The corrected probe: nested, grouped, repeated cross-validation of a linear model.

No choice uses an item that is scored: the layer (or all of them together) and the strength of the
regularisation are chosen inside the training part of each outer fold, by folds of their own, and no
subject is on both sides of any fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from affectlab.audio import solver
from affectlab.audio.folds import Fold
from affectlab.audio.processes import side_by_side
from affectlab.audio.settings import Probe
from affectlab.audio.targets import Priors, Target, Tuned
from affectlab.audio.views import Views
from affectlab.evaluation.stats import Floats, Integers

BLEND = "blend"
"""The mean of the logits (or of the numbers) of all views, each with its own C."""


class Choice(NamedTuple):
    """What the inner folds of one outer fold chose, and how well it did there.

    ``view`` is a view or `BLEND`; ``strength`` is the C of the view, None for a blend; ``tuned``
    is of `Target.tune`, and ``of_views`` the same of each view by itself.
    """

    view: str
    strength: float | None
    score: float
    tuned: Tuned
    of_views: Mapping[str, Tuned]

    def record(self) -> dict[str, Any]:
        """Return the choice as JSON data."""
        return {"view": self.view, "strength": self.strength, "score": self.score, **self.tuned}


class Tested(NamedTuple):
    """What was predicted for the test part of a fold: of m items.

    ``by_view`` holds the outputs ``[m, width]`` of each view by itself; ``priors`` are of
    `Target.priors`.
    """

    by_view: dict[str, Floats]
    priors: Priors
    choice: Choice


class Outcome(NamedTuple):
    """One repeat of a nested cross-validation.

    ``outputs`` are ``[n, width]``, out of fold: probabilities, or numbers. ``calibrated`` and
    ``thresholds`` are of the target, None where it has none; ``priors`` are of the training part
    of each item. ``by_view`` holds the outputs of each view by itself, its C chosen by the same
    inner folds, and ``view_thresholds`` their thresholds.
    """

    outputs: Floats
    calibrated: Floats | None
    thresholds: Floats | None
    priors: Priors
    by_view: dict[str, Floats]
    view_thresholds: dict[str, Floats | None]
    choices: list[Choice]


def nested(
    views: Views,
    target: Target,
    groups: Integers | None,
    settings: Probe,
    seed: int,
    threads: int = 1,
) -> Outcome:
    """One repeat of the nested cross-validation.

    Args:
        views: the feature sets, each with n rows.
        target: of the n items.
        groups: ``[n]``, the subject of each item; None for folds that ignore subjects.
        settings: of the probe.
        seed: of the folds.
        threads: outer folds that are computed at the same time.
    """
    outer = target.make_folds(groups, settings.outer_folds, seed)
    done = side_by_side(
        partial(predict_fold, views, target, groups, settings, seed), outer, threads
    )
    answers = [combined(target, one.by_view, one.choice.view) for one in done]
    calibrated = [
        target.calibrated(answer, one.choice.tuned)
        for answer, one in zip(answers, done, strict=True)
    ]
    return Outcome(
        _assembled(target, outer, answers),
        _all_or_none(target, outer, calibrated),
        _thresholds(target, outer, [one.choice.tuned for one in done]),
        {
            name: _assembled(target, outer, [one.priors[name] for one in done])
            for name in done[0].priors
        },
        {name: _assembled(target, outer, [one.by_view[name] for one in done]) for name in views},
        {
            name: _thresholds(target, outer, [one.choice.of_views[name] for one in done])
            for name in views
        },
        [one.choice for one in done],
    )


def _assembled(target: Target, outer: list[Fold], parts: list[Floats]) -> Floats:
    """The outputs of all items from those of the test part of each fold."""
    found = np.zeros((len(target), target.width))
    for (_, test), part in zip(outer, parts, strict=True):
        found[test] = part
    return found


def _all_or_none(target: Target, outer: list[Fold], parts: list[Floats | None]) -> Floats | None:
    known = [part for part in parts if part is not None]
    return _assembled(target, outer, known) if known else None


def _thresholds(target: Target, outer: list[Fold], tuned: Sequence[Tuned]) -> Floats | None:
    """The thresholds of all items from what was tuned in each fold."""
    parts = [target.thresholds(one, len(test)) for (_, test), one in zip(outer, tuned, strict=True)]
    return _all_or_none(target, outer, parts)


def check_folds(target: Target, groups: Integers | None, settings: Probe, seed: int) -> None:
    """Make the folds of `nested`, outer and inner, and fit nothing.

    Raises:
        UserError: there is too little for them.
    """
    for train, _ in target.make_folds(groups, settings.outer_folds, seed):
        known = None if groups is None else groups[train]
        target.part(train).make_folds(known, settings.inner_folds, seed)


def predict_fold(
    views: Views,
    target: Target,
    groups: Integers | None,
    settings: Probe,
    seed: int,
    fold: Fold,
) -> Tested:
    """Choose inside the training part of a fold, then predict its test part with every view."""
    train, test = fold
    known = target.part(train)
    choice, best = choose(
        {name: view[train] for name, view in views.items()},
        known,
        None if groups is None else groups[train],
        settings,
        seed,
    )
    found = {}
    for name, view in views.items():
        basis, weights = fit(view[train], known, settings, best[name])
        found[name] = target.outputs(weights, basis.transform(view[test]))
    return Tested(found, known.priors(len(test)), choice)


def fit(
    view: npt.NDArray[Any], target: Target, settings: Probe, place: int
) -> tuple[solver.Basis, solver.Weights]:
    """A linear model of one view with the C at *place*, and the basis its weights belong to."""
    basis = solver.rotate(view)
    return basis, target.fit_path(basis, settings.strengths[: place + 1])[-1]


def combined(target: Target, found: Mapping[str, Floats], view: str) -> Floats:
    """The outputs ``[n, width]`` of one view, or for `BLEND` those of all views together."""
    return target.blend(list(found.values())) if view == BLEND else found[view]


def choose(
    views: Views,
    target: Target,
    groups: Integers | None,
    settings: Probe,
    seed: int,
) -> tuple[Choice, dict[str, int]]:
    """Choose C, and the view if one is to be chosen, by `Target.inner_score`.

    Of equal scores the smaller C and the earlier view are taken. For one view and classes that is
    the choice of scikit-learn's GridSearchCV.

    Returns:
        The choice, tuned on the inner out-of-fold outputs; and the place of the best C for each
        view by itself.
    """
    folds = target.make_folds(groups, settings.inner_folds, seed)
    scored: dict[str, Floats] = {}
    kept: dict[str, Floats] = {}
    for name, view in views.items():
        path = np.zeros((len(settings.strengths), len(target), target.width))
        for train, test in folds:
            basis = solver.rotate(view[train])
            coordinates = basis.transform(view[test])
            fitted = target.part(train).fit_path(basis, settings.strengths)
            for place, weights in enumerate(fitted):
                path[place, test] = target.outputs(weights, coordinates)
        scored[name] = np.array([target.inner_score(outputs, folds) for outputs in path])
        kept[name] = path[int(np.argmax(scored[name]))]
    best = {name: int(np.argmax(scores)) for name, scores in scored.items()}
    tuned = {name: target.tune(outputs) for name, outputs in kept.items()}
    if settings.combine == BLEND and len(views) > 1:
        blend = combined(target, kept, BLEND)
        score = target.inner_score(blend, folds)
        return Choice(BLEND, None, score, target.tune(blend), tuned), best
    chosen = max(views, key=lambda name: scored[name][best[name]])
    strength, score = settings.strengths[best[chosen]], float(scored[chosen][best[chosen]])
    return Choice(chosen, float(strength), score, tuned[chosen], tuned), best

"""The corrected probe: nested, grouped, repeated cross-validation of a linear classifier.

No choice uses an item that is scored: the layer (or all of them together) and the strength of the
regularisation are chosen inside the training part of each outer fold, by folds of their own, and no
subject is on both sides of any fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from affectlab.audio import solver
from affectlab.audio.folds import Fold, make_folds
from affectlab.audio.processes import side_by_side
from affectlab.audio.settings import Probe
from affectlab.audio.views import Views
from affectlab.evaluation import stats
from affectlab.evaluation.stats import Floats, Integers

BLEND = "blend"
"""The mean of the logits of all views, each with its own C."""


class Choice(NamedTuple):
    """What the inner folds of one outer fold chose, and how well it did there.

    ``view`` is a view or `BLEND`; ``strength`` is the C of the view, None for a blend.
    """

    view: str
    strength: float | None
    score: float
    temperature: float


class Outcome(NamedTuple):
    """One repeat of a nested cross-validation.

    ``probabilities`` and ``calibrated`` are ``[n, K]``, out of fold. ``by_view`` holds the
    probabilities of each view by itself, its C chosen by the same inner folds.
    """

    probabilities: Floats
    calibrated: Floats
    by_view: dict[str, Floats]
    choices: list[Choice]


def nested(
    views: Views,
    labels: Integers,
    groups: Integers | None,
    classes: int,
    settings: Probe,
    seed: int,
    threads: int = 1,
) -> Outcome:
    """One repeat of the nested cross-validation.

    Args:
        views: the feature sets, each with n rows.
        labels: ``[n]`` class ids.
        groups: ``[n]``, the subject of each item; None for folds that ignore subjects.
        classes: K.
        settings: of the probe.
        seed: of the folds.
        threads: outer folds that are computed at the same time.
    """
    outer = make_folds(labels, groups, settings.outer_folds, seed)
    done = side_by_side(
        partial(predict_fold, views, labels, groups, classes, settings, seed), outer, threads
    )
    count = len(labels)
    by_view = {name: np.zeros((count, classes)) for name in views}
    probabilities, calibrated = np.zeros((count, classes)), np.zeros((count, classes))
    choices = []
    for (_, test), (found, choice) in zip(outer, done, strict=True):
        for name, values in found.items():
            by_view[name][test] = values
        answer = combined(found, choice.view)
        probabilities[test] = answer
        calibrated[test] = stats.apply_temperature(answer, choice.temperature)
        choices.append(choice)
    return Outcome(probabilities, calibrated, by_view, choices)


def check_folds(labels: Integers, groups: Integers | None, settings: Probe, seed: int) -> None:
    """Make the folds of `nested`, outer and inner, and fit nothing.

    Raises:
        UserError: there is too little for them.
    """
    for train, _ in make_folds(labels, groups, settings.outer_folds, seed):
        known = None if groups is None else groups[train]
        make_folds(labels[train], known, settings.inner_folds, seed)


def predict_fold(
    views: Views,
    labels: Integers,
    groups: Integers | None,
    classes: int,
    settings: Probe,
    seed: int,
    fold: Fold,
) -> tuple[dict[str, Floats], Choice]:
    """Choose inside the training part of a fold, then predict its test part with every view.

    Returns:
        The probabilities ``[m, K]`` of each view, and the choice; `combined` gives its answer.
    """
    train, test = fold
    choice, best = choose(
        {name: view[train] for name, view in views.items()},
        labels[train],
        None if groups is None else groups[train],
        classes,
        settings,
        seed,
    )
    found = {}
    for name, view in views.items():
        basis, weights = fit(view[train], labels[train], classes, settings, best[name])
        found[name] = weights.probabilities(basis.transform(view[test]))
    return found, choice


def fit(
    view: npt.NDArray[Any], labels: Integers, classes: int, settings: Probe, place: int
) -> tuple[solver.Basis, solver.Weights]:
    """A classifier of one view with the C at *place*, and the basis its weights belong to."""
    basis = solver.rotate(view)
    return basis, solver.fit_path(basis, labels, classes, settings.strengths[: place + 1])[-1]


def combined(found: Mapping[str, Floats], view: str) -> Floats:
    """The probabilities ``[n, K]`` of one view, or for `BLEND` the softmax of all mean logits."""
    if view != BLEND:
        return found[view]
    smallest = np.finfo(np.float64).tiny
    logarithms = [np.log(np.maximum(values, smallest)) for values in found.values()]
    return solver.softmax(np.mean(logarithms, axis=0))


def choose(
    views: Views,
    labels: Integers,
    groups: Integers | None,
    classes: int,
    settings: Probe,
    seed: int,
) -> tuple[Choice, dict[str, int]]:
    """Choose C, and the view if one is to be chosen, by the mean UAR over the inner folds.

    Of equal scores the smaller C and the earlier view are taken. For one view that is the choice
    of scikit-learn's GridSearchCV.

    Returns:
        The choice, with a temperature fitted on the inner out-of-fold probabilities; and the
        place of the best C for each view by itself.
    """
    folds = make_folds(labels, groups, settings.inner_folds, seed)
    scored: dict[str, Floats] = {}
    kept: dict[str, Floats] = {}
    for name, view in views.items():
        path = np.zeros((len(settings.strengths), len(labels), classes))
        recalls = np.zeros((len(settings.strengths), len(folds)))
        for fold, (train, test) in enumerate(folds):
            basis = solver.rotate(view[train])
            coordinates = basis.transform(view[test])
            fitted = solver.fit_path(basis, labels[train], classes, settings.strengths)
            for place, weights in enumerate(fitted):
                path[place, test] = weights.probabilities(coordinates)
                recalls[place, fold] = uar(labels[test], path[place, test].argmax(axis=1), classes)
        scored[name] = recalls.mean(axis=1)
        kept[name] = path[int(np.argmax(scored[name]))]
    best = {name: int(np.argmax(scores)) for name, scores in scored.items()}
    if settings.combine == BLEND and len(views) > 1:
        blend = combined(kept, BLEND)
        score = np.mean(
            [uar(labels[test], blend[test].argmax(axis=1), classes) for _, test in folds]
        )
        temperature = stats.fit_temperature(blend, labels)
        return Choice(BLEND, None, float(score), temperature), best
    chosen = max(views, key=lambda name: scored[name][best[name]])
    strength, score = settings.strengths[best[chosen]], scored[chosen][best[chosen]]
    temperature = stats.fit_temperature(kept[chosen], labels)
    return Choice(chosen, float(strength), float(score), temperature), best


def uar(labels: Integers, predicted: Integers, classes: int) -> float:
    """Unweighted average recall: the mean over the classes that occur in *labels*."""
    return float(stats.balanced_accuracy(stats.confusion_matrix(labels, predicted, classes)))

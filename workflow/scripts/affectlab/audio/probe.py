"""The corrected probe: nested, grouped, repeated cross-validation of a linear classifier.

Nothing that is scored is ever looked at before: which layer (or all of them together) is used and
how strongly the classifier is held back are chosen inside the training part of each outer fold,
by folds of their own, and no subject is on both sides of any fold.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from affectlab.audio import refits, solver
from affectlab.audio.scores import unweighted_scores
from affectlab.errors import UserError
from affectlab.evaluation import stats
from affectlab.evaluation.conditions import permute

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Fold = tuple[Integers, Integers]
T = TypeVar("T")
R = TypeVar("R")
Views = Mapping[str, npt.NDArray[Any]]
"""Name -> ``[n, d]``: the sets of features among which the inner folds choose."""

MIX = "mix"
"""The view of all layers side by side."""

BLEND = "blend"
"""The mean of the logits of all views, each with its own C."""

TIE = 1e-12
"""Scores this near to each other are equal, but for the order of their sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The ``probe`` block of a run.

    Attributes:
        views: ``layers`` (each by itself), ``mix`` (all side by side), or both.
        combine: ``choose`` the view that the inner folds find best, or ``blend`` all.
        statistics: of the frames that make up a vector: ``mean``, ``std``, or both.
        strengths: values of C, rising.
        outer_folds, inner_folds, repeats: of the nested cross-validation.
        permutations: how many label permutations the test draws; 0 leaves it out.
        permutation_strength: the C of that test, fixed beforehand.
    """

    views: Sequence[str]
    combine: str
    statistics: Sequence[str]
    strengths: Sequence[float]
    outer_folds: int
    inner_folds: int
    repeats: int
    permutations: int
    permutation_strength: float


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


def make_views(
    vectors: npt.NDArray[np.float32],
    layers: Sequence[str],
    views: Sequence[str],
    statistics: Sequence[str],
) -> dict[str, npt.NDArray[np.float32]]:
    """Feature sets from stored vectors ``[n, layers, 2, dim]``."""
    names = list(layers) if "layers" in views or len(layers) == 1 else []
    if MIX in views and len(layers) > 1:
        names.append(MIX)
    return {name: make_view(vectors, layers, name, statistics) for name in names}


def make_view(
    vectors: npt.NDArray[np.float32], layers: Sequence[str], view: str, statistics: Sequence[str]
) -> npt.NDArray[np.float32]:
    """One feature set ``[n, d]`` from stored vectors: a layer by its name, or `MIX`."""
    columns = [place for place, name in enumerate(("mean", "std")) if name in statistics]
    chosen = vectors if view == MIX else vectors[:, [layers.index(view)]]
    return chosen[:, :, columns].reshape(len(vectors), -1)


def pool_subjects(
    vectors: npt.NDArray[Any], subjects: Sequence[str]
) -> tuple[list[str], npt.NDArray[Any]]:
    """One item a subject: the mean of the vectors of their clips; subjects in sorted order."""
    names, codes = np.unique(np.asarray(subjects), return_inverse=True)
    sums = np.zeros((len(names), *vectors.shape[1:]))
    np.add.at(sums, codes, vectors)
    counts = np.bincount(codes).reshape(-1, *([1] * (vectors.ndim - 1)))
    return names.tolist(), (sums / counts).astype(vectors.dtype)


def grouped_folds(
    labels: Integers, groups: Sequence[str] | Integers, folds: int, seed: int
) -> list[Fold]:
    """Stratified folds that keep every group on one side.

    Raises:
        UserError: there are fewer groups than folds, or so few items of every class but one that
            a training part would hold that class alone.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    subjects = len(set(np.asarray(groups).tolist()))
    if subjects < folds:
        raise UserError(f"{folds} folds need as many subjects; there are {subjects}")
    if np.bincount(labels).max() < folds:
        raise UserError(f"{folds} folds need as many items of a class; no class has them")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Rare classes, of which not every fold has an item, are what the check below is for.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        found = list(splitter.split(np.zeros(len(labels)), labels, groups))
    _check_trainable(labels, [train for train, _ in found])
    return [(train, test) for train, test in found if len(test)]


def random_folds(labels: Integers, folds: int, seed: int) -> list[Fold]:
    """Stratified folds that do not care who speaks: for showing what that leak is worth."""
    from sklearn.model_selection import KFold, StratifiedKFold

    rarest = int(np.bincount(labels)[np.unique(labels)].min())
    kind = StratifiedKFold if rarest >= folds else KFold
    if len(labels) < folds:
        raise UserError(f"{folds} folds need as many items; there are {len(labels)}")
    splitter = kind(folds, shuffle=True, random_state=seed)
    found = list(splitter.split(np.zeros(len(labels)), labels))
    _check_trainable(labels, [train for train, _ in found])
    return found


def _check_trainable(labels: Integers, parts: Sequence[Integers]) -> None:
    """See that each training part holds two classes at least."""
    for train in parts:
        if len(np.unique(labels[train])) < 2:
            counts = np.bincount(labels)
            raise UserError(
                f"a training part of {len(parts)} folds holds one class alone: there are too few "
                f"subjects or items of the others ({', '.join(map(str, counts[counts > 0]))} items "
                "a class); take fewer folds, outer and inner"
            )


def nested(
    views: Views,
    labels: Integers,
    groups: Integers | None,
    classes: int,
    settings: Settings,
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
    outer = _folds(labels, groups, settings.outer_folds, seed)
    done = side_by_side(
        partial(_outer_fold, views, labels, groups, classes, settings, seed), outer, threads
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


def check_folds(labels: Integers, groups: Integers | None, settings: Settings, seed: int) -> None:
    """Make the folds of `nested`, outer and inner, and fit nothing.

    Raises:
        UserError: there is too little for them.
    """
    for train, _ in _folds(labels, groups, settings.outer_folds, seed):
        known = None if groups is None else groups[train]
        _folds(labels[train], known, settings.inner_folds, seed)


def side_by_side(function: Callable[[T], R], items: Sequence[T], processes: int) -> list[R]:
    """The results of *function* for each item, computed in up to *processes* processes.

    Each has one thread for linear algebra, whatever the environment asks for: Snakemake exports
    the threads of a job as OMP_NUM_THREADS, and several processes with as many threads each wait
    for one another most of the time; so do the threads of one, since the products are small.
    """
    from joblib import Parallel, delayed, parallel_config
    from threadpoolctl import threadpool_limits

    with parallel_config("loky", inner_max_num_threads=1), threadpool_limits(1, "blas"):
        return list(
            Parallel(n_jobs=min(processes, len(items)))(delayed(function)(item) for item in items)
        )


def _outer_fold(
    views: Views,
    labels: Integers,
    groups: Integers | None,
    classes: int,
    settings: Settings,
    seed: int,
    fold: Fold,
) -> tuple[dict[str, Floats], Choice]:
    """Choose inside the training part, then predict the test part, with every view."""
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
    view: npt.NDArray[Any], labels: Integers, classes: int, settings: Settings, place: int
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
    settings: Settings,
    seed: int,
) -> tuple[Choice, dict[str, int]]:
    """Choose C, and the view if one is to be chosen, by the mean UAR over the inner folds.

    Of equal scores the smaller C and the earlier view are taken. For one view that is the choice
    of scikit-learn's GridSearchCV.

    Returns:
        The choice, with a temperature fitted on the inner out-of-fold probabilities; and the
        place of the best C for each view by itself.
    """
    folds = _folds(labels, groups, settings.inner_folds, seed)
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


def permutation_test(
    view: npt.NDArray[Any],
    labels: Integers,
    groups: Integers,
    classes: int,
    settings: Settings,
    seed: int,
) -> dict[str, Any]:
    """Test that labels and features have nothing to do with each other.

    View and C are fixed beforehand, and subjects are dealt out to the folds whatever their labels,
    so the test is exact, and every permutation reuses folds and rotations. Labels that belong to
    subjects are permuted among subjects, others within each subject. A training part that a
    permutation leaves with one class answers that class.

    Returns:
        ``count``, ``observed`` (UAR), ``p`` (one-sided, with the observed one counted) and the
        95th percentile of the permuted scores.
    """
    from sklearn.model_selection import GroupKFold

    splitter = GroupKFold(settings.outer_folds, shuffle=True, random_state=seed)
    folds = [
        (train, test, solver.rotate(view[train]))
        for train, test in splitter.split(view, groups=groups)
    ]
    moved = [(train, test, basis, basis.transform(view[test])) for train, test, basis in folds]

    def score(candidate: Integers) -> float:
        predicted = np.zeros(len(labels), dtype=np.int64)
        for train, test, basis, coordinates in moved:
            if len(np.unique(candidate[train])) == 1:
                predicted[test] = candidate[train][0]
                continue
            weights = solver.fit_path(
                basis, candidate[train], classes, [settings.permutation_strength]
            )[0]
            predicted[test] = weights.probabilities(coordinates).argmax(axis=1)
        return uar(candidate, predicted, classes)

    observed = score(labels)
    generator = np.random.default_rng(seed)
    permuted = [score(permute(labels, groups, generator)) for _ in range(settings.permutations)]
    # Equal scores of other labels may differ in the last bit.
    reached = sum(value >= observed - TIE for value in permuted)
    return {
        "count": settings.permutations,
        "observed": observed,
        "p": (1 + reached) / (1 + settings.permutations),
        "chance_95": float(np.quantile(permuted, 0.95)),
    }


class Half(NamedTuple):
    """Items of a half of the subjects, ``[m]``, and folds of them, one list for each folding."""

    items: Integers
    foldings: list[list[Fold]]


def draw_halves(
    labels: Integers, groups: Integers, settings: Settings, seed: int, draws: int = refits.DRAWS
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
    labels: Integers, groups: Integers, items: Integers, settings: Settings, seeds: Integers
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
    settings: Settings,
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
                basis = solver.rotate(features[train])
                weights = solver.fit_path(basis, known[train], classes, [strength])[0]
                probabilities[test] = weights.probabilities(basis.transform(features[test]))
            for name, value in unweighted_scores(known, probabilities, classes).items():
                values.setdefault(name, []).append(value)
        found.append(values)
    return found


def speaker_accuracy(
    view: npt.NDArray[Any], groups: Integers, settings: Settings, seed: int
) -> tuple[float, float] | None:
    """How well the same probe tells who speaks, and chance; None with one clip a subject.

    Folds ignore subjects, for every subject must be known; C is that of the permutation test.
    """
    names, codes = np.unique(groups, return_inverse=True)
    counts = np.bincount(codes)
    if len(names) < 2 or counts.min() < 2:
        return None
    folds = random_folds(codes, min(settings.outer_folds, int(counts.min())), seed)
    right = 0
    for train, test in folds:
        basis = solver.rotate(view[train])
        weights = solver.fit_path(basis, codes[train], len(names), [settings.permutation_strength])[
            0
        ]
        predicted = weights.probabilities(basis.transform(view[test])).argmax(axis=1)
        right += int((predicted == codes[test]).sum())
    return right / len(codes), float(counts.max() / len(codes))


def _folds(labels: Integers, groups: Integers | None, folds: int, seed: int) -> list[Fold]:
    if groups is None:
        return random_folds(labels, folds, seed)
    return grouped_folds(labels, groups, folds, seed)

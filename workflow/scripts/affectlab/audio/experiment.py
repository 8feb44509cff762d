"""One run and seed: fit the probe by its protocol, store every prediction and a model."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from affectlab.audio import model as models
from affectlab.audio import probe, solver
from affectlab.audio.controls import permutation_test, speaker_accuracy
from affectlab.audio.encoders.kinds import find_kind
from affectlab.audio.folds import folds_digest
from affectlab.audio.halves import draw_halves, score_halves
from affectlab.audio.items import Items, make_items
from affectlab.audio.label_set_target import LabelSetTarget
from affectlab.audio.predictions import (
    GROUPED,
    OFFICIAL,
    PUBLISHED,
    RANDOM,
    VIEW_PREFIX,
    prediction_rows,
)
from affectlab.audio.settings import AudioRun, Probe
from affectlab.audio.store import Embeddings, read_embeddings
from affectlab.audio.targets import ClassTarget, Tuned
from affectlab.audio.tasks import NOT_STATED
from affectlab.audio.views import MIX, Views, make_views
from affectlab.datasets.description import CONTENT, Description, read_description
from affectlab.errors import UserError
from affectlab.evaluation.records import process_record, rounded
from affectlab.evaluation.stats import Integers
from affectlab.files.io import write_json, write_jsonl

logger = logging.getLogger(__name__)

TRIVIAL_STRENGTH = 1.0
"""The C of probes on trivial features by the published protocol, which chooses none."""


def run_probe(
    *,
    records_path: Path,
    measures_path: Path,
    description_path: Path,
    embeddings_path: Path,
    recipe: AudioRun,
    seed: int,
    threads: int,
    predictions_path: Path,
    details_path: Path,
    training_path: Path,
    model_directory: Path,
) -> None:
    """Fit one run.

    Args:
        records_path: records.jsonl of the corpus.
        measures_path: measures.jsonl of its audit.
        description_path: description.json of the corpus; its number of folds, if it has one,
            counts instead of the recipe's ``outer_folds``.
        embeddings_path: the store of its encoder.
        recipe: the run, as configured.
        seed: of folds, or of split and weights.
        threads: of this job.
        predictions_path: gets one line an item, scheme and repeat.
        details_path: gets choices, curves and tests, as JSON.
        training_path: gets the training summary: time, host and cost of the fit, as JSON.
        model_directory: gets a probe fitted to everything it may see.
    """
    started = time.perf_counter()
    embeddings, description = read_embeddings(embeddings_path), read_description(description_path)
    items_by = partial(
        make_items, records_path, measures_path, embeddings, description, recipe.task
    )
    items = items_by(recipe.unit)
    if recipe.protocol == "corrected":
        clips = items if recipe.unit == "clip" else items_by("clip")
        # Its products are small; the processes of the outer folds are what uses the threads.
        settings = _settings(recipe.probe, embeddings, description)
        with threadpool_limits(1, "blas"):
            rows, details, fitted = _corrected(
                items, clips, embeddings, recipe, settings, seed, threads
            )
    else:
        work = model_directory.parent / "work"
        rows, details, fitted = _published(items, embeddings, recipe, seed, threads, work)
    if description.group == CONTENT:
        details["subjects"] = NOT_STATED
    write_jsonl(predictions_path, rows, sealed=True)
    models.save(fitted, model_directory)
    write_json(details_path, rounded(details), sealed=True)
    write_json(training_path, process_record(started, threads), sealed=True)


class _Validation(NamedTuple):
    """A nested cross-validation; its folds keep *groups* apart, or nobody where that is None."""

    scheme: str
    repeat: int
    items: Items
    views: Views
    groups: Integers | None


def _corrected(
    items: Items,
    clips: Items,
    embeddings: Embeddings,
    recipe: AudioRun,
    settings: Probe,
    seed: int,
    threads: int,
) -> tuple[list[dict[str, Any]], dict[str, Any], models.ProbeModel]:
    """Fit by the corrected protocol.

    Leak and speaker are shown on the *clips*, which are other items than *items* where those are
    pooled: with one item a subject nothing could leak.
    """
    views, of_clips = (
        make_views(one.vectors, embeddings.layers, settings.views, settings.statistics)
        for one in (items, clips)
    )
    target, groups, held_out = items.target, items.groups, _held_out_split(items)
    plan = [_Validation(GROUPED, n, items, views, groups) for n in range(settings.repeats)]
    plan.append(_Validation(RANDOM, 0, clips, of_clips, None))
    _check_folds(plan, items, held_out, settings, seed)
    # These have the folds of the first repeat, which were checked.
    for name, features in items.trivial.items():
        plan.append(_Validation(name, 0, items, {name: features}, groups))
    rows, choices = _cross_validate(plan, settings, seed, threads)
    if held_out:
        rows.extend(_official(items, held_out, views, settings, seed))
    logger.info("the baselines are done; %d permutations are next", settings.permutations)
    # Fixed beforehand: all layers side by side, or the only layer.
    tested = list(views)[-1]
    first = target.make_folds(groups, settings.outer_folds, _mix(seed, 0))
    details: dict[str, Any] = {
        "choices": choices,
        "folds_sha256": folds_digest(items.ids, first),
        "halves": _halves({GROUPED: views[tested]} | items.trivial, items, settings, seed, threads),
        "outer_folds": settings.outer_folds,
        "rarest": target.units(groups),
        "permutation": permutation_test(views[tested], target, groups, settings, seed),
        "speaker": speaker_accuracy(of_clips[tested], clips.groups, settings, seed),
        "views": list(views),
    }
    return rows, details, _final(items, views, embeddings, recipe, settings, seed)


def _cross_validate(
    plan: Sequence[_Validation], settings: Probe, seed: int, threads: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines of predictions.jsonl of all validations, and the choices of those by subject."""
    rows: list[dict[str, Any]] = []
    choices: list[dict[str, Any]] = []
    for scheme, repeat, items, views, groups in plan:
        found = probe.nested(views, items.target, groups, settings, _mix(seed, repeat), threads)
        rows.extend(
            prediction_rows(
                items,
                scheme,
                repeat,
                found.outputs,
                calibrated=found.calibrated,
                thresholds=found.thresholds,
                priors=found.priors,
            )
        )
        if scheme == GROUPED:
            choices.extend({"repeat": repeat, **choice.record()} for choice in found.choices)
            for view, outputs in found.by_view.items():
                limits = found.view_thresholds[view]
                name = f"{VIEW_PREFIX}{view}"
                rows.extend(prediction_rows(items, name, repeat, outputs, thresholds=limits))
            logger.info("%d of %d repeats of the nested folds", repeat + 1, settings.repeats)
    return rows, choices


def _halves(
    views: Views, items: Items, settings: Probe, seed: int, threads: int
) -> dict[str, Any] | None:
    """Scores of each view on halves of the subjects, as `refits.Halves.record`.

    None where the subjects are too few, or where items have several classes.
    """
    target, groups = items.target, items.groups
    if isinstance(target, LabelSetTarget):
        # Their decisions need thresholds, which would be chosen by inner folds of each half.
        return None
    halves = draw_halves(target, groups, settings, _mix(seed, settings.repeats))
    if halves is None:
        logger.warning(
            "the halves of %d subjects are too small for a cross-validation: the intervals follow "
            "from the number of folds alone",
            len(np.unique(groups)),
        )
        return None
    rarest, found = target.units(groups), {}
    for name, view in views.items():
        strength = settings.permutation_strength
        if target.depends_on_strength:
            _, best = probe.choose({name: view}, target, groups, settings, seed)
            strength = settings.strengths[best[name]]
        found[name] = score_halves(view, target, halves, rarest, strength, threads).record()
    return found


def _settings(settings: Probe, embeddings: Embeddings, description: Description) -> Probe:
    """The settings of a probe: the folds of the data, and no deviations without frames.

    Those between the windows of a clip are 0 where it has one: they would tell how long it is.
    """
    changed: dict[str, Any] = {}
    if description.folds is not None:
        changed["outer_folds"] = description.folds
    if find_kind(embeddings.provenance["encoder"]["kind"]).one_vector:
        changed["statistics"] = ["mean"]
    return settings.model_copy(update=changed)


def _check_folds(
    plan: Sequence[_Validation], items: Items, held_out: str | None, settings: Probe, seed: int
) -> None:
    """Make the folds of every scheme before anything is fitted.

    Raises:
        UserError: a scheme has too little for them; names it.
    """
    scheme = GROUPED
    try:
        for one in plan:
            scheme = one.scheme
            probe.check_folds(one.items.target, one.groups, settings, _mix(seed, one.repeat))
        if held_out:
            scheme = f"{OFFICIAL}, trained on the corpus' split train"
            train = _of_split(items, "train")
            known = items.target.part(train)
            known.make_folds(items.groups[train], settings.inner_folds, seed)
    except UserError as error:
        raise UserError(f"scheme {scheme}: {error}") from error


def _of_split(items: Items, name: str) -> Integers:
    """Places of the items that are in a split of the corpus."""
    return np.flatnonzero([split == name for split in items.splits])


def _held_out_split(items: Items) -> str | None:
    """The split of the corpus that is predicted, if it has one and another to train on."""
    found = set(items.splits)
    if "train" not in found:
        return None
    return next((split for split in ("test", "validation") if split in found), None)


def _official(
    items: Items, held_out: str, views: Views, settings: Probe, seed: int
) -> Iterator[dict[str, Any]]:
    """Fit to the corpus' training split, predict another split of it, once."""
    train, test = _of_split(items, "train"), _of_split(items, held_out)
    target = items.target
    found = probe.predict_fold(views, target, items.groups, settings, seed, (train, test))
    answer = probe.combined(target, found.by_view, found.choice.view)
    limits = target.thresholds(found.choice.tuned, len(test))
    yield from prediction_rows(
        items, OFFICIAL, 0, answer, thresholds=limits, priors=found.priors, places=test
    )


def _final(
    items: Items,
    views: Views,
    embeddings: Embeddings,
    recipe: AudioRun,
    settings: Probe,
    seed: int,
) -> models.ProbeModel:
    """The probe that is handed on: chosen and fitted on all items.

    A blend of linear models of the layers and of their mix is a linear model of the mix.
    """
    choice, best = probe.choose(views, items.target, items.groups, settings, seed)
    blended = choice.view == probe.BLEND
    fitted = {
        name: probe.fit(views[name], items.target, settings, best[name])
        for name in (views if blended else [choice.view])
    }
    layers = [name for name in fitted if name != MIX] if blended else [choice.view]
    mean = np.concatenate([fitted[name][0].mean for name in layers])
    scale = np.concatenate([fitted[name][0].scale for name in layers])
    in_features = {
        name: basis.in_features(weights.coefficients) for name, (basis, weights) in fitted.items()
    }
    features = np.concatenate([in_features[name] for name in layers])
    if blended and MIX in fitted:
        features = features + in_features[MIX]
    intercepts = np.sum([weights.intercepts for _, weights in fitted.values()], axis=0)
    layer = (
        (features / len(fitted)).astype(np.float32),
        (intercepts / len(fitted)).astype(np.float32),
    )
    view = MIX if blended else choice.view
    facts = _facts(items, embeddings, recipe, view, settings.statistics, choice.tuned)
    return models.ProbeModel(mean.astype(np.float32), scale.astype(np.float32), [layer], facts)


def _published(
    items: Items,
    embeddings: Embeddings,
    recipe: AudioRun,
    seed: int,
    threads: int,
    work: Path,
) -> tuple[list[dict[str, Any]], dict[str, Any], models.ProbeModel]:
    from affectlab.audio.published import shared_subjects, train_head

    target, last = _classes_of(items), len(embeddings.layers) - 1
    vectors = items.vectors[:, last, 0]
    fitted = train_head(
        vectors,
        target.labels,
        target.classes,
        recipe.published,
        recipe.training,
        seed=seed,
        threads=threads,
        work_directory=work,
    )
    held_out = fitted.validation
    rows = list(prediction_rows(items, PUBLISHED, 0, fitted.probabilities, places=held_out))
    for name, features in items.trivial.items():
        basis = solver.rotate(features[fitted.train])
        answer = target.part(fitted.train).fixed_outputs(
            basis, TRIVIAL_STRENGTH, basis.transform(features[held_out])
        )
        rows.extend(prediction_rows(items, name, 0, answer, places=held_out))
    details = {
        "shared_subjects": shared_subjects(items.subjects, fitted.train, fitted.validation),
        "best_epoch": fitted.best_epoch,
        "halves": None,
        "outer_folds": None,
        "rarest": target.units(items.groups),
        "permutation": None,
        "speaker": None,
    }
    facts = _facts(
        items, embeddings, recipe, embeddings.layers[last], ["mean"], {"temperature": 1.0}
    )
    neutral = np.zeros_like(vectors[0]), np.ones_like(vectors[0])
    return rows, details, models.ProbeModel(*neutral, fitted.layers, facts)


def _classes_of(items: Items) -> ClassTarget:
    """The classes of items, which the published protocol needs.

    Raises:
        UserError: the items have numbers or several classes.
    """
    if not isinstance(items.target, ClassTarget):
        raise UserError("the published protocol predicts one class; set protocol to corrected")
    return items.target


def _facts(
    items: Items,
    embeddings: Embeddings,
    recipe: AudioRun,
    view: str,
    statistics: Sequence[str],
    tuned: Tuned,
) -> dict[str, Any]:
    return {
        items.target.named: list(items.classes),
        "encoder": embeddings.provenance["encoder"],
        "statistics": list(statistics),
        "task": recipe.task,
        **rounded(dict(tuned)),
        "unit": recipe.unit,
        "view": view,
        "warning": models.WARNING,
    }


def _mix(seed: int, repeat: int) -> int:
    """A seed of its own for each repeat."""
    return int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])

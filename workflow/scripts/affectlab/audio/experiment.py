"""One run and seed: fit the probe by its protocol, store every prediction and a model."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from affectlab.audio import model as models
from affectlab.audio import probe, solver
from affectlab.audio.controls import permutation_test, speaker_accuracy
from affectlab.audio.encoders.kinds import find_kind
from affectlab.audio.folds import grouped_folds
from affectlab.audio.halves import draw_halves, score_halves
from affectlab.audio.items import Items, make_items
from affectlab.audio.probe import Floats, Integers
from affectlab.audio.refits import rarest_class
from affectlab.audio.store import Embeddings, read_embeddings
from affectlab.audio.views import MIX, Views, make_views
from affectlab.errors import UserError
from affectlab.evaluation.records import process_record, rounded
from affectlab.files.io import round_significant, write_json, write_jsonl

logger = logging.getLogger(__name__)

GROUPED, RANDOM, OFFICIAL, PUBLISHED = "grouped", "clip_random", "official", "published"
"""Schemes by which items were predicted out of fold."""

TRIVIAL_STRENGTH = 1.0
"""The C of probes on trivial features by the published protocol, which chooses none."""


def run_probe(
    *,
    records_path: Path,
    measures_path: Path,
    embeddings_path: Path,
    recipe: Mapping[str, Any],
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
        embeddings_path: the store of its encoder.
        recipe: the run's block of the configuration.
        seed: of folds, or of split and weights.
        threads: of this job.
        predictions_path: gets one line an item, scheme and repeat.
        details_path: gets choices, curves and tests, as JSON.
        training_path: gets the training summary: time, host and cost of the fit, as JSON.
        model_directory: gets a probe fitted to everything it may see.
    """
    started = time.perf_counter()
    embeddings = read_embeddings(embeddings_path)
    task, unit = recipe["task"], recipe["unit"]
    items = make_items(records_path, measures_path, embeddings, task, unit)
    if recipe["protocol"] == "corrected":
        clips = (
            items
            if unit == "clip"
            else make_items(records_path, measures_path, embeddings, task, "clip")
        )
        # Its products are small; the processes of the outer folds are what uses the threads.
        with threadpool_limits(1, "blas"):
            rows, details, fitted = _corrected(items, clips, embeddings, recipe, seed, threads)
    else:
        work = model_directory.parent / "work"
        rows, details, fitted = _published(items, embeddings, recipe, seed, threads, work)
    write_jsonl(predictions_path, rows, sealed=True)
    models.save(fitted, model_directory)
    write_json(details_path, rounded(details), sealed=True)
    write_json(training_path, process_record(started, threads), sealed=True)


def _corrected(
    items: Items,
    clips: Items,
    embeddings: Embeddings,
    recipe: Mapping[str, Any],
    seed: int,
    threads: int,
) -> tuple[list[dict[str, Any]], dict[str, Any], models.ProbeModel]:
    """Fit by the corrected protocol.

    Leak and speaker are shown on the *clips*, which are other items than *items* where those are
    pooled: with one item a subject nothing could leak.
    """
    settings = _settings(recipe["probe"], embeddings)
    layers = embeddings.layers
    views = make_views(items.vectors, layers, settings.views, settings.statistics)
    of_clips = make_views(clips.vectors, layers, settings.views, settings.statistics)
    labels, groups, classes = items.labels, items.groups, len(items.classes)
    held_out = _held_out_split(items)
    _check_folds(items, clips, held_out, settings, seed)
    rows: list[dict[str, Any]] = []
    choices: list[dict[str, Any]] = []

    def predict(
        name: str, of: Items, features: Views, folds_by: Integers | None, repeat: int
    ) -> None:
        found = probe.nested(
            features, of.labels, folds_by, classes, settings, _mix(seed, repeat), threads
        )
        rows.extend(_rows(of, name, repeat, found.probabilities, found.calibrated))
        if name != GROUPED:
            return
        choices.extend({"repeat": repeat, **choice._asdict()} for choice in found.choices)
        for view, probabilities in found.by_view.items():
            rows.extend(_rows(of, f"view_{view}", repeat, probabilities, None))

    for repeat in range(settings.repeats):
        predict(GROUPED, items, views, groups, repeat)
        logger.info("%d of %d repeats of the nested folds", repeat + 1, settings.repeats)
    predict(RANDOM, clips, of_clips, None, 0)
    for name, features in items.trivial.items():
        predict(name, items, {name: features}, groups, 0)
    if held_out:
        rows.extend(_official(items, held_out, views, settings, seed))
    logger.info("the baselines are done; %d permutations are next", settings.permutations)
    # Fixed beforehand: all layers side by side, or the only layer.
    tested = list(views)[-1]
    rarest = rarest_class(labels, groups)
    halves = draw_halves(labels, groups, settings, _mix(seed, settings.repeats))
    if halves is None:
        logger.warning(
            "the halves of %d subjects are too small for a cross-validation: the intervals follow "
            "from the number of folds alone",
            len(np.unique(groups)),
        )
    refitted = {GROUPED: views[tested]} | items.trivial
    details: dict[str, Any] = {
        "choices": choices,
        "halves": None
        if halves is None
        else {
            name: score_halves(view, labels, halves, rarest, classes, settings, threads).record()
            for name, view in refitted.items()
        },
        "outer_folds": settings.outer_folds,
        "rarest": rarest,
        "permutation": permutation_test(views[tested], labels, groups, classes, settings, seed)
        if settings.permutations
        else None,
        "speaker": _speaker(of_clips[tested], clips.groups, settings, seed),
        "views": list(views),
    }
    return rows, details, _final(items, views, embeddings, recipe, settings, seed)


def _settings(block: Mapping[str, Any], embeddings: Embeddings) -> probe.Settings:
    """The ``probe`` block of a run, without deviations where there are no frames.

    Those between the windows of a clip are 0 where it has one: they would tell how long it is.
    """
    one_vector = find_kind(embeddings.provenance["encoder"]["kind"]).one_vector
    return probe.Settings(**dict(block) | ({"statistics": ["mean"]} if one_vector else {}))


def _check_folds(
    items: Items, clips: Items, held_out: str | None, settings: probe.Settings, seed: int
) -> None:
    """Make the folds of every scheme before anything is fitted.

    Raises:
        UserError: a scheme has too little for them; names it.
    """
    scheme = GROUPED
    try:
        for repeat in range(settings.repeats):
            probe.check_folds(items.labels, items.groups, settings, _mix(seed, repeat))
        scheme = RANDOM
        probe.check_folds(clips.labels, None, settings, _mix(seed, 0))
        if held_out:
            scheme = f"{OFFICIAL}, trained on the corpus' split train"
            train = _of_split(items, "train")
            folds = settings.inner_folds
            grouped_folds(items.labels[train], items.groups[train], folds, seed)
    except UserError as error:
        raise UserError(f"scheme {scheme}: {error}") from error


def _of_split(items: Items, name: str) -> npt.NDArray[np.bool_]:
    """``[n]``, which items are in a split of the corpus."""
    return np.array([split == name for split in items.splits])


def _held_out_split(items: Items) -> str | None:
    """The split of the corpus that is predicted, if it has one and another to train on."""
    found = set(items.splits)
    if "train" not in found:
        return None
    return next((split for split in ("test", "validation") if split in found), None)


def _official(
    items: Items, held_out: str, views: Views, settings: probe.Settings, seed: int
) -> Iterator[dict[str, Any]]:
    """Fit to the corpus' training split, predict another split of it, once."""
    train, test = _of_split(items, "train"), _of_split(items, held_out)
    classes = len(items.classes)
    choice, best = probe.choose(
        {name: view[train] for name, view in views.items()},
        items.labels[train],
        items.groups[train],
        classes,
        settings,
        seed,
    )
    found = {}
    for name, view in views.items():
        basis, weights = probe.fit(view[train], items.labels[train], classes, settings, best[name])
        found[name] = weights.probabilities(basis.transform(view[test]))
    answer = probe.combined(found, choice.view)
    yield from _rows(items, OFFICIAL, 0, answer, None, np.flatnonzero(test))


def _final(
    items: Items,
    views: Views,
    embeddings: Embeddings,
    recipe: Mapping[str, Any],
    settings: probe.Settings,
    seed: int,
) -> models.ProbeModel:
    """The probe that is handed on: chosen and fitted on all items.

    A blend of linear classifiers of the layers and of their mix is a linear classifier of the mix.
    """
    classes = len(items.classes)
    choice, best = probe.choose(views, items.labels, items.groups, classes, settings, seed)
    blended = choice.view == probe.BLEND
    fitted = {
        name: probe.fit(views[name], items.labels, classes, settings, best[name])
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
    facts = _facts(items, embeddings, recipe, view, settings.statistics, choice.temperature)
    return models.ProbeModel(mean.astype(np.float32), scale.astype(np.float32), [layer], facts)


def _published(
    items: Items,
    embeddings: Embeddings,
    recipe: Mapping[str, Any],
    seed: int,
    threads: int,
    work: Path,
) -> tuple[list[dict[str, Any]], dict[str, Any], models.ProbeModel]:
    from affectlab.audio.published import shared_subjects, train_head

    last = len(embeddings.layers) - 1
    vectors = items.vectors[:, last, 0]
    fitted = train_head(
        vectors,
        items.labels,
        len(items.classes),
        **recipe["published"],
        training=recipe["training"],
        seed=seed,
        threads=threads,
        work_directory=work,
    )
    rows = list(_rows(items, PUBLISHED, 0, fitted.probabilities, None, fitted.validation))
    for name, features in items.trivial.items():
        answer = _trivial_answer(features, items, fitted.train, fitted.validation)
        rows.extend(_rows(items, name, 0, answer, None, fitted.validation))
    details = {
        "shared_subjects": shared_subjects(items.subjects, fitted.train, fitted.validation),
        "best_epoch": fitted.best_epoch,
        "halves": None,
        "outer_folds": None,
        "rarest": rarest_class(items.labels, items.groups),
        "permutation": None,
        "speaker": None,
    }
    width = vectors.shape[1]
    facts = _facts(items, embeddings, recipe, embeddings.layers[last], ["mean"], 1.0)
    neutral = np.zeros(width, np.float32), np.ones(width, np.float32)
    return rows, details, models.ProbeModel(*neutral, fitted.layers, facts)


def _trivial_answer(features: Floats, items: Items, train: Integers, test: Integers) -> Floats:
    """Probabilities ``[m, K]`` of a probe on trivial features, its C fixed beforehand."""
    labels, classes = items.labels[train], len(items.classes)
    if len(np.unique(labels)) < 2:
        return np.tile(np.eye(classes)[labels[0]], (len(test), 1))
    basis = solver.rotate(features[train])
    weights = solver.fit_path(basis, labels, classes, [TRIVIAL_STRENGTH])[0]
    return weights.probabilities(basis.transform(features[test]))


def _facts(
    items: Items,
    embeddings: Embeddings,
    recipe: Mapping[str, Any],
    view: str,
    statistics: Sequence[str],
    temperature: float,
) -> dict[str, Any]:
    return {
        "classes": list(items.classes),
        "encoder": embeddings.provenance["encoder"],
        "statistics": list(statistics),
        "task": recipe["task"],
        "temperature": round_significant(temperature),
        "unit": recipe["unit"],
        "view": view,
        "warning": models.WARNING,
    }


def _speaker(
    view: Any, groups: Integers, settings: probe.Settings, seed: int
) -> dict[str, float] | None:
    found = speaker_accuracy(view, groups, settings, seed)
    return None if found is None else {"accuracy": found[0], "chance": found[1]}


def _rows(
    items: Items,
    scheme: str,
    repeat: int,
    probabilities: Floats,
    calibrated: Floats | None,
    places: Integers | None = None,
) -> Iterator[dict[str, Any]]:
    """Lines of predictions.jsonl; *places* are the items that the rows are of."""
    chosen = range(len(items.ids)) if places is None else places.tolist()
    for row, place in enumerate(chosen):
        line: dict[str, Any] = {
            "id": items.ids[place],
            "subject": str(items.subjects[place]),
            "label": items.classes[items.labels[place]],
            "scheme": scheme,
            "repeat": repeat,
            "probabilities": [round_significant(value, 6) for value in probabilities[row]],
        }
        if calibrated is not None:
            line["calibrated"] = [round_significant(value, 6) for value in calibrated[row]]
        yield line


def _mix(seed: int, repeat: int) -> int:
    """A seed of its own for each repeat."""
    return int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])

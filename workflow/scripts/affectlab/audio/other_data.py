"""Fitted probes on the recordings of other data: predictions, near copies, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from affectlab.assets.manifest import manifest_directory
from affectlab.audio.data import usable_clips
from affectlab.audio.evaluate import TASK_VERSION, main_scheme
from affectlab.audio.items import make_items
from affectlab.audio.measures import measure_and_outline
from affectlab.audio.model import load
from affectlab.audio.outlines import LEAST_SIMILARITY, LENGTH_TOLERANCE, near_groups
from affectlab.audio.predictions import Predicted, read_corpus, read_predictions
from affectlab.audio.score_intervals import read_refits
from affectlab.audio.settings import AudioRun
from affectlab.audio.store import read_embeddings
from affectlab.audio.subgroup_scores import class_items
from affectlab.audio.targets import ClassTarget
from affectlab.audio.tasks import task_classes
from affectlab.audio.views import make_view
from affectlab.audio.waveform import in_parallel
from affectlab.config.models import Bootstrap
from affectlab.datasets.description import Description, read_description
from affectlab.evaluation.other_answers import (
    WHOLE,
    copies_in_training,
    read_answers,
    write_answers,
    write_copies,
)
from affectlab.evaluation.other_data import (
    Origin,
    OtherTest,
    Scored,
    answer_counts,
    class_counts,
    of_shared_classes,
    other_data_record,
    restricted_decisions,
    shared_order,
    write_other_data,
)
from affectlab.files.io import read_json

RULE = (
    f"the same samples, or an outline of the power with a cosine of at least {LEAST_SIMILARITY} and"
    f" lengths that differ by at most {LENGTH_TOLERANCE:.0%}"
)


def other_places(splits: Sequence[str | None]) -> tuple[str, list[int]]:
    """Name of the split that probes of other data are tested on, and the places of its items.

    The test split; all items where the data have none.
    """
    own = [place for place, split in enumerate(splits) if split == "test"]
    return ("test", own) if own else (WHOLE, list(range(len(splits))))


def predict_other(
    *,
    records_path: Path,
    measures_path: Path,
    description_path: Path,
    embeddings_path: Path,
    model_directory: Path,
    task: str,
    unit: str,
    path: Path,
) -> None:
    """Store what a probe of other data predicts for the tested items; see `write_answers`.

    Args:
        records_path: of the corpus that the probe was not fitted to.
        measures_path: of its audit.
        description_path: of the same corpus.
        embeddings_path: of the same corpus, by the encoder of the probe.
        model_directory: of the probe, which was fitted to all items of its own corpus.
        task: which labels of the corpus count.
        unit: ``clip`` or ``subject``, as in the run.
        path: where the predictions go.

    Raises:
        DataError: a file does not hold what it should.
        UserError: the corpus has no labels for the task, or one class only.
    """
    embeddings, model = read_embeddings(embeddings_path), load(model_directory)
    description = read_description(description_path)
    items = make_items(records_path, measures_path, embeddings, description, task, unit)
    assert isinstance(items.target, ClassTarget)
    places = other_places(items.splits)[1]
    features = make_view(
        items.vectors[places], embeddings.layers, model.facts["view"], model.facts["statistics"]
    )
    write_answers(
        path,
        [items.ids[place] for place in places],
        [items.classes[items.target.labels[place]] for place in places],
        model.facts["classes"],
        model.probabilities(features),
    )


def find_copies(
    own: tuple[Path, Path, Path], other: tuple[Path, Path, Path], path: Path, threads: int
) -> None:
    """Store which clips of *other* sound the same as clips of *own*, or nearly so.

    Each corpus is given by its records.jsonl, its measures.jsonl, and the manifest of its files.

    Args:
        own: the corpus of the runs.
        other: the corpus that they are tested on.
        path: where the copies go.
        threads: files decoded at the same time.

    Raises:
        DataError: a file cannot be read.
    """
    clips, files = [], []
    for number, (records, measures, manifest) in enumerate((own, other)):
        root = manifest_directory(manifest)
        usable = usable_clips(records, measures)
        clips += [(number, clip) for clip in usable]
        files += [(root / clip.path, clip.id) for clip in usable]
    decoded = list(in_parallel(lambda one: measure_and_outline(*one), files, threads))
    sounds: dict[str, list[int]] = {}
    for place, (measure, _) in enumerate(decoded):
        sounds.setdefault(measure.sha256, []).append(place)
    near = near_groups([outline for _, outline in decoded], [one.seconds for one, _ in decoded])
    found: dict[str, set[str]] = {}
    for group in (*sounds.values(), *near):
        splits = {clips[place][1].split or WHOLE for place in group if clips[place][0] == 0}
        for place in group:
            number, clip = clips[place]
            if number == 1 and splits:
                found.setdefault(clip.id, set()).update(splits)
    write_copies(path, RULE, found)


def evaluate_other(
    test: OtherTest,
    recipe: AudioRun,
    *,
    own: tuple[Path, Path, Path],
    details_path: Path,
    model_directory: Path,
    other: tuple[Path, Path],
    description: Description,
    task: str,
    path: Path,
    schema: Path,
) -> None:
    """Score a probe on other data: metrics.json of the folder ``on/<data>``.

    Args:
        test: which probe is tested on what.
        recipe: of the run.
        own: records.jsonl and measures.jsonl of the run's data, and its predictions.jsonl.
        details_path: details.json of the run.
        model_directory: of the probe.
        other: records.jsonl and measures.jsonl of the other data.
        description: of the other data.
        task: which labels of the other data count.
        path: where the record goes.
        schema: of the record.

    Raises:
        DataError: a file does not hold what it should.
        UserError: the data share fewer than two classes.
    """
    bootstrap = test.bootstrap
    classes = tuple(load(model_directory).facts["classes"])
    items = read_corpus(*other, task, recipe.unit).items
    split, places = other_places([one.split for one in items.values()])
    tested = {list(items)[place]: list(items.values())[place] for place in places}
    labels = {one: str(known.label) for one, known in tested.items()}
    groups = {one: known.subject for one, known in tested.items()}
    whole = _own_predictions(recipe, own, classes, read_json(details_path))
    own_labels = {classes[label] for label in whole.labels.tolist()}
    theirs = task_classes(description.classes, task)
    mapping = test.mapping(classes, theirs, own_labels, labels.values())
    answers = read_answers(test.answers, classes, labels, groups)
    copied = copies_in_training(test.copies, ("train", "validation", "test", WHOLE))
    if recipe.unit == "subject":
        copied = _of_subjects(copied, other)
    record = other_data_record(
        classes=classes,
        mapping=mapping,
        labels=labels.values(),
        within=(
            Origin(recipe.data, main_scheme(recipe)),
            _within(whole, classes, mapping, bootstrap),
        ),
        other=(
            Origin(test.data, split),
            of_shared_classes(answers, classes, mapping, bootstrap.level),
        ),
        copies=copied,
        bootstrap=bootstrap,
    )
    write_other_data(path, test.header(recipe.protocol, TASK_VERSION), record, schema)


def _of_subjects(copied: Mapping[str, object], paths: tuple[Path, ...]) -> dict[str, object]:
    """The same copies where all clips of a subject are one item."""
    clips = set(copied["items"])  # type: ignore[call-overload]
    subjects = {clip.subject for clip in usable_clips(*paths) if clip.id in clips}
    return {**copied, "items": sorted(subjects)}


def _own_predictions(
    recipe: AudioRun,
    own: tuple[Path, Path, Path],
    classes: tuple[str, ...],
    details: Mapping[str, object],
) -> Predicted:
    """The run's own items as they were predicted when held out, with their refits."""
    main = main_scheme(recipe)
    corpus = read_corpus(*own[:2], recipe.task, recipe.unit)
    whole = read_predictions(own[2], classes, corpus, main)[main]
    return replace(whole, refits=read_refits(details, main))


def _within(
    whole: Predicted,
    classes: tuple[str, ...],
    mapping: Mapping[str, str],
    bootstrap: Bootstrap,
) -> Scored:
    """The run's own items of the shared classes, as they were predicted when held out.

    Each score is the mean over the repeats. Its interval also covers refits, as that of all classes
    does.
    """
    shared = shared_order(classes, mapping)
    columns = [classes.index(name) for name in shared]
    others = {
        name
        for name, label in zip(whole.ids, whole.labels.tolist(), strict=True)
        if label not in columns
    }
    kept = whole.without(others)
    counts = class_counts([classes[label] for label in kept.labels.tolist()], shared)
    restricted = _restricted(kept, columns)
    refitted = partial(class_items, bootstrap=bootstrap, refitted=(whole, len(classes)))
    return Scored(
        refitted(restricted, len(shared)),
        refitted(kept, len(classes)),
        counts,
        answer_counts(restricted.decisions, shared),
    )


def _restricted(predicted: Predicted, columns: Sequence[int]) -> Predicted:
    """The same predictions with no answer but the classes *columns*."""
    shares = predicted.probabilities
    decided = [
        restricted_decisions(own, part, columns)
        for own, part in zip(predicted.decisions, shares, strict=True)
    ]
    return replace(
        predicted,
        labels=np.array([columns.index(label) for label in predicted.labels.tolist()]),
        probabilities=np.eye(len(columns))[np.array(decided)],
        calibrated=None,
    )

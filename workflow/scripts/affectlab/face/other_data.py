"""Trained networks on the images of other data: predictions, near copies, scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from affectlab.errors import UserError
from affectlab.evaluation.classification import CROSS_VALIDATION, read_predictions
from affectlab.evaluation.other_answers import (
    WHOLE,
    Answers,
    copies_in_training,
    read_answers,
    write_answers,
    write_copies,
)
from affectlab.evaluation.other_data import (
    Origin,
    OtherTest,
    of_shared_classes,
    other_data_record,
    same_names,
    write_other_data,
)
from affectlab.face.data import Faces, groups_of
from affectlab.face.evaluate import TASK_VERSION
from affectlab.face.near_images import (
    NEAR_BITS,
    NEAR_CORRELATION,
    blank_rows,
    near_pairs,
    small_images,
)
from affectlab.face.predict import FacePredictor
from affectlab.face.scored_data import ScoredData, corpus_of, held_out
from affectlab.face.settings import FaceRun

RULE = f"hashes within {NEAR_BITS} of 64 bits, correlation at least {NEAR_CORRELATION}"


def other_rows(faces: Faces) -> tuple[str, np.ndarray]:
    """Name of the split that networks of other data are tested on, and its labelled rows.

    The test split; all images where the data are cross-validated, or have no such images.

    Raises:
        UserError: no image has a label.
    """
    if faces.folds is None and len(own := faces.rows_of("test", labelled=True)):
        return "test", own
    rows = np.flatnonzero(faces.emotions != "")
    if not len(rows):
        raise UserError("no image of the other data has a label")
    return WHOLE, rows


def predict_other(faces: Faces, model_directory: Path, path: Path, threads: int) -> None:
    """Store what a network of other data predicts for the tested images; see `write_answers`.

    Images are scaled to the size of the network, and made grey where it has no colours.

    Args:
        faces: that the network was not trained on.
        model_directory: of the kept model of a run.
        path: where the predictions go.
        threads: CPU threads.
    """
    predictor = FacePredictor.from_directory(model_directory, threads=threads)
    rows = other_rows(faces)[1]
    readings = predictor.predict([np.asarray(faces.images[row]) for row in rows])
    write_answers(
        path,
        [faces.paths[row] for row in rows],
        [str(faces.emotions[row]) for row in rows],
        predictor.classes,
        np.array([[one.probabilities[name] for name in predictor.classes] for one in readings]),
    )


def find_copies(own: Faces, other: Faces, path: Path) -> None:
    """Store which tested images of *other* look the same as images of *own*, or nearly so.

    Images that show nothing are left out.
    """
    rows = other_rows(other)[1]
    small = np.concatenate([small_images(own.images), small_images(other.images[rows])])
    kept = np.setdiff1d(np.arange(len(small)), blank_rows(small))
    found: dict[str, set[str]] = {}
    for first, second in np.sort(kept[near_pairs(small[kept])], axis=1):
        if first < len(own) <= second:
            name = other.paths[rows[second - len(own)]]
            found.setdefault(name, set()).add(str(own.splits[first]))
    write_copies(path, RULE, found)


def evaluate_other(
    test: OtherTest,
    recipe: FaceRun,
    *,
    own: tuple[ScoredData, Path],
    other: Faces,
    result_split: str,
    path: Path,
    schema: Path,
) -> None:
    """Score a network on other data: metrics.json of the folder ``on/<data>``.

    Args:
        test: which network is tested on what.
        recipe: of the run.
        own: data of the run, and its predictions.jsonl.
        other: the other data.
        result_split: the split of the own data whose scores are the result.
        path: where the record goes.
        schema: of the record.

    Raises:
        DataError: a file does not hold what it should.
        UserError: the data share fewer than two classes.
    """
    classes, bootstrap = own[0].faces.classes, test.bootstrap
    scored = own[0].result_split(result_split)
    corpus = corpus_of(own[0], scored)
    within = Answers.within(read_predictions(own[1], corpus, held_out(scored))[scored], corpus)
    split, rows = other_rows(other)
    labels = {other.paths[row]: str(other.emotions[row]) for row in rows}
    mapping = test.mapping(classes, other.classes, within.labels, labels.values())
    groups = dict(zip(other.paths, groups_of(other), strict=True))
    answers = read_answers(test.answers, classes, labels, groups)
    record = other_data_record(
        classes=classes,
        mapping=mapping,
        labels=labels.values(),
        within=(
            Origin(recipe.data, scored if own[0].faces.folds is None else CROSS_VALIDATION),
            of_shared_classes(within, classes, same_names(mapping), bootstrap.level),
        ),
        other=(
            Origin(test.data, split),
            of_shared_classes(answers, classes, mapping, bootstrap.level),
        ),
        copies=copies_in_training(test.copies, recipe.train_on),
        bootstrap=bootstrap,
    )
    write_other_data(path, test.header(recipe.protocol, TASK_VERSION), record, schema)

"""Trained models on the texts of other data: predictions, near copies, scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from affectlab.datasets.near_texts import RULE, near_groups
from affectlab.emotion.data import Data, Record
from affectlab.emotion.evaluate import TASK_VERSION
from affectlab.emotion.groups import groups_of
from affectlab.emotion.predict import EmotionClassifier
from affectlab.emotion.predictor import prediction_rows
from affectlab.emotion.score_classes import corpus_of
from affectlab.emotion.settings import EmotionRun
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

TRAINED_ON = ("train",)
"""Splits that every model of the experiment learns from; of folds these are those of the kept
model."""


def other_records(data: Data) -> tuple[str, list[Record]]:
    """Name of the split that models of other data are tested on, and its texts.

    The test split; all texts where the data are cross-validated and so have none.
    """
    own = [] if data.description.folds is not None else data.of_split("test")
    return ("test", own) if own else (WHOLE, data.records)


def predict_other(data: Data, model_directory: Path, path: Path, threads: int) -> None:
    """Store what a model of other data predicts for the tested texts; see `write_answers`.

    Args:
        data: that the model was not trained on.
        model_directory: of the kept model of a run.
        path: where the predictions go.
        threads: CPU threads.
    """
    classifier = EmotionClassifier.from_directory(model_directory, threads=threads)
    records = other_records(data)[1]
    rows = prediction_rows(classifier, records, classifier.classes)
    write_answers(
        path,
        [record.id for record in records],
        [record.label for record in records],
        classifier.classes,
        np.array([list(row["probabilities"].values()) for row in rows]),
    )


def find_copies(own: Data, other: Data, path: Path) -> None:
    """Store which tested texts of *other* read the same as texts of *own*, or nearly so."""
    tested = other_records(other)[1]
    numbers = near_groups([record.text for record in (*own.records, *tested)])
    splits: dict[int, set[str]] = {}
    for record, number in zip(own.records, numbers, strict=False):
        splits.setdefault(number, set()).add(record.split)
    found = {
        record.id: splits[number]
        for record, number in zip(tested, numbers[len(own.records) :], strict=True)
        if number in splits
    }
    write_copies(path, RULE, found)


def evaluate_other(
    test: OtherTest,
    recipe: EmotionRun,
    *,
    own: tuple[Data, Path],
    other: Data,
    path: Path,
    schema: Path,
) -> None:
    """Score a model on other data: metrics.json of the folder ``on/<data>``.

    Args:
        test: which model is tested on what.
        recipe: of the run.
        own: data of the run, and its predictions.jsonl.
        other: the other data.
        path: where the record goes.
        schema: of the record.

    Raises:
        DataError: a file does not hold what it should.
        UserError: the data share fewer than two classes.
    """
    classes, bootstrap = own[0].classes, test.bootstrap
    corpus = corpus_of(own[0])
    within = Answers.within(read_predictions(own[1], corpus)["test"], corpus)
    split, records = other_records(other)
    labels = {record.id: record.label for record in records}
    mapping = test.mapping(classes, other.classes, within.labels, labels.values())
    groups = dict(zip(labels, groups_of(records), strict=True))
    answers = read_answers(test.answers, classes, labels, groups)
    record = other_data_record(
        classes=classes,
        mapping=mapping,
        labels=labels.values(),
        within=(
            Origin(recipe.data, "test" if own[0].description.folds is None else CROSS_VALIDATION),
            of_shared_classes(within, classes, same_names(mapping), bootstrap.level),
        ),
        other=(
            Origin(test.data, split),
            of_shared_classes(answers, classes, mapping, bootstrap.level),
        ),
        copies=copies_in_training(test.copies, TRAINED_ON),
        bootstrap=bootstrap,
    )
    write_other_data(path, test.header(recipe.protocol, TASK_VERSION), record, schema)

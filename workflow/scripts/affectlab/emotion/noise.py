"""Label-noise audit: which labels of the training split are probably wrong, and how many.

Confident learning (Northcutt, Jiang and Chuang, JAIR 2021, doi 10.1613/jair.1.12125) on
out-of-fold probabilities of TF-IDF and logistic regression. A text that occurs twice is always
held out as a whole, so no record is judged by a model that has seen its twin.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.datasets.description import Target
from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.texts import normalise_text
from affectlab.emotion.data import Data, Record
from affectlab.emotion.readers import AnyData
from affectlab.emotion.settings import Tfidf
from affectlab.emotion.tfidf import build_pipeline, fit
from affectlab.files.io import atomic_writer, round_significant, write_json

if TYPE_CHECKING:
    import numpy as np

CLASSIFIER = Tfidf(class_weight=None)
"""Unweighted classes: confident learning needs probabilities of the corpus as it is."""

LEAST_FOLDS = 2

UNSEARCHED: Mapping[Target, str] = {
    "classes": "the data have several classes for each text",
    "numbers": "the data have numbers instead of classes",
}
"""Why the labels of some data are not searched."""

COLUMNS = ("id", "label", "suggested_label", "label_quality", "is_issue")


def write_label_noise(
    data: AnyData,
    summary_path: Path | str,
    table_path: Path | str,
    *,
    folds: int,
    seed: int,
) -> None:
    """Audit the labels of the training split; store a JSON summary and a CSV of all records.

    The table has the columns of `COLUMNS`, the most doubtful label first, and no text. A class with
    fewer different texts than *folds* lowers their number; with less than two of them nothing can
    be searched, and the summary says so under ``skipped``, as it does of data without one class for
    each text.

    Args:
        data: of a cross-validation all records are searched, else those of the training split.
        summary_path: where the summary goes.
        table_path: where the table goes.
        folds: of the out-of-fold probabilities.
        seed: of the shuffling of the folds.

    Raises:
        UserError: the texts have no words in common.
    """
    rows: list[dict[str, Any]] = []
    if isinstance(data, Data):
        rows, summary = _searched(data, folds, seed)
    else:
        summary = {"skipped": UNSEARCHED[data.description.target]}
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_writer(table_path) as stream:
        stream.write(buffer.getvalue())
    write_json(
        summary_path,
        summary | {"seed": seed, "recipe": CLASSIFIER.model_dump()},
        sealed=True,
    )


def _searched(data: Data, folds: int, seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of the table and the summary of data with classes."""
    name, most = _rarest(data)
    folds = min(folds, most)
    if folds < LEAST_FOLDS:
        return [], {"skipped": f"the class {name} has {most} different text", "folds": folds}
    probabilities = out_of_fold_probabilities(data, folds=folds, seed=seed)
    summary, rows = find_label_noise(data, probabilities)
    return rows, summary | {"folds": folds}


def searched(data: Data) -> list[Record]:
    """The records whose labels are searched."""
    return data.of_split("train") if data.description.folds is None else data.records


def _rarest(data: Data) -> tuple[str, int]:
    """The class with the fewest different texts among those that are searched, and how many."""
    records = searched(data)
    groups: dict[str, set[int]] = {name: set() for name in data.classes}
    numbers = near_groups([record.text for record in records])
    for record, number in zip(records, numbers, strict=True):
        groups[record.label].add(number)
    name = min(data.classes, key=lambda one: len(groups[one]))
    return name, len(groups[name])


def out_of_fold_probabilities(data: Data, *, folds: int, seed: int) -> np.ndarray:
    """Class probabilities of each training record, by a model that never saw its text.

    Args:
        data: whose training split is labelled.
        folds: parts that are held out in turn; stratified by label and grouped by normalised
            text.
        seed: of the shuffling of the folds.

    Returns:
        float64 of shape (records, classes), columns in the order of the classes.

    Raises:
        UserError: the texts have no words in common.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    records, classes = searched(data), data.classes
    texts = np.array([record.text for record in records], dtype=object)
    labels = data.labels_of(records)
    group_ids = np.array(near_groups([record.text for record in records]))
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    probabilities = np.full((len(records), len(classes)), np.nan)
    for rest, held_out in splitter.split(texts, labels, group_ids):
        pipeline = fit(build_pipeline(CLASSIFIER, seed), texts[rest], labels[rest])
        columns = pipeline.classes_
        probabilities[held_out] = 0.0
        probabilities[np.ix_(held_out, columns)] = pipeline.predict_proba(texts[held_out])
    return probabilities


def find_label_noise(
    data: Data, probabilities: np.ndarray
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Estimate the label noise from out-of-fold probabilities.

    Args:
        data: whose training split has the given labels.
        probabilities: of shape (records, classes), see `out_of_fold_probabilities`.

    Returns:
        The summary: ``noise_rate`` (estimated share of wrong labels: the mass off the diagonal
        of the estimated joint of given and true label), ``joint`` (that joint; given label ->
        true label -> share), ``issues`` (labels that confident learning would remove) and the
        self-check ``conflicting_texts`` (of the texts with two labels, of which one must be
        wrong, how many are found). And one row a record (keys `COLUMNS`), the lowest label
        quality first.
    """
    import numpy as np
    from cleanlab.count import compute_confident_joint, estimate_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    records, classes = searched(data), data.classes
    labels = data.labels_of(records)
    counts = compute_confident_joint(labels, probabilities)
    joint = estimate_joint(labels, probabilities, confident_joint=counts)
    issues = find_label_issues(labels, probabilities, confident_joint=counts, n_jobs=1)
    quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
    suggested = probabilities.argmax(axis=1)
    # Ties are broken by position, so that the order is the same on every machine.
    order = np.argsort(quality, kind="stable")

    rows = [
        {
            "id": records[i].id,
            "label": records[i].label,
            "suggested_label": classes[suggested[i]],
            "label_quality": round_significant(float(quality[i]), 6),
            "is_issue": int(issues[i]),
        }
        for i in order
    ]
    summary = {
        "method": "confident learning (cleanlab), self-confidence",
        "records": len(records),
        "noise_rate": round_significant(float(1.0 - np.trace(joint)), 6),
        "out_of_fold_accuracy": round_significant(float(np.mean(suggested == labels)), 6),
        "issues": int(issues.sum()),
        "issues_by_class": {
            name: int(issues[labels == number].sum()) for number, name in enumerate(classes)
        },
        "joint": {
            given: {
                true: round_significant(float(joint[row, column]), 6)
                for column, true in enumerate(classes)
            }
            for row, given in enumerate(classes)
        },
        "conflicting_texts": _check_on_conflicts(records, order, issues),
    }
    return summary, rows


def _check_on_conflicts(
    records: Sequence[Record], order: np.ndarray, issues: np.ndarray
) -> dict[str, Any]:
    """How well the audit finds the labels that are known to be doubtful.

    At least one label of a text with two labels is wrong, so a sound audit ranks one of them
    low. ``in_lowest`` counts the texts that have a record among the ``lowest`` ranks, as many as
    there are issues; ``expected_by_chance`` is what a random order would reach on average.
    """
    positions: dict[str, list[int]] = defaultdict(list)
    for position, record in enumerate(records):
        positions[normalise_text(record.text)].append(position)
    conflicts = [
        group for group in positions.values() if len({records[i].label for i in group}) > 1
    ]
    lowest = int(issues.sum())
    first = set(order[:lowest].tolist())
    share_left = 1.0 - lowest / len(records)
    return {
        "texts": len(conflicts),
        "lowest": lowest,
        "in_lowest": sum(not first.isdisjoint(group) for group in conflicts),
        "flagged": sum(bool(issues[group].any()) for group in conflicts),
        "expected_by_chance": round(sum(1.0 - share_left ** len(group) for group in conflicts), 2),
    }

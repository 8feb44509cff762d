"""Predictions that somebody else made for our spans and texts.

They have classes or probabilities, and no embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectlab.config.models import Outside
from affectlab.entity import decisions
from affectlab.entity.data import Data, Record, Target, read_data, targets_of
from affectlab.entity.labels import top_class
from affectlab.entity.scores import Items
from affectlab.errors import DataError
from affectlab.evaluation import outside, stats
from affectlab.evaluation.outside_splits import known_to_others
from affectlab.evaluation.outside_tables import Answer, Wanted, read_answers
from affectlab.evaluation.scoring import HELD_OUT
from affectlab.evaluation.swapped_names import swapped_record
from affectlab.files.io import read_json, read_jsonl, sealed_path, write_json

VARIANT = "variant"
"""Column of our own predictions; of a table that has it, the corrupted texts are passed over."""

LEFT_OUT = ("concentration", "retrieval")
"""Scores that need an embedding."""


def store(
    records_path: Path,
    description_path: Path,
    recipe: Outside,
    seed: int,
    *,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Store the predictions of a table in the form of our own, without an embedding.

    A text with one span may stand for it: its id is taken for that of the span.

    Args:
        records_path: records.jsonl of the data.
        description_path: description.json of the data.
        recipe: of the table.
        seed: of the run.
        predictions_path: predictions.parquet.
        record_path: outside.json, see `outside.Matched.to_dict`.

    Raises:
        DataError: see `outside.match`.
    """
    data = read_data(records_path, description_path)
    whole_texts = data.records[0].targets[0].start is None
    wanted = Wanted(data.classes, several=whole_texts, passed_over=(VARIANT, "clean"))
    path = Path(recipe.path)
    answers = read_answers(path, recipe, wanted, None if recipe.columns.seed is None else seed)
    alone = {record.id: record.targets[0].id for record in data.records if len(record.targets) == 1}
    items, training = truths_of(data, whole_texts)
    known = {name for found in items.values() for name in found} | training.keys()
    found = outside.match(
        path,
        [
            answer if answer.id in known else replace(answer, id=alone.get(answer.id, answer.id))
            for answer in answers
        ],
        items,
        training,
        "test",
        recipe,
        withdrawn=data.description.excluded_items > 0,
    )
    write_predicted(predictions_path, _rows(found.answers))
    write_json(record_path, {**found.to_dict(), "left_out": list(LEFT_OUT)}, sealed=True)


def write_predicted(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write predictions.parquet of a run that trained nothing.

    Args:
        path: where the table goes.
        rows: of the targets: ``id``, ``split``, and ``prediction`` (a list of classes) or
            ``probabilities`` (K) or both, the same in all rows.
    """
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: [row[name] for row in rows] for name in rows[0]}
    with sealed_path(path) as temporary:
        parquet.write_table(pa.table({**columns, VARIANT: ["clean"] * len(rows)}), temporary)


def _rows(answers: Mapping[str, Mapping[str, Answer]]) -> list[dict[str, Any]]:
    """The rows of `write_predicted` of split -> target -> answer."""
    pairs = [(split, answer) for split, own in answers.items() for answer in own.values()]
    stated = all(answer.stated for _, answer in pairs)
    return [
        {
            "id": answer.id,
            "split": split,
            **({"prediction": list(answer.classes)} if stated else {}),
            **(
                {"probabilities": list(answer.probabilities)}
                if answer.probabilities is not None
                else {}
            ),
        }
        for split, answer in pairs
    ]


def fitted_calibrations(parts: Sequence[Mapping[str, Items]]) -> list[dict[str, Any]]:
    """The temperature and thresholds of each fold, or of the only part, as our own runs have them.

    They are fitted on the validation split. Without probabilities of it, of any fold, they are
    None.

    Args:
        parts: split -> items, of each fold.
    """
    held_out = [part.get("validation") for part in parts]
    known = [items for items in held_out if items is not None and items.ids]
    if len(known) < len(parts) or any(items.probabilities is None for items in known):
        return [{"temperature": None, "thresholds": None} for _ in parts]
    return [_fitted(items) for items in known]


def _fitted(items: Items) -> dict[str, Any]:
    assert items.probabilities is not None
    temperature = decisions.fit_temperature(items.probabilities, items.labels)
    thresholds = None
    if items.whole_texts and items.decided is None:
        softened = stats.apply_temperature(items.probabilities, temperature)
        thresholds = decisions.fit_thresholds(softened, items.labels > 0).tolist()
    return {"temperature": temperature, "thresholds": thresholds}


def swapped_classes(
    table: Mapping[str, stats.Array], groups: stats.Integers, classes: Sequence[str], level: float
) -> dict[str, Any]:
    """Names of predicted classes that seem to stand for others; see `swapped_record`.

    Args:
        table: as `scores.columns` gives it, of targets with one class.
        groups: of the targets, (n,).
        classes: names of the K classes.
        level: of the intervals.
    """
    truth, decided = (table[name].argmax(axis=1) for name in ("truth", "decided"))
    return swapped_record(truth, decided, groups.tolist(), classes, level)


def targets_to_leave_out(
    audit_path: Path | str, records_path: Path | str, table: Mapping[str, Any], *, folded: bool
) -> set[str] | None:
    """Test targets that a model may know from its training; see `known_to_others`.

    Their text is, or nearly is, in the training split, or whoever made the model lists them.

    Args:
        audit_path: audit.json of the data.
        records_path: records.jsonl of the data.
        table: outside.json of the run.
        folded: whether the data have folds.

    Raises:
        DataError: the audit lacks the lists.
    """
    audit = read_json(audit_path)
    try:
        texts = set(audit["overlap"].get("test_in_train", ()))
        texts |= set(audit["near_duplicates"]["overlap"].get("test_in_train", ()))
    except (KeyError, TypeError, AttributeError) as error:
        problem = "expected overlap and near_duplicates.overlap"
        raise DataError(audit_path, None, problem) from error
    targets = {
        target["id"]
        for record in read_jsonl(records_path)
        if record["id"] in texts
        for target in record["targets"]
    }
    return known_to_others(table, targets, folded=folded)


def truths_of(
    data: Data, whole_texts: bool
) -> tuple[dict[str, dict[str, outside.Truth]], dict[str, outside.Truth]]:
    """Held-out split -> target -> its classes, and the same of the training split.

    In a cross-validation each target is held out once, in both roles.
    """

    def truths(records: Sequence[Record]) -> dict[str, outside.Truth]:
        return {
            target.id: _truth(target, data.classes, whole_texts) for target in targets_of(records)
        }

    if data.description.folds is not None:
        everything = truths(data.records)
        return dict.fromkeys(HELD_OUT, everything), {}
    return {split: truths(data.of_split(split)) for split in HELD_OUT}, truths(
        data.of_split("train")
    )


def _truth(target: Target, classes: Sequence[str], whole_texts: bool) -> outside.Truth:
    if not whole_texts:
        return classes[top_class(target.label)]
    return tuple(name for name, value in zip(classes, target.label, strict=True) if value > 0)

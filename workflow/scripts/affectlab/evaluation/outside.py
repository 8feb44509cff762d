"""Predictions that somebody else made: read from a table, and matched with the records.

The table has a row for each item: its id, and a class or the probability of each class. Whoever
made it chose the names of the columns, and may have left out items.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.config.models import Outside
from affectlab.datasets.tables import TableRow, read_table
from affectlab.errors import DataError
from affectlab.evaluation.predictions import SHOWN, SUM_TOLERANCE
from affectlab.files.io import sha256_file, write_json, write_jsonl
from affectlab.files.text import read_lines

PREDICTION_COLUMNS = ("prediction", "predicted", "label")
"""Where a predicted class may stand; in a table with two of these the last is the true class."""

PROBABILITIES = "probabilities"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a table says of an item.

    Attributes:
        place: of the row, for messages.
        id: of the item.
        split: that the row states; None where it states none.
        prediction: the class.
        probabilities: in the order of the classes; None where the table has none.
        truth: the true class as the table has it; None where it has none.
    """

    place: str
    id: str
    split: str | None
    prediction: str
    probabilities: tuple[float, ...] | None
    truth: str | None


@dataclass(frozen=True, slots=True)
class Matched:
    """Answers that were matched with the items of the held-out splits.

    Attributes:
        answers: split -> item -> answer.
        missing: items without an answer, of the splits that have answers.
        splits_left_out: splits without any answer.
        training_items: how many answers are on items of the training split, which are not scored.
        other_truths: items whose true class in the table is another one than in the records.
        trained_on: held-out items that the model was trained on, as its makers list them.
        sha256: of the table.
    """

    answers: Mapping[str, Mapping[str, Answer]]
    missing: tuple[str, ...]
    splits_left_out: tuple[str, ...]
    training_items: int
    other_truths: tuple[str, ...]
    trained_on: tuple[str, ...]
    sha256: str

    @property
    def has_probabilities(self) -> bool:
        """Whether the answers hold probabilities; all do, or none."""
        first = next(iter(next(iter(self.answers.values())).values()))
        return first.probabilities is not None

    def to_dict(self) -> dict[str, Any]:
        """The record of the table, for `metrics.json`."""
        return {
            "sha256": self.sha256,
            "splits_left_out": list(self.splits_left_out),
            "missing": list(self.missing),
            "probabilities": self.has_probabilities,
            "training_items": self.training_items,
            "other_truths": list(self.other_truths),
            "trained_on": list(self.trained_on),
        }


def read_answers(
    path: Path, recipe: Outside, classes: Sequence[str], seed: int | None
) -> list[Answer]:
    """Read a table of predictions.

    Args:
        path: CSV, TSV, JSON, JSON Lines, Parquet or Arrow.
        recipe: names of its columns and classes.
        classes: of the data, in the order of their ids.
        seed: the rows with this seed; None where the table has no column of seeds.

    Raises:
        DataError: a row is no prediction, or there is none.
    """
    id_column = recipe.columns.id
    reader: _Reader | None = None
    found: list[Answer] = []
    for row in read_table(path, [id_column]):
        if row.problem is not None:
            raise DataError(path, row.place, row.problem)
        if reader is None:
            reader = _Reader.of(path, row.values, recipe, classes)
        if seed is not None and not reader.has_seed(row, seed):
            continue
        found.append(reader.answer(row))
    if not found:
        seeded = "" if seed is None else f" with the seed {seed}"
        raise DataError(path, None, f"no prediction{seeded} in the table")
    return found


def match(
    path: Path,
    answers: Iterable[Answer],
    items: Mapping[str, Mapping[str, str]],
    training: Mapping[str, str],
    headline: str,
    recipe: Outside,
) -> Matched:
    """Match answers with the items of the records.

    An answer whose row states no split belongs to the headline split, if the item is in it.

    Args:
        path: of the table.
        answers: what it says.
        items: held-out split -> item -> its class.
        training: items of the training split with their classes; answers on these are not scored.
        headline: the split whose scores are the headline.
        recipe: whether items may be missing, and what the model was trained on.

    Raises:
        DataError: an item is unknown or has two answers, some answers have probabilities and some
            have none, or items are missing that may not.
    """
    by_split: dict[str, dict[str, Answer]] = {split: {} for split in items}
    unknown, repeated, other_truths, training_items = [], [], [], 0
    order = [headline, *(split for split in items if split != headline)]
    for answer in answers:
        splits = order if answer.split is None else [answer.split]
        split = next((one for one in splits if answer.id in items.get(one, {})), None)
        if split is None:
            training_items += answer.id in training
            if answer.id not in training:
                unknown.append(answer.id)
        elif answer.id in by_split[split]:
            repeated.append(answer.id)
        else:
            by_split[split][answer.id] = answer
            if answer.truth is not None and answer.truth != items[split][answer.id]:
                other_truths.append(answer.id)
    if unknown:
        raise DataError(path, None, _counted(unknown, "of no item of these data"))
    if repeated:
        raise DataError(path, None, _counted(repeated, "given a second time"))
    left_out = tuple(split for split in items if not by_split[split])
    if headline in left_out:
        raise DataError(path, None, f"no prediction for the split {headline!r}")
    kept = {split: found for split, found in by_split.items() if found}
    missing = [name for split, found in kept.items() for name in items[split] if name not in found]
    if missing and not recipe.allow_missing:
        total = sum(len(items[split]) for split in kept)
        problem = (
            f"no prediction for {len(missing)} of {total} items: {_listed(missing)}; a score "
            "without them may be too good. allow_missing: true scores the others"
        )
        raise DataError(path, None, problem)
    _check_probabilities(path, kept)
    known = {name for found in items.values() for name in found} | training.keys()
    listed = set() if recipe.trained_on is None else _listed_items(Path(recipe.trained_on), known)
    return Matched(
        answers=kept,
        missing=tuple(missing),
        splits_left_out=left_out,
        training_items=training_items,
        other_truths=tuple(dict.fromkeys(other_truths)),
        trained_on=tuple(name for name in items[headline] if name in listed),
        sha256=sha256_file(path),
    )


def store(
    path: Path,
    recipe: Outside,
    classes: Sequence[str],
    items: Mapping[str, Mapping[str, str]],
    training: Mapping[str, str],
    *,
    headline: str,
    seed: int,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Read a table of predictions, match it, and store it as our own runs store theirs.

    Args:
        path: of the table.
        recipe: see `read_answers` and `match`.
        classes: of the data, in the order of their ids.
        items: see `match`.
        training: see `match`.
        headline: see `match`.
        seed: of the run.
        predictions_path: where the predictions go.
        record_path: where the record of the table goes, see `Matched.to_dict`.

    Raises:
        DataError: see `read_answers` and `match`.
    """
    wanted = None if recipe.columns.seed is None else seed
    answers = read_answers(path, recipe, classes, wanted)
    found = match(path, answers, items, training, headline, recipe)
    rows = []
    for split, names in items.items():
        for name, answer in found.answers.get(split, {}).items():
            row: dict[str, Any] = {"id": name, "split": split, "label": names[name]}
            row["prediction"] = answer.prediction
            if answer.probabilities is not None:
                row["probabilities"] = dict(zip(classes, answer.probabilities, strict=True))
            rows.append(row)
    write_jsonl(predictions_path, rows, sealed=True)
    write_json(record_path, found.to_dict(), sealed=True)


def _listed_items(path: Path, known: Container[str]) -> set[str]:
    """The ids in a file with one a line; empty lines are passed over.

    Raises:
        DataError: none of them is an item of these data.
    """
    listed = {line.strip() for _, line in read_lines(path)} - {""}
    if not any(name in known for name in listed):
        raise DataError(path, None, "expected ids of these data, one a line; found none")
    return listed


def _check_probabilities(path: Path, answers: Mapping[str, Mapping[str, Answer]]) -> None:
    """Refuse a table in which some rows have probabilities and others have none."""
    without = [
        answer.place
        for found in answers.values()
        for answer in found.values()
        if answer.probabilities is None
    ]
    total = sum(map(len, answers.values()))
    if 0 < len(without) < total:
        problem = f"{len(without)} of {total} rows have no probabilities, and the others have them"
        raise DataError(path, without[0], problem)


@dataclass(frozen=True, slots=True)
class _Reader:
    """How the rows of a table are read, found out from its first row."""

    path: Path
    classes: tuple[str, ...]
    names: Mapping[str, str]
    id_column: str
    seed_column: str | None
    split_column: str | None
    prediction_column: str | None
    truth_column: str | None
    probability_columns: tuple[str, ...] | None

    @classmethod
    def of(
        cls, path: Path, first: Mapping[str, Any], recipe: Outside, classes: Sequence[str]
    ) -> _Reader:
        """Find the columns; see `read_answers`."""
        columns = recipe.columns
        present = [name for name in PREDICTION_COLUMNS if name in first]
        prediction = columns.prediction or (present[0] if present else None)
        truth = columns.label
        if truth is None and prediction == "prediction" and "label" in first:
            truth = "label"
        for name in (prediction, truth, columns.split, columns.seed):
            if name is not None and name not in first:
                raise DataError(path, None, f"no column {name!r}; found: {_listed(list(first))}")
        of_classes = _class_columns(path, first, recipe.classes, classes)
        if prediction is None and of_classes is None and PROBABILITIES not in first:
            raise DataError(
                path,
                None,
                f"expected a column with the predicted class ({', '.join(PREDICTION_COLUMNS)}), or "
                f"one for each class ({_listed(classes)}); found: {_listed(list(first))}",
            )
        return cls(
            path,
            tuple(classes),
            recipe.classes,
            columns.id,
            columns.seed,
            columns.split or ("split" if "split" in first else None),
            prediction,
            truth,
            of_classes,
        )

    def has_seed(self, row: TableRow, seed: int) -> bool:
        """Whether a row is of *seed*."""
        value = row.values[self.seed_column or ""]
        if str(value).strip().isdecimal():
            return int(str(value)) == seed
        raise self._error(row, f"the seed is {value!r}, expected a whole number")

    def answer(self, row: TableRow) -> Answer:
        """What a row says.

        Raises:
            DataError: it is no prediction.
        """
        name = row.values[self.id_column]
        if name is None or not str(name).strip():
            raise self._error(row, "the id is empty")
        probabilities = self._probabilities(row)
        if self.prediction_column is not None:
            prediction = self._class(row, self.prediction_column)
        else:
            assert probabilities is not None
            prediction = self.classes[probabilities.index(max(probabilities))]
        truth = None
        if self.truth_column is not None and row.values[self.truth_column] not in (None, ""):
            truth = self._class(row, self.truth_column)
        split = None if self.split_column is None else row.values[self.split_column]
        return Answer(
            row.place,
            str(name),
            None if split in (None, "") else str(split),
            prediction,
            probabilities,
            truth,
        )

    def _class(self, row: TableRow, column: str) -> str:
        given = str(row.values[column])
        name = self.names.get(given, given)
        if name not in self.classes:
            raise self._error(
                row,
                f"{column}: {given[:40]!r} is none of the classes {_listed(self.classes)}; say "
                "which one it is under predictions.classes",
            )
        return name

    def _probabilities(self, row: TableRow) -> tuple[float, ...] | None:
        stored = self._stored(row)
        if stored is None:
            return None
        values = tuple(
            self._probability(row, name, value)
            for name, value in zip(self.classes, stored, strict=True)
        )
        total = math.fsum(values)
        if abs(total - 1) > SUM_TOLERANCE:
            raise self._error(
                row,
                f"the probabilities sum to {total:g}, expected 1; if these are logits, store their "
                "softmax",
            )
        return values

    def _stored(self, row: TableRow) -> list[Any] | None:
        """What stands for each class, in the order of the classes."""
        if self.probability_columns is not None:
            return [row.values[name] for name in self.probability_columns]
        stored = row.values.get(PROBABILITIES)
        if isinstance(stored, str) and stored.strip():
            try:
                stored = json.loads(stored)
            except ValueError as error:
                raise self._error(row, f"{PROBABILITIES}: not valid JSON") from error
        if stored in (None, ""):
            return None
        if isinstance(stored, Mapping):
            named = {self.names.get(name, name): value for name, value in stored.items()}
            if set(named) == set(self.classes) and len(named) == len(stored):
                return [named[name] for name in self.classes]
        elif isinstance(stored, list) and len(stored) == len(self.classes):
            return stored
        wanted = _listed(self.classes)
        raise self._error(row, f"{PROBABILITIES}: expected a number for each of {wanted}")

    def _probability(self, row: TableRow, name: str, value: Any) -> float:
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if not 0 <= number <= 1:
            shown = repr(value)[:24]
            raise self._error(
                row, f"probability of {name}: expected a number from 0 to 1, found {shown}"
            )
        return number

    def _error(self, row: TableRow, problem: str) -> DataError:
        return DataError(self.path, row.place, problem)


def _class_columns(
    path: Path, first: Mapping[str, Any], names: Mapping[str, str], classes: Sequence[str]
) -> tuple[str, ...] | None:
    """The column of each class; None where no column is called as a class."""
    column_of = {names.get(column, column): column for column in first}
    found = [name for name in classes if name in column_of]
    if not found:
        return None
    if absent := [name for name in classes if name not in column_of]:
        problem = f"columns for some classes, and none for {_listed(absent)}"
        raise DataError(path, None, f"{problem}; say which they are under predictions.classes")
    return tuple(column_of[name] for name in classes)


def _counted(names: Sequence[str], what: str) -> str:
    count = Counter(names)
    are = "prediction is" if len(names) == 1 else "predictions are"
    return f"{len(names)} {are} {what}: {_listed(list(count))}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")

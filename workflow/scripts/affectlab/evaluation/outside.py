"""Predictions that somebody else made, matched with the records.

The table has a row for each item: its id, and a class or the probability of each class. Whoever
made it may have left out items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from affectlab.config.checks import OUTSIDE
from affectlab.config.models import Outside
from affectlab.datasets.own_tables import split_called
from affectlab.datasets.spelling import spelling_hint
from affectlab.errors import DataError
from affectlab.evaluation.listed_training import (
    NOTHING_LISTED,
    ListedTraining,
    listed_training,
)
from affectlab.evaluation.outside_splits import splits_left_out
from affectlab.evaluation.outside_tables import Answer, Wanted, listed_names, read_answers
from affectlab.files.io import sha256_file, write_json, write_jsonl

TRAIN = "train"

ALLOW_MISSING = "allow_missing: true"
"""Key of the configuration; `affectlab referee` calls it --allow-missing."""

Truth = str | Sequence[str]
"""The true class of an item; its true classes where it may have several."""


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
        listed: the list of these.
        without_prediction: how many items of the data the table leaves out, those of the training
            split included.
        sha256: of the table.
    """

    answers: Mapping[str, Mapping[str, Answer]]
    missing: tuple[str, ...]
    splits_left_out: tuple[str, ...]
    training_items: int
    other_truths: tuple[str, ...]
    trained_on: tuple[str, ...]
    listed: ListedTraining
    without_prediction: int
    sha256: str

    @property
    def has_probabilities(self) -> bool:
        """Whether the answers hold probabilities; all do, or none."""
        first = next(iter(next(iter(self.answers.values())).values()))
        return first.probabilities is not None

    @property
    def numbers(self) -> list[str]:
        """Names of the numbers that are predicted in addition to the class."""
        return list(next(iter(next(iter(self.answers.values())).values())).numbers)

    def to_dict(self) -> dict[str, Any]:
        """The record of the table, for `metrics.json`."""
        return {
            "kind": OUTSIDE,
            "sha256": self.sha256,
            "splits_left_out": list(self.splits_left_out),
            "missing": list(self.missing),
            "probabilities": self.has_probabilities,
            "numbers": self.numbers,
            "training_items": self.training_items,
            "other_truths": list(self.other_truths),
            "trained_on": list(self.trained_on),
            "without_prediction": self.without_prediction,
            **self.listed.to_dict(),
        }


def match(
    path: Path,
    answers: Iterable[Answer],
    items: Mapping[str, Mapping[str, Truth]],
    training: Collection[str],
    headline: str,
    recipe: Outside,
    *,
    withdrawn: bool = False,
) -> Matched:
    """Match answers with the items of the records.

    An answer whose row states no split belongs to the headline split, if the item is in it.

    Args:
        path: of the table.
        answers: what it says.
        items: held-out split -> item -> its class, or its classes in their order.
        training: items of the training split; answers on these are not scored.
        headline: the split whose scores are the headline.
        recipe: whether items may be missing, and what the model was trained on.
        withdrawn: whether somebody withdrew from the data, see `unknown_items`.

    Raises:
        DataError: an item or a split is unknown, an item has two answers, some answers have
            probabilities and some have none, or items are missing that may not.
    """
    known = {name for found in items.values() for name in found} | set(training)
    by_split: dict[str, dict[str, Answer]] = {split: {} for split in items}
    unknown: list[Answer] = []
    repeated, other_truths, training_items = [], [], 0
    order = [headline, *(split for split in items if split != headline)]
    for answer in answers:
        splits = order if answer.split is None else [_stated_split(path, answer, items)]
        split = next((one for one in splits if answer.id in items.get(one, {})), None)
        if split is None:
            training_items += answer.id in training
            if answer.id not in training:
                unknown.append(answer)
        elif answer.id in by_split[split]:
            repeated.append(answer.id)
        else:
            by_split[split][answer.id] = answer
            if answer.truth is not None and answer.truth != _classes(items[split][answer.id]):
                other_truths.append(answer.id)
    if unknown:
        raise unknown_items(path, [(one.id, one.place) for one in unknown], known, withdrawn)
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
            f"no prediction for {len(missing)} of {total} items: {listed_names(missing)}; a score "
            f"without them may be too good. {ALLOW_MISSING} scores the others"
        )
        raise DataError(path, None, problem)
    _check_probabilities(path, kept)
    answered = len({name for found in kept.values() for name in found}) + training_items
    listed = listed_training(recipe.trained_on, known, withdrawn)
    return Matched(
        answers=kept,
        missing=tuple(missing),
        splits_left_out=left_out,
        training_items=training_items,
        other_truths=tuple(dict.fromkeys(other_truths)),
        trained_on=tuple(name for name in items[headline] if name in listed.ids),
        listed=listed,
        without_prediction=len(known) - answered,
        sha256=sha256_file(path),
    )


def matched_table(
    recipe: Outside,
    classes: Sequence[str],
    items: Mapping[str, Mapping[str, str]],
    training: Mapping[str, str],
    *,
    headline: str,
    seed: int,
    limits: Mapping[str, float] = MappingProxyType({}),
    withdrawn: bool = False,
) -> Matched:
    """Read the table of a run, and match it.

    Args:
        recipe: see `read_answers` and `match`.
        classes: of the data, in the order of their ids.
        items: see `match`.
        training: see `match`.
        headline: see `match`.
        seed: of the run.
        limits: see `read_answers`.
        withdrawn: see `match`.

    Raises:
        DataError: see `read_answers` and `match`.
    """
    path, wanted = Path(recipe.path), None if recipe.columns.seed is None else seed
    answers = read_answers(path, recipe, Wanted(classes, numbers=limits), wanted)
    return match(path, answers, items, training, headline, recipe, withdrawn=withdrawn)


def store(
    recipe: Outside,
    classes: Sequence[str],
    items: Mapping[str, Mapping[str, str]],
    training: Mapping[str, str],
    *,
    headline: str,
    seed: int,
    predictions_path: Path,
    record_path: Path,
    limits: Mapping[str, float] = MappingProxyType({}),
    withdrawn: bool = False,
) -> None:
    """Read a table of predictions, match it, and store it as our own runs store theirs.

    Args:
        recipe: see `matched_table`.
        classes: see `matched_table`.
        items: see `match`.
        training: see `match`.
        headline: see `match`.
        seed: see `matched_table`.
        predictions_path: where the predictions go.
        record_path: where the record of the table goes, see `Matched.to_dict`.
        limits: see `read_answers`.
        withdrawn: see `match`.

    Raises:
        DataError: see `read_answers` and `match`.
    """
    found = matched_table(
        recipe,
        classes,
        items,
        training,
        headline=headline,
        seed=seed,
        limits=limits,
        withdrawn=withdrawn,
    )
    rows = []
    for split, names in items.items():
        for name, answer in found.answers.get(split, {}).items():
            row: dict[str, Any] = {"id": name, "split": split, "label": names[name]}
            row["prediction"] = answer.prediction
            if answer.probabilities is not None:
                row["probabilities"] = dict(zip(classes, answer.probabilities, strict=True))
            rows.append({**row, **answer.numbers})
    write_jsonl(predictions_path, rows, sealed=True)
    write_json(record_path, found.to_dict(), sealed=True)


def store_predicted(
    kind: str,
    items: Mapping[str, Mapping[str, str]],
    predicted: Mapping[str, Mapping[str, Any]],
    about: Mapping[str, Any],
    *,
    predictions_path: Path,
    record_path: Path,
) -> None:
    """Store what a model that we did not train predicted, as our own runs store theirs.

    Args:
        kind: the method of the run, one of `config.checks.WITHOUT_TRAINING`.
        items: held-out split -> item -> its class.
        predicted: each item -> what its row holds beside id, split and label: ``prediction``, and
            by class ``probabilities`` in the order of the classes, for all items or for none.
        about: see `complete_record`; ``probabilities`` and ``splits_left_out`` are known without
            it.
        predictions_path: where the predictions go.
        record_path: where the record goes.
    """
    rows = [
        {"id": name, "split": split, "label": label, **predicted[name]}
        for split, names in items.items()
        for name, label in names.items()
    ]
    known = {
        "probabilities": all("probabilities" in row for row in rows),
        "splits_left_out": splits_left_out(items),
        **about,
    }
    write_jsonl(predictions_path, rows, sealed=True)
    write_json(record_path, complete_record(kind, known), sealed=True)


def complete_record(kind: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """The record of predictions of every held-out item.

    Args:
        kind: the method of the run, one of `config.checks.WITHOUT_TRAINING`.
        about: ``probabilities``, what is particular to the kind, and what differs from the keys of
            a table in which nothing is missing, see `Matched.to_dict`.
    """
    return {
        "kind": kind,
        "splits_left_out": [],
        "missing": [],
        "numbers": [],
        "training_items": 0,
        "other_truths": [],
        "trained_on": [],
        "without_prediction": 0,
        **NOTHING_LISTED.to_dict(),
        **about,
    }


def _classes(truth: Truth) -> tuple[str, ...]:
    return (truth,) if isinstance(truth, str) else tuple(truth)


def unknown_items(
    path: Path | str, unknown: Sequence[tuple[str, str]], known: Iterable[str], withdrawn: bool
) -> DataError:
    """The error on predictions of items that are not in the data.

    Args:
        path: of the table.
        unknown: id and place of each.
        known: ids of the data.
        withdrawn: whether somebody withdrew from the data. The ids may be theirs, so the message
            has the places alone.
    """
    problem = "of no item of these data"
    if not withdrawn:
        names = [name for name, _ in unknown]
        return DataError(path, None, _counted(names, problem) + spelling_hint(names, known))
    counted = _counted([place for _, place in unknown], problem)
    hint = "somebody withdrew from these data, so no ids are shown; remove these rows"
    return DataError(path, None, f"{counted}; {hint}")


def _stated_split(path: Path, answer: Answer, known: Collection[str]) -> str:
    """The split that a row states, by any of its usual names.

    Raises:
        DataError: it is no split of the data.
    """
    given = answer.split or ""
    split = given if given in known else split_called(given)
    if split in known or split == TRAIN:
        return str(split)
    expected = ", ".join([*known, TRAIN])
    raise DataError(path, answer.place, f"the split {given[:24]!r} is none of {expected}")


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


def _counted(names: Sequence[str], what: str) -> str:
    count = Counter(names)
    are = "prediction is" if len(names) == 1 else "predictions are"
    return f"{len(names)} {are} {what}: {listed_names(list(count))}"

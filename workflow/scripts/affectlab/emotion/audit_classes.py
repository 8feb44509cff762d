"""The part of the audit on texts with one class each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from affectlab.datasets.texts import TEXT_CONDITIONS, normalise_text, text_conditions
from affectlab.datasets.traps import Trap, find_traps
from affectlab.emotion.audit_part import class_rows, count_rows
from affectlab.emotion.data import CLASSES, Data, Record
from affectlab.evaluation.agreement import agreement
from affectlab.evaluation.conditions import condition_trap, giveaways
from affectlab.evaluation.expectations import KnownIssues, compare, issue_rows, share_rows
from affectlab.files.io import round_significant


class ClassAudit:
    """See `audit_part.AuditPart`."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def broken(self, by_split: Mapping[str, Sequence[Record]]) -> list[str]:
        """Splits in which a class is missing that should be there."""
        return _absent_classes(self._data, by_split)

    def describe(self, records: Sequence[Record]) -> dict[str, Any]:
        """Counts and shares of the classes."""
        classes = Counter(record.label for record in records)
        names = self._data.classes
        return {
            "classes": {name: classes[name] for name in names},
            "shares": {name: round_significant(classes[name] / len(records), 4) for name in names},
        }

    def conditions(self) -> dict[str, Any]:
        """What length and language of a text tell of its class."""
        return {"conditions": _conditions(self._data.records)}

    def traps(self, conditions: Mapping[str, Any]) -> list[Trap]:
        """Traps in classes and groups."""
        return list(_traps(self._data, conditions["conditions"]))

    def agreement(self) -> dict[str, Any]:
        """The agreement of several annotators."""
        return _agreement(self._data)

    def compare(
        self, found: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Compare counts, classes, issues and shares."""
        counts = found["counts"].values()
        classes = {
            name: sum(part["classes"][name] for part in counts) for name in self._data.classes
        }
        rows = [*count_rows(found, expected), *class_rows(found, expected)]
        return [
            *compare([*rows, *issue_rows(expected, KNOWN_ISSUES, dict(found))]),
            *share_rows(expected.get("shares", {}), classes, "records"),
        ]


KNOWN_ISSUES: KnownIssues = {
    "conflicting_texts": lambda found: found["conflicts"]["train"]["texts"],
    "duplicate_texts": lambda found: found["duplicates"]["train"]["exact"]["texts"],
    "unique_train_texts": lambda found: found["counts"]["train"]["unique_texts"],
    "test_texts_in_train": lambda found: found["overlap"]["exact"]["test_in_train"],
    "validation_texts_in_train": lambda found: found["overlap"]["exact"]["validation_in_train"],
    "near_duplicate_groups": lambda found: len(found["near_duplicates"]["groups"]),
    "quarantined_records": lambda found: found["quarantine"]["records"],
}
"""What a registry may expect under ``known_issues``, and where the audit has it; all but
``near_duplicate_groups`` compare texts as they stand, without normalisation."""


def _absent_classes(data: Data, by_split: Mapping[str, Sequence[Record]]) -> list[str]:
    """Splits in which a class is missing that should be there."""
    broken = []
    for split, items in by_split.items():
        chosen = data.shares_of(items).sum(axis=0)
        absent = [name for name, total in zip(data.classes, chosen, strict=True) if total == 0]
        # Of small data a rare class may be missing where nothing is learnt from it.
        if items and absent and (split == "train" or data.classes == CLASSES):
            broken.append(f"the split {split} has no record of {', '.join(absent)}")
    return broken


def _traps(data: Data, conditions: Mapping[str, Any]) -> Iterator[Trap]:
    """What about classes and groups can make a score on these data mean less than it seems."""
    yield from find_traps(
        [record.label for record in data.records],
        [record.group for record in data.records],
        data.classes,
        folds=data.description.folds,
        what="texts",
        group_name=data.description.group,
    )
    yield from condition_trap(conditions, TEXT_CONDITIONS, "a text")


def _conditions(records: Sequence[Record]) -> Any:
    """Find what length and script of a text tell of its class."""
    return giveaways(
        text_conditions([record.text for record in records]),
        [record.label for record in records],
        [normalise_text(record.text) for record in records],
        "emotion",
    )


def _agreement(data: Data) -> dict[str, Any]:
    """The agreement of several annotators; empty where there is one label each."""
    annotators = data.description.annotators
    if annotators is None:
        return {}
    votes = [record.votes or {record.label: 1} for record in data.records]
    return {"agreement": agreement(votes, data.classes, annotators)}

"""The part of the audit on texts with any number of classes each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from affectlab.datasets.texts import TEXT_CONDITIONS, normalise_text, text_conditions
from affectlab.datasets.traps import Trap, constant_classes, rare_classes, spelling_traps
from affectlab.emotion.audit_part import class_rows, count_rows
from affectlab.emotion.multilabel_data import MultilabelData, MultilabelRecord
from affectlab.evaluation.class_conditions import class_condition_traps, class_giveaways
from affectlab.evaluation.expectations import compare
from affectlab.files.io import round_significant


class MultilabelAudit:
    """See `audit_part.AuditPart`."""

    def __init__(self, data: MultilabelData) -> None:
        self._data = data

    def broken(self, by_split: Mapping[str, Sequence[MultilabelRecord]]) -> list[str]:
        """Classes that no training text has, or that all texts have."""
        names = self._data.names
        found = []
        for split, records in by_split.items():
            counts = _counts(records)
            absent = [name for name in names if counts[name] == 0]
            # Of small data a rare class may be missing where nothing is learnt from it.
            if records and absent and split not in ("validation", "test"):
                found.append(f"the split {split} has no record of {', '.join(absent)}")
        everywhere = _counts(self._data.records)
        return found + [
            f"all texts have the class {name}, so nothing can be learnt about it"
            for name in names
            if everywhere[name] == len(self._data.records)
        ]

    def describe(self, records: Sequence[MultilabelRecord]) -> dict[str, Any]:
        """Counts and shares of the classes, and how many classes the texts have."""
        counts = _counts(records)
        sizes = Counter(len(record.labels) for record in records)
        return {
            "classes": {name: counts[name] for name in self._data.names},
            "shares": {
                name: round_significant(counts[name] / len(records), 4) for name in self._data.names
            },
            "classes_of_a_text": {str(size): sizes[size] for size in sorted(sizes)},
        }

    def conditions(self) -> dict[str, Any]:
        """What length and language of a text tell of each class that is frequent enough."""
        records = self._data.records
        texts = [record.text for record in records]
        return {
            "conditions": class_giveaways(
                text_conditions(texts),
                [record.labels for record in records],
                self._data.names,
                [normalise_text(text) for text in texts],
                "emotion",
            )
        }

    def traps(self, conditions: Mapping[str, Any]) -> list[Trap]:
        """Traps in classes and groups."""
        return list(self._traps(conditions["conditions"]))

    def agreement(self) -> dict[str, Any]:
        """There is one label set for each text."""
        return {}

    def compare(
        self, found: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Compare counts of records and of classes."""
        return compare([*count_rows(found, expected), *class_rows(found, expected)])

    def _traps(self, conditions: Mapping[str, Any]) -> Iterator[Trap]:
        records, names = self._data.records, self._data.names
        description = self._data.description
        sets = [record.labels for record in records]
        groups = [record.group for record in records]
        yield from rare_classes(
            [name for labels in sets for name in labels],
            [group for labels, group in zip(sets, groups, strict=True) for _ in labels],
            names,
            description.folds or 2,
            "texts",
        )
        known = [group for group in groups if group is not None]
        yield from spelling_traps(known, description.group)
        yield from constant_classes(sets, groups, names, "texts", description.group)
        yield from class_condition_traps(conditions, TEXT_CONDITIONS, "a text")


def _counts(records: Sequence[MultilabelRecord]) -> Counter[str]:
    return Counter(name for record in records for name in record.labels)

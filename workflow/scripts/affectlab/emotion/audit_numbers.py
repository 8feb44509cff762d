"""The part of the audit on texts with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affectlab.datasets.names import name_key
from affectlab.datasets.numbers import constant_numbers, describe_numbers
from affectlab.datasets.splits import joined_groups
from affectlab.datasets.texts import normalise_text, text_conditions
from affectlab.datasets.traps import Trap, number_traps
from affectlab.emotion.audit_part import compared_counts
from affectlab.emotion.ratings import Rating, Ratings
from affectlab.evaluation.number_conditions import condition_traps, number_giveaways


class NumberAudit:
    """See `audit_part.AuditPart`."""

    def __init__(self, data: Ratings) -> None:
        self._data = data

    def broken(self, by_split: Mapping[str, Sequence[Rating]]) -> list[str]:
        """Numbers that are the same for all texts, so that nothing can be learnt."""
        return constant_numbers(self._data.values_of(self._data.records), self._data.names, "texts")

    def describe(self, records: Sequence[Rating]) -> dict[str, Any]:
        """Mean, standard deviation and range of each number."""
        return {"numbers": describe_numbers(self._data.values_of(records), self._data.names)}

    def conditions(self) -> dict[str, Any]:
        """``number_conditions``: what length and language of a text tell of its numbers."""
        records = self._data.records
        authors = [None if one.group is None else name_key(one.group) for one in records]
        contents = [normalise_text(one.text) for one in records]
        return {
            "number_conditions": number_giveaways(
                text_conditions([record.text for record in records]),
                self._data.values_of(records),
                self._data.names,
                joined_groups(authors, contents),
                "emotion",
            )
        }

    def traps(self, conditions: Mapping[str, Any]) -> list[Trap]:
        """Traps in numbers and groups."""
        return [
            *number_traps(
                [record.answer for record in self._data.records],
                [record.group for record in self._data.records],
                self._data.names,
                what="texts",
                group_name=self._data.description.group,
            ),
            *condition_traps(conditions["number_conditions"]["clear"], "text"),
        ]

    def agreement(self) -> dict[str, Any]:
        """There is one value of each number."""
        return {}

    def compare(
        self, found: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Compare counts of records."""
        return compared_counts(found, expected)

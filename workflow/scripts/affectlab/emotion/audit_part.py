"""What an audit reports of the classes or numbers of texts, besides the texts themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from affectlab.datasets.traps import Trap
from affectlab.evaluation.expectations import compare


class AuditPart(Protocol):
    """The part of an audit that depends on what is predicted."""

    def broken(self, by_split: Mapping[str, Sequence[Any]]) -> list[str]:
        """Reasons for which nothing should be learnt from the data."""

    def describe(self, records: Sequence[Any]) -> dict[str, Any]:
        """The classes or numbers of a split, as entries of its ``counts``."""

    def conditions(self) -> dict[str, Any]:
        """``conditions``: what length and language of a text tell; empty where not measured."""

    def traps(self, conditions: Mapping[str, Any]) -> list[Trap]:
        """What can make a score mean less than it seems; *conditions* as of `conditions`."""

    def agreement(self) -> dict[str, Any]:
        """``agreement`` of the annotators; empty where there is one answer each."""

    def compare(
        self, found: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Compare the findings with the registry's ``expected``, number by number."""


def count_rows(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Expected and found records of each split."""
    counts = found["counts"]
    return [
        (f"records of {split}", number, counts.get(split, {}).get("records", 0))
        for split, number in expected.get("counts", {}).items()
    ]


def class_rows(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Expected and found records of each class, of all splits."""
    return [
        (
            f"records of class {name}",
            number,
            sum(part["classes"].get(name, 0) for part in found["counts"].values()),
        )
        for name, number in expected.get("classes", {}).items()
    ]


def compared_counts(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of `count_rows` with their status."""
    return compare(count_rows(found, expected))

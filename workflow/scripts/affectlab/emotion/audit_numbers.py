"""The audit of texts with numbers: what is in the data, and what can mislead a reader of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affectlab.datasets.names import name_key
from affectlab.datasets.numbers import constant_numbers, describe_numbers
from affectlab.datasets.splits import joined_groups
from affectlab.datasets.texts import normalise_text, text_conditions
from affectlab.datasets.traps import Trap, number_traps
from affectlab.emotion.audit import (
    breakage,
    copy_traps,
    overlap_in,
    parts,
    quantiles,
    store_audit,
    text_findings,
    write_audit,
)
from affectlab.emotion.data import Data
from affectlab.emotion.plan import plannable
from affectlab.emotion.ratings import Rating, Ratings
from affectlab.evaluation.expectations import compare, refuse_unusable
from affectlab.evaluation.number_conditions import condition_traps, number_giveaways
from affectlab.evaluation.plan_text import plan_record
from affectlab.files.quarantine import BadRecord, read_quarantine


def write_any_audit(
    data: Data | Ratings,
    quarantine_path: Path | str,
    audit_path: Path | str,
    expected: Mapping[str, Any] | None = None,
    manifest_path: Path | str | None = None,
) -> None:
    """Audit data with classes or with numbers, and store the findings; see `audit.write_audit`.

    Raises:
        DataError: an input is missing or corrupt.
        UserError: see `audit.audit` and `audit_numbers`.
    """
    if isinstance(data, Ratings):
        found = audit_numbers(data, read_quarantine(quarantine_path), expected)
        store_audit(found | {"plan": plan_record(plannable(data))}, audit_path, manifest_path)
    else:
        write_audit(data, quarantine_path, audit_path, expected, manifest_path)


def audit_numbers(
    data: Ratings,
    quarantined: Sequence[BadRecord] = (),
    expected: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe texts with numbers, and compare their counts with the registry.

    Args:
        data: the converted data set.
        quarantined: bad records that were left out.
        expected: ``expected`` of the data registry; only its ``counts`` apply.

    Returns:
        A JSON object as of `audit.audit`, with ``number_conditions`` (`number_giveaways`) instead
        of ``conditions``. ``counts`` hold the mean, the standard deviation and the range of each
        number instead of classes.

    Raises:
        UserError: the data are broken; all reasons are listed.
    """
    overlap = overlap_in(data)
    constant = constant_numbers(data.values_of(data.records), data.names, "texts")
    refuse_unusable([*breakage(data, quarantined, overlap), *constant])
    shared = text_findings(data, quarantined, overlap)
    conditions = _conditions(data)
    counts = {split: _describe(own, data) for split, own in parts(data).items()}
    wanted = (expected or {}).get("counts", {})
    rows = [
        (f"records of {split}", number, counts.get(split, {}).get("records", 0))
        for split, number in wanted.items()
    ]
    return {
        **shared,
        "counts": counts,
        "number_conditions": conditions,
        "traps": [asdict(trap) for trap in (*copy_traps(shared), *_traps(data, conditions))],
        "expected": compare(rows),
    }


def _traps(data: Ratings, conditions: Mapping[str, Any]) -> list[Trap]:
    """What about numbers and groups can make a score on these data mean less than it seems."""
    return [
        *number_traps(
            [record.answer for record in data.records],
            [record.group for record in data.records],
            data.names,
            what="texts",
            group_name=data.description.group,
        ),
        *condition_traps(conditions["clear"], "text"),
    ]


def _conditions(data: Ratings) -> dict[str, Any]:
    """Find what length and language of a text tell of its numbers."""
    authors = [None if one.group is None else name_key(one.group) for one in data.records]
    contents = [normalise_text(one.text) for one in data.records]
    return number_giveaways(
        text_conditions([record.text for record in data.records]),
        data.values_of(data.records),
        data.names,
        joined_groups(authors, contents),
        "emotion",
    )


def _describe(records: Sequence[Rating], data: Ratings) -> dict[str, Any]:
    """Records, unique texts, numbers and lengths of one split."""
    return {
        "records": len(records),
        "unique_texts": len({record.text for record in records}),
        "unique_normalised_texts": len({normalise_text(record.text) for record in records}),
        "numbers": describe_numbers(data.values_of(records), data.names),
        "characters": quantiles([len(record.text) for record in records]),
        "words": quantiles([len(record.text.split()) for record in records]),
    }

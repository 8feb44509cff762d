"""The audit of the entity experiment: contents and defects of a corpus.

Known defects (repeated texts, some with other labels, texts on both sides of a split, spans whose
words stand in the text more than once) are counted and recorded; a corpus that no model should be
trained on is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from affectlab.datasets.near_texts import near_duplicates
from affectlab.datasets.texts import normalise_text, places_of, text_conditions
from affectlab.entity.data import SPLITS, Record, of_split, read_records, targets_of
from affectlab.entity.labels import CLASSES, NEUTRAL, top_class
from affectlab.errors import UserError
from affectlab.evaluation.conditions import giveaways
from affectlab.evaluation.expectations import (
    compare,
    refuse_unusable,
    report_differences,
    share_rows,
)
from affectlab.files.io import round_significant, write_json
from affectlab.files.quarantine import BadRecord, read_quarantine

MAX_QUARANTINED_SHARE = 0.1
"""More bad records than this mean a wrong file, not a few slips."""

PAIRS = (("test", "train"), ("validation", "train"), ("test", "validation"))


def write_audit(
    records_path: Path | str,
    quarantine_path: Path | str,
    audit_path: Path | str,
    *,
    layout: str,
    expected: Mapping[str, Any],
    manifest_path: Path | str | None = None,
) -> None:
    """Audit the files that `data.convert` wrote, and store the findings as JSON.

    Differences from the registry, and from the pinned files by the manifest, are logged.

    Raises:
        DataError: an input is missing or corrupted.
        UserError: see `audit`.
    """
    quarantined = read_quarantine(quarantine_path)
    found = audit(read_records(records_path), quarantined, layout=layout, expected=expected)
    write_json(audit_path, found, sealed=True)
    report_differences(audit_path, found, manifest_path)


def audit(
    records: Sequence[Record],
    quarantined: Sequence[BadRecord] = (),
    *,
    layout: str,
    expected: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a corpus and hold it against what is published about it.

    Args:
        records: of all splits.
        quarantined: bad records that were left out.
        layout: what the records were read from.
        expected: ``counts`` and ``known_issues`` of the data registry: name -> number; and
            ``classes`` or ``shares``: class -> labels, or their share. Of a comment that is every
            class that it has, of a span that of the largest value.

    Returns:
        A JSON object: ``weak_labels`` (whether the labels were derived, not given), ``counts``
        for each split, ``spans`` (defects of their places), ``duplicate_texts``,
        ``conflicting_labels``, ``conditions`` (what length and script of the text tell of the
        likeliest class: `evaluation.conditions.giveaways`), ``overlap`` (ids of held-out texts that
        are in another split too), ``near_duplicates`` (see `near_texts.near_duplicates`),
        ``quarantine``, ``expected``.

    Raises:
        UserError: the corpus is broken (all reasons are listed).
    """
    by_split = {split: of_split(records, split) for split in SPLITS}
    broken = [f"the split {split} has no texts" for split, own in by_split.items() if not own]
    total = len(records) + len(quarantined)
    if len(quarantined) > MAX_QUARANTINED_SHARE * total:
        broken.append(
            f"{len(quarantined)} of {total} records are bad, more than "
            f"{MAX_QUARANTINED_SHARE:.0%}; quarantine.jsonl says where and why"
        )
    refuse_unusable(broken)
    found: dict[str, Any] = {
        "weak_labels": layout == "goemotions_spans",
        "counts": {split: _describe(own) for split, own in by_split.items()},
        "spans": {
            "not_first_occurrence": sum(map(_not_first, records)),
            "overlapping": sum(map(_overlapping, records)),
        },
        "duplicate_texts": len(records) - len({normalise_text(r.text) for r in records}),
        "conflicting_labels": _conflicting(records),
        "conditions": _conditions(records),
        "overlap": _overlap(by_split),
        "near_duplicates": near_duplicates(
            {split: [(r.id, r.text) for r in own] for split, own in by_split.items()}, PAIRS
        ),
        "quarantine": {
            "records": len(quarantined),
            "by_problem": dict(Counter(item.problem for item in quarantined)),
        },
    }
    rows = _compare(found, expected)
    if not found["weak_labels"]:
        rows += _compare_classes(records, expected)
    return found | {"expected": rows}


def _describe(records: Sequence[Record]) -> dict[str, Any]:
    """Texts, targets and their likeliest classes in one split."""
    targets = targets_of(records)
    classes = Counter(CLASSES[top_class(target.label)] for target in targets)
    return {
        "texts": len(records),
        "targets": len(targets),
        "classes": {name: classes[name] for name in CLASSES},
        "neutral_share": round_significant(classes[CLASSES[NEUTRAL]] / len(targets), 4),
        "several_classes": sum(
            sum(value == max(target.label) for value in target.label) > 1 for target in targets
        ),
    }


def _not_first(record: Record) -> int:
    """Spans of a text whose words stand in it earlier as well."""
    return sum(
        target.start is not None
        and places_of(record.text, record.text[target.start : target.end])[0] < target.start
        for target in record.targets
    )


def _overlapping(record: Record) -> int:
    """Spans of a text that begin inside another one."""
    places = sorted(target.span for target in record.targets if target.span is not None)
    ends = accumulate((end for _, end in places), max)
    return sum(start < end for end, (start, _) in zip(ends, places[1:], strict=False))


def _conflicting(records: Sequence[Record]) -> int:
    """Texts, or spans at the same place of them, that stand here with more than one label."""
    labels: dict[tuple[str, Any], set[tuple[float, ...]]] = {}
    for record in records:
        for target in record.targets:
            place = (normalise_text(record.text), target.span)
            labels.setdefault(place, set()).add(target.label)
    return sum(len(own) > 1 for own in labels.values())


def _conditions(records: Sequence[Record]) -> dict[str, Any]:
    """What the length and script of the text tell of the likeliest class of its targets."""
    pairs = [(record.text, target) for record in records for target in record.targets]
    columns = text_conditions([text for text, _ in pairs])
    labels = [CLASSES[top_class(target.label)] for _, target in pairs]
    return giveaways(columns, labels, [normalise_text(text) for text, _ in pairs], "entity")


def _overlap(by_split: Mapping[str, Sequence[Record]]) -> dict[str, list[str]]:
    """Ids of the texts of one split that read like a text of another."""
    texts = {
        split: {normalise_text(record.text) for record in own} for split, own in by_split.items()
    }
    return {
        f"{held_out}_in_{seen}": [
            record.id for record in by_split[held_out] if normalise_text(record.text) in texts[seen]
        ]
        for held_out, seen in PAIRS
    }


def _compare_classes(
    records: Sequence[Record], expected: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Compare the classes of the labels with the registry's ``classes`` or ``shares``."""
    found: Counter[str] = Counter()
    for target in targets_of(records):
        if target.start is None:
            found.update(name for name, value in zip(CLASSES, target.label, strict=True) if value)
        else:
            found[CLASSES[top_class(target.label)]] += 1
    counts = (
        (f"labels of class {name}", number, found[name])
        for name, number in expected.get("classes", {}).items()
    )
    return compare(counts) + share_rows(expected.get("shares", {}), found, "labels")


def _compare(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Hold the findings against the registry's ``expected``, number by number."""
    counts = found["counts"].values()
    known = {
        "texts": sum(part["texts"] for part in counts),
        "targets": sum(part["targets"] for part in counts),
        **{split: part["texts"] for split, part in found["counts"].items()},
        "spans_not_first_occurrence": found["spans"]["not_first_occurrence"],
        "quarantined_records": found["quarantine"]["records"],
    }
    wanted = {**expected.get("counts", {}), **expected.get("known_issues", {})}
    if unknown := sorted(set(wanted) - set(known)):
        raise UserError(f"expected.{unknown[0]}: the audit knows only {', '.join(known)}")
    return compare((name.replace("_", " "), number, known[name]) for name, number in wanted.items())

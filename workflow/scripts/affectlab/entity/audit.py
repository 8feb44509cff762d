"""The audit of the entity experiment: contents and defects of a corpus.

Known defects (repeated texts, some with other labels, texts on both sides of a split, spans whose
words stand in the text more than once) are counted and recorded; a corpus that no model should be
trained on is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any

from affectlab.datasets.exclusions import excluded_part
from affectlab.datasets.near_texts import near_duplicates
from affectlab.datasets.splits import SPLITS
from affectlab.datasets.texts import TEXT_CONDITIONS, normalise_text, places_of, text_conditions
from affectlab.datasets.traps import Trap, divided_groups, find_traps, near_items, shared_items
from affectlab.entity.data import Data, Record, targets_of
from affectlab.entity.labels import neutral_of, top_class
from affectlab.entity.layouts import OWN_LAYOUT
from affectlab.entity.plan import plannable
from affectlab.errors import UserError
from affectlab.evaluation.conditions import condition_trap, giveaways
from affectlab.evaluation.expectations import (
    compare,
    refuse_unusable,
    report_differences,
    share_rows,
)
from affectlab.evaluation.plan_text import plan_record
from affectlab.files.io import round_significant, write_json
from affectlab.files.quarantine import BadRecord, read_quarantine

MAX_QUARANTINED_SHARE = 0.1
"""More bad records than this mean a wrong file, not a few slips."""

MAX_OVERLAP_SHARE = 0.5
"""More held-out texts than this in train mean that the split is a copy, not a sample."""

ALL = "all"
"""The records of a cross-validation, which has no fixed splits."""

TESTED = ("test", "train")
"""What a model predicts, and what it learns from."""

PAIRS = (TESTED, ("validation", "train"), ("test", "validation"))


def write_audit(
    data: Data,
    quarantine_path: Path | str,
    audit_path: Path | str,
    *,
    layout: str,
    expected: Mapping[str, Any],
    manifest_path: Path | str | None = None,
) -> None:
    """Audit what `convert.convert` wrote, and store the findings and the ``plan`` of the
    scored targets.

    Differences from the registry, and from the pinned files by the manifest, are logged.

    Raises:
        DataError: an input is missing or corrupted.
        UserError: see `audit`.
    """
    quarantined = read_quarantine(quarantine_path)
    found = audit(data, quarantined, layout=layout, expected=expected)
    found["plan"] = plan_record(plannable(data))
    write_json(audit_path, found | excluded_part(data.description), sealed=True)
    report_differences(audit_path, found, manifest_path)


def audit(
    data: Data,
    quarantined: Sequence[BadRecord] = (),
    *,
    layout: str,
    expected: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a corpus and hold it against what is published about it.

    Args:
        data: the converted data set.
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
        ``quarantine``, ``expected``; of a user's own data ``traps``: sentences on what can make a
        score mean less than it seems.

    Raises:
        UserError: the corpus is broken (all reasons are listed).
    """
    records, classes = data.records, data.classes
    by_split = _parts(data)
    pairs = [pair for pair in PAIRS if set(pair) <= set(by_split)]
    overlap = _overlap(by_split, pairs)
    broken = [f"the split {split} has no texts" for split, own in by_split.items() if not own]
    total = len(records) + len(quarantined)
    if len(quarantined) > MAX_QUARANTINED_SHARE * total:
        broken.append(
            f"{len(quarantined)} of {total} records are bad, more than "
            f"{MAX_QUARANTINED_SHARE:.0%}; quarantine.jsonl says where and why"
        )
    if layout == OWN_LAYOUT:
        broken += _copied(by_split, overlap)
    refuse_unusable(broken)
    found: dict[str, Any] = {
        "weak_labels": layout == "goemotions_spans",
        "counts": {split: _describe(own, classes) for split, own in by_split.items()},
        "spans": {
            "not_first_occurrence": sum(map(_not_first, records)),
            "overlapping": sum(map(_overlapping, records)),
        },
        "duplicate_texts": len(records) - len({normalise_text(r.text) for r in records}),
        "conflicting_labels": _conflicting(records),
        "conditions": _conditions(records, classes),
        "overlap": overlap,
        "near_duplicates": near_duplicates(
            {split: [(r.id, r.text) for r in own] for split, own in by_split.items()}, pairs
        ),
        "quarantine": {
            "records": len(quarantined),
            "by_problem": dict(Counter(item.problem for item in quarantined)),
        },
    }
    rows = _compare(found, expected)
    if not found["weak_labels"]:
        rows += _compare_classes(records, classes, expected)
    if layout == OWN_LAYOUT:
        found["traps"] = [asdict(trap) for trap in _traps(data, found)]
    return found | {"expected": rows}


def _parts(data: Data) -> dict[str, list[Record]]:
    """Split -> records; of a cross-validation all records together."""
    if data.description.folds is not None:
        return {ALL: data.records}
    return {split: data.of_split(split) for split in SPLITS}


def _copied(
    by_split: Mapping[str, Sequence[Record]], overlap: Mapping[str, Sequence[str]]
) -> list[str]:
    """Held-out splits most of whose texts are in another split too."""
    found = []
    for name, ids in overlap.items():
        held_out, _, seen = name.partition("_in_")
        size = len(by_split[held_out])
        if len(ids) > MAX_OVERLAP_SHARE * size:
            found.append(f"{len(ids)} of the {size} texts of {held_out} are in {seen} as well")
    return found


def _traps(data: Data, found: Mapping[str, Any]) -> Iterator[Trap]:
    """What can make a score on these data mean less than it seems."""
    pairs = [(record, target) for record in data.records for target in record.targets]
    yield from find_traps(
        [data.classes[top_class(target.label)] for _, target in pairs],
        [record.group for record, _ in pairs],
        data.classes,
        folds=data.description.folds,
        what="spans",
        group_name=data.description.group,
    )
    yield from divided_groups(
        [record.group for record in data.records],
        [record.split for record in data.records],
        what="texts",
        group_name=data.description.group,
    )
    copies = {_two_splits(name): len(ids) for name, ids in found["overlap"].items()}
    yield from shared_items(copies, "texts")
    near = found["near_duplicates"]
    yield from near_items(len(near["groups"]), _near_in_training(data, near), "texts")
    yield from condition_trap(found["conditions"], TEXT_CONDITIONS, "a text", "The class of a span")


def _two_splits(name: str) -> tuple[str, str]:
    held_out, _, seen = name.partition("_in_")
    return held_out, seen


def _near_in_training(data: Data, near: Mapping[str, Any]) -> int:
    """How many texts are predicted by a model that was trained on a near duplicate."""
    if data.description.folds is None:
        return len(near["overlap"]["test_in_train"])
    found = 0
    for fold in range(data.description.folds):
        own = data.for_fold(fold)
        parts = {split: [(r.id, r.text) for r in own.of_split(split)] for split in TESTED}
        found += len(near_duplicates(parts, [TESTED])["overlap"]["test_in_train"])
    return found


def _describe(records: Sequence[Record], names: Sequence[str]) -> dict[str, Any]:
    """Texts, targets and their likeliest classes in one split.

    ``neutral_share`` is None where no class is called neutral.
    """
    targets = targets_of(records)
    classes = Counter(names[top_class(target.label)] for target in targets)
    neutral = neutral_of(names)
    share = None if neutral is None else classes[names[neutral]] / len(targets)
    return {
        "texts": len(records),
        "targets": len(targets),
        "classes": {name: classes[name] for name in names},
        "neutral_share": None if share is None else round_significant(share, 4),
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


def _conditions(records: Sequence[Record], classes: Sequence[str]) -> dict[str, Any]:
    """What the length and script of the text tell of the likeliest class of its targets."""
    pairs = [(record.text, target) for record in records for target in record.targets]
    columns = text_conditions([text for text, _ in pairs])
    labels = [classes[top_class(target.label)] for _, target in pairs]
    return giveaways(columns, labels, [normalise_text(text) for text, _ in pairs], "entity")


def _overlap(
    by_split: Mapping[str, Sequence[Record]], pairs: Sequence[tuple[str, str]]
) -> dict[str, list[str]]:
    """Ids of the texts of one split that read like a text of another."""
    texts = {
        split: {normalise_text(record.text) for record in own} for split, own in by_split.items()
    }
    return {
        f"{held_out}_in_{seen}": [
            record.id for record in by_split[held_out] if normalise_text(record.text) in texts[seen]
        ]
        for held_out, seen in pairs
    }


def _compare_classes(
    records: Sequence[Record], classes: Sequence[str], expected: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Compare the classes of the labels with the registry's ``classes`` or ``shares``."""
    found: Counter[str] = Counter()
    for target in targets_of(records):
        if target.start is None:
            found.update(name for name, value in zip(classes, target.label, strict=True) if value)
        else:
            found[classes[top_class(target.label)]] += 1
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

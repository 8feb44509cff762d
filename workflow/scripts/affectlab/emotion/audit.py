"""The audit of texts: what is in the data, what is wrong with them, are they as published.

Known kinds of defect (conflicting labels, duplicates, texts on both sides of a split) are counted
and recorded; a corpus that no model should be trained on is refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affectlab.datasets.exclusions import excluded_part
from affectlab.datasets.near_texts import near_duplicates
from affectlab.datasets.splits import SPLITS
from affectlab.datasets.texts import normalise_text
from affectlab.datasets.traps import Trap, divided_groups, near_items, shared_items
from affectlab.emotion.audit_classes import ClassAudit
from affectlab.emotion.audit_multilabel import MultilabelAudit
from affectlab.emotion.audit_numbers import NumberAudit
from affectlab.emotion.audit_part import AuditPart
from affectlab.emotion.data import Divided, Item
from affectlab.emotion.multilabel_data import MultilabelData
from affectlab.emotion.plan import plannable
from affectlab.emotion.ratings import Ratings
from affectlab.emotion.readers import AnyData
from affectlab.evaluation.expectations import refuse_unusable, report_differences
from affectlab.evaluation.plan_text import plan_record
from affectlab.files.io import write_json
from affectlab.files.quarantine import BadRecord, read_quarantine

NORMALISATION = "case folded, every run of white space made one space, ends stripped"
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

MAX_QUARANTINED_SHARE = 0.1
"""More bad records than this mean a wrong file, not a few slips."""

MAX_OVERLAP_SHARE = 0.5
"""More held-out texts than this in train mean that the split is a copy, not a sample."""

ALL = "all"
"""The records of a cross-validation, which has no fixed splits."""

TESTED = ("test", "train")
PAIRS = (TESTED, ("validation", "train"), ("test", "validation"))


def write_audit(
    data: AnyData,
    quarantine_path: Path | str,
    audit_path: Path | str,
    expected: Mapping[str, Any] | None = None,
    manifest_path: Path | str | None = None,
) -> None:
    """Audit what `convert` wrote, and store the findings and the ``plan`` of the scored texts.

    Differences from the registry, and from the pinned files by the manifest, are logged.

    Raises:
        DataError: an input is missing or corrupt.
        UserError: see `audit`.
    """
    found = audit(data, read_quarantine(quarantine_path), expected)
    found["plan"] = plan_record(plannable(data))
    write_json(audit_path, found | excluded_part(data.description), sealed=True)
    report_differences(audit_path, found, manifest_path)


def audit(
    data: AnyData,
    quarantined: Sequence[BadRecord] = (),
    expected: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe a corpus and hold it against what is published about it.

    Args:
        data: the converted data set.
        quarantined: bad records that were left out.
        expected: ``expected`` of the data registry: ``counts`` (split -> records), ``classes``
            (class -> records of all splits) or ``shares`` (class -> share), ``known_issues`` (one
            of `KNOWN_ISSUES` -> how many).

    Returns:
        A JSON object:

        - ``counts``: for each split the records, unique texts, classes and text lengths;
        - ``conflicts``: for each split the texts that have more than one label there;
        - ``conditions``: what length and script tell of the class (`giveaways`);
        - ``duplicates``: for each split the texts that stand there more than once;
        - ``overlap``: ``test_in_train`` and so on: ids of records of the first split whose
          normalised text stands in the second; with counts of exact copies and of copies that
          have another label than any of their twins. In a cross-validation each fold is the test
          split once;
        - ``near_duplicates``: texts that are nearly, but not exactly the same, within and across
          splits (see `near_texts.near_duplicates`);
        - ``traps``: sentences on what can make a score mean less than it seems;
        - ``agreement``: of the annotators, see `agreement.agreement`; only where there are several;
        - ``quarantine``: how many records were left out, by file and by problem;
        - ``expected``: a list of ``{"what", "expected", "found", "status"}`` with the status
          ``ok`` or ``differs``;
        - ``normalisation``: how texts were made equal before they were compared.

    Raises:
        UserError: the corpus is broken (all reasons are listed), or *expected* names an issue
            that the audit does not know.
    """
    part, by_split = _part_of(data), parts(data)
    overlap = overlap_in(data)
    refuse_unusable([*part.broken(by_split), *breakage(data, quarantined, overlap)])
    shared = text_findings(data, quarantined, overlap)
    conditions = part.conditions()
    found: dict[str, Any] = {
        **shared,
        "counts": {split: _describe(items, part) for split, items in by_split.items()},
        **conditions,
        "traps": [
            asdict(trap)
            for trap in (*copy_traps(shared), *_group_traps(data), *part.traps(conditions))
        ],
        **part.agreement(),
    }
    return found | {"expected": part.compare(found, expected or {})}


def _part_of(data: AnyData) -> AuditPart:
    if isinstance(data, Ratings):
        return NumberAudit(data)
    return MultilabelAudit(data) if isinstance(data, MultilabelData) else ClassAudit(data)


def text_findings(
    data: Divided[Any], quarantined: Sequence[BadRecord], overlap: Mapping[str, Any]
) -> dict[str, Any]:
    """What `audit` finds in any data with texts, whatever is to be predicted of them.

    Args:
        data: the converted data set.
        quarantined: bad records that were left out.
        overlap: as of `overlap_in`.

    Returns:
        ``normalisation``, ``conflicts``, ``duplicates``, ``overlap``, ``near_duplicates`` and
        ``quarantine`` of `audit`.
    """
    by_split = parts(data)
    folded = data.description.folds is not None
    near = near_duplicates(_named_texts(by_split), () if folded else PAIRS)
    if folded:
        near["overlap"] = {"test_in_train": _near_in_training(data)}
    return {
        "normalisation": NORMALISATION,
        "conflicts": {split: _conflicts(items) for split, items in by_split.items()},
        "duplicates": {split: _duplicates(items) for split, items in by_split.items()},
        "overlap": overlap,
        "near_duplicates": near,
        "quarantine": {
            "records": len(quarantined),
            "by_file": dict(Counter(item.file for item in quarantined)),
            "by_problem": dict(Counter(item.problem for item in quarantined)),
        },
    }


def copy_traps(found: Mapping[str, Any]) -> list[Trap]:
    """Sentences on texts in two splits and near duplicates, from `text_findings`."""
    overlap, near = found["overlap"], found["near_duplicates"]
    shared = {(one, two): len(overlap.get(f"{one}_in_{two}", ())) for one, two in PAIRS}
    in_training = len(near["overlap"]["test_in_train"])
    return [
        *shared_items(shared, "texts"),
        *near_items(len(near["groups"]), in_training, "texts"),
    ]


def _group_traps(data: AnyData) -> list[Trap]:
    """A sentence on groups that given splits divide."""
    return divided_groups(
        [record.group for record in data.records],
        [record.split for record in data.records],
        what="texts",
        group_name=data.description.group,
    )


def parts(data: Divided[Any]) -> dict[str, list[Any]]:
    """Split -> records; of a cross-validation all records together."""
    if data.description.folds is not None:
        return {ALL: data.records}
    return {split: data.of_split(split) for split in SPLITS}


def _named_texts(by_split: Mapping[str, Sequence[Item]]) -> dict[str, list[tuple[str, str]]]:
    return {split: [(one.id, one.text) for one in own] for split, own in by_split.items()}


def _tested_and_trained(data: Divided[Any]) -> Iterator[dict[str, list[Any]]]:
    """Of each fold the records that its model predicts, and those that it learns from."""
    for fold in range(data.description.folds or 0):
        own = data.for_fold(fold)
        yield {split: own.of_split(split) for split in TESTED}


def overlap_in(data: Divided[Any]) -> dict[str, Any]:
    """Which texts are held out and trained on: ``overlap`` of `audit`."""
    if data.description.folds is not None:
        return _overlap_of_folds(data)
    by_split = parts(data)
    return _overlap(by_split, PAIRS)


def _overlap_of_folds(data: Divided[Any]) -> dict[str, Any]:
    """As `_overlap`, where each fold is the test split once."""
    name = "test_in_train"
    result: dict[str, Any] = {"exact": {name: 0}, "other_label": {name: 0}, name: []}
    for parts in _tested_and_trained(data):
        found = _overlap(parts, (TESTED,))
        result[name] += found[name]
        for count in ("exact", "other_label"):
            result[count][name] += found[count][name]
    return result


def _near_in_training(data: Divided[Any]) -> list[str]:
    """Ids of the texts that are predicted by a model that was trained on a near duplicate."""
    return [
        name
        for parts in _tested_and_trained(data)
        for name in near_duplicates(_named_texts(parts), (TESTED,))["overlap"]["test_in_train"]
    ]


def _describe(records: Sequence[Item], part: AuditPart) -> dict[str, Any]:
    """Records, unique texts, classes or numbers, and lengths of one split."""
    return {
        "records": len(records),
        "unique_texts": len({record.text for record in records}),
        "unique_normalised_texts": len({normalise_text(record.text) for record in records}),
        **part.describe(records),
        "characters": quantiles([len(record.text) for record in records]),
        "words": quantiles([len(record.text.split()) for record in records]),
    }


def quantiles(values: Sequence[int]) -> dict[str, int]:
    """Quantiles of a non-empty list, each a value that occurs (the lower one if between two)."""
    ordered = sorted(values)
    return {f"{q:g}": ordered[int(q * (len(ordered) - 1))] for q in QUANTILES}


def _groups(
    records: Iterable[Item], key: Callable[[Item], str] = lambda record: record.text
) -> list[list[Item]]:
    """The records that share a key with another one, by key, in the order of the corpus."""
    groups: dict[str, list[Item]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return [group for group in groups.values() if len(group) > 1]


def _conflicts(records: Sequence[Item]) -> dict[str, Any]:
    """Texts with more than one label; exact texts, and how many more after normalisation."""
    conflicts = [g for g in _groups(records) if len({record.answer for record in g}) > 1]
    normalised = [
        group
        for group in _groups(records, lambda record: normalise_text(record.text))
        if len({record.answer for record in group}) > 1
    ]
    return {
        "texts": len(conflicts),
        "normalised_texts": len(normalised),
        "groups": [{record.id: record.answer for record in group} for group in normalised],
    }


def _duplicates(records: Sequence[Item]) -> dict[str, Any]:
    """Texts that occur more than once, whatever their labels.

    ``surplus`` is the number of records that would go if every text were kept once, and
    ``same_label_texts`` the number of repeated texts that have one label only.
    """
    result: dict[str, Any] = {}
    kinds: dict[str, Callable[[Item], str]] = {
        "exact": lambda record: record.text,
        "normalised": lambda record: normalise_text(record.text),
    }
    for kind, key in kinds.items():
        groups = _groups(records, key)
        result[kind] = {
            "texts": len(groups),
            "surplus": sum(len(group) - 1 for group in groups),
            "same_label_texts": sum(len({r.answer for r in group}) == 1 for group in groups),
        }
    return result | {"groups": [[record.id for record in group] for group in groups]}


def _overlap(
    by_split: Mapping[str, Sequence[Item]], pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Which records of one split have a text that stands in another split as well."""
    result: dict[str, Any] = {"exact": {}, "other_label": {}}
    texts = {split: {record.text for record in items} for split, items in by_split.items()}
    labels: dict[str, dict[str, set[Hashable]]] = {}
    for split, items in by_split.items():
        labels[split] = defaultdict(set)
        for record in items:
            labels[split][normalise_text(record.text)].add(record.answer)
    for held_out, seen in pairs:
        name = f"{held_out}_in_{seen}"
        twins = [r for r in by_split[held_out] if normalise_text(r.text) in labels[seen]]
        result[name] = [record.id for record in twins]
        result["exact"][name] = sum(record.text in texts[seen] for record in twins)
        result["other_label"][name] = sum(
            record.answer not in labels[seen][normalise_text(record.text)] for record in twins
        )
    return result


def breakage(
    data: Divided[Any], quarantined: Sequence[BadRecord], overlap: Mapping[str, Any]
) -> list[str]:
    """Reasons for which nothing should be trained or measured on these texts."""
    by_split = parts(data)
    broken = [f"the split {split} has no records" for split, own in by_split.items() if not own]
    total = sum(len(items) for items in by_split.values()) + len(quarantined)
    if len(quarantined) > MAX_QUARANTINED_SHARE * total:
        broken.append(
            f"{len(quarantined)} of {total} records are bad, more than "
            f"{MAX_QUARANTINED_SHARE:.0%}; quarantine.jsonl says where and why"
        )
    for held_out, seen in PAIRS:
        # A cross-validation divides no group of equal texts.
        copies = len(overlap.get(f"{held_out}_in_{seen}", ()))
        size = len(by_split.get(held_out, data.records))
        if copies > MAX_OVERLAP_SHARE * size:
            broken.append(f"{copies} of the {size} texts of {held_out} stand in {seen} as well")
    return broken

"""The data gate of the cases: what is in them, and what is wrong with them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affectlab.datasets.description import Description, read_description
from affectlab.datasets.exclusions import excluded_part
from affectlab.datasets.near_texts import near_duplicates
from affectlab.datasets.texts import normalise_text
from affectlab.errors import UserError
from affectlab.evaluation.expectations import compare, report_differences
from affectlab.evaluation.plan_text import plan_record
from affectlab.files.io import write_json
from affectlab.files.quarantine import BadRecord, read_quarantine
from affectlab.summary.cases import OWN_TASK, SPLITS, Case, read_cases
from affectlab.summary.plan import plannable
from affectlab.summary.text import default_unit, tokens
from affectlab.summary.traps import find_traps

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

LONG = {"words": 32_000, "characters": 12_000}
"""Characters from which a case is over-long: near 8,192 tokens, by how its language is cut."""

_MISREAD = re.compile(r"\ufffd|â€|Ã[\u0080-\u00bf]|ï¿½|锟斤拷")
"""What is left of characters that were read in another encoding than they were written in."""

ALL = "all"
"""The cases of a cross-validation, which has no fixed splits."""

MAX_QUARANTINED_SHARE = 0.1
"""More bad records than this mean a wrong file, not a few slips."""


def write_audit(
    records_path: Path | str,
    description_path: Path | str,
    quarantine_path: Path | str,
    audit_path: Path | str,
    expected: Mapping[str, Any],
    manifest_path: Path | str | None = None,
) -> None:
    """Audit the files that `convert.convert` wrote, and store the findings and the
    ``plan`` of the scored cases.

    Differences from the registry, and from the pinned files by the manifest, are logged.

    Raises:
        UserError: see `audit`.
    """
    quarantined, description = read_quarantine(quarantine_path), read_description(description_path)
    cases = read_cases(records_path)
    found = audit(cases, quarantined, expected, description)
    found["plan"] = plan_record(plannable(cases))
    write_json(audit_path, found | excluded_part(description), sealed=True)
    report_differences(audit_path, found, manifest_path)


def audit(
    cases: Sequence[Case],
    quarantined: Sequence[BadRecord],
    expected: Mapping[str, Any],
    description: Description | None = None,
) -> dict[str, Any]:
    """Describe a table of cases and compare it with what the registry expects.

    Args:
        cases: of all splits.
        quarantined: bad records that were left out.
        expected: ``expected`` of the data registry: ``counts`` (split -> cases).
        description: of the data set; by default one with a test split.

    Returns:
        A JSON object: ``counts`` (per split cases, languages, lengths), ``templates`` (cases
        whose references were made from a template, and how many different references there are),
        ``empty`` (cases without a reflection), ``misread`` (ids of cases with remains of another
        encoding), ``long`` (ids of over-long cases), ``duplicates`` (ids of cases with the same
        text), ``near_duplicates`` (of texts that are nearly the same, see
        `near_texts.near_duplicates`), ``overlap`` (ids of held-out cases whose text, or nearly the
        same, is in train), ``traps`` (sentences on what can make a score mean less than it seems,
        of users' own data), ``quarantine`` and ``expected``. No text. In a cross-validation all
        cases count as one split, ``all``.

    Raises:
        UserError: no cases in train or test, or too many bad records.
    """
    folds = None if description is None else description.folds
    by_split = {split: [case for case in cases if case.split == split] for split in SPLITS}
    absent = [split for split in ("train", "test") if not by_split[split]]
    if absent and folds is None:
        raise UserError(f"the data cannot be used: no cases in the split {' and '.join(absent)}")
    total = len(cases) + len(quarantined)
    if len(quarantined) > MAX_QUARANTINED_SHARE * total:
        raise UserError(
            f"the data cannot be used: {len(quarantined)} of {total} records are bad, more than "
            f"{MAX_QUARANTINED_SHARE:.0%}; quarantine.jsonl says where and why"
        )
    own = cases[0].task == OWN_TASK
    if folds is not None:
        by_split = {ALL: list(cases)}
    near = near_duplicates(
        {split: [(case.id, case.text) for case in members] for split, members in by_split.items()},
        () if folds is not None else (("test", "train"), ("validation", "train")),
    )
    overlap = _overlap(by_split)
    return {
        "counts": {split: _describe(members) for split, members in by_split.items() if members},
        "templates": {
            "cases": sum(case.template for case in cases),
            "different_references": len({tuple(case.references.values()) for case in cases}),
        },
        "empty": {"reflection": sum(not case.reflection for case in cases)},
        "misread": [
            case.id
            for case in cases
            if _MISREAD.search("\n".join([case.text, *case.references.values()]))
        ],
        "long": [case.id for case in cases if len(case.text) >= LONG[default_unit(case.language)]],
        "duplicates": _repeated(cases),
        "near_duplicates": near,
        "overlap": overlap,
        **(
            {"traps": [asdict(one) for one in find_traps(cases, description, overlap, near)]}
            if own
            else {}
        ),
        "quarantine": {"records": len(quarantined), "places": [*map(asdict, quarantined)]},
        "expected": compare(
            (f"cases of {split}", number, len(by_split.get(split, ())))
            for split, number in expected.get("counts", {}).items()
        ),
    }


def _overlap(by_split: Mapping[str, Sequence[Case]]) -> dict[str, list[str]]:
    """Held-out split -> ids of its cases whose text is in train as well."""
    known = {normalise_text(case.text) for case in by_split.get("train", ())}
    return {
        split: [case.id for case in by_split.get(split, ()) if normalise_text(case.text) in known]
        for split in ("validation", "test")
    }


def _describe(cases: Sequence[Case]) -> dict[str, Any]:
    """Cases, languages and lengths of one split."""
    references = [
        sum(
            len(tokens(text, case.language, default_unit(case.language)))
            for text in case.references.values()
        )
        for case in cases
    ]
    return {
        "cases": len(cases),
        "languages": dict(sorted(Counter(case.language for case in cases).items())),
        "characters": quantiles([len(case.text) for case in cases]),
        "reference_tokens": quantiles(references),
    }


def quantiles(values: Sequence[int]) -> dict[str, int]:
    """Quantiles of a non-empty list, each a value that occurs (the lower one if between two)."""
    ordered = sorted(values)
    return {f"{q:g}": ordered[int(q * (len(ordered) - 1))] for q in QUANTILES}


def _repeated(cases: Sequence[Case]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for case in cases:
        groups.setdefault(normalise_text(case.text), []).append(case.id)
    return [members for members in groups.values() if len(members) > 1]

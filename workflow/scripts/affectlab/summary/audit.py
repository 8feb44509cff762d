"""The data gate of the cases: what is in them, what is wrong with them, how long they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affectlab.core.errors import UserError
from affectlab.core.io import read_jsonl, round_significant, write_json
from affectlab.core.quarantine import BadRecord
from affectlab.summary.cases import SPLITS, Case, read_cases, with_fold
from affectlab.summary.text import default_unit, tokens

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

MAX_QUARANTINED_SHARE = 0.1
"""More bad records than this mean a wrong file, not a few slips."""


def write_audit(
    records_path: Path | str,
    quarantine_path: Path | str,
    audit_path: Path | str,
    expected: Mapping[str, Any],
) -> None:
    """Audit the files that `cases.convert` wrote, and store the findings as JSON.

    Raises:
        UserError: see `audit`.
    """
    quarantined = [BadRecord(**row) for row in read_jsonl(quarantine_path)]
    write_json(audit_path, audit(read_cases(records_path), quarantined, expected))


def audit(
    cases: Sequence[Case], quarantined: Sequence[BadRecord], expected: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe a table of cases and hold it against what the registry expects.

    Args:
        cases: of all splits.
        quarantined: bad records that were left out.
        expected: ``expected`` of the data registry: ``counts`` (split -> cases).

    Returns:
        A JSON object: ``counts`` (per split cases, languages, lengths), ``templates`` (cases
        whose references were made from a template, and how many different references there are),
        ``empty`` (cases without a reflection), ``duplicates`` (ids of cases with the same text),
        ``overlap`` (ids of held-out cases whose text stands in train), ``quarantine`` and
        ``expected``. No text.

    Raises:
        UserError: no cases in train or test, or too many bad records.
    """
    by_split = {split: [case for case in cases if case.split == split] for split in SPLITS}
    if absent := [split for split in ("train", "test") if not by_split[split]]:
        raise UserError(f"the data cannot be used: no cases in the split {' and '.join(absent)}")
    total = len(cases) + len(quarantined)
    if len(quarantined) > MAX_QUARANTINED_SHARE * total:
        raise UserError(
            f"the data cannot be used: {len(quarantined)} of {total} records are bad, more than "
            f"{MAX_QUARANTINED_SHARE:.0%}; quarantine.jsonl says where and why"
        )
    known = {case.group for case in by_split["train"]}
    return {
        "counts": {split: _describe(members) for split, members in by_split.items() if members},
        "templates": {
            "cases": sum(case.template for case in cases),
            "different_references": len({tuple(case.references.values()) for case in cases}),
        },
        "empty": {"reflection": sum(not case.reflection for case in cases)},
        "duplicates": _repeated(cases),
        "overlap": {
            split: [case.id for case in by_split[split] if case.group in known]
            for split in ("validation", "test")
        },
        "quarantine": {
            "records": len(quarantined),
            "places": [asdict(item) for item in quarantined],
        },
        "expected": [
            {
                "what": f"cases of {split}",
                "expected": number,
                "found": len(by_split[split]),
                "status": "ok" if number == len(by_split[split]) else "differs",
            }
            for split, number in expected.get("counts", {}).items()
        ],
    }


def write_lengths(
    *,
    records_path: Path,
    model_directory: Path,
    run: Mapping[str, Any],
    lengths_path: Path,
    figure_stem: Path,
) -> None:
    """Count every case in a run's tokens, and what its maximum length would cut off.

    Args:
        records_path: the tidy table of cases.
        model_directory: holds the tokenizer.
        run: the run's block of the configuration.
        lengths_path: gets quantiles of prompt and reference lengths and the share cut.
        figure_stem: path of the histogram without an ending.
    """
    from affectlab.core import plots
    from affectlab.summary.answers import target_text
    from affectlab.summary.model import load_tokenizer
    from affectlab.summary.prompts import build_prompt, case_text, task_of

    tokenizer = load_tokenizer(model_directory)
    cases = with_fold(read_cases(records_path), run["fold"])
    prompts = [
        build_prompt(
            tokenizer,
            case_text(case),
            task=task_of(case),
            version=run["prompt"],
            language=case.language,
            max_tokens=run["max_length"] - run["max_answer_tokens"],
        )
        for case in cases
    ]
    # What the prompt would be if nothing were cut.
    whole = [len(prompt.ids) + prompt.cut_tokens for prompt in prompts]
    answers = [len(tokenizer(target_text(case.references))["input_ids"]) for case in cases]
    plots.histogram(
        figure_stem,
        whole,
        xlabel="tokens of the prompt with the whole case",
        ylabel="cases",
        limit=("room for the prompt", run["max_length"] - run["max_answer_tokens"]),
    )
    write_json(
        lengths_path,
        {
            "model": run["model"],
            "max_length": run["max_length"],
            "prompt_tokens": _quantiles(whole),
            "answer_tokens": _quantiles(answers),
            "cases": len(cases),
            "cases_cut": sum(prompt.cut_tokens > 0 for prompt in prompts),
            "share_cut": round_significant(
                sum(prompt.cut_tokens for prompt in prompts)
                / sum(prompt.case_tokens for prompt in prompts)
            ),
            "answers_cut": sum(length >= run["max_answer_tokens"] for length in answers),
        },
    )


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
        "characters": _quantiles([len(case.text) for case in cases]),
        "reference_tokens": _quantiles(references),
    }


def _quantiles(values: Sequence[int]) -> dict[str, int]:
    """Quantiles of a non-empty list, each a value that occurs (the lower one if between two)."""
    ordered = sorted(values)
    return {f"{q:g}": ordered[int(q * (len(ordered) - 1))] for q in QUANTILES}


def _repeated(cases: Sequence[Case]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case.id)
    return [members for members in groups.values() if len(members) > 1]

"""The data gate of a speech corpus: what its audio is like, and whether its splits are clean."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectlab.audio.audit_label_sets import label_set_findings
from affectlab.audio.audit_numbers import number_findings
from affectlab.audio.corpora.recordings import unused_recordings
from affectlab.audio.data import Clip, read_clips, with_merged_subjects
from affectlab.audio.measures import (
    Measure,
    condition_columns,
    measure,
    measure_and_outline,
)
from affectlab.audio.outlines import near_groups
from affectlab.audio.plan import plannable
from affectlab.audio.tasks import NOT_STATED, OWN_TASK, TASKS
from affectlab.audio.traps import own_traps
from affectlab.audio.waveform import in_parallel
from affectlab.datasets.description import CONTENT, read_description
from affectlab.datasets.exclusions import excluded_part
from affectlab.datasets.label_sets import LABEL_SETS
from affectlab.datasets.names import name_key
from affectlab.datasets.numbers import NUMBERS
from affectlab.errors import DataError, UserError
from affectlab.evaluation.conditions import giveaways
from affectlab.evaluation.expectations import refuse_unusable, report_differences
from affectlab.evaluation.plan_text import plan_record
from affectlab.files.io import (
    round_significant,
    write_json,
    write_jsonl,
)
from affectlab.files.quarantine import BadRecord, read_quarantine

logger = logging.getLogger(__name__)

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MAX_QUARANTINED_SHARE = 0.1

UNUSED_NAMED = 20
"""Recordings without a clip whose paths the audit stores."""

DURATION_TOLERANCE = 0.1
"""In seconds: how far a clip may be from the length that its corpus states; they round."""


def write_audit(
    *,
    records_path: Path,
    quarantine_path: Path,
    description_path: Path,
    raw_directory: Path,
    audit_path: Path,
    measures_path: Path,
    expected: Mapping[str, Any],
    on_bad_record: str,
    threads: int,
    manifest_path: Path | None = None,
) -> None:
    """Decode every clip once; store what was found of each and of all.

    Differences from the registry, and from the pinned files by the manifest, are logged.

    Args:
        records_path: of the corpus.
        quarantine_path: what the conversion set aside.
        description_path: of the corpus.
        raw_directory: the folder that clips' paths start from.
        audit_path: gets the findings: what `audit` returns, the ``plan`` of each task, and
            ``unused_recordings`` (how many files look like recordings and belong to no clip, and
            the first of them). Of users' own data also ``near_identical`` (groups of clips that
            sound nearly the same) and ``traps`` (see `own_traps`), and ``subjects`` where they are
            not stated. Of numbers also ``numbers`` and ``number_conditions`` (see
            `number_findings`), and of several classes ``classes_of_a_clip`` and
            ``class_conditions`` (see `label_set_findings`).
        measures_path: gets one `Measure` a clip; with ``skip``, clips that cannot be read have
            none and are left out of every probe.
        expected: ``expected`` of the data registry.
        on_bad_record: ``fail`` or ``skip``.
        threads: files decoded at the same time.
        manifest_path: of the data; None: the files are not compared with pins.

    Raises:
        DataError: a file cannot be read and *on_bad_record* is ``fail``.
        UserError: the corpus cannot be used; all reasons are listed.
    """
    clips, description = read_clips(records_path), read_description(description_path)
    is_own = any(clip.is_of(OWN_TASK) for clip in clips)
    measures, outlines, unread = _measure_all(
        clips, raw_directory, on_bad_record, threads, outlined=is_own
    )
    bad = [*read_quarantine(quarantine_path), *unread]
    known = {measure.id for measure in measures}
    usable = [clip for clip in clips if clip.id in known]
    findings = audit(with_merged_subjects(usable), measures, bad, expected)
    findings["plan"] = plan_record(plannable(usable, description, records_path))
    if description.target == NUMBERS:
        findings |= number_findings(usable, measures, description.classes)
    if description.target == LABEL_SETS:
        findings |= label_set_findings(usable, measures, description.classes)
    if is_own:
        near = _near(measures, outlines, findings["identical"])
        traps = own_traps(usable, description, findings, near)
        findings |= {"near_identical": near, "traps": [asdict(trap) for trap in traps]}
        if description.group == CONTENT:
            findings["subjects"] = NOT_STATED
    _warn_of_lost_sound(measures)
    used = [*(clip.path for clip in clips), *(item.file for item in bad)]
    findings["unused_recordings"] = _unused(raw_directory, used, description.excluded_items)
    findings |= excluded_part(description)
    write_jsonl(measures_path, (asdict(measure) for measure in measures), sealed=True)
    write_json(audit_path, findings, sealed=True)
    report_differences(audit_path, findings, manifest_path)


def _unused(raw_directory: Path, used: Sequence[str], excluded: int) -> dict[str, Any]:
    """Count the recordings that belong to no clip, name the first of them, and log it.

    Args:
        raw_directory: of the corpus.
        used: paths of clips and bad records inside it.
        excluded: clips that were left out. Their recordings are not counted. Then no recording is
            named, for it may be theirs.
    """
    unused = unused_recordings(raw_directory, used)
    if excluded:
        return {"count": max(len(unused) - excluded, 0), "first": []}
    if unused:
        logger.warning(
            "%s: %d recordings belong to no clip of the corpus; the first is %s",
            raw_directory,
            len(unused),
            unused[0],
        )
    return {"count": len(unused), "first": unused[:UNUSED_NAMED]}


def _measure_all(
    clips: Sequence[Clip],
    raw_directory: Path,
    on_bad_record: str,
    threads: int,
    *,
    outlined: bool,
) -> tuple[list[Measure], list[npt.NDArray[np.float32]], list[BadRecord]]:
    """Measure clips, and set those aside that cannot be read, or raise at the first.

    Returns:
        The measures; the outlines of the same clips, or none; and the bad clips.
    """
    measures: list[Measure] = []
    outlines: list[npt.NDArray[np.float32]] = []
    bad: list[BadRecord] = []
    work = partial(_measured, raw_directory, outlined=outlined)
    for done, found in enumerate(in_parallel(work, clips, threads), start=1):
        if not isinstance(found, DataError):
            measures.append(found[0])
            outlines += [found[1]] if found[1] is not None else []
        elif on_bad_record == "fail":
            raise found
        else:
            bad.append(BadRecord(clips[done - 1].path, found.place or "", found.problem))
        if done % 500 == 0:
            logger.info("%d of %d clips", done, len(clips))
    return measures, outlines, bad


def audit(
    clips: Sequence[Clip],
    measures: Sequence[Measure],
    quarantined: Sequence[BadRecord],
    expected: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a corpus and hold it against what is published about it.

    Returns:
        ``counts`` (clips and subjects, per split), ``classes`` (task -> class -> clips and
        subjects), ``audio`` (rates, quantiles of length, level and silence, clips that clip, are
        silent, or whose channels cancel each other), ``conditions`` (task ->
        `evaluation.conditions.giveaways`), ``identical`` (groups of clips with the same
        audio), ``subject_overlap`` (subjects in more than one split), ``quarantine``,
        ``expected``.

    Raises:
        UserError: nothing should be measured on this corpus; lists all reasons.
    """
    splits = sorted({clip.split or "all" for clip in clips})
    overlap = _overlap(clips)
    reasons = []
    total = len(clips) + len(quarantined)
    if not clips:
        reasons.append("not one clip can be used")
    if len(quarantined) > MAX_QUARANTINED_SHARE * total:
        reasons.append(
            f"{len(quarantined)} of {total} clips are bad, more than {MAX_QUARANTINED_SHARE:.0%}"
        )
    if overlap:
        reasons.append(
            f"{len(overlap)} subjects are in more than one split, such as {overlap[0]}: a score "
            "on that split would be of voices that were trained on"
        )
    refuse_unusable(reasons)
    found: dict[str, Any] = {
        "counts": {
            split: {
                "clips": sum((clip.split or "all") == split for clip in clips),
                "subjects": len(
                    {name_key(c.subject) for c in clips if (c.split or "all") == split}
                ),
            }
            for split in splits
        },
        "classes": _classes(clips),
        "audio": _audio(measures),
        "conditions": _conditions(clips, measures),
        "identical": _identical(measures),
        "subject_overlap": overlap,
        "quarantine": {
            "records": len(quarantined),
            "by_problem": dict(Counter(item.problem for item in quarantined)),
        },
    }
    return found | {"expected": _compare(found, expected)}


KNOWN_ISSUES: dict[str, Callable[[dict[str, Any]], int]] = {
    "identical_clips": lambda found: sum(len(group) for group in found["identical"]),
    "clipped_clips": lambda found: found["audio"]["clipped_clips"],
    "silent_clips": lambda found: found["audio"]["silent_clips"],
    "cancelling_clips": lambda found: found["audio"]["cancelling_clips"],
    "subjects": lambda found: sum(entry["subjects"] for entry in found["counts"].values()),
}
"""What a registry may expect under ``known_issues``, and where the audit has it."""


def _warn_of_lost_sound(measures: Sequence[Measure]) -> None:
    """Report clips without sound and clips that lose it when their channels are mixed."""
    for what, names in (
        ("hold no sound", [one.id for one in measures if one.silent]),
        (
            "have channels that cancel each other when they are mixed to one; save one channel by "
            "itself",
            [one.id for one in measures if one.cancelling],
        ),
    ):
        if names:
            logger.warning("%d clips %s; the first is %s", len(names), what, names[0])


def _measured(
    root: Path, clip: Clip, *, outlined: bool
) -> tuple[Measure, npt.NDArray[np.float32] | None] | DataError:
    path = root / clip.path
    outline = None
    try:
        if outlined:
            found, outline = measure_and_outline(path, clip.id)
        else:
            found = measure(path, clip.id)
    except DataError as error:
        return error
    if clip.seconds is not None and abs(found.seconds - clip.seconds) > DURATION_TOLERANCE:
        problem = f"lasts {found.seconds:g} s; its corpus says {clip.seconds:g} s"
        return DataError(path, None, problem)
    return found, outline


def _near(
    measures: Sequence[Measure],
    outlines: Sequence[npt.NDArray[np.float32]],
    identical: Sequence[Sequence[str]],
) -> list[list[str]]:
    """Groups of ids of clips that sound nearly the same; groups of copies alone are left out."""
    copies = [set(ids) for ids in identical]
    groups = near_groups(outlines, [one.seconds for one in measures])
    named = [[measures[place].id for place in group] for group in groups]
    return [ids for ids in named if not any(set(ids) <= own for own in copies)]


def _classes(clips: Sequence[Clip]) -> dict[str, dict[str, dict[str, int]]]:
    clips_of: dict[str, Counter[str]] = defaultdict(Counter)
    subjects_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    for clip in clips:
        for task, label in clip.named_classes():
            clips_of[task][label] += 1
            subjects_of[task, label].add(name_key(clip.subject))
    return {
        task: {
            label: {"clips": count, "subjects": len(subjects_of[task, label])}
            for label, count in sorted(counts.items())
        }
        for task, counts in sorted(clips_of.items())
    }


def _audio(measures: Sequence[Measure]) -> dict[str, Any]:
    return {
        "rates": {str(r): n for r, n in sorted(Counter(m.rate for m in measures).items())},
        "hours": round_significant(sum(m.seconds for m in measures) / 3600, 6),
        "seconds": _quantiles([m.seconds for m in measures]),
        "rms_db": _quantiles([m.rms_db for m in measures]),
        "silent_share": _quantiles([m.silent_share for m in measures]),
        "clipped_clips": sum(m.clipped_samples > 0 for m in measures),
        "silent_clips": sum(m.silent for m in measures),
        "cancelling_clips": sum(m.cancelling for m in measures),
    }


def _conditions(clips: Sequence[Clip], measures: Sequence[Measure]) -> dict[str, Any]:
    """What conditions of recording tell of the classes of each task."""
    measured = {one.id: one for one in measures}
    found = {}
    for task in sorted({task for clip in clips for task in clip.labels}):
        own = [clip for clip in clips if task in clip.labels]
        found[task] = giveaways(
            condition_columns([measured[clip.id] for clip in own]),
            [clip.labels[task] for clip in own],
            [clip.subject for clip in own],
            f"task {task}",
        )
    return found


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {f"{q:g}": round_significant(float(np.quantile(values, q)), 5) for q in QUANTILES}


def _identical(measures: Sequence[Measure]) -> list[list[str]]:
    by_contents: dict[str, list[str]] = defaultdict(list)
    for one in measures:
        by_contents[one.sha256].append(one.id)
    return [ids for ids in by_contents.values() if len(ids) > 1]


def _overlap(clips: Sequence[Clip]) -> list[str]:
    splits: dict[str, set[str | None]] = defaultdict(set)
    spelled: dict[str, str] = {}
    for clip in clips:
        key = name_key(clip.subject)
        splits[spelled.setdefault(key, clip.subject)].add(clip.split)
    return sorted(subject for subject, found in splits.items() if len(found) > 1)


def _compare(found: dict[str, Any], expected: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Hold the findings against the registry's ``expected``, number by number."""
    rows: list[tuple[str, int, int]] = []
    for split, number in expected.get("counts", {}).items():
        rows.append((f"clips of {split}", number, found["counts"].get(split, {}).get("clips", 0)))
    for name, number in expected.get("classes", {}).items():
        task, _, label = name.partition("/")
        what = "subjects" if task in TASKS and TASKS[task].of_subject else "clips"
        entry = found["classes"].get(task, {}).get(label, {what: 0})
        rows.append((f"{what} of {name}", number, entry[what]))
    for issue, number in expected.get("known_issues", {}).items():
        if issue not in KNOWN_ISSUES:
            raise UserError(
                f"expected.known_issues.{issue}: the audit knows only {', '.join(KNOWN_ISSUES)}"
            )
        rows.append((issue.replace("_", " "), number, KNOWN_ISSUES[issue](found)))
    return [
        {
            "what": what,
            "expected": number,
            "found": actual,
            "status": "ok" if actual == number else "differs",
        }
        for what, number, actual in rows
    ]

"""Counselling cases: from PsyQA's or LongEmotion's raw file to one tidy table.

Two tasks come from the two layouts. ``fields``, the benchmark's own: five short references from a
whole case (LongEmotion). ``reflection``, the original project's: the counsellor's reflection from
description and consultation (PsyQA). PsyQA holds no such reflections, so the target is made from a
template, as the original did it, and marked as such.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from affectlab.datasets.names import Ids
from affectlab.datasets.texts import normalise_text
from affectlab.errors import DataError
from affectlab.files.io import write_jsonl
from affectlab.files.quarantine import BadRecord
from affectlab.summary.cases import Case
from affectlab.summary.layouts import LAYOUTS
from affectlab.summary.settings import Split
from affectlab.summary.splits import with_one_group


def convert(
    raw_directory: Path | str,
    layout: str,
    records_path: Path | str,
    quarantine_path: Path | str,
    *,
    split: Split,
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
) -> None:
    """Write the cases of a raw folder, and its bad records, as JSON Lines.

    Args:
        raw_directory: holds one file in the layout.
        layout: ``psyqa`` or ``longemotion``.
        records_path: gets one case a line.
        quarantine_path: gets ``{"file", "place", "problem"}`` a line.
        split: of cases without a published one; PsyQA's 85/15 split is the published one and
            takes only the folds from here.
        on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
        similar_names: ``refuse`` refuses ids that differ in case, white space or Unicode form
            only; ``merge`` takes them as ids of different cases.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``, or the whole file is.
    """
    path, form = find_file(Path(raw_directory), layout), LAYOUTS[layout]
    cases: list[Case] = []
    bad: list[BadRecord] = []
    ids = Ids(similar_names)
    for place, record in form.rows(path):
        found = record if isinstance(record, str) else form.problem(record) or form.case(record)
        if isinstance(found, Case):
            repeated = ids.add(found.id, place)
            found = found if repeated is None else repeated.problem()
        if isinstance(found, Case):
            cases.append(found)
        else:
            if on_bad_record == "fail":
                raise DataError(path, place, found)
            bad.append(BadRecord(path.name, place, found))
    if not cases:
        raise DataError(path, None, "not one good case in the file")
    cases = with_one_group(cases, [normalise_text(case.text) for case in cases])
    write_jsonl(records_path, (asdict(case) for case in form.assign(cases, split)), sealed=True)
    write_jsonl(quarantine_path, (asdict(item) for item in bad), sealed=True)


def find_file(directory: Path, layout: str) -> Path:
    """Find the one raw file of a folder.

    Raises:
        DataError: there is none, or more than one.
    """
    ending = LAYOUTS[layout].ending
    if not directory.is_dir():
        raise DataError(directory, None, "no such folder")
    found = [
        path
        for path in sorted(directory.rglob(f"*{ending}"))
        if path.name != "manifest.json" and not path.name.startswith(".")
    ]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(
            directory, None, f"expected one {ending} file in the layout {layout}, found {names}"
        )
    return found[0]

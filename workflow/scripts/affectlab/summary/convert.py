"""Cases: from PsyQA's, LongEmotion's or a user's raw files to one tidy table.

Two tasks come from the two published layouts. ``fields``, the benchmark's own: five short
references from a whole case (LongEmotion). ``reflection``, the original project's: the counsellor's
reflection from description and consultation (PsyQA). PsyQA holds no such reflections, so the target
is made from a template, as the original did it, and marked as such.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.datasets.description import Description, language_of
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.names import Ids
from affectlab.datasets.texts import normalise_text
from affectlab.errors import DataError
from affectlab.files.io import sealed_writer
from affectlab.files.quarantine import BadRecord
from affectlab.summary.cases import Case
from affectlab.summary.layouts import LAYOUTS
from affectlab.summary.methods import OWN_LAYOUT
from affectlab.summary.own import own_cases
from affectlab.summary.settings import Split
from affectlab.summary.splits import with_one_group


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a conversion writes.

    Attributes:
        records: one case a line.
        quarantine: a line ``{"file", "place", "problem"}`` each, never the text.
        description: see `datasets.description`; its classes are the fields that are written.
    """

    records: Path
    quarantine: Path
    description: Path


def convert(
    raw_directory: Path | str,
    outputs: Outputs,
    entry: Mapping[str, Any],
    *,
    split: Split,
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    exclusion: Exclusion | None = None,
) -> None:
    """Write the cases of a raw folder, its bad records, and what the data set is.

    Args:
        raw_directory: holds one file in a published layout, or a user's tables.
        outputs: where the results go.
        entry: of the data set in the registry.
        split: of LongEmotion's cases; PsyQA's 85/15 split is the published one and takes only the
            folds from here. A user's data are divided by their *entry*.
        on_bad_record: ``fail`` raises at the first bad record; ``skip`` sets it aside.
        similar_names: ``refuse`` refuses ids that differ in case, white space or Unicode form
            only; ``merge`` takes them as ids of different cases.
        exclusion: cases that are left out because somebody withdrew; None for none.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``, or the whole file is; or see
            `Exclusion.described`.
    """
    directory, exclusion = Path(raw_directory), exclusion or Exclusion()
    items: Iterable[Case | BadRecord]
    if entry["layout"] == OWN_LAYOUT:
        own = own_cases(directory, entry, on_bad_record, similar_names, exclusion)
        items, description = own.items(), own.description
    else:
        cases, bad = _published(
            directory, entry["layout"], split, on_bad_record, similar_names, exclusion
        )
        items = [*cases, *bad]
        description = Description(cases[0].fields, target="texts", language=language_of(entry))
    with sealed_writer(outputs.records) as records, sealed_writer(outputs.quarantine) as quarantine:
        for item in items:
            if isinstance(item, BadRecord):
                quarantine.write(json.dumps(item.stored(), ensure_ascii=False) + "\n")
            else:
                records.write(json.dumps(item.to_dict(), ensure_ascii=False) + "\n")
        description = exclusion.described(description, directory)
    description.write(outputs.description)


def _published(
    directory: Path,
    layout: str,
    split: Split,
    on_bad_record: str,
    similar_names: str,
    exclusion: Exclusion,
) -> tuple[list[Case], list[BadRecord]]:
    """The cases of a published corpus, divided, and its bad records."""
    path, form = find_file(directory, layout), LAYOUTS[layout]
    cases: list[Case] = []
    bad: list[BadRecord] = []
    ids = Ids(similar_names)
    for place, record in form.rows(path):
        if not isinstance(record, str) and exclusion.drops((str(record.get(form.id)), None)):
            continue
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
    return form.assign(cases, split), bad


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

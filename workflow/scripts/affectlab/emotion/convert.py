"""The emotion corpus: from any of its raw layouts to one tidy table of records.

A raw folder holds one file (Parquet: one or more) for each of the three splits, in one of four
layouts; see `layouts.LAYOUTS`. Labels are class names or ids. Every record is checked; nothing is
guessed, corrected or dropped silently.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.datasets.classes import unknown_class
from affectlab.datasets.description import Description, language_of
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.names import Ids, name_key
from affectlab.datasets.splits import SPLITS
from affectlab.datasets.texts import kind_of, text_problem
from affectlab.emotion.data import CLASSES, Record
from affectlab.emotion.layouts import LAYOUTS, find_layout
from affectlab.emotion.own import AnyRecord, own_texts
from affectlab.emotion.rows import Row
from affectlab.errors import DataError
from affectlab.files.io import sealed_writer
from affectlab.files.quarantine import ON_BAD_RECORD, BadRecord

OWN_LAYOUT = "table"
"""The layout of users' own tables; the other one is that of the published corpus."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a conversion writes.

    Attributes:
        records: a line ``{"id", "text", "label", "split"}`` each, and ``group``, ``fold`` and
            ``votes`` where there are such. Numbers have ``values`` instead of the label, and label
            sets have ``labels``.
        quarantine: a line ``{"file", "place", "problem"}`` each, never the text.
        description: see `datasets.description`.
    """

    records: Path
    quarantine: Path
    description: Path


def convert(
    raw_directory: Path | str,
    outputs: Outputs,
    entry: Mapping[str, Any],
    on_bad_record: str = "fail",
    *,
    similar_names: str = "refuse",
    exclusion: Exclusion | None = None,
) -> None:
    """Write the records of a raw folder, its bad records, and what the data set is.

    No file is touched unless the whole folder could be read.

    Args:
        raw_directory: folder with the raw files.
        outputs: where the results go.
        entry: of the data set in the registry. By its ``expected``, labels that came as numbers
            must fit the published classes.
        on_bad_record: ``fail`` or ``skip``, see `read_raw`.
        similar_names: ``refuse`` or ``merge``, see `read_raw`.
        exclusion: texts that are left out because somebody withdrew; None for none.

    Raises:
        DataError: see `read_raw`, `own.own_texts` and `Exclusion.described`; or the label ids fit
            another order of the classes better.
        UserError: an output cannot be written.
    """
    ids, exclusion = LabelIds(), exclusion or Exclusion()
    items: Iterator[AnyRecord | BadRecord]
    if entry["layout"] == OWN_LAYOUT:
        own = own_texts(Path(raw_directory), entry, on_bad_record, similar_names, exclusion)
        items, description = own.items(), own.description
    else:
        items = read_raw(raw_directory, on_bad_record, similar_names, ids, exclusion)
        description = Description(CLASSES, language=language_of(entry))
    with sealed_writer(outputs.records) as records, sealed_writer(outputs.quarantine) as bad:
        for item in items:
            if isinstance(item, BadRecord):
                bad.write(json.dumps(item.stored(), ensure_ascii=False) + "\n")
            else:
                records.write(json.dumps(item.to_dict(), ensure_ascii=False) + "\n")
        ids.check(raw_directory, entry.get("expected", {}))
        description = exclusion.described(description, raw_directory)
    description.write(outputs.description)


def read_raw(
    directory: Path | str,
    on_bad_record: str = "fail",
    similar_names: str = "refuse",
    ids: LabelIds | None = None,
    exclusion: Exclusion | None = None,
) -> Iterator[Record | BadRecord]:
    """Yield the records of a raw folder, one split after the other.

    Args:
        directory: folder with the raw files of all three splits.
        on_bad_record: ``fail`` raises at the first bad record; ``skip`` yields it as `BadRecord`.
        similar_names: ``refuse`` takes class names as they are spelled in `CLASSES` only;
            ``merge`` also in other case, white space or Unicode form.
        ids: gets the labels that came as numbers.
        exclusion: records that are passed over, good or bad; None for none.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``; or, in either case, a whole
            file is: missing, empty, cut off, not what its name says, without a column, or
            without a single good record.
    """
    if on_bad_record not in ON_BAD_RECORD:
        raise ValueError(f"on_bad_record must be fail or skip, not {on_bad_record!r}")
    root, exclusion = Path(directory), exclusion or Exclusion()
    raw = find_layout(root)
    read_rows = LAYOUTS[raw.layout].read_rows
    for split in SPLITS:
        before = 0  # records in earlier files of the split, so that ids stay unique
        own_ids = Ids(similar_names)
        for path in raw.files[split]:
            last = good = 0
            for row in read_rows(path):
                last = row.number
                name = f"{split}-{before + row.number:05d}"
                if exclusion.drops((name, None)):
                    continue
                if similar_names == "merge":
                    _respell(row.values)
                problem = row.problem or _problem_of(row, path.name, own_ids)
                if problem is None:
                    good += 1
                    label = row.values["label"]
                    if ids is not None and isinstance(label, int) and not _is_named(row.values):
                        ids.add(split, row.order, label)
                    yield Record(
                        id=name,
                        text=row.values["text"],
                        label=label if isinstance(label, str) else row.order[label],
                        split=split,
                    )
                elif on_bad_record == "fail":
                    raise DataError(path, row.place, problem)
                else:
                    yield BadRecord(path.relative_to(root).as_posix(), row.place, problem)
            if last == 0:
                raise DataError(path, None, "the file holds no records")
            if good == 0:
                raise DataError(path, None, "not one good record in the file; is it another kind?")
            before += last


def _problem_of(row: Row, file: str, own_ids: Ids) -> str | None:
    """What is wrong with the values of a row; *own_ids*, those of the rows before it, grow."""
    text, label = row.values["text"], row.values["label"]
    if problem := text_problem(text):
        return problem
    if isinstance(label, str):
        if label not in CLASSES:
            return unknown_class(label, CLASSES)
    elif isinstance(label, bool) or not isinstance(label, int):
        return f"the label is {kind_of(label)}, expected a class name or an integer"
    elif not 0 <= label < len(CLASSES):
        return f"the label is {label}, expected 0 to {len(CLASSES) - 1}"
    elif _is_named(row.values) and name_key(row.values["label_text"]) != row.order[label]:
        return (
            f"the label is {label}, which is read as {row.order[label]}, but label_text is "
            f"{row.values['label_text'][:24]!r}"
        )
    if "id" in row.values:
        own = row.values["id"]
        if not isinstance(own, (str, int)):
            return f"the id is {kind_of(own)}, expected a string or an integer"
        if repeated := own_ids.add(str(own), f"{file}, {row.place}"):
            return repeated.problem(file)
    return None


def _is_named(values: Mapping[str, Any]) -> bool:
    """Whether a row has its class as a name, too, as some copies of the corpus do."""
    return isinstance(values.get("label_text"), str) and values["label_text"] in CLASSES


def _respell(values: dict[str, Any]) -> None:
    """Spell a class name as `CLASSES` does, in place."""
    for column in ("label", "label_text"):
        if isinstance(values.get(column), str) and name_key(values[column]) in CLASSES:
            values[column] = name_key(values[column])

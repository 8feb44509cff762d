"""The corpora of the entity experiment: from their raw layouts to one tidy table of texts.

Two published layouts hold the same thing, a text and the soft labels of things in it: the span
corpus (labels of spans) and GoEmotions (labels of whole sentences). A third reading of GoEmotions
makes weakly labelled spans from it (`weak_spans`). Tables of a user's own are read by `own`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from affectlab.datasets.description import Description, language_of
from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.names import check_setting
from affectlab.entity.data import Record, Target
from affectlab.entity.goemotions import read_goemotions
from affectlab.entity.labels import CLASSES, intensity_of
from affectlab.entity.layouts import LAYOUTS, OWN_LAYOUT
from affectlab.entity.own import own_spans
from affectlab.entity.settings import Split
from affectlab.entity.span_corpus import read_spans
from affectlab.entity.splits import split_records
from affectlab.entity.weak_spans import weak_spans
from affectlab.errors import DataError
from affectlab.files.io import sealed_writer
from affectlab.files.quarantine import ON_BAD_RECORD, BadRecord

logger = logging.getLogger(__name__)


def convert(
    raw_directory: Path | str,
    records_path: Path | str,
    quarantine_path: Path | str,
    description_path: Path | str,
    *,
    entry: Mapping[str, Any],
    on_bad_record: str,
    split: Split | None,
    similar_names: str = "refuse",
    exclusion: Exclusion | None = None,
) -> None:
    """Write the records of a raw folder and its bad records as JSON Lines, and what the data are.

    Args:
        raw_directory: folder with the raw files.
        records_path: gets one `Record` a line.
        quarantine_path: gets ``{"file", "place", "problem"}`` a line, never the text.
        description_path: gets the `Description` of the data set.
        entry: of the data set in the registry: its ``layout`` is one of `layouts.LAYOUTS`. Raw
            labels that are ids or positions must fit ``expected.classes`` or ``expected.shares``.
        on_bad_record: ``fail`` raises at the first bad record, ``skip`` sets it aside.
        split: shares and seed of the splits of the span corpus, which has none; None for others.
        similar_names: ``refuse`` takes class names as they are spelled only; ``merge`` also in
            other case, white space or Unicode form.
        exclusion: texts that are left out because somebody withdrew; None for none.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``; or a whole file is missing,
            empty, mixes the two generations, or has no good record; or the labels fit another
            order of the classes better; or see `own.own_spans` and `Exclusion.described`.
    """
    layout = entry["layout"]
    if on_bad_record not in ON_BAD_RECORD:
        raise ValueError(f"on_bad_record must be fail or skip, not {on_bad_record!r}")
    if layout not in LAYOUTS:
        raise ValueError(f"no reader for the layout {layout!r}")
    check_setting(similar_names)
    root = Path(raw_directory)
    ids, exclusion = LabelIds(), exclusion or Exclusion()
    items: Iterator[Record | BadRecord]
    if layout == OWN_LAYOUT:
        own = own_spans(root, entry, on_bad_record, similar_names, exclusion)
        items, description = own.items(), own.description
    else:
        items = _records_of(root, layout, similar_names, ids, exclusion)
        description = Description(CLASSES, language=language_of(entry))
    with sealed_writer(records_path) as records, sealed_writer(quarantine_path) as quarantine:

        def good() -> Iterator[Record]:
            for item in items:
                if isinstance(item, Record):
                    yield item
                elif on_bad_record == "fail":
                    raise DataError(root / item.file, item.place, item.problem)
                else:
                    quarantine.write(f"{json.dumps(item.stored(), ensure_ascii=False)}\n")

        # A corpus with splits of its own is written as it is read: it may be of any size.
        found = good() if split is None else iter(split_records(list(good()), split))
        written = 0
        for record in found:
            records.write(f"{json.dumps(record.to_dict(), ensure_ascii=False)}\n")
            written += 1
        ids.check(root, entry.get("expected", {}))
        if not written:
            raise DataError(root, None, "not one good record; is it another kind of data?")
        description = exclusion.described(description, root)
    description.write(description_path)


def _records_of(
    root: Path, layout: str, similar_names: str, ids: LabelIds, exclusion: Exclusion
) -> Iterator[Record | BadRecord]:
    """The records of a raw folder, one after the other."""
    if layout != "goemotions_spans":
        if layout == "entity_spans":
            yield from read_spans(root, ids, exclusion)
        else:
            yield from read_goemotions(root, similar_names, ids, exclusion)
        return
    left_out = 0
    for item in read_goemotions(root, similar_names, ids, exclusion):
        labelled = _weakly_labelled(item) if isinstance(item, Record) else item
        if isinstance(labelled, Record) and not labelled.targets:
            left_out += 1
            continue
        yield labelled
    logger.info("%d sentences without a span were left out", left_out)


def _weakly_labelled(record: Record) -> Record:
    """The record with spans instead of its sentence label (see `weak_spans`)."""
    (sentence,) = record.targets
    spans = weak_spans(record.text, sentence.label)
    targets = tuple(
        Target(f"{record.id}.{place}", start, end, tuple(label), intensity_of(label))
        for place, (start, end, label) in enumerate(spans)
    )
    return replace(record, targets=targets)

"""The corpora of the entity experiment: from their raw layouts to one tidy table of texts.

Two layouts hold the same thing, a text and the soft labels of things in it: the span corpus (JSON
Lines, labels of spans) and GoEmotions (tab-separated, labels of whole sentences). A third reading
of GoEmotions makes weakly labelled spans from it (`weak_spans`).
"""

from __future__ import annotations

import json
import logging
import math
import random
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.names import check_setting, name_key
from affectlab.datasets.near_texts import near_groups
from affectlab.datasets.separators import other_separator
from affectlab.datasets.texts import form_of, normalise_text
from affectlab.entity.labels import (
    CLASSES,
    GENERATIONS,
    GOEMOTIONS_CLASSES,
    NEUTRAL,
    generations_of,
    label_problem,
    normalised,
    soft_label_of_ids,
    top_class,
)
from affectlab.entity.layouts import LAYOUTS
from affectlab.entity.weak_spans import weak_spans
from affectlab.errors import DataError
from affectlab.files.io import (
    is_encodable,
    read_jsonl,
    read_lines,
    read_text,
    sealed_writer,
)
from affectlab.files.quarantine import ON_BAD_RECORD, BadRecord

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")

_LARGEST = sys.float_info.max
_WEB_PAGE = re.compile(r"\s*+<(?:!doctype|html|head|\?xml)", re.IGNORECASE)

GOEMOTIONS_FILES = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}


@dataclass(frozen=True, slots=True)
class Target:
    """A thing with a label: a span of the text, or the whole text if *start* is None.

    Attributes:
        id: unique in the data set.
        start: offset of the span's first character in Unicode code points.
        end: offset after its last character.
        label: soft label as the raw data has it, over `labels.CLASSES`.
        intensity: as the raw data has it; 1 where it has none.
    """

    id: str
    start: int | None
    end: int | None
    label: tuple[float, ...]
    intensity: float

    @property
    def span(self) -> tuple[int, int] | None:
        """Start and end, or None for the whole text."""
        return None if self.start is None or self.end is None else (self.start, self.end)


@dataclass(frozen=True, slots=True)
class Record:
    """A text of one split, with everything in it that has a label."""

    id: str
    text: str
    split: str
    targets: tuple[Target, ...]


def convert(
    raw_directory: Path | str,
    records_path: Path | str,
    quarantine_path: Path | str,
    *,
    layout: str,
    on_bad_record: str,
    split: Mapping[str, Any] | None,
    similar_names: str = "refuse",
    expected: Mapping[str, Any] | None = None,
) -> None:
    """Write the records of a raw folder, and its bad records, as JSON Lines.

    Args:
        raw_directory: folder with the raw files.
        records_path: gets one `Record` a line.
        quarantine_path: gets ``{"file", "place", "problem"}`` a line, never the text.
        layout: one of `layouts.LAYOUTS`.
        on_bad_record: ``fail`` raises at the first bad record, ``skip`` sets it aside.
        split: ``validation`` and ``test`` shares and the ``seed``; None: the corpus has splits.
        similar_names: ``refuse`` takes the class names of ``emotions.txt`` as they are spelled
            here only; ``merge`` also in other case, white space or Unicode form.
        expected: ``expected`` of the data registry; the raw labels, which are ids and positions,
            must fit its ``classes`` or ``shares``.

    Raises:
        DataError: a record is bad and *on_bad_record* is ``fail``; or a whole file is missing,
            empty, mixes the two generations, or has no good record; or the labels fit another
            order of the classes better.
    """
    if on_bad_record not in ON_BAD_RECORD:
        raise ValueError(f"on_bad_record must be fail or skip, not {on_bad_record!r}")
    if layout not in LAYOUTS:
        raise ValueError(f"no reader for the layout {layout!r}")
    check_setting(similar_names)
    root = Path(raw_directory)
    ids = LabelIds()
    with sealed_writer(records_path) as records, sealed_writer(quarantine_path) as quarantine:

        def good() -> Iterator[Record]:
            for item in _read(root, layout, similar_names, ids):
                if isinstance(item, Record):
                    yield item
                elif on_bad_record == "fail":
                    raise DataError(root / item.file, item.place, item.problem)
                else:
                    quarantine.write(f"{json.dumps(asdict(item), ensure_ascii=False)}\n")

        # A corpus with splits of its own is written as it is read: it may be of any size.
        found = good() if split is None else iter(split_records(list(good()), **split))
        written = 0
        for record in found:
            records.write(f"{json.dumps(asdict(record), ensure_ascii=False)}\n")
            written += 1
        ids.check(root, expected or {})
        if not written:
            raise DataError(root, None, "not one good record; is it another kind of data?")


def _read(
    root: Path, layout: str, similar_names: str, ids: LabelIds
) -> Iterator[Record | BadRecord]:
    """The records of a raw folder, one after the other."""
    if layout != "goemotions_spans":
        if layout == "entity_spans":
            yield from _read_spans(root, ids)
        else:
            yield from _read_goemotions(root, similar_names, ids)
        return
    left_out = 0
    for item in _read_goemotions(root, similar_names, ids):
        labelled = weakly_labelled(item) if isinstance(item, Record) else item
        if isinstance(labelled, Record) and not labelled.targets:
            left_out += 1
            continue
        yield labelled
    logger.info("%d sentences without a span were left out", left_out)


def read_records(path: Path | str) -> list[Record]:
    """Read the table that `convert` wrote.

    Raises:
        DataError: the file is missing, or a line is not such a record.
    """
    records = []
    for number, row in enumerate(read_jsonl(path), start=1):
        if problem := _stored_problem(row):
            raise DataError(path, f"record {number}", problem)
        targets = tuple(
            Target(**{**target, "label": tuple(target["label"])}) for target in row["targets"]
        )
        records.append(Record(row["id"], row["text"], row["split"], targets))
    return records


def _stored_problem(row: Mapping[str, Any]) -> str | None:
    """What is wrong with a line of the table that `convert` wrote."""
    if set(row) != {"id", "text", "split", "targets"}:
        return "expected the fields id, text, split and targets"
    if not all(isinstance(row[name], str) for name in ("id", "text", "split")):
        return "id, text and split: expected strings"
    if row["split"] not in SPLITS:
        return f"unknown split, expected one of {', '.join(SPLITS)}"
    if not isinstance(row["targets"], list) or not row["targets"]:
        return "targets: expected a list with at least one"
    for place, target in enumerate(row["targets"], start=1):
        if not isinstance(target, dict) or set(target) != set(Target.__dataclass_fields__):
            return f"target {place}: expected the fields {', '.join(Target.__dataclass_fields__)}"
        if not isinstance(target["id"], str):
            return f"target {place}: id: expected a string"
        start, end = target["start"], target["end"]
        if (start, end) != (None, None) and (
            type(start) is not int
            or type(end) is not int
            or not 0 <= start < end <= len(row["text"])
        ):
            return f"target {place}: expected the start and end of a span of the text, or null"
        intensity = target["intensity"]
        if not isinstance(intensity, int | float) or not -_LARGEST <= intensity <= _LARGEST:
            return f"target {place}: intensity: expected a finite number"
        if problem := label_problem(target["label"]):
            return f"target {place}: {problem}"
    return None


def of_split(records: Iterable[Record], split: str) -> list[Record]:
    """The records of one split."""
    return [record for record in records if record.split == split]


def targets_of(records: Iterable[Record]) -> list[Target]:
    """All targets, text by text."""
    return [target for record in records for target in record.targets]


def weakly_labelled(record: Record) -> Record:
    """The record with spans in place of its sentence label (see `weak_spans`)."""
    (sentence,) = record.targets
    spans = weak_spans(record.text, sentence.label)
    targets = tuple(
        Target(f"{record.id}.{place}", start, end, tuple(label), math.hypot(*label))
        for place, (start, end, label) in enumerate(spans)
    )
    return replace(record, targets=targets)


def non_neutral_mass(record: Record) -> float:
    """Sum over the targets of the share that their labels give to other classes than neutral."""
    return sum(1.0 - normalised(target.label)[NEUTRAL] for target in record.targets)


def split_records(
    records: Sequence[Record], *, validation: float, test: float, seed: int
) -> list[Record]:
    """Assign the records to the splits: grouped by text, stratified by non-neutral mass.

    Texts that read the same, or nearly (see `datasets.near_texts`), stay together. Groups are
    sorted by mass, equal ones in an order drawn from *seed*, and each goes to the split that is
    furthest behind its share.

    Args:
        records: of any split.
        validation: share of the texts for validation.
        test: share of the texts for the test.
        seed: of the order among equals.

    Returns:
        The records in the order given, each with its new split.
    """
    plain = [normalise_text(record.text) for record in records]
    first: dict[int, str] = {}
    numbers = near_groups(plain)
    for text, number in zip(plain, numbers, strict=True):
        first[number] = min(text, first.get(number, text))
    names = [first[number] for number in numbers]
    groups: dict[str, list[Record]] = {}
    texts: dict[str, set[str]] = {}
    for record, text, name in zip(records, plain, names, strict=True):
        groups.setdefault(name, []).append(record)
        texts.setdefault(name, set()).add(text)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda text: -sum(non_neutral_mass(record) for record in groups[text]))
    shares = {"train": 1.0 - validation - test, "validation": validation, "test": test}
    assigned = dict.fromkeys(SPLITS, 0)
    split_of = {}
    for name in order:
        total = sum(assigned.values()) + len(texts[name])
        split = _furthest_behind(shares, assigned, total)
        assigned[split] += len(texts[name])
        split_of[name] = split
    return [
        replace(record, split=split_of[name]) for record, name in zip(records, names, strict=True)
    ]


def _furthest_behind(shares: Mapping[str, float], assigned: Mapping[str, int], total: int) -> str:
    """The split that lacks most texts of its share of *total*; of equal ones the first."""
    return max(SPLITS, key=lambda split: shares[split] * total - assigned[split])


def stage_subset(records: Sequence[Record], entities: int | None, seed: int) -> list[Record]:
    """The first *entities* targets of the records in an order drawn from *seed*.

    A smaller subset is part of a larger one of the same seed; None takes all. The last text
    keeps only as many targets as are wanted.
    """
    if entities is None:
        return list(records)
    order = list(records)
    random.Random(seed).shuffle(order)
    chosen: list[Record] = []
    missing = entities
    for record in order:
        if missing == 0:
            break
        kept = record.targets[:missing]
        chosen.append(replace(record, targets=kept))
        missing -= len(kept)
    return chosen


def _read_spans(root: Path, ids: LabelIds) -> Iterator[Record | BadRecord]:
    """The span corpus: every ``*.jsonl`` of a folder that is not hidden, one generation in all."""
    paths = [path for path in sorted(root.glob("*.jsonl")) if not path.name.startswith(".")]
    if not paths:
        raise DataError(root, None, "no span corpus here: expected a file *.jsonl")
    generation: str | None = None
    number = 0
    for path in paths:
        for place, line in _numbered_lines(path):
            number += 1
            found = _span_record(line, f"{number:05d}")
            if isinstance(found, str):
                yield BadRecord(path.name, place, found)
                continue
            record, fits = found
            if len(fits) == 1:
                (own,) = fits
                if generation is not None and own != generation:
                    problem = (
                        f"labels and intensity are of generation {own}, those before of "
                        f"{generation}: keep the generations apart"
                    )
                    raise DataError(path, place, problem)
                generation = own
            for target in record.targets:
                ids.add(record.split, CLASSES, top_class(target.label))
            yield record


def _numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    found = False
    for number, line in read_lines(path):
        if not line.strip():
            continue
        if not found and _WEB_PAGE.match(line):
            raise DataError(path, None, "this is a web page saved under the name of the data")
        found = True
        yield f"line {number}", line
    if not found:
        raise DataError(path, None, "the file holds no records")


def _span_record(line: str, name: str) -> tuple[Record, frozenset[str]] | str:
    """The record of a line and the generations that it may be of, or what is wrong with it."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not valid JSON: {getattr(error, 'msg', 'numbers or nesting out of bounds')}"
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        return 'expected an object {"text", "targets"}'
    text, raw = row["text"], row.get("targets")
    if not text.strip():
        return "the text is empty"
    if not is_encodable(text):
        return "the text holds half a surrogate pair, expected valid Unicode"
    if not isinstance(raw, list) or not raw:
        return "targets: expected a list of at least one span"
    fits = frozenset(GENERATIONS)
    targets: list[Target] = []
    for place, span in enumerate(raw):
        problem = _span_problem(text, span)
        if problem is None and any(
            (target.start, target.end) == (span["char_start"], span["char_end"])
            for target in targets
        ):
            problem = "the same span stands here twice"
        if problem is not None:
            return f"target {place + 1}: {problem}"
        own = generations_of(span["soft_label"], span["intensity"])
        fits &= own
        if not own:
            soft = span["soft_label"]
            problem = (
                f"intensity is {span['intensity']}, expected the largest value of the label, "
                f"{max(soft):.6g} (v1, where it sums to 1; this one to {math.fsum(soft):.6g}), or "
                f"its L2 norm {math.hypot(*soft):.6g} (v2)"
            )
            return f"target {place + 1}: {problem}"
        targets.append(
            Target(
                f"{name}.{place}",
                span["char_start"],
                span["char_end"],
                tuple(map(float, span["soft_label"])),
                float(span["intensity"]),
            )
        )
    if not fits:
        return "the targets mix labels of the generations v1 and v2"
    return Record(name, text, "train", tuple(targets)), fits


def _span_problem(text: str, span: Any) -> str | None:
    """What is wrong with one entry of ``targets``, or None."""
    if not isinstance(span, dict):
        return "expected an object"
    keys = ("span_text", "char_start", "char_end", "soft_label", "intensity")
    if missing := [key for key in keys if key not in span]:
        return f"missing {' and '.join(missing)}"
    start, end = span["char_start"], span["char_end"]
    if type(start) is not int or type(end) is not int:
        return "char_start and char_end: expected integers"
    if problem := offset_problem(text, start, end, span["span_text"]):
        return problem
    intensity = span["intensity"]
    if isinstance(intensity, bool) or not isinstance(intensity, int | float):
        return "intensity: expected a number"
    # An integer of hundreds of digits has no counterpart among floats.
    if not -sys.float_info.max <= intensity <= sys.float_info.max:
        return "intensity: expected a finite number"
    return label_problem(span["soft_label"])


def offset_problem(text: str, start: int, end: int, span_text: object) -> str | None:
    """Why ``text[start:end]`` is not the span *span_text*, or None.

    Raised offsets are told apart from those that count UTF-16 units, as JavaScript does.
    """
    if not 0 <= start < end <= len(text):
        problem = f"the span {start}..{end} lies outside the text of {len(text)} characters"
    elif not text[start:end].strip():
        problem = f"the span {start}..{end} holds nothing but white space"
    elif text[start:end] != span_text:
        problem = f"span_text is not what stands at {start}..{end}"
    else:
        return None
    units = text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end]
    if start >= 0 and text[start:end] != span_text == units.decode("utf-16-le", "replace"):
        return f"{problem}: the offsets count UTF-16 units, expected Unicode code points"
    if not isinstance(span_text, str):
        return problem
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    for form in forms:
        other = unicodedata.normalize(form, text)
        if other != text and other[max(start, 0) : end] == unicodedata.normalize(form, span_text):
            return f"{problem}: the offsets count the characters of the text in the form {form}"
    if form_found := form_of(span_text, text):
        problem += f"; it is there {form_found}: write both alike, and count the offsets again"
    return problem


def _read_goemotions(root: Path, similar_names: str, ids: LabelIds) -> Iterator[Record | BadRecord]:
    """GoEmotions: ``text TAB ids TAB comment id`` a line, ids named by emotions.txt if there."""
    folder = root / "data" if (root / "data" / "train.tsv").is_file() else root
    names = _goemotions_names(folder, similar_names)
    for split, file in GOEMOTIONS_FILES.items():
        path = folder / file
        good = 0
        for place, line in _numbered_lines(path):
            fields = line.split("\t")
            problem = _goemotions_problem(line, len(names))
            if problem is not None:
                yield BadRecord(path.relative_to(root).as_posix(), place, problem)
                continue
            good += 1
            name = f"{split}-{place.removeprefix('line '):0>5}"
            chosen = [int(number) for number in fields[1].split(",")]
            for number in chosen:
                ids.add(split, names, number)
            label = soft_label_of_ids(chosen, names)
            target = Target(f"{name}.s", None, None, tuple(label), 1.0)
            yield Record(name, fields[0], split, (target,))
        if not good:
            raise DataError(path, None, "not one good record in the file")


def _goemotions_names(folder: Path, similar_names: str) -> Sequence[str]:
    path = folder / "emotions.txt"
    if not path.is_file():
        return GOEMOTIONS_CLASSES
    names = read_text(path).split()
    if similar_names == "merge":
        names = [name_key(name) for name in names]
    if sorted(names) != sorted(CLASSES):
        unknown = ", ".join(sorted(set(names) ^ set(CLASSES)))
        raise DataError(
            path,
            None,
            f"expected the 28 classes once each; unknown or absent: "
            f"{unknown or 'none, but one stands twice'}",
        )
    return names


def _goemotions_problem(line: str, classes: int) -> str | None:
    fields = line.split("\t")
    if len(fields) != 3:
        other = other_separator(line, 3, "\t")
        return f"expected 3 fields (text, ids, comment id), found {len(fields)}{other}"
    if not fields[0].strip():
        return "the text is empty"
    for number in fields[1].split(","):
        if not re.fullmatch("[0-9]{1,2}", number) or int(number) >= classes:
            return f"expected class ids from 0 to {classes - 1}, found {fields[1][:40]!r}"
    return None

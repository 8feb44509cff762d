"""The span corpus: JSON Lines of texts with labelled spans."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from affectlab.datasets.exclusions import Exclusion
from affectlab.datasets.label_order import LabelIds
from affectlab.datasets.tables import read_json_lines
from affectlab.datasets.texts import form_of, text_problem
from affectlab.entity.data import Record, Target
from affectlab.entity.labels import CLASSES, GENERATIONS, generations_of, label_problem, top_class
from affectlab.errors import DataError
from affectlab.files.quarantine import BadRecord


def read_spans(root: Path, ids: LabelIds, exclusion: Exclusion) -> Iterator[Record | BadRecord]:
    """Read every ``*.jsonl`` of a folder that is not hidden, one generation in all.

    Lines that *exclusion* drops, good or bad, are passed over.
    """
    paths = [path for path in sorted(root.glob("*.jsonl")) if not path.name.startswith(".")]
    if not paths:
        raise DataError(root, None, "no span corpus here: expected a file *.jsonl")
    generation: str | None = None
    number = 0
    for path in paths:
        before = number
        for row in read_json_lines(path, ("text",)):
            number += 1
            place, name = row.place, f"{number:05d}"
            if exclusion.drops((name, None)):
                continue
            found = row.problem or _span_record(row.values, name)
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
        if number == before:
            raise DataError(path, None, "the file holds no records")


def _span_record(row: Mapping[str, Any], name: str) -> tuple[Record, frozenset[str]] | str:
    """The record of a line and the generations that it may be of, or what is wrong with it."""
    text, raw = row["text"], row.get("targets")
    if problem := text_problem(text):
        return problem
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
    return label_problem(span["soft_label"], CLASSES)


def offset_problem(text: str, start: int, end: int, span_text: object) -> str | None:
    """Describe why ``text[start:end]`` is not the span *span_text*, or None.

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

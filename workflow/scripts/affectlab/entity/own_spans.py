"""The spans of one text of a user's own: places and labels, as they may be written.

A place is a pair of offsets, or the words of the span where they occur once. A label is a name, a
list of names, or an object of names and values.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affectlab.datasets.classes import unknown_class
from affectlab.datasets.texts import form_of, kind_of, places_of
from affectlab.entity.span_corpus import offset_problem

Label = dict[str, float]
"""Name of a class -> its value, 0 to 1; at least one is above 0."""


@dataclass(frozen=True, slots=True)
class OwnSpan:
    """A span of a text and its soft label.

    Attributes:
        start: offset of its first character in Unicode code points.
        end: offset after its last character.
        label: as the data have it.
    """

    start: int
    end: int
    label: Label

    @property
    def place(self) -> tuple[int, int]:
        """Start and end."""
        return self.start, self.end


def spans_of(text: str, raw: Any, classes: Sequence[str] | None) -> list[OwnSpan] | str:
    """The spans of *text*, or what is wrong with the first bad one.

    Args:
        text: that they are in.
        raw: a list of objects, or its JSON: ``start``, ``end``, ``span``, ``label``.
        classes: that labels may name; None for any.
    """
    raw = _parsed(raw, "[")
    if not isinstance(raw, list) or not raw:
        return "spans: expected a list of at least one span"
    found: list[OwnSpan] = []
    for number, one in enumerate(raw, start=1):
        span = _span(text, one, classes)
        if isinstance(span, OwnSpan) and span.place in {own.place for own in found}:
            span = "the same span occurs twice in this text"
        if isinstance(span, str):
            return span if len(raw) == 1 else f"span {number}: {span}"
        found.append(span)
    return found


def _span(text: str, raw: Any, classes: Sequence[str] | None) -> OwnSpan | str:
    if not isinstance(raw, Mapping):
        return f"expected an object, found {kind_of(raw)}"
    place = _place(text, raw)
    if isinstance(place, str):
        return place
    label = _label(raw.get("label"))
    if isinstance(label, str):
        return label
    if classes is not None and (unknown := [name for name in label if name not in classes]):
        return unknown_class(unknown[0], classes)
    return OwnSpan(*place, label)


def _place(text: str, raw: Mapping[str, Any]) -> tuple[int, int] | str:
    """Start and end of a span, or what is wrong with them."""
    words = raw.get("span")
    words = words if words not in (None, "") else None
    start, end = (_offset(raw.get(name)) for name in ("start", "end"))
    for name, value in (("start", start), ("end", end)):
        if isinstance(value, str):
            return f"{name}: expected a whole number, found {value[:24]!r}"
    if words is not None and not isinstance(words, str):
        return f"span: expected the words of the span, found {kind_of(words)}"
    if isinstance(start, int):
        if end is None and words is not None:
            end = start + len(words)
        if not isinstance(end, int):
            return "expected start and end, or the words of the span"
        given = text[max(start, 0) : end] if words is None else words
        return offset_problem(text, start, end, given) or (start, end)
    if words is None:
        return "expected start and end, or the words of the span"
    return _found(text, words)


def _found(text: str, words: str) -> tuple[int, int] | str:
    """The only place of *words* in the text."""
    if not words.strip():
        return "the span holds nothing but white space"
    places = places_of(text, words)
    if len(places) == 1:
        return places[0], places[0] + len(words)
    if places:
        return f"the span occurs {len(places)} times in the text: give start and end"
    form = form_of(words, text)
    hint = f"; it is there {form}: write it as in the text" if form else ""
    return f"the span is not in the text{hint}"


def _offset(value: Any) -> int | str | None:
    """An offset, None for an empty cell, or the text of what is no whole number."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    # Tables with empty cells hold whole numbers as floats.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _label(raw: Any) -> Label | str:
    """The soft label that *raw* stands for, or what is wrong with it."""
    raw = _parsed(raw, "[{")
    if isinstance(raw, Mapping):
        return _of_values(raw)
    names = raw if isinstance(raw, list) else [raw]
    if not names:
        return "label: expected at least one class, found an empty list"
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int):
            return f"label: expected the name of a class, found {kind_of(name)}"
        if not str(name).strip():
            return "the label is empty"
    # A name that several annotators gave has as many shares.
    counts = Counter(map(str, names))
    return {name: count / len(names) for name, count in counts.items()}


def _of_values(raw: Mapping[str, Any]) -> Label | str:
    label: Label = {}
    for name, value in raw.items():
        # Columns of objects have every key in every row.
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"label: the value of a class is {kind_of(value)}, expected a number"
        if not 0 <= value <= 1:
            return f"label: the value of a class is {value:g}, expected 0 to 1"
        label[name] = float(value)
    return label if any(label.values()) else "label: expected a class with a value above 0"


def _parsed(raw: Any, openings: str) -> Any:
    """The list or object that a cell of a table holds as JSON; anything else as it is."""
    if not isinstance(raw, str) or not raw.strip().startswith(tuple(openings)):
        return raw
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw

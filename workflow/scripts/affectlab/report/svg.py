"""A stored figure as a part of the page: inline SVG with text, small, and without scripts.

A figure comes from a file of a results folder. Only what matplotlib draws passes. Everything else
is refused or left out, so a file cannot bring a script, an address or a style to the page.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from pathlib import Path

from affectlab.errors import DataError
from affectlab.files.text import read_text

ELEMENTS = frozenset(
    ("svg", "g", "defs", "path", "rect", "use", "text", "tspan", "clipPath", "pattern", "image")
)
LEFT_OUT = frozenset(("metadata", "style", "title", "desc"))
TEXTS = frozenset(("text", "tspan"))

INITIAL = {"fill": "currentColor", "font-size": "10", "stroke-linejoin": "round"}
"""What the root sets for all its elements: the ink of the page, and matplotlib's own style."""

DEFAULTS = {"stroke-dashoffset": "0", "stroke-linecap": "butt", "text-anchor": "start"}
"""Of SVG: what they say is left out."""

INHERITED = frozenset(
    (
        *INITIAL,
        *DEFAULTS,
        *("fill-opacity", "fill-rule", "font-style", "font-weight", "image-rendering", "stroke"),
        *("stroke-dasharray", "stroke-miterlimit"),
        *("stroke-opacity", "stroke-width"),
    )
)
"""Properties that an element passes on to its children."""

PROPERTIES = INHERITED | {"clip-path", "opacity"}
GEOMETRY = frozenset(
    ("d", "height", "href", "id", "patternUnits", "transform", "viewBox", "width", "x", "y")
)

DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"

PAPER = "var(--sheet)"
COLOURS = {
    "#000000": "currentColor",
    "#555555": "var(--soft)",
    "#dddddd": "var(--line)",
    "#ffffff": PAPER,
}
"""Colours of ink, lines and paper: the page has its own of them, in light and in dark."""

_NUMBER = re.compile(r"-?\d*\.?\d+(?:e[-+]?\d+)?")
_VALUE = re.compile(r"[-#%.,() \w]*")
_REFERENCE = re.compile(r"url\(#([-.\w]+)\)")
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]*")


@dataclass(slots=True)
class _Element:
    """An element of a figure: tag and attributes without namespaces and styles."""

    tag: str
    own: dict[str, str]
    text: str = ""
    children: list[_Element] = field(default_factory=list)
    is_axis: bool = False

    @property
    def look(self) -> tuple[tuple[str, str], ...]:
        """Its properties, without its place and form."""
        return tuple(sorted((k, v) for k, v in self.own.items() if k in PROPERTIES))

    def walk(self) -> Iterator[_Element]:
        """This element and all in it, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.walk()


def inline_svg(path: Path, key: str, label: str) -> str:
    """Return the figure in *path* as an element of the page.

    Args:
        path: of an SVG that matplotlib drew.
        key: of the figure; no other figure of the page has it.
        label: what a screen reader reads of the figure.

    Raises:
        DataError: the file is not XML, or it holds something that no figure of ours has.
    """
    try:
        root = ET.fromstring(read_text(path))
    except ET.ParseError as error:
        raise DataError(path, None, f"expected an SVG figure, found broken XML: {error}") from error
    drawn = _read(root, path)
    if drawn is None or drawn.tag != "svg":
        raise DataError(path, None, f"expected an SVG figure, found <{root.tag}>")
    _rename(drawn, key)
    _shorten_markers(drawn)
    drawn.children = _grouped(_flat(drawn))
    _drop_inherited(drawn, DEFAULTS | INITIAL)
    size = {name: drawn.own.pop(name, "").removesuffix("pt") for name in ("width", "height")}
    named = {"class": "plot", "role": "img", "aria-label": label}
    drawn.own = {**named, **size, **drawn.own, **INITIAL}
    return "".join(_write(drawn))


def values_in(path: Path) -> list[tuple[str, str]]:
    """Return the series of the figure in *path*: name and values, see `plotted.values_of`."""
    text = ET.fromstring(read_text(path)).findtext(f".//{DESCRIPTION}") or ""
    return [
        (name, values) for name, _, values in (line.partition(": ") for line in text.splitlines())
    ]


def _read(found: ET.Element, path: Path) -> _Element | None:
    """The element *found* with its children; None where the page does not need it."""
    tag = found.tag.rpartition("}")[2]
    if tag in LEFT_OUT:
        return None
    if tag not in ELEMENTS:
        raise DataError(path, None, f"expected a figure as affectlab draws it, found <{tag}>")
    given = {name.rpartition("}")[2]: value for name, value in found.attrib.items()}
    for part in given.pop("style", "").split(";"):
        name, _, value = part.partition(":")
        given[name.strip()] = value.strip()
    own = {}
    for name in sorted(given.keys() & (PROPERTIES | GEOMETRY)):
        # A marker is small, and is drawn many times.
        own[name] = _value(tag, name, given[name], 2 if "id" in given else 1, path)
    if own.get("transform", "").startswith("rotate(0 "):
        del own["transform"]
    children = [one for child in found if (one := _read(child, path)) is not None]
    text = (found.text or "") if tag in TEXTS else ""
    return _Element(tag, own, text, children, given.get("id", "").startswith("matplotlib.axis"))


def _value(tag: str, name: str, value: str, digits: int, path: Path) -> str:
    """The checked value of an attribute, as short as it can be."""
    if name == "d":
        return _steps(value, digits)
    if name == "href":
        value = "".join(value.split())
        if value.startswith("#") if tag == "use" else _PICTURE.fullmatch(value):
            return value
    elif _REFERENCE.fullmatch(value) or name == "id":
        return value
    elif _VALUE.fullmatch(value) and "url" not in value:
        if name in ("fill", "stroke"):
            # A text is white where it is on a dark shape, which is dark on every page.
            return value if tag in TEXTS and value == "#ffffff" else COLOURS.get(value, value)
        digits = 1 if name in ("x", "y", "width", "height", "viewBox") else 2
        return _NUMBER.sub(lambda found: _short(float(found[0]), digits), value.replace("px", ""))
    raise DataError(path, None, f"expected no {name}={value[:60]!r} in <{tag}> of a figure")


def _steps(data: str, digits: int) -> str:
    """The steps of a path, with rounded coordinates, and without those that do not move."""
    steps: list[str] = []
    before: list[str] = []
    parts = iter(re.split(r"([MLQCZz])", data)[1:])
    for kind, rest in zip(parts, parts, strict=True):
        numbers = [_short(float(number), digits) for number in _NUMBER.findall(rest)]
        if kind != "L" or not before:
            steps.append(kind + " ".join(numbers))
        elif numbers[1] == before[1]:
            steps += [f"H{numbers[0]}"] if numbers[0] != before[0] or steps[-1][0] == "M" else []
        elif numbers[0] == before[0]:
            steps.append(f"V{numbers[1]}")
        else:
            steps.append(f"L{numbers[0]} {numbers[1]}")
        before = numbers[-2:] or before
    return "".join(steps)


def _short(number: float, digits: int) -> str:
    """A number without a sign of nought and zeros at its end."""
    shown = f"{number:z.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _rename(drawn: _Element, key: str) -> None:
    """Give the ids that something refers to names of their own; drop the others."""
    start = f"f{zlib.crc32(key.encode()):x}"
    known: dict[str, str] = {}

    def name(old: str) -> str:
        return known.setdefault(old, f"{start}-{len(known)}")

    for one in drawn.walk():
        for attribute, value in one.own.items():
            if one.tag == "use" and attribute == "href":
                one.own[attribute] = f"#{name(value[1:])}"
            elif found := _REFERENCE.fullmatch(value):
                one.own[attribute] = f"url(#{name(found[1])})"
    for one in drawn.walk():
        old = one.own.pop("id", None)
        if old in known:
            one.own["id"] = known[old]


def _shorten_markers(drawn: _Element) -> None:
    """Leave out of each use of a marker what the marker sets itself."""
    by_id = {f"#{one.own['id']}": one for one in drawn.walk() if "id" in one.own}
    for one in drawn.walk():
        if one.tag == "use" and (marker := by_id.get(one.own["href"])):
            one.own = {
                name: value
                for name, value in one.own.items()
                if name not in marker.own or name not in PROPERTIES
            }


def _flat(part: _Element) -> list[_Element]:
    """What a group holds, without groups, each element with all its properties.

    Paths that paint paper are left out: the page has its own ground.
    """
    found = []
    for child in part.children:
        if child.tag not in ("g", "defs"):
            found.append(child)
        elif child.tag == "defs" or {"transform", "opacity"} & child.own.keys():
            child.children = _grouped(_flat(child)) if child.tag == "g" else child.children
            found += [child] if child.children else []
        else:
            inner = _flat(child)
            for one in inner:
                one.own = {**_passed_on(child, one), **one.own}
            # Lines, ticks and numbers of an axis do not cover one another: they may be sorted.
            found += _by_properties(inner) if child.is_axis else inner
    return [
        one
        for one in found
        if one.tag != "path" or one.own.get("fill") != PAPER or "stroke" in one.own
    ]


def _passed_on(group: _Element, one: _Element) -> dict[str, str]:
    """The properties that *one* has from its *group*."""
    names = () if one.tag == "defs" else PROPERTIES
    return {name: value for name, value in group.own.items() if name in names}


def _by_properties(elements: Sequence[_Element]) -> list[_Element]:
    """Sort elements so that equal properties are next to each other, definitions first."""
    order: dict[tuple[tuple[str, str], ...], int] = {}
    return sorted(
        elements,
        key=lambda one: -1 if one.tag == "defs" else order.setdefault(one.look, len(order)),
    )


def _grouped(elements: Sequence[_Element]) -> list[_Element]:
    """Put neighbours with equal properties into a group that has the properties for them all."""
    found = []
    for look, run in groupby(elements, key=lambda one: one.look):
        same = list(run)
        # A clip path on an element that is moved would move with it.
        moved = "clip-path" in dict(look) and (same[0].tag == "use" or "transform" in same[0].own)
        if not look or (len(same) == 1 and not moved):
            found += same
            continue
        for one in same:
            one.own = {name: value for name, value in one.own.items() if name not in PROPERTIES}
        found.append(_Element("g", dict(look), children=same))
    return found


def _drop_inherited(part: _Element, known: Mapping[str, str]) -> None:
    """Drop properties that an element has from those around it.

    What is inside ``defs`` is drawn elsewhere, and keeps its own.
    """
    for child in part.children:
        if child.tag == "defs":
            continue
        child.own = {
            name: value
            for name, value in child.own.items()
            if name not in INHERITED or known.get(name) != value
        }
        _drop_inherited(child, {**known, **child.own})


def _write(part: _Element) -> Iterator[str]:
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in part.own.items())
    if not part.children and not part.text:
        yield f"<{part.tag}{attributes}/>"
        return
    yield f"<{part.tag}{attributes}>{escape(part.text, quote=False)}"
    for child in part.children:
        yield from _write(child)
    yield f"</{part.tag}>"

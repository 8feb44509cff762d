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
_STRAIGHT = re.compile(r"(?:[MLHV][-.\d ]+|z)+")
_DISC = re.compile(r"M0 (\d*\.?\d+)(?:C[-.\d ]+){8}z")
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
    markers = {f"#{one.own['id']}": one for one in drawn.walk() if "id" in one.own}
    drawn.children = _grouped(_without_unused(_joined(_flat(drawn), markers)))
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


def _joined(elements: Sequence[_Element], markers: Mapping[str, _Element]) -> list[_Element]:
    """Draw neighbours that use the same marker with the same look as one path, where it has one."""
    found: list[_Element] = []
    for (_, address), run in groupby(elements, key=lambda one: (one.look, one.own.get("href"))):
        same = list(run)
        marker = markers.get(address or "")
        if same[0].tag != "use" or marker is None:
            found += same
            continue
        own = dict(same[0].look) | dict(marker.look)
        places = [(float(one.own["x"]), float(one.own["y"])) for one in same]
        outline = marker.own.get("d", "")
        if (size := _dot_size(outline, own)) is not None:
            for ours, of_fill in (("stroke", "fill"), ("stroke-opacity", "fill-opacity")):
                own |= {ours: own[of_fill]} if of_fill in own else {}
            own |= {"stroke-linecap": "round", "stroke-width": _short(size, 2)}
            own["d"] = "".join(f"M{_short(x, 1)} {_short(y, 1)}h0" for x, y in places)
            found.append(_Element("path", own))
        elif _STRAIGHT.fullmatch(outline) and "transform" not in marker.own:
            own["d"] = "".join(_moved(outline, x, y) for x, y in places)
            found.append(_Element("path", own))
        else:
            found += same
    return found


def _dot_size(outline: str, own: Mapping[str, str]) -> float | None:
    """The diameter of a marker that is a disc of one colour; None for others."""
    disc = _DISC.fullmatch(outline)
    if disc is None or own.get("fill", "none") == "none":
        return None
    if own.get("stroke", own["fill"]) != own["fill"]:
        return None
    return 2 * float(disc[1]) + (float(own.get("stroke-width", "1")) if "stroke" in own else 0)


def _moved(outline: str, x: float, y: float) -> str:
    """A path of straight lines, moved by x and y, in steps from point to point."""
    steps, before = [], (0.0, 0.0)
    for kind, rest in re.findall(r"([MLHVz])([^MLHVz]*)", outline):
        numbers = [float(number) for number in _NUMBER.findall(rest)]
        if kind == "M":
            before = numbers[0], numbers[1]
            steps.append(f"M{_short(x + numbers[0], 1)} {_short(y + numbers[1], 1)}")
        elif kind == "L":
            across, down = numbers[0] - before[0], numbers[1] - before[1]
            before = numbers[0], numbers[1]
            steps.append(f"l{_short(across, 2)} {_short(down, 2)}")
        elif kind == "H":
            steps.append(f"h{_short(numbers[0] - before[0], 2)}")
            before = numbers[0], before[1]
        elif kind == "V":
            steps.append(f"v{_short(numbers[0] - before[1], 2)}")
            before = before[0], numbers[0]
        else:
            steps.append("z")
    return "".join(steps)


def _without_unused(elements: Sequence[_Element]) -> list[_Element]:
    """Leave out the definitions that nothing refers to."""
    values = {value for top in elements for one in top.walk() for value in one.own.values()}
    found = []
    for one in elements:
        if one.tag == "defs":
            one.children = [
                child
                for child in one.children
                if {f"#{child.own.get('id')}", f"url(#{child.own.get('id')})"} & values
            ]
        if one.tag != "defs" or one.children:
            found.append(one)
    return found


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
    """Join neighbours with equal properties: paths to one, others into a group."""
    found = []
    for look, run in groupby(elements, key=lambda one: one.look):
        same = list(run)
        # Where opaque, one path looks like several.
        opaque = not any("opacity" in name for name, _ in look)
        if opaque and all(one.own.keys() - PROPERTIES == {"d"} for one in same):
            outline = "".join(one.own["d"] for one in same)
            found.append(_Element("path", {**dict(look), "d": outline}))
            continue
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

"""A stored figure as the page holds it: the same drawing, with text, small, and harmless."""

import re
import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest
from page_colours import CSS, channels, contrast

from affectlab.errors import DataError
from affectlab.evaluation import plots
from affectlab.report import svg
from affectlab.report.svg import inline_svg

DRAWN = ("path", "text", "tspan", "image")
PAPER = "#ffffff"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """One figure with all that ours have: bars, hatches, markers, many points, clips, mathtext."""
    stem = tmp_path_factory.mktemp("figure") / "mixed"
    points = np.random.default_rng(0).normal(size=(2, 500))
    with plots.figure(stem, 8.0, 4.0) as drawing:
        left, right = drawing.subplots(1, 2)
        left.bar([0, 1], [1, 2], hatch="///", color=plots.BLUE, edgecolor="white", linewidth=0)
        left.plot([0.5], [1.5], "s", color=plots.ORANGE, label="<script>alert(1)</script> & co")
        left.plot([0, 1], [0.5, 0.2], "--o", color=plots.GREEN)
        left.set_xticks([0, 1], ["one", "zwölf"], rotation=30)
        left.grid(visible=True)
        plots.legend(left)
        right.scatter(*points, s=12, rasterized=True)
        right.scatter(*points[:, :5], s=12, color=plots.PURPLE, alpha=0.6)
        right.set_yscale("symlog")
    return stem.with_suffix(".svg")


@pytest.fixture(scope="module")
def inline(stored):
    return inline_svg(stored, "one", 'Bars, "hatched" & <dots>')


def tag(element):
    return element.tag.rpartition("}")[2]


def looks(root):
    """What is drawn, with the properties that SVG gives it: an own resolver, without `svg`."""
    by_id = {one.get("id"): one for one in root.iter() if one.get("id")}
    found = []

    def given(element):
        own = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        for part in own.pop("style", "").split(";"):
            key, _, value = part.partition(":")
            own[key.strip()] = value.strip()
        return own

    def visit(element, above, drawn):
        own = given(element)
        known = above | {
            key: own[key] for key in ("fill", "stroke", "stroke-width", "font-size") if key in own
        }
        if tag(element) in ("clipPath", "pattern", "defs") and drawn:
            for child in element:
                visit(child, known, tag(element) != "defs" and tag(element) == "pattern")
            return
        if tag(element) == "use":
            visit_marker(by_id[own[next(k for k in own if k == "href")][1:]], known, own)
            return
        if drawn and tag(element) in DRAWN:
            # A path may hold several.
            one = (tag(element), (element.text or "").strip(), *styled(known))
            found.extend([one] * max(1, own.get("d", "").count("M")))
        for child in element:
            visit(child, known, drawn)

    def visit_marker(marker, known, own):
        known = known | {k: v for k, v in given(marker).items() if k in ("fill", "stroke")}
        place = [round(float(own[key]) * 2) / 2 for key in ("x", "y")]
        found.append(("use", str(place), *styled(known)))

    def styled(known):
        return tuple(known.get(key, "") for key in ("fill", "stroke"))

    start = {"fill": "#000000", "stroke": "none", "stroke-width": "1", "font-size": "10px"}
    visit(root, start, True)
    return found


def plain(colour):
    named = {ours: theirs for theirs, ours in svg.COLOURS.items()}
    return "url" if colour.startswith("url") else named.get(colour, colour)


def test_everything_is_drawn_with_the_same_colours_and_words(stored, inline):
    before, after = (
        Counter(
            (kind, "" if kind == "use" else text, plain(fill), plain(stroke))
            for kind, text, fill, stroke in looks(ET.fromstring(text))
        )
        for text in (stored.read_text(), inline)
    )
    # The page has its own ground.
    ground = ("path", "", PAPER, "none")
    assert before.pop(ground) == 3
    marks = {look: count for look, count in before.items() if look[0] == "use"}
    lost = before - after
    assert lost == Counter({look: count for look, count in marks.items() if look in lost})
    # Marks are joined into paths, in the colour of the disc or of the shape.
    joined = after - before
    assert {kind for kind, *_ in joined} == {"path"}
    colours = {colour for _, _, *pair in marks for colour in pair}
    assert {colour for _, _, *pair in joined for colour in pair} <= colours | {"none"}
    assert sum(joined.values()) == sum(lost.values())


def test_marks_keep_their_places(stored, inline):
    number = r"(-?[\d.]+)"
    outlines = dict(re.findall(r'<path id="([^"]+)" d="([^"]+)"', stored.read_text()))
    found = re.findall(rf'<use [^>]*href="#([^"]+)" x="{number}" y="{number}"', stored.read_text())
    before = []
    for marker, *place in found:
        # A disc is drawn as a dot, other marks from their first corner.
        first = re.match(rf"M {number} {number}", outlines[marker]).groups()
        start = np.zeros(2) if "C" in outlines[marker] else np.array(first, dtype=float)
        before.append(np.array(place, dtype=float) + start)
    moves = re.findall(rf"M{number} {number}|<use [^>]*x=\"{number}\" y=\"{number}\"", inline)
    after = np.array([[float(one) for one in move if one] for move in moves])
    assert len(before) > 20
    for place in before:
        assert np.abs(after - place).max(axis=1).min() <= 0.1


def test_discs_keep_their_size(tmp_path):
    with plots.figure(tmp_path / "dot", 2.0, 2.0) as drawing:
        drawing.add_subplot().plot([0, 1], [0, 1], "o", markersize=6, color=plots.BLUE)
    dots = re.search("<path [^>]*h0[^>]*>", inline_svg(tmp_path / "dot.svg", "one", "dots"))[0]
    # Its diameter and the width of its edge, half of which is outside on each side.
    assert {'stroke-width="7"', 'stroke="#0072b2"', 'stroke-linecap="round"'} <= set(dots.split())
    assert len(re.findall("M[^M]*h0", dots)) == 2


def test_text_is_text_and_escaped(inline):
    texts = [one.text for one in ET.fromstring(inline).iter() if tag(one) == "text"]
    assert {"one", "zwölf", "<script>alert(1)</script> & co"} <= set(texts)
    assert ET.fromstring(inline).get("aria-label") == 'Bars, "hatched" & <dots>'


def test_nothing_needs_a_style_or_comes_from_elsewhere(inline):
    root = ET.fromstring(inline)
    assert root.get("role") == "img"
    assert "<style" not in inline
    assert "<!" not in inline
    for element in root.iter():
        assert not {"style", "onload", "onclick"} & element.attrib.keys()
        address = element.get("href", "#")
        assert address.startswith(("#", "data:image/png;base64,"))


def test_a_clip_does_not_move_with_what_it_clips(inline):
    for element in ET.fromstring(inline).iter():
        assert "clip-path" not in element.attrib or (
            tag(element) != "use" and "transform" not in element.attrib
        )


def test_ids_are_own_ones_and_all_references_are_resolved(stored, inline):
    other = inline_svg(stored, "two", "the same figure again")
    ids = re.findall(r' id="([^"]+)"', inline + other)
    assert len(ids) == len(set(ids)) > 4
    for text in (inline, other):
        wanted = set(re.findall(r'(?:url\(|href=")#([^")]+)', text))
        assert wanted == set(re.findall(r' id="([^"]+)"', text))


def test_it_is_small(stored, inline):
    picture = sum(map(len, re.findall(r"data:image/png;base64,[^\"]*", inline)))
    assert len(inline) - picture < 0.3 * stored.stat().st_size
    # 500 points as shapes would need more.
    assert 0 < picture < 20_000


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<defs>", "<script>alert(1)</script><defs>", "<script>"),
        ("<defs>", "<foreignObject/><defs>", "<foreignObject>"),
        ('xlink:href="#', 'xlink:href="https://example.org/a.svg#', "href"),
        ("data:image/png", "data:image/svg+xml", "href"),
        ("url(#", "url(https://example.org/#", "url"),
        ("</svg>", "", "broken XML"),
    ],
)
def test_what_no_figure_of_ours_has_is_refused(stored, tmp_path, old, new, problem):
    changed = tmp_path / "changed.svg"
    changed.write_text(stored.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=re.escape(str(changed))) as caught:
        inline_svg(changed, "one", "a figure")
    assert problem in str(caught.value)


def test_handlers_and_unknown_attributes_are_left_out(stored, tmp_path):
    changed = tmp_path / "changed.svg"
    changed.write_text(stored.read_text().replace("<path ", '<path onclick="alert(1)" ', 1))
    assert 'alert(1)"' not in inline_svg(changed, "one", "a figure")


def test_data_colours_are_visible_on_both_grounds():
    """WCAG 1.4.11: a contrast of 3 at least."""
    grounds = re.findall(r"--sheet: (#\w{6})", CSS.read_text())
    assert len(grounds) == 2
    for colour, _, _ in plots.SERIES:
        for ground in grounds:
            assert contrast(channels(colour), channels(ground)) >= 2.99, (colour, ground)

"""Sizes and places of what the page shows: on wide and narrow screens, and on paper."""

import re

import pytest

# Letter in landscape without the margins of 12 mm, in CSS pixels: less than A4 has.
PAPER = 965

OVERFLOWING = """(width) => [...document.querySelectorAll('body *')].filter((one) => {
  if (one.closest('.hidden, .skip, svg *') || !one.checkVisibility()) return false;
  const box = one.getBoundingClientRect();
  return box.width > 0 && box.right > width + 1;
}).map((one) => `${one.tagName}.${one.getAttribute('class')} ${one.textContent.slice(0, 60)}`)"""

BROKEN_NUMBERS = r"""() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), broken = [];
  while (texts.nextNode()) {
    const node = texts.currentNode;
    if (!node.parentElement.closest('td.number') || !node.parentElement.checkVisibility()) continue;
    for (const found of node.data.matchAll(/[−+]?\d[\d,.]*/g)) {
      const range = document.createRange();
      range.setStart(node, found.index);
      range.setEnd(node, found.index + found[0].length);
      if (range.getClientRects().length > 1) broken.push(node.data);
    }
  }
  return broken;
}"""

# Corners of the text, in pixels of the page, as text that is turned lies; of the line's height
# only the middle, where the letters are.
FIGURE_TEXTS = """() => [...document.querySelectorAll('svg')].filter((svg) => svg.checkVisibility())
.map((svg) => {
  const place = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text')].filter((one) => one.textContent.trim())
  .map((one) => {
    const box = one.getBBox(), to = one.getScreenCTM(), cut = 0.22 * box.height;
    const corner = (x, y) => [to.a * x + to.c * y + to.e, to.b * x + to.d * y + to.f];
    const [left, right] = [box.x, box.x + box.width];
    const [top, bottom] = [box.y + cut, box.y + box.height - cut];
    return {
      text: one.textContent.trim(),
      corners: [corner(left, top), corner(right, top), corner(right, bottom), corner(left, bottom)],
    };
  });
  const name = svg.getAttribute('aria-label') || svg.textContent.trim().slice(0, 80);
  return {name, texts, box: [place.left, place.top, place.right, place.bottom]};
}).filter((figure) => figure.texts.length)"""


def overlap(one, other, least=1.0):
    """Whether two convex polygons share more than *least* pixels in every direction."""
    for shape in (one, other):
        for (x1, y1), (x2, y2) in zip(shape, [*shape[1:], shape[0]], strict=True):
            length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
            if not length:
                continue
            normal = ((y1 - y2) / length, (x2 - x1) / length)
            first, second = (
                [x * normal[0] + y * normal[1] for x, y in corners] for corners in (one, other)
            )
            if min(max(first), max(second)) - max(min(first), min(second)) < least:
                return False
    return True


def test_overlap_of_turned_boxes():
    square = [(0, 0), (10, 0), (10, 10), (0, 10)]
    diamond = [(15, 0), (20, 5), (15, 10), (10, 5)]
    assert not overlap(square, diamond)
    assert overlap(square, [(x - 5, y) for x, y in diamond])


def test_texts_of_figures_do_not_overlap_and_are_not_cut(open_page):
    problems = []
    drawn = open_page(unfold=True).evaluate(FIGURE_TEXTS)
    assert drawn, "no figure has text"
    for figure in drawn:
        texts, (left, top, right, bottom) = figure["texts"], figure["box"]
        for number, one in enumerate(texts):
            problems += [
                f"{figure['name']}: {one['text']!r} on {other['text']!r}"
                for other in texts[number + 1 :]
                if overlap(one["corners"], other["corners"])
            ]
            if any(
                not (left - 1 <= x <= right + 1 and top - 1 <= y <= bottom + 1)
                for x, y in one["corners"]
            ):
                problems.append(f"{figure['name']}: {one['text']!r} is cut off")
    assert not problems


@pytest.mark.parametrize("width", [1440, 1024, 768, 390])
@pytest.mark.parametrize("unfold", [False, True], ids=["folded", "open"])
def test_the_page_does_not_scroll_sideways(open_page, width, unfold):
    page = open_page(width, unfold=unfold)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1440, 1024])
def test_no_table_is_wider_than_its_place(open_page, width):
    page = open_page(width, unfold=True)
    wide = page.eval_on_selector_all(
        "table",
        """all => all.filter((one) => {
          const place = one.parentElement.getBoundingClientRect();
          return one.getBoundingClientRect().right > place.right + 1;
        }).map((one) => one.caption ? one.caption.textContent.trim() : one.id)""",
    )
    assert wide == []


@pytest.mark.parametrize("width", [1440, 1024, 390, PAPER])
def test_numbers_are_on_one_line(open_page, width):
    page = open_page(width, unfold=True)
    page.emulate_media(media="print" if width == PAPER else "screen")
    assert page.evaluate(BROKEN_NUMBERS) == []


def test_rows_become_cards_on_a_narrow_screen(open_page):
    page = open_page(390)
    row = page.locator("tbody.run > tr").first
    cells = row.locator("> *").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect()).map((box) => [box.top, box.right])"
    )
    assert len({top for top, _ in cells}) >= len(cells) / 2
    assert [top for top, _ in cells] == sorted(top for top, _ in cells)
    assert max(right for _, right in cells) <= 390


@pytest.mark.parametrize("unfold", [False, True], ids=["folded", "open"])
def test_print_cuts_nothing_off(open_page, unfold):
    page = open_page(PAPER, dark=True, unfold=unfold)
    page.emulate_media(media="print")
    assert page.evaluate(OVERFLOWING, PAPER) == []
    cut = page.eval_on_selector_all(
        "body *",
        """all => all.filter((one) => !one.closest('.hidden, .skip, svg *') && one.checkVisibility()
          && one.scrollWidth > one.clientWidth + 1 && one.clientWidth
          && getComputedStyle(one).overflowX !== 'visible')
        .map((one) => `${one.tagName}.${one.className}`)""",
    )
    assert cut == []


def test_print_is_dark_on_white_and_repeats_headings(open_page):
    page = open_page(PAPER, dark=True, unfold=True)
    page.emulate_media(media="print")
    ground, ink = page.evaluate(
        "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
    )
    assert ground == "rgb(255, 255, 255)"
    assert max(map(int, re.findall(r"\d+", ink))) < 80
    heads = page.eval_on_selector_all(
        "thead", "all => all.map((one) => getComputedStyle(one).display)"
    )
    assert set(heads) == {"table-header-group"}
    assert page.locator(".copy:visible, nav:visible, form:visible").count() == 0


def test_pages_of_paper_are_landscape(open_page):
    made = open_page(unfold=True).pdf(prefer_css_page_size=True)
    boxes = {
        tuple(float(value) for value in found.split())
        for found in re.findall(rb"/MediaBox \[([^\]]+)\]", made)
    }
    assert boxes
    assert all(width > height for _, _, width, height in boxes)


def test_the_page_as_it_opens_is_short(open_page):
    page = open_page()
    assert page.evaluate("document.documentElement.scrollHeight") <= 6000

"""The page without a mouse."""

import pytest

FOCUSED = """() => {
  const one = document.activeElement;
  const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  return {
    tag: one.tagName,
    id: one.id,
    classes: [...one.classList],
    text: one.textContent.trim(),
    card: Boolean(one.closest('.card')),
    row: Boolean(one.closest('tbody.run')),
    outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
    seen: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0,
  };
}"""


def tab_through(page, limit=2000):
    """What Tab reaches, one after the other, until the page is left."""
    reached = []
    for _ in range(limit):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "BODY":
            return reached
        reached.append(focused)
    raise AssertionError(f"Tab did not leave the page after {limit} steps")


@pytest.mark.parametrize("width", [1440, 390])
def test_tab_reaches_everything_and_shows_where_it_is(open_page, width):
    page = open_page(width)
    reached = tab_through(page)
    assert reached[0]["classes"] == ["skip"]
    assert [one for one in reached if not (one["outlined"] and one["seen"])] == []

    assert {one["id"] for one in reached} >= {"find", "of", "protocol", "below"}
    cards = page.locator(".card a").count()
    assert sum(one["card"] for one in reached) == cards > 0
    runs = page.locator("tbody.run").count()
    assert sum(one["row"] and one["tag"] == "A" for one in reached) == runs
    assert sum(one["row"] and one["tag"] == "SUMMARY" for one in reached) == runs
    sorts = page.locator("th .sort").count()
    assert sum("sort" in one["classes"] for one in reached) == sorts > 0
    folded = page.locator("details:not(details details) > summary").count()
    assert sum(one["tag"] == "SUMMARY" for one in reached) >= folded
    assert any("copy" in one["classes"] for one in reached)


def test_a_run_opens_and_its_command_is_copied_from_the_keyboard(open_page):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = page.locator("tbody.run").first
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if "copy" in page.evaluate(FOCUSED)["classes"]:
            break
    page.keyboard.press("Enter")
    expected = row.locator(".command code").first.inner_text()
    page.wait_for_function(f"navigator.clipboard.readText().then((text) => text === {expected!r})")


def test_filters_and_sorting_work_from_the_keyboard(open_page):
    page = open_page()
    page.locator("#below").focus()
    page.keyboard.press("Space")
    visible = page.locator("tbody.run:visible")
    assert set(visible.evaluate_all("all => all.map((one) => one.dataset.verdict)")) == {"below"}
    head = page.locator("th[data-key=n]")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"


def test_skip_link_leads_past_the_header(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("Boolean(document.activeElement.closest('main'))")

"""Accessibility of the page as axe-core sees it, and the page without JavaScript."""

import pytest
from axe_playwright_python.sync_playwright import Axe


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing(open_page, width, dark):
    page = open_page(width, dark=dark, unfold=True)
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    violations = {
        f"{one['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for one in found.response["violations"]
        for node in one["nodes"]
    }
    assert not violations


@pytest.mark.parametrize("width", [1440, 390])
def test_everything_can_be_read_without_scripts(open_page, width):
    page = open_page(width, scripts=False)
    assert not page.locator("#filters").is_visible()
    assert page.locator("button:visible").count() == 0
    folded = page.locator("details")
    for number in range(folded.count()):
        part = folded.nth(number)
        if part.get_attribute("open") is None:
            part.locator("> summary").click()
    for kind in ("tbody.run", "details table", "details .command code", "details figure"):
        every = page.locator(kind)
        hidden = [n for n in range(every.count()) if not every.nth(n).is_visible()]
        assert every.count()
        assert not hidden
    assert page.errors == []

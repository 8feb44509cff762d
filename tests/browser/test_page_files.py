"""The page loads without an error, from this machine alone, and its links lead somewhere."""

import re
from urllib.parse import unquote, urlsplit


def test_nothing_is_reported_and_nothing_leaves_the_machine(open_page, report):
    page = open_page(unfold=True)
    page.keyboard.press("End")
    page.wait_for_timeout(200)
    assert page.errors == []
    assert {url for url in page.requests if not url.startswith("data:")} == {report.as_uri()}


def test_every_link_leads_somewhere(open_page, report):
    page = open_page()
    links = page.eval_on_selector_all("a[href]", "all => all.map((a) => a.getAttribute('href'))")
    ids = page.eval_on_selector_all("[id]", "all => all.map((one) => one.id)")
    assert len(ids) == len(set(ids))
    lost = []
    for link in links:
        parts = urlsplit(link)
        if parts.scheme:
            found = parts.scheme in ("http", "https") and parts.hostname
        elif parts.path:
            found = (report.parent / unquote(parts.path)).is_file()
        else:
            found = unquote(parts.fragment) in ids
        if not found:
            lost.append(link)
    assert links
    assert not lost


def test_every_picture_is_drawn(open_page):
    page = open_page(unfold=True)
    empty = page.eval_on_selector_all(
        "img", "all => all.filter((one) => !one.naturalWidth).map((one) => one.alt)"
    )
    assert empty == []


def test_generated_data_are_reported_first(open_page):
    page = open_page()
    assert "generated" in page.title().lower()
    banner = page.locator(".banner")
    assert re.search("generated", banner.inner_text(), re.IGNORECASE)
    box = banner.bounding_box()
    assert box["y"] + box["height"] < page.locator("h1").bounding_box()["y"] + 1

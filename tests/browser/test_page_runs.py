"""The table of all runs: search, filters, sorting, and the way to a number."""

import csv
import shlex

import pytest


@pytest.fixture(scope="module")
def headlines(results):
    """The main score of each run, from the table beside the page."""
    with (results / "tables" / "results.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["kind"] == "ours"]
    first = {}
    for row in rows:
        if row["headline"] == "True":
            first.setdefault((row["experiment"], row["run"]), row)
    return list(first.values())


def below(row):
    """Whether the interval of a score lies on the wrong side of the baseline."""
    if not row["baseline_value"] or not row["ci_low"]:
        return False
    low, high, baseline = (float(row[key]) for key in ("ci_low", "ci_high", "baseline_value"))
    return low > baseline if row["direction"] == "lower" else high < baseline


def shown(page, key="run"):
    """A data attribute of every visible run, in the order of the page."""
    return page.eval_on_selector_all(
        "tbody.run",
        f"all => all.filter((one) => one.offsetParent).map((one) => one.dataset['{key}'])",
    )


def count(page):
    return page.locator("#count").inner_text()


def test_every_run_has_a_row(open_page, headlines):
    assert sorted(shown(open_page())) == sorted(row["run"] for row in headlines)


@pytest.mark.parametrize("width", [1440, 390])
def test_search_and_filters_choose_rows_and_count_them(open_page, headlines, width):
    page = open_page(width)
    every = len(headlines)
    one = headlines[-1]["run"]
    page.locator("#find").fill(one.upper())
    found = shown(page)
    assert one in found
    assert all(one in run for run in found)
    assert count(page) == f"{len(found)} of {every} runs"

    page.locator("#find").fill("no run has this name")
    assert shown(page) == []
    assert count(page) == f"0 of {every} runs"

    page.locator("#find").fill("")
    page.locator("#protocol").select_option("published")
    assert shown(page) == [row["run"] for row in headlines if row["protocol"] == "published"]

    page.locator("#protocol").select_option("")
    title = page.locator("#of option").nth(1).inner_text()
    page.locator("#of").select_option(title)
    first = headlines[0]["experiment"]
    assert shown(page) == [row["run"] for row in headlines if row["experiment"] == first]


def test_runs_below_their_baseline_are_one_click_away(open_page, headlines):
    page = open_page()
    page.get_by_label("only below the baseline").click()
    expected = [row["run"] for row in headlines if below(row)]
    assert expected, "the smallest demo has runs below their baseline"
    assert shown(page) == expected
    assert count(page) == f"{len(expected)} of {len(headlines)} runs"


def test_the_command_of_a_number_is_two_clicks_away(open_page, headlines):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = page.locator("tbody.run").first
    row.locator("summary").click()
    command = row.locator(".command code").first
    assert command.is_visible()
    row.locator("button.copy").first.click()
    page.wait_for_function("document.querySelector('tbody.run button.copy').textContent !== 'Copy'")
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    run = headlines[0]
    assert words[0] == "snakemake"
    assert f"{run['experiment']}/{run['run']}/seed" in words[-1]
    assert page.errors == []


def test_a_command_is_selected_where_nothing_can_be_copied(open_page):
    page = open_page()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    button = page.locator(".remake button.copy")
    button.click()
    assert page.evaluate("getSelection().toString()").strip() == (
        page.locator(".remake code").inner_text().strip()
    )
    assert "Ctrl+C" in button.inner_text()
    assert page.errors == []


@pytest.mark.parametrize("width", [1440, 390])
def test_a_column_sorts_up_and_down(open_page, headlines, width):
    page = open_page(width)
    by_value = sorted(float(row["value"]) for row in headlines)
    head = page.locator("th[data-key=value]")
    for direction, expected in (("ascending", by_value), ("descending", by_value[::-1])):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == direction
        assert [float(value) for value in shown(page, "value")] == pytest.approx(expected, abs=1e-3)
    names = page.locator("th[data-key=run]")
    names.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert shown(page) == sorted(row["run"] for row in headlines)

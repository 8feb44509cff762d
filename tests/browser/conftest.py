"""The report of a finished run in a headless Chromium."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

CHECKOUT = Path(__file__).parents[2]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def pytest_addoption(parser):
    """A report that exists already spares the run that makes one."""
    parser.addoption("--results", type=Path, help="results folder to test, with its report")


def pytest_collection_modifyitems(items):
    """Whichever test comes first waits for the run."""
    for item in items:
        item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def results(request, tmp_path_factory):
    """The results folder of the demo at its smallest, all experiments; for reading only."""
    given = request.config.getoption("--results")
    if given is not None:
        return given.resolve(strict=True)
    directory = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", "2"),
            *("--snakefile", str(CHECKOUT / "Snakefile"), "--directory", str(directory)),
            *("--configfile", str(CHECKOUT / "config" / "demo.yaml")),
            *(str(CHECKOUT / "tests" / "tiny.yaml"), "--nocolor"),
        ],
        cwd=directory,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return directory / "results"


@pytest.fixture(scope="session")
def report(results):
    """The path of the page."""
    return results / "report" / "index.html"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium of this machine; without one the tests fail, they are not skipped."""
    named = os.environ.get("CHROMIUM")
    program = named or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail(
            f"no browser: none of {', '.join(PROGRAMS)} is on the PATH; install Chromium "
            "(Debian: apt-get install chromium), or give its path in the variable CHROMIUM"
        )
    with sync_playwright() as playwright:
        # In a container there is no sandbox, and the page is our own.
        made = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def open_page(browser, report):
    """A function that opens the report; what it collects is in ``errors`` and ``requests``."""
    contexts = []

    def start(width=1440, height=900, *, dark=False, scripts=True, unfold=False):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.errors, page.requests = [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda line: page.errors.append(f"{line.type}: {line.text}"))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(report.as_uri())
        if unfold:
            page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
        return page

    yield start
    for context in contexts:
        context.close()

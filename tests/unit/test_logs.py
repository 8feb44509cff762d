"""What a script prints: all of it into the log of its rule, problems of ours on the screen."""

import subprocess
import sys
import textwrap

import pytest

START = """
    import logging, os, subprocess, sys, warnings
    from affectlab.errors import UserError
    from affectlab.files.logs import configure_logging
    configure_logging(sys.argv[1])
"""


@pytest.fixture
def script(tmp_path):
    """A function: run a script; returns its status, what the screen shows, and its log."""

    def run(body):
        program = textwrap.dedent(START) + textwrap.dedent(body)
        log = tmp_path / "logs" / "rule.log"
        done = subprocess.run(
            [sys.executable, "-c", program, str(log)], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr, log.read_text()

    return run


def test_the_screen_has_our_warnings_alone(script):
    status, screen, log = script(
        """
        print("a library prints")
        os.write(2, b"a library in C prints\\n")
        warnings.warn("something is deprecated")
        subprocess.run(["echo", "a child prints"])
        logging.getLogger("transformers").warning("weights are new")
        logging.getLogger("affectlab.emotion").info("3 epochs")
        logging.getLogger("affectlab.emotion").warning("2 texts are cut")
        """
    )
    assert status == 0
    assert screen == "WARNING: 2 texts are cut\n"
    for line in (
        *("a library prints", "a library in C prints", "something is deprecated"),
        *("a child prints", "weights are new", "3 epochs", "2 texts are cut"),
    ):
        assert line in log, line


def test_an_error_for_a_user_is_one_line(script):
    status, screen, log = script("raise UserError('data.csv, line 3: no label')")
    assert status == 1
    assert screen == "ERROR: data.csv, line 3: no label\n"
    assert "Traceback" not in log
    assert "data.csv, line 3: no label" in log


def test_an_error_of_ours_has_a_traceback(script):
    status, screen, log = script("{}['absent']")
    assert status == 1
    for text in (screen, log):
        assert "KeyError: 'absent'" in text
    # Once in each: not from the log as well.
    assert screen.count("Traceback") == log.count("Traceback") == 1


def test_processes_that_share_a_log(script):
    """As those of a training on several GPUs: the later ones append, and have no other screen."""
    status, screen, log = script(
        """
        child = "import logging, sys; from affectlab.files.logs import configure_logging;"
        child += "configure_logging(sys.argv[1], append=True);"
        child += "logging.getLogger('affectlab').error('the loss is not a number')"
        logging.getLogger("affectlab").info("begun")
        subprocess.run([sys.executable, "-c", child, sys.argv[1]])
        logging.getLogger("affectlab").info("ended")
        """
    )
    assert (status, screen) == (0, "")
    assert [line.split(": ")[-1] for line in log.splitlines()] == [
        "begun",
        "the loss is not a number",
        "ended",
    ]

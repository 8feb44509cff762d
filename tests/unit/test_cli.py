"""The command `affectlab` itself; what its subcommands do is tested with their experiments."""

import errno
import io
import os

import pytest

from affectlab import cli
from affectlab.report import results_file


def test_ctrl_c_ends_a_command_with_one_line_and_the_status_of_shells(monkeypatch, capsys):
    def interrupted(_folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(results_file, "read_results", interrupted)
    assert cli.main(["results"]) == 130
    assert capsys.readouterr().err == "affectlab: interrupted\n"


def test_a_full_disk_behind_standard_output_is_one_line(monkeypatch, capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(results_file, "read_results", lambda folder: [])
    monkeypatch.setattr("sys.stdout", Full())
    assert cli.main(["results"]) == 2
    assert capsys.readouterr().err == (
        "affectlab: standard output: cannot be written: No space left on device\n"
    )


@pytest.mark.parametrize("option", ["--configfile", "--config"])
def test_an_option_whose_repetition_snakemake_ignores_is_refused(option, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["check", option, "a=1", option, "b=2"])
    assert caught.value.code == 2
    assert f"{option} is given twice" in capsys.readouterr().err


def test_a_closed_standard_output_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", None)
    assert cli.main(["results"]) == 2
    assert capsys.readouterr().err == "affectlab: standard output is closed\n"

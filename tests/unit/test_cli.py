"""The command `affectlab` itself; what its subcommands do is tested with their experiments."""

import errno
import io
import os

from affectlab import cli
from affectlab.report import summary


def test_ctrl_c_ends_a_command_with_one_line_and_the_status_of_shells(monkeypatch, capsys):
    def interrupted(_folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(summary, "summarise", interrupted)
    assert cli.main(["results"]) == 130
    assert capsys.readouterr().err == "affectlab: interrupted\n"


def test_a_full_disk_behind_standard_output_is_one_line(monkeypatch, capsys):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(summary, "summarise", lambda folder: "a table")
    monkeypatch.setattr("sys.stdout", Full())
    assert cli.main(["results"]) == 2
    assert capsys.readouterr().err == (
        "affectlab: standard output: cannot be written: No space left on device\n"
    )

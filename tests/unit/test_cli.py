"""The command `affectlab` itself; what its subcommands do is tested with their experiments."""

from affectlab import cli
from affectlab.report import summary


def test_ctrl_c_ends_a_command_with_one_line_and_the_status_of_shells(monkeypatch, capsys):
    def interrupted(_folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(summary, "summarise", interrupted)
    assert cli.main(["results"]) == 130
    assert capsys.readouterr().err == "affectlab: interrupted\n"

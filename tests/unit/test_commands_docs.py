"""docs/commands.md names every command of `affectlab`, and every option of each."""

import argparse
import re
from pathlib import Path

import pytest

from affectlab.cli import _parser
from affectlab.experiments import EXPERIMENTS

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()


def commands(parser, name="affectlab"):
    """(name, parser) of every command below *parser* that does something."""
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for action in below:
        for word, inner in action.choices.items():
            yield from commands(inner, f"{name} {word}")
    if not below:
        yield name, parser


@pytest.mark.parametrize(("name", "parser"), list(commands(_parser(EXPERIMENTS.values()))))
def test_a_command_and_its_options_are_explained(name, parser):
    assert f"`{name} " in PAGE
    for action in parser._actions:
        assert action.help, f"{name}: {action.dest} has no help"
        for option in action.option_strings:
            assert option in ("-h", "--help") or re.search(rf"{option}[\]` ]", PAGE)
    needed = [a for a in parser._actions if a.required and a.option_strings]
    row = next(line for line in PAGE.split("\n") if line.startswith(f"| `{name} "))
    assert all(action.option_strings[0] in row for action in needed)

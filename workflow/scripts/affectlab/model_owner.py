"""Which experiment a model directory is of, for a user who names the wrong one."""

from __future__ import annotations

import argparse
from pathlib import Path

from affectlab.errors import UserError
from affectlab.experiments import EXPERIMENTS
from affectlab.files.io import read_json


def with_own_model(options: argparse.Namespace) -> argparse.Namespace:
    """Return the *options* of a command line unchanged.

    Raises:
        UserError: ``affectlab predict`` has the model of another experiment.
    """
    chosen = getattr(options, "predictor", None)
    if chosen is None:
        return options
    found = experiments_of(options.model)
    if found and chosen not in found:
        raise UserError(
            f"{options.model}: a model of the experiment {found[0]}, not of {chosen}; write "
            f"affectlab predict {found[0]}"
        )
    return options


def experiments_of(directory: Path) -> list[str]:
    """The experiments whose models have such files as *directory*."""
    return [
        name
        for name, experiment in EXPERIMENTS.items()
        if any(_has(directory, mark) for mark in experiment.model_files)
    ]


def _has(directory: Path, mark: str) -> bool:
    """Whether a directory has a file, or a JSON file with a key: ``file`` or ``file:key``."""
    name, _, key = mark.partition(":")
    if not (directory / name).is_file():
        return False
    if not key:
        return True
    try:
        content = read_json(directory / name)
    except UserError:
        # The experiment itself reports a corrupt file.
        return False
    return isinstance(content, dict) and key in content

"""``affectlab predict tone``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict tone``; see `Experiment.commands`."""
    tone = predict.add_parser("tone", help="tone of a text")
    tone.add_argument("texts", nargs="+", metavar="TEXT", help="texts")
    tone.add_argument("--model", required=True, type=Path, help="model directory")
    tone.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.tone.model import TonePredictor

    for found in TonePredictor.from_directory(options.model).predict(options.texts):
        print(json.dumps(found.to_dict()))
    return 0

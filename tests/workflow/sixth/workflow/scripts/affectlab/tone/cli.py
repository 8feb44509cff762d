"""``affectlab predict tone``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from affectlab.terminal.commands import predict_texts
from affectlab.terminal.options import (
    add_input_options,
    add_model_options,
    add_output_options,
    check_options,
)

if TYPE_CHECKING:
    from affectlab.tone.model import Prediction


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict tone``; see `Experiment.commands`."""
    tone = predict.add_parser("tone", help="tone of a text")
    add_input_options(tone, "TEXT", "texts")
    add_model_options(tone)
    add_output_options(tone)
    tone.set_defaults(run=_predict, batch_size=64)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.tone.model import TonePredictor

    check_options(options, "texts")
    predictor = TonePredictor.from_directory(options.model)

    def predict(texts: list[str], first: int) -> list[Prediction]:
        found: list[Prediction] = predictor.predict(texts)
        return found

    def line(text: str, found: Prediction, full: bool) -> dict[str, Any]:
        return {"text": text, **found.to_dict()}

    return predict_texts(options, predict, line)

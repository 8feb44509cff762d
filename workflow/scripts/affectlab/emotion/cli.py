"""``affectlab predict emotion``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.terminal.commands import predict_texts
from affectlab.terminal.options import (
    add_input_options,
    add_model_options,
    add_output_options,
    check_options,
    positive,
)

if TYPE_CHECKING:
    from affectlab.emotion.predict import Prediction
    from affectlab.emotion.predict_numbers import NumberPrediction


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict emotion``; see `Experiment.commands`."""
    emotion = predict.add_parser(
        "emotion", help="the class or the numbers of a text, by the model of a run"
    )
    add_input_options(emotion, "TEXT", "texts")
    add_model_options(emotion)
    add_output_options(emotion)
    emotion.add_argument("--top-k", type=positive, default=3, help="classes shown (default 3)")
    emotion.add_argument(
        "--batch-size", type=positive, default=64, help="texts at a time (default 64)"
    )
    emotion.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.emotion.predict import predicts_numbers

    check_options(options, "texts")
    if predicts_numbers(Path(options.model)):
        return _predict_numbers(options)
    return _predict_classes(options)


def _predict_classes(options: argparse.Namespace) -> int:
    from affectlab.emotion.predict import EmotionClassifier

    classifier = EmotionClassifier.from_directory(
        options.model, device=options.device, precision=options.precision or "fp32"
    )

    def predict(texts: list[str], first: int) -> list[Prediction]:
        return classifier.predict(texts, batch_size=options.batch_size, first=first)

    def line(text: str, found: Prediction, full: bool) -> dict[str, Any]:
        shown = found.probabilities.items() if full else found.top(options.top_k)
        return {
            "text": text,
            "label": found.label,
            "probabilities": {name: round(value, 6) for name, value in shown},
            **({"cut": found.cut} if full or found.cut else {}),
        }

    return predict_texts(options, predict, line)


def _predict_numbers(options: argparse.Namespace) -> int:
    from affectlab.emotion.predict_numbers import EmotionRegressor

    regressor = EmotionRegressor.from_directory(
        options.model, device=options.device, precision=options.precision or "fp32"
    )

    def predict(texts: list[str], first: int) -> list[NumberPrediction]:
        return regressor.predict(texts, batch_size=options.batch_size, first=first)

    def line(text: str, found: NumberPrediction, full: bool) -> dict[str, Any]:
        return {
            "text": text,
            "values": {name: round(value, 6) for name, value in found.values.items()},
            **({"cut": found.cut} if full or found.cut else {}),
        }

    return predict_texts(options, predict, line)

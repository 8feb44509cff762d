"""``affectlab predict emotion``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.datasets.description import Target
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
    from affectlab.emotion.predict_multilabel import MultilabelPrediction
    from affectlab.emotion.predict_numbers import NumberPrediction


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict emotion``; see `Experiment.commands`."""
    emotion = predict.add_parser(
        "emotion", help="the class, the classes or the numbers of a text, by the model of a run"
    )
    add_input_options(emotion, "TEXT", "texts")
    add_model_options(emotion)
    add_output_options(emotion)
    emotion.add_argument(
        "--top-k",
        type=positive,
        default=3,
        help="classes shown where a text has one (default 3)",
    )
    emotion.add_argument(
        "--batch-size", type=positive, default=64, help="texts at a time (default 64)"
    )
    emotion.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.emotion.predictors import load_predictor

    check_options(options, "texts")
    predictor = load_predictor(
        Path(options.model), device=options.device, precision=options.precision or "fp32"
    )

    def predict(texts: list[str], first: int) -> list[Any]:
        return predictor.predict(texts, batch_size=options.batch_size, first=first)

    def line(text: str, found: Any, full: bool) -> dict[str, Any]:
        shown = _SHOWN[predictor.target](found, None if full else options.top_k)
        return {"text": text, **shown, **({"cut": found.cut} if full or found.cut else {})}

    return predict_texts(options, predict, line)


def _one_class(found: Prediction, top_k: int | None) -> dict[str, Any]:
    shown = found.probabilities.items() if top_k is None else found.top(top_k)
    return {"label": found.label, "probabilities": {name: round(value, 6) for name, value in shown}}


def _classes(found: MultilabelPrediction, top_k: int | None) -> dict[str, Any]:
    rounded = {name: round(value, 6) for name, value in found.probabilities.items()}
    return {"labels": list(found.labels), "probabilities": rounded}


def _numbers(found: NumberPrediction, top_k: int | None) -> dict[str, Any]:
    return {"values": {name: round(value, 6) for name, value in found.values.items()}}


_SHOWN: Mapping[Target, Callable[[Any, int | None], dict[str, Any]]] = {
    "class": _one_class,
    "classes": _classes,
    "numbers": _numbers,
}
"""What a line shows of a prediction; of one class the likeliest ones, None shows all."""

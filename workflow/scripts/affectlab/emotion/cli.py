"""``affectlab predict emotion``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from affectlab.errors import UserError
from affectlab.terminal import (
    BadInput,
    Failures,
    add_network_arguments,
    batched,
    positive,
    read_texts,
    runs_of_texts,
    warnings_as_lines,
)


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict emotion``; see `Experiment.commands`."""
    emotion = predict.add_parser("emotion", help="six emotions of a text, by the model of a run")
    emotion.add_argument("texts", nargs="*", metavar="TEXT", help="texts; `-` reads stdin")
    emotion.add_argument(
        "--model", required=True, type=Path, help="model directory, e.g. results/.../model"
    )
    emotion.add_argument("--file", type=Path, help="UTF-8 file with one text a line")
    emotion.add_argument("--top-k", type=positive, default=3, help="classes shown (default 3)")
    emotion.add_argument(
        "--batch-size", type=positive, default=64, help="texts at a time (default 64)"
    )
    add_network_arguments(emotion)
    emotion.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.emotion.predict import EmotionClassifier

    if bool(options.texts) == bool(options.file):
        raise UserError("give either texts (`-` for stdin) or --file")
    classifier = EmotionClassifier.from_directory(
        options.model, device=options.device, precision=options.precision
    )
    failures = Failures()
    first = 1
    for batch in batched(read_texts(options.texts, options.file), options.batch_size):
        for part in runs_of_texts(batch):
            if isinstance(part, BadInput):
                failures.report(part.place, part.problem, input=part.place)
                first += 1
                continue
            with warnings_as_lines():
                predictions = classifier.predict(part, batch_size=options.batch_size, first=first)
            first += len(part)
            for text, prediction in zip(part, predictions, strict=True):
                line = {
                    "text": text,
                    "label": prediction.label,
                    "probabilities": {
                        name: round(value, 6) for name, value in prediction.top(options.top_k)
                    },
                    **({"cut": True} if prediction.cut else {}),
                }
                print(json.dumps(line, ensure_ascii=False), flush=True)
    return failures.status("texts")

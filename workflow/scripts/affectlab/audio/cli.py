"""``affectlab predict audio``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from affectlab.errors import DataError
from affectlab.terminal.items import BadInput, Item, read_items
from affectlab.terminal.options import (
    add_input_options,
    add_model_options,
    add_output_options,
    check_options,
)
from affectlab.terminal.output import Output, open_output


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict audio``; see `Experiment.commands`."""
    audio = predict.add_parser(
        "audio", help="class, classes or numbers of a recording, by a fitted probe"
    )
    add_input_options(audio, "FILE", "paths of WAV or FLAC files", "file")
    add_model_options(audio)
    add_output_options(audio)
    audio.add_argument(
        "--encoder", type=Path, help="checkpoint of its encoder, e.g. resources/models/.../files"
    )
    audio.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.audio.predict import PREDICTORS, target_of

    check_options(options, "recordings")
    probe = PREDICTORS[target_of(Path(options.model))].from_directory(
        options.model,
        encoder=options.encoder,
        device=options.device,
        precision=options.precision or "fp32",
    )
    print(probe.warning, file=sys.stderr)
    with open_output(options) as output:
        for item in read_items(options, paths=True):
            if isinstance(item, BadInput):
                output.fail(item.place, item.problem, **(item.identity or {"input": item.place}))
            else:
                _predict_one(probe, item, output)
    return output.status("recordings")


def _predict_one(probe: Any, item: Item, output: Output) -> None:
    from affectlab.audio.predict import MultilabelPrediction, NumberPrediction

    try:
        found = probe.predict(item.value)
    except DataError as error:
        output.fail(item.value, error.problem, **item.identity, file=item.value)
        return
    line: dict[str, Any] = {**item.identity, "file": found.file}
    if isinstance(found, NumberPrediction):
        line["values"] = {name: round(value, 6) for name, value in found.values.items()}
    else:
        if isinstance(found, MultilabelPrediction):
            line["labels"] = list(found.labels)
        else:
            line["label"] = found.label
        line["probabilities"] = {k: round(p, 6) for k, p in found.probabilities.items()}
    if found.warnings or output.full:
        line["warnings"] = list(found.warnings)
    output.write(line)
    for warning in found.warnings:
        print(f"affectlab: {found.file}: {warning}", file=sys.stderr, flush=True)

"""``affectlab predict audio``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from affectlab.errors import DataError
from affectlab.terminal import Failures


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict audio``; see `Experiment.commands`."""
    audio = predict.add_parser("audio", help="what a recording sounds like to a fitted probe")
    audio.add_argument("files", nargs="+", metavar="FILE", type=Path, help="WAV or FLAC files")
    audio.add_argument(
        "--model", required=True, type=Path, help="model directory, e.g. results/.../model"
    )
    audio.add_argument(
        "--encoder", type=Path, help="checkpoint of its encoder, e.g. resources/models/.../files"
    )
    audio.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.audio.predict import AudioProbe

    probe = AudioProbe.from_directory(options.model, options.encoder)
    print(probe.warning, file=sys.stderr)
    failures = Failures()
    for path in options.files:
        try:
            [found] = probe.predict([path])
        except DataError as error:
            failures.report(str(path), error.problem, file=str(path))
            continue
        line: dict[str, Any] = {
            "file": found.file,
            "label": found.label,
            "probabilities": {k: round(p, 6) for k, p in found.probabilities.items()},
        }
        if found.warnings:
            line["warnings"] = list(found.warnings)
        print(json.dumps(line, ensure_ascii=False), flush=True)
        for warning in found.warnings:
            print(f"affectlab: {found.file}: {warning}", file=sys.stderr, flush=True)
    return failures.status("recordings")

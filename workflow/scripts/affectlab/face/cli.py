"""``affectlab predict face``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.errors import DataError
from affectlab.terminal import Failures

if TYPE_CHECKING:
    from affectlab.face.predict import FacePredictor, FaceReading


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict face``; see `Experiment.commands`."""
    face = predict.add_parser("face", help="expression class of a face image")
    face.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="image files or folders")
    face.add_argument(
        "--model", required=True, type=Path, help="model directory, e.g. results/.../model"
    )
    face.add_argument("--detect", action="store_true", help="find the faces in photographs first")
    place = face.add_mutually_exclusive_group()
    place.add_argument("--device", help="PyTorch device; a GPU if there is one")
    place.add_argument("--onnx", type=Path, help="export of the model, to run on the CPU instead")
    face.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.face.predict import FacePredictor

    predictor = FacePredictor.from_directory(
        options.model, onnx=options.onnx, device=options.device
    )
    failures = Failures()

    def report(error: DataError) -> None:
        failures.report(str(error.path), error.problem, file=str(error.path))

    for path in options.paths:
        try:
            for file, readings in _read(predictor, path, options.detect, report):
                line = {"file": str(file), "faces": [reading.as_dict() for reading in readings]}
                print(json.dumps(line, ensure_ascii=False), flush=True)
        except DataError as error:
            report(error)
    return failures.status("image files or folders")


def _read(
    predictor: FacePredictor, path: Path, detect: bool, report: Callable[[DataError], None]
) -> Iterator[tuple[Path, list[FaceReading]]]:
    """Readings of an image file, or of all image files of a folder, whose errors are reported."""
    if path.is_dir():
        yield from predictor.predict_folder(path, detect=detect, on_bad=report)
    else:
        yield path, predictor.predict_file(path, detect=detect)

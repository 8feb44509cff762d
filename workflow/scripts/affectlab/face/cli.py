"""``affectlab predict face``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectlab.errors import DataError
from affectlab.terminal.items import BadInput, Item, read_items
from affectlab.terminal.options import (
    add_input_options,
    add_model_options,
    add_output_options,
    check_options,
)
from affectlab.terminal.output import Output, open_output

if TYPE_CHECKING:
    from affectlab.face.predict import FacePredictor, FaceReading


def add_commands(predict: Any, commands: Any) -> None:
    """Add ``affectlab predict face``; see `Experiment.commands`."""
    face = predict.add_parser("face", help="expression class of a face image")
    add_input_options(face, "PATH", "paths of image files or folders", "file")
    add_model_options(face)
    add_output_options(face)
    face.add_argument("--detect", action="store_true", help="find the faces in photographs first")
    face.add_argument("--onnx", type=Path, help="export of the model, to run on the CPU instead")
    face.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from affectlab.face.predict import FacePredictor

    check_options(options, "paths")
    predictor = FacePredictor.from_directory(
        options.model,
        onnx=options.onnx,
        device=options.device,
        precision=options.precision or "fp32",
    )
    with open_output(options) as output:
        for item in read_items(options, paths=True):
            if isinstance(item, BadInput):
                output.fail(item.place, item.problem, **(item.identity or {"input": item.place}))
            else:
                _predict_one(predictor, item, options.detect, output)
    return output.status("image files or folders")


def _predict_one(predictor: FacePredictor, item: Item, detect: bool, output: Output) -> None:
    """Write the readings of an image file, or of all image files of a folder."""

    def report(error: DataError) -> None:
        output.fail(str(error.path), error.problem, **item.identity, file=str(error.path))

    try:
        for file, readings in _read(predictor, Path(item.value), detect, report):
            _write({**item.identity, "file": str(file)}, readings, output)
    except DataError as error:
        report(error)


def _write(identity: dict[str, Any], readings: list[FaceReading], output: Output) -> None:
    """A line for an image; in a table, a row for each face."""
    if not output.full:
        output.write({**identity, "faces": [reading.to_dict() for reading in readings]})
        return
    for reading in readings:
        output.write({**identity, "box": None, **reading.to_dict()})
    if not readings:
        output.write_partial(identity)


def _read(
    predictor: FacePredictor, path: Path, detect: bool, report: Callable[[DataError], None]
) -> Iterator[tuple[Path, list[FaceReading]]]:
    """Readings of an image file, or of all image files of a folder, whose errors are reported."""
    if path.is_dir():
        yield from predictor.predict_folder(path, detect=detect, on_bad=report)
    else:
        yield path, predictor.predict_file(path, detect=detect)

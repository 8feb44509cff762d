"""Exports for real-time use: ONNX and int8 ONNX, each measured against PyTorch.

What a conversion costs in accuracy is shown on the result split; what it gains, in milliseconds
per face, from grey levels to probabilities: of one face at a time, and of batches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affectlab.datasets.description import Description
from affectlab.face.data import read_faces, require_images
from affectlab.face.interface import Interface
from affectlab.face.model import (
    WEIGHTS_NAME,
    FaceNetwork,
    Network,
    as_batch,
    as_network,
    load_network,
    predict_images,
    views,
)
from affectlab.files.io import write_json
from affectlab.models import onnx_export
from affectlab.models.devices import set_threads
from affectlab.models.onnx_export import Format, Infer

BATCH = 64
CALIBRATION_IMAGES = 256
CPU = torch.device("cpu")


def export(
    *,
    model_directory: Path,
    faces_path: Path,
    metadata_path: Path,
    description: Description,
    split: str,
    threads: int,
    onnx_path: Path,
    int8_path: Path,
    summary_path: Path,
) -> None:
    """Export a run's network and measure every format on one split, on the CPU.

    Args:
        model_directory: the run's model.
        faces_path: images of its data.
        metadata_path: their table.
        description: of the data set.
        split: whose labelled images are predicted.
        threads: CPU threads of every format.
        onnx_path: float32 ONNX, dynamic batch, height and width.
        int8_path: the same in int8, its ranges from images of the train split.
        summary_path: JSON: for each format size, accuracy, macro-F1 and milliseconds per face.

    Raises:
        DataError: an input is corrupt.
        UserError: a split has no labelled images.
    """
    set_threads(threads)
    faces = read_faces(faces_path, metadata_path, description)
    rows = require_images(faces, split, metadata_path)
    train = require_images(faces, "train", metadata_path)
    network, config = load_network(model_directory)
    test_time = config["test_time"]

    to_onnx(network, onnx_path)
    spread = train[np.linspace(0, len(train) - 1, min(CALIBRATION_IMAGES, len(train))).astype(int)]
    onnx_export.quantise_statically(
        onnx_path, int8_path, calibration(faces.images[spread], test_time)
    )
    weights = (model_directory / WEIGHTS_NAME).stat().st_size
    formats = {"pytorch": Format(onnx_export.torch_inference(network), weights)}
    for name, path in (("onnx", onnx_path), ("onnx_int8", int8_path)):
        formats[name] = Format(onnx_export.onnx_inference(path, threads), path.stat().st_size)
    images, labels = faces.images[rows], faces.class_ids(rows)
    found = onnx_export.compare_formats(
        formats, lambda infer: measure(infer, images, labels, network.interface, test_time)
    )
    found |= {"split": split, "n": len(rows), "threads": threads}
    write_json(summary_path, found, sealed=True)


def to_onnx(network: FaceNetwork, path: Path) -> None:
    """Write *network* as one ONNX file with dynamic batch and sides, and check its outputs."""
    shape = (network.interface.channels, network.interface.side, network.interface.side)
    onnx_export.write_onnx(
        network,
        {"images": torch.rand(2, *shape)},
        path,
        dynamic=(0, 2, 3),
        output="outputs",
        check=[views(torch.rand(3, *shape), "ten_crop")[0]],
    )


def calibration(images: np.ndarray, test_time: str) -> Iterator[np.ndarray]:
    """Batches of what the network is shown of uint8 images, view by view."""
    for start in range(0, len(images), BATCH):
        batch = as_batch(images[start : start + BATCH], CPU)
        yield from (view.numpy() for view in views(batch, test_time))


def measure(
    infer: Infer,
    images: np.ndarray,
    labels: np.ndarray,
    interface: Interface,
    test_time: str,
) -> tuple[dict[str, Any], np.ndarray]:
    """Scores and speed of one format, with one view of each image and with those of *test_time*.

    Args:
        infer: from float32 ``[B, C, H, W]`` to ``[B, outputs]``.
        images: uint8 ``[N, H, W]``, or ``[N, H, W, 3]`` in colour.
        labels: class ids, ``[N]``.
        interface: of the network.
        test_time: of the run.

    Returns:
        For each kind of views what `measure_views` gives; and the probabilities with *test_time*.
    """
    network = as_network(infer)
    one_view, probabilities = measure_views(network, images, labels, interface, "none")
    found = {"one_view": one_view}
    if test_time != "none":
        found[test_time], probabilities = measure_views(
            network, images, labels, interface, test_time
        )
    return found, probabilities


def measure_views(
    network: Network,
    images: np.ndarray,
    labels: np.ndarray,
    interface: Interface,
    test_time: str,
) -> tuple[dict[str, Any], np.ndarray]:
    """Scores and speed with the views of *test_time*.

    Returns:
        Accuracy, macro-F1, and ``ms_per_face``: of one at a time (median and 95th percentile) and
        in batches of `BATCH`; and the probabilities.
    """

    def ask(shown: np.ndarray) -> np.ndarray:
        return predict_images(
            network,
            shown,
            interface=interface,
            test_time=test_time,
            batch_size=BATCH,
            device=CPU,
        )[0]

    one = onnx_export.latency(lambda row: ask(images[row : row + 1]), len(images))
    started = time.perf_counter()
    probabilities = ask(images)
    each = 1000 * (time.perf_counter() - started) / len(images)
    return {
        **onnx_export.class_scores(labels, probabilities),
        "ms_per_face": {**one, f"batch_of_{BATCH}": each},
    }, probabilities

"""Networks as ONNX files in float32 and int8, and what each format costs and gains.

Formats are compared on the CPU, which is what they are made for. Times depend on the machine and
are no metrics.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from affectlab.config.checks import LARGEST_ONNX_FILE
from affectlab.errors import DataError, UserError
from affectlab.evaluation import stats
from affectlab.files.integrity import check_file, checked
from affectlab.files.io import sealed_path

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

logger = logging.getLogger(__name__)

OPSET = 18
WARM_UP = 10
LATENCIES = 100
TOLERANCE = 1e-3
"""Largest difference between a network's outputs and those of its float32 ONNX file."""

Infer = Callable[..., np.ndarray]
"""From a network's inputs, arrays in their order, to its one output, float32."""


class Format(NamedTuple):
    """One form of a network: how to ask it, and its size in bytes."""

    infer: Infer
    size: int


def write_onnx(
    network: nn.Module,
    example: Mapping[str, torch.Tensor],
    path: Path,
    *,
    dynamic: Collection[int],
    output: str,
    check: Sequence[torch.Tensor],
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write *network* as one float32 ONNX file, and check its outputs.

    Args:
        network: in eval mode; a function of tensors with one tensor as result.
        example: its inputs by name, in their order, each at least 2 long in a dynamic axis.
        path: of the file.
        dynamic: the axes of every input that may have another length later.
        output: name of the output.
        check: inputs of other lengths, for which file and network must agree.
        metadata: key -> text, which a reader of the file finds as its custom metadata.

    Raises:
        UserError: the weights do not fit into one file.
        AssertionError: the file does not give the network's outputs for *check*.
    """
    weights = sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
    if weights >= LARGEST_ONNX_FILE:
        raise UserError(
            f"{path}: {weights / 1e9:.1f} GB of weights do not fit into one ONNX file, which holds "
            f"{LARGEST_ONNX_FILE / 1e9:.1f} GB: leave this run out of `export`"
        )
    axes = dict.fromkeys(dynamic, torch.export.Dim.DYNAMIC)
    with sealed_path(path) as temporary:
        torch.onnx.export(
            network,
            tuple(example.values()),
            str(temporary),
            input_names=list(example),
            output_names=[output],
            dynamic_shapes=[axes] * len(example),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        _without_origins(temporary, metadata)
        inputs = [tensor.numpy() for tensor in check]
        np.testing.assert_allclose(
            onnx_inference(temporary, 1)(*inputs),
            torch_inference(network)(*inputs),
            atol=TOLERANCE,
            err_msg="outputs of the ONNX file",
        )


def _without_origins(path: Path, metadata: Mapping[str, str]) -> None:
    """Take out of a file from which lines of code its nodes came: paths of this machine.

    Args:
        path: of the file.
        metadata: that is added to it.
    """
    import onnx

    model = onnx.load(path)
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        for node in graph.node:
            del node.metadata_props[:]
    for key, text in metadata.items():
        model.metadata_props.add(key=key, value=text)
    onnx.save(model, path)


def quantise_dynamically(onnx_path: Path, path: Path) -> None:
    """Make weights int8, per channel; activations are quantised as they come, to uint8.

    For matrix products. Weights stay within -64..64 (``reduce_range``): processors without VNNI
    add two products in 16 bits, which larger ones overflow, in silence.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with sealed_path(path) as temporary:
        quantize_dynamic(
            str(onnx_path),
            str(temporary),
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )


def quantise_statically(onnx_path: Path, path: Path, batches: Iterable[np.ndarray]) -> None:
    """Make weights int8, per channel, and activations uint8 in fixed ranges. For convolutions.

    Weights stay within -64..64, for the reason given at `quantise_dynamically`.

    Args:
        onnx_path: of a network with one input.
        path: where the int8 file goes.
        batches: typical inputs, which show the range of each activation.
    """
    from onnx import load
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    name = load(onnx_path, load_external_data=False).graph.input[0].name

    class Batches(CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self._rest, None)
            return None if batch is None else {name: batch}

    with sealed_path(path) as temporary:
        quantize_static(
            str(onnx_path),
            str(temporary),
            Batches(),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def torch_inference(network: nn.Module) -> Infer:
    """Inference with PyTorch, on the CPU."""

    @torch.inference_mode()
    def infer(*inputs: np.ndarray) -> np.ndarray:
        return network(*map(torch.from_numpy, inputs)).float().numpy()

    return infer


def onnx_inference(path: Path, threads: int) -> Infer:
    """Inference with ONNX Runtime; see `onnx_session`."""
    session = onnx_session(path, threads)
    names = [entry.name for entry in session.get_inputs()]

    def infer(*inputs: np.ndarray) -> np.ndarray:
        return session.run(None, dict(zip(names, inputs, strict=True)))[0]

    return infer


@checked("path", check_file)
def onnx_session(path: Path, threads: int) -> InferenceSession:
    """Open a network with ONNX Runtime, on the CPU.

    Args:
        path: of the ONNX file.
        threads: of each operator; 0 leaves it to ONNX Runtime.

    Raises:
        DataError: no such file, no ONNX network, or not the file that was written.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf, errors.NoSuchFile) as error:
        raise DataError(path, None, f"no ONNX network: {error}") from error


def latency(ask: Callable[[int], object], items: int) -> dict[str, float]:
    """How long one item takes by itself, in ms: median and 95th percentile.

    Args:
        ask: processes the item of that number.
        items: how many there are; at most `LATENCIES` are timed.
    """
    for item in range(min(WARM_UP, items)):
        ask(item)
    times = []
    for item in range(min(LATENCIES, items)):
        started = time.perf_counter()
        ask(item)
        times.append(1000 * (time.perf_counter() - started))
    return {"median": statistics.median(times), "p95": float(np.percentile(times, 95))}


def class_scores(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Accuracy and macro-F1.

    Args:
        labels: class ids, ``[n]``.
        scores: of each class, ``[n, K]``; the highest one is the answer.
    """
    confusion = stats.confusion_matrix(labels, scores.argmax(axis=1), scores.shape[1])
    return {
        "accuracy": float(stats.accuracy(confusion)),
        "macro_f1": float(stats.macro_f1(confusion)),
    }


def likeliest(probabilities: np.ndarray) -> np.ndarray:
    """The class with the highest probability, ``[..., n]`` from ``[..., n, K]``."""
    return np.asarray(probabilities.argmax(axis=-1))


def batch_spread(
    alone: np.ndarray,
    *batched: np.ndarray,
    decide: Callable[[np.ndarray], np.ndarray] = likeliest,
) -> dict[str, float]:
    """Compare probabilities of items alone with those of the same items in batches.

    They differ where activations are quantised in a range that all items of a batch share.

    Args:
        alone: of each item by itself, ``[m, K]``.
        batched: the same items in batches, each ``[m, K]``.
        decide: from probabilities ``[..., m, K]`` to decisions ``[..., m]``, or ``[..., m, K]``
            where each class is decided by itself.

    Returns:
        ``items``, and over items and batches the ``largest`` and ``mean`` absolute difference and
        the share of ``changed_decisions``.
    """
    differences = np.abs(np.stack(batched) - alone)
    changed = decide(np.stack(batched)) != decide(alone)
    return {
        "items": len(alone),
        "largest": float(differences.max()),
        "mean": float(differences.mean()),
        "changed_decisions": float(changed.reshape(*changed.shape[:2], -1).any(axis=-1).mean()),
    }


def compare_formats(
    formats: Mapping[str, Format],
    measure: Callable[[Infer], tuple[dict[str, Any], np.ndarray]],
) -> dict[str, Any]:
    """Measure each format, and hold its probabilities against those of the first.

    Args:
        formats: by name; the first one is the reference.
        measure: gives what is known of a format, and its probabilities ``[n, K]``.

    Returns:
        ``reference``, and ``formats``: name -> what *measure* gave, ``bytes`` and
        ``max_probability_difference``.
    """
    found: dict[str, Any] = {}
    reference: np.ndarray | None = None
    for name, (infer, size) in formats.items():
        measured, probabilities = measure(infer)
        reference = probabilities if reference is None else reference
        difference = float(np.abs(probabilities - reference).max())
        found[name] = {**measured, "bytes": size, "max_probability_difference": difference}
        logger.info("%s: %s", name, found[name])
    return {"reference": next(iter(formats)), "formats": found}

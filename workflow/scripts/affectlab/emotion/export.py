"""Exports for real-time use: merged weights, ONNX and int8 ONNX, each measured before and after.

What a conversion costs in accuracy is shown on the test split; what it gains, in latency of one
text at a time and in throughput of batches. Times depend on the machine and are no metrics.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import nn
from transformers import PreTrainedTokenizerBase

from affectlab.core.devices import set_threads
from affectlab.core.errors import UserError
from affectlab.core.io import atomic_path, write_json
from affectlab.core.stats import accuracy, confusion_matrix, macro_f1
from affectlab.core.text_models import load_tokenizer
from affectlab.emotion.data import CLASSES, read_records
from affectlab.emotion.model import (
    ADAPTER_FOLDER,
    collator,
    encode,
    load_network,
)
from affectlab.emotion.train import labels_of

logger = logging.getLogger(__name__)

OPSET = 18
LATENCY_TEXTS = 100
WARM_UP_TEXTS = 10
THROUGHPUT_BATCH = 32
INPUT_NAMES = ("input_ids", "attention_mask")

Infer = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From token ids and mask, int64 (b, length), to logits, float32 (b, classes)."""


def export(
    *,
    model_directory: Path,
    base_model: Path,
    records_path: Path,
    max_length: int,
    threads: int,
    onnx_path: Path,
    int8_path: Path,
    summary_path: Path,
) -> None:
    """Export a run's network and measure every format on the test split, on the CPU.

    Args:
        model_directory: the run's model; for LoRA the merged one with its ``adapter`` folder.
        base_model: the pretrained checkpoint, needed to run an adapter unmerged.
        records_path: the tidy table of records.
        max_length: tokens after which texts are cut.
        threads: CPU threads of every format.
        onnx_path: float32 ONNX, dynamic batch and length.
        int8_path: the same with weights and activations quantised dynamically to int8.
        summary_path: JSON: for each format accuracy, macro-F1, latency, throughput, size.
    """
    set_threads(threads)
    tokenizer = load_tokenizer(model_directory)
    network = load_network(
        model_directory, tokenizer, dtype=torch.float32, device=torch.device("cpu")
    ).eval()
    records = [record for record in read_records(records_path) if record.split == "test"]
    if not records:
        raise UserError(f"{records_path}: no records in the test split")
    token_ids = encode(tokenizer, [record.text for record in records], max_length=max_length)
    labels = labels_of(records)

    to_onnx(network, tokenizer, onnx_path)
    to_int8(onnx_path, int8_path)

    formats: dict[str, tuple[Infer, int]] = {}
    adapter = model_directory / ADAPTER_FOLDER
    if adapter.is_dir():
        formats["adapter"] = (
            torch_inference(_unmerged(base_model, adapter, tokenizer)),
            weight_bytes(adapter) + weight_bytes(base_model),
        )
    plain = "merged" if adapter.is_dir() else "pytorch"
    formats[plain] = (torch_inference(network), weight_bytes(model_directory))
    formats["onnx"] = (onnx_inference(onnx_path, threads), onnx_path.stat().st_size)
    formats["onnx_int8"] = (onnx_inference(int8_path, threads), int8_path.stat().st_size)

    summary: dict[str, Any] = {}
    reference: np.ndarray | None = None
    for name, (infer, size) in formats.items():
        measured, probabilities = measure(infer, token_ids, labels, tokenizer.pad_token_id)
        if reference is None:
            reference = probabilities
        difference = float(np.abs(probabilities - reference).max())
        summary[name] = {**measured, "bytes": size, "max_probability_difference": difference}
        logger.info("%s: %s", name, summary[name])
    write_json(
        summary_path,
        {
            "formats": summary,
            "split": "test",
            "n": len(records),
            "threads": threads,
            "reference": next(iter(formats)),
        },
    )


def to_onnx(network: nn.Module, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Write *network* as one ONNX file with dynamic batch and length, and check its logits.

    Raises:
        RuntimeError: the file does not give the network's logits at another batch and length.
    """
    example = tokenizer(["a short text", "a text that is a little longer"], padding=True)
    ids, mask = (torch.tensor(example[name]) for name in INPUT_NAMES)
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with atomic_path(path) as temporary:
        torch.onnx.export(
            _Logits(network).eval(),
            (ids, mask),
            str(temporary),
            input_names=list(INPUT_NAMES),
            output_names=["logits"],
            dynamic_shapes=dict.fromkeys(INPUT_NAMES, dynamic),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        longer_ids = torch.cat([ids, ids], dim=1).repeat(2, 1)
        check = longer_ids.numpy(), torch.ones_like(longer_ids).numpy()
        expected = torch_inference(network)(*check)
        np.testing.assert_allclose(
            onnx_inference(temporary, 1)(*check), expected, atol=1e-3, err_msg="ONNX logits"
        )


def to_int8(onnx_path: Path, path: Path) -> None:
    """Quantise an ONNX file dynamically: int8 weights, activations quantised as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with atomic_path(path) as temporary:
        quantize_dynamic(str(onnx_path), str(temporary), weight_type=QuantType.QInt8)


def torch_inference(network: nn.Module) -> Infer:
    """Inference with PyTorch."""

    @torch.inference_mode()
    def infer(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        output = network(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
        return output.logits.float().numpy()

    return infer


def onnx_inference(path: Path, threads: int) -> Infer:
    """Inference with ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def infer(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return session.run(None, dict(zip(INPUT_NAMES, (ids, mask), strict=True)))[0]

    return infer


def measure(
    infer: Infer, token_ids: Sequence[Sequence[int]], labels: np.ndarray, pad_id: int
) -> tuple[dict[str, Any], np.ndarray]:
    """Scores and speed of one format.

    Returns:
        accuracy, macro-F1, latency in ms of one text at a time (median and 95th percentile over
        `LATENCY_TEXTS` texts), throughput in texts per second at batches of `THROUGHPUT_BATCH`;
        and the probabilities, float64 (n, classes).
    """
    collate = collator(token_ids, None, pad_id=pad_id)

    def run(indices: np.ndarray) -> np.ndarray:
        batch = collate(indices)
        return infer(batch["input_ids"].numpy(), batch["attention_mask"].numpy())

    for i in range(min(WARM_UP_TEXTS, len(token_ids))):
        run(np.array([i]))
    latencies = []
    for i in range(min(LATENCY_TEXTS, len(token_ids))):
        started = time.perf_counter()
        run(np.array([i]))
        latencies.append(1000 * (time.perf_counter() - started))

    order = np.argsort([len(ids) for ids in token_ids], kind="stable")
    logits = np.empty((len(token_ids), len(CLASSES)), dtype=np.float64)
    started = time.perf_counter()
    for start in range(0, len(order), THROUGHPUT_BATCH):
        indices = order[start : start + THROUGHPUT_BATCH]
        logits[indices] = run(indices)
    seconds = time.perf_counter() - started

    confusion = confusion_matrix(labels, logits.argmax(axis=1), len(CLASSES))
    return {
        "accuracy": float(accuracy(confusion)),
        "macro_f1": float(macro_f1(confusion)),
        "latency_ms": {
            "median": statistics.median(latencies),
            "p95": float(np.percentile(latencies, 95)),
        },
        "throughput": len(token_ids) / seconds,
    }, softmax(logits, axis=1)


def weight_bytes(directory: Path) -> int:
    """Size of a checkpoint directory's weight files, in bytes."""
    return sum(path.stat().st_size for path in directory.glob("*.safetensors"))


class _Logits(nn.Module):
    """The network as a function of two tensors with one tensor as result, as ONNX has it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.network(input_ids=input_ids, attention_mask=attention_mask).logits


def _unmerged(base_model: Path, adapter: Path, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
    from peft import PeftModel

    network = load_network(base_model, tokenizer, dtype=torch.float32, device=torch.device("cpu"))
    return PeftModel.from_pretrained(network, str(adapter)).eval()

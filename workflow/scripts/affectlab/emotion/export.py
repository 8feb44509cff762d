"""Exports for real-time use: merged weights, ONNX and int8 ONNX, each measured before and after.

What a conversion costs in accuracy is shown on the test split; what it gains, in latency of one
text at a time and in throughput of batches. Times depend on the machine and are no metrics.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from affectlab.emotion.data import Data
from affectlab.emotion.model import (
    ADAPTER_FOLDER,
    collator,
    encode,
    load_network,
)
from affectlab.emotion.multilabel_data import MultilabelData
from affectlab.emotion.readers import read_classes
from affectlab.emotion.thresholds import KEY, probabilities_of, thresholds_of
from affectlab.errors import UserError
from affectlab.evaluation import multilabel
from affectlab.files.io import read_json, write_json
from affectlab.models import onnx_export
from affectlab.models.devices import set_threads
from affectlab.models.onnx_export import Format, Infer
from affectlab.models.text_models import encode_texts, load_adapter, load_tokenizer

THROUGHPUT_BATCH = 32
SPREAD_TEXTS = 256
"""Texts whose probabilities are compared alone and in batches."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """How the logits of an exported network become predictions and scores.

    Attributes:
        probabilities: from logits (n, classes) to probabilities (n, classes).
        decide: see `onnx_export.batch_spread`.
        scores: from true class ids (n,), or booleans (n, classes), and logits (n, classes).
        settings: entries of the network's configuration.
        metadata: of the ONNX files.
    """

    probabilities: Callable[[np.ndarray], np.ndarray]
    decide: Callable[[np.ndarray], np.ndarray]
    scores: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


ONE_CLASS = Decisions(
    probabilities=lambda logits: np.asarray(softmax(logits, axis=1)),
    decide=onnx_export.likeliest,
    scores=onnx_export.class_scores,
)
"""Each text has the likeliest class."""


def decisions_of(data: Data | MultilabelData, model_directory: Path) -> Decisions:
    """How the network of a run on *data* decides.

    Args:
        data: with one class or label sets.
        model_directory: the run's model.

    Raises:
        UserError: the thresholds of the model are missing or broken.
    """
    if isinstance(data, MultilabelData):
        return _multilabel_decisions(data, model_directory)
    return ONE_CLASS


def _multilabel_decisions(data: MultilabelData, model_directory: Path) -> Decisions:
    path = model_directory / "config.json"
    thresholds = thresholds_of(read_json(path), data.names, path)

    def decide(probabilities: np.ndarray) -> np.ndarray:
        return np.asarray(probabilities >= np.array(thresholds))

    def scores(true: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        found = multilabel.scores(true, decide(probabilities_of(logits)), range(len(true)))
        return {name: found[name].value for name in ("macro_f1", "exact_match")}

    return Decisions(
        probabilities=probabilities_of,
        decide=decide,
        scores=scores,
        settings={"problem_type": "multi_label_classification"},
        metadata={
            "classes": json.dumps(list(data.names)),
            KEY: json.dumps(dict(zip(data.names, thresholds, strict=True))),
        },
    )


def export(
    *,
    model_directory: Path,
    base_model: Path,
    records_path: Path,
    description_path: Path,
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
        description_path: description.json beside it.
        max_length: tokens after which texts are cut.
        threads: CPU threads of every format.
        onnx_path: float32 ONNX, dynamic batch and length.
        int8_path: the same with weights and activations quantised dynamically to int8.
        summary_path: JSON: for each format scores, latency, throughput, size.
    """
    set_threads(threads)
    data = read_classes(records_path, description_path)
    tokenizer = load_tokenizer(model_directory)
    decisions = decisions_of(data, model_directory)
    network = load_network(
        model_directory,
        tokenizer,
        data.description.classes,
        dtype=torch.float32,
        device=torch.device("cpu"),
        trained=True,
        settings=decisions.settings,
    ).eval()
    # Of a cross-validation no item is kept for a test; speed and agreement need none.
    split = "test" if data.description.folds is None else "validation"
    records = data.of_split(split)
    if not records:
        raise UserError(f"{records_path}: no records in the {split} split")
    labels = data.labels_in(split)
    token_ids = encode(tokenizer, [record.text for record in records], max_length=max_length)
    formats = _torch_formats(network, tokenizer, model_directory, base_model)
    to_onnx(network, tokenizer, onnx_path, decisions.metadata)
    onnx_export.quantise_dynamically(onnx_path, int8_path)
    for name, path in (("onnx", onnx_path), ("onnx_int8", int8_path)):
        formats[name] = Format(onnx_export.onnx_inference(path, threads), path.stat().st_size)
    compared = onnx_export.compare_formats(
        formats, lambda infer: measure(infer, token_ids, labels, tokenizer.pad_token_id, decisions)
    )
    summary = {**compared, "split": split, "n": len(records), "threads": threads}
    write_json(summary_path, summary, sealed=True)


def _torch_formats(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    model_directory: Path,
    base_model: Path,
) -> dict[str, Format]:
    """The network as PyTorch runs it, and before it, if it has one, its adapter unmerged."""
    formats: dict[str, Format] = {}
    adapter = model_directory / ADAPTER_FOLDER
    if adapter.is_dir():
        classes = list(network.config.id2label.values())
        unmerged = _unmerged(base_model, adapter, tokenizer, classes)
        formats["adapter"] = Format(
            onnx_export.torch_inference(_Logits(unmerged)),
            weight_bytes(adapter) + weight_bytes(base_model),
        )
    formats["merged" if adapter.is_dir() else "pytorch"] = Format(
        onnx_export.torch_inference(_Logits(network)), weight_bytes(model_directory)
    )
    return formats


def to_onnx(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    path: Path,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write *network* as one ONNX file with dynamic batch and length, and check its logits.

    Args:
        network: in eval mode.
        tokenizer: of the network.
        path: of the file.
        metadata: stored in the file, see `onnx_export.write_onnx`.
    """
    texts = ["a short text", "a text that is a little longer"]
    example = encode_texts(tokenizer, texts, padding=True)
    inputs = {name: torch.tensor(example[name]) for name in ("input_ids", "attention_mask")}
    longer = torch.cat([inputs["input_ids"]] * 2, dim=1).repeat(2, 1)
    onnx_export.write_onnx(
        _Logits(network).eval(),
        inputs,
        path,
        dynamic=(0, 1),
        output="logits",
        check=[longer, torch.ones_like(longer)],
        metadata=metadata,
    )


def measure(
    infer: Infer,
    token_ids: Sequence[Sequence[int]],
    labels: np.ndarray,
    pad_id: int,
    decisions: Decisions = ONE_CLASS,
) -> tuple[dict[str, Any], np.ndarray]:
    """Scores and speed of one format.

    Args:
        infer: runs the format.
        token_ids: of each text.
        labels: class ids (n,), or booleans (n, classes).
        pad_id: id of the padding token.
        decisions: how logits become predictions and scores.

    Returns:
        scores, latency in ms of one text at a time (median and 95th percentile over
        `onnx_export.LATENCIES` texts), throughput in texts per second at batches of
        `THROUGHPUT_BATCH`, and `onnx_export.batch_spread` between texts alone, in batches of equal
        length and in batches of their own order; and the probabilities, float64 (n, classes).
    """
    collate = collator(token_ids, None, pad_id=pad_id)

    def run(indices: np.ndarray) -> np.ndarray:
        batch = collate(indices)
        return infer(batch["input_ids"].numpy(), batch["attention_mask"].numpy())

    def in_batches(order: np.ndarray) -> np.ndarray:
        starts = range(0, len(order), THROUGHPUT_BATCH)
        ordered = np.concatenate([run(order[s : s + THROUGHPUT_BATCH]) for s in starts])
        logits = np.empty(ordered.shape, dtype=np.float64)
        logits[order] = ordered
        return logits

    one_at_a_time = onnx_export.latency(lambda row: run(np.array([row])), len(token_ids))
    order = np.argsort([len(ids) for ids in token_ids], kind="stable")
    started = time.perf_counter()
    logits = in_batches(order)
    seconds = time.perf_counter() - started
    probabilities = decisions.probabilities(logits)

    count = min(SPREAD_TEXTS, len(token_ids))
    sample = np.linspace(0, len(token_ids) - 1, count).astype(int)
    alone = decisions.probabilities(np.concatenate([run(np.array([row])) for row in sample]))
    # In their own order, short texts are padded to the length of long ones.
    padded = decisions.probabilities(in_batches(np.arange(len(token_ids))))
    return {
        **decisions.scores(labels, logits),
        "latency_ms": one_at_a_time,
        "throughput": len(token_ids) / seconds,
        "batch_spread": onnx_export.batch_spread(
            alone, probabilities[sample], padded[sample], decide=decisions.decide
        ),
    }, probabilities


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


def _unmerged(
    base_model: Path, adapter: Path, tokenizer: PreTrainedTokenizerBase, classes: Sequence[str]
) -> nn.Module:
    network = load_network(
        base_model, tokenizer, classes, dtype=torch.float32, device=torch.device("cpu")
    )
    return load_adapter(network, adapter)

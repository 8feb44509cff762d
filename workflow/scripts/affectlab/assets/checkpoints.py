"""Checkpoint directories by their files alone: whether one is whole, what weights it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affectlab.errors import DataError, FetchError
from affectlab.files.io import read_json, sha256_file

PROCESSOR_FILE = "preprocessor_config.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
"""Any one of these makes a tokenizer."""

WEIGHT_FILES = ("*.safetensors", "*.bin")

ONNX_FILES = ("model.onnx", "onnx/model.onnx")
"""Where the hub's exporters put an ONNX file."""

CLASSIFIERS = ("text-classifier", "image-classifier", "audio-classifier")
"""Kinds of models whose weights may be an ONNX file."""

PICKLED_STEMS = ("pytorch_model", "adapter_model")
"""Beginnings of the names that transformers and PEFT gave to pickled weights, ending in .bin."""

_CONVERSION = (
    "import glob, torch; from safetensors.torch import save_file; w = {}; "
    "[w.update(torch.load(f, 'cpu', weights_only=True)) for f in glob.glob('%s*.bin')]; "
    "save_file({k: v.contiguous().clone() for k, v in w.items()}, '%s', {'format': 'pt'})"
)


def refuse_pickled(directory: Path) -> None:
    """Refuse a model directory whose only weights are pickled: opening these can run code.

    Raises:
        FetchError: with the command that converts them.
    """
    if any(directory.glob("*.safetensors")):
        return
    for stem in PICKLED_STEMS:
        found = sorted(path.name for path in directory.glob(f"{stem}*.bin"))
        if found:
            target = f"{stem.removeprefix('pytorch_')}.safetensors"
            raise FetchError(
                f"{directory}: its weights are pickled ({found[0]}), which is not read; convert "
                f'them in that folder: python -c "{_CONVERSION % (stem, target)}"'
            )


def check_model(directory: Path, kind: str) -> None:
    """See that a model directory holds what a model of its kind needs.

    Args:
        directory: as it was obtained.
        kind: of the model in the registry. An ``audio-checkpoint`` is one file ``*.pt``, opened
            later with ``weights_only``; all others are what `check_checkpoint` knows. A classifier
            may have an ONNX file instead of weights.

    Raises:
        FetchError: names what is missing or corrupt.
    """
    if kind != "audio-checkpoint":
        check_checkpoint(directory, onnx=kind in CLASSIFIERS)
    elif len(list(directory.rglob("*.pt"))) != 1:
        raise FetchError(f"{directory}: expected one checkpoint file (*.pt)")


def check_checkpoint(directory: Path, *, onnx: bool = False) -> None:
    """See that a model directory can be loaded: config, whole safetensors weights, preprocessing.

    Only names, JSON and the length of the weight files are looked at.

    Args:
        directory: of the model.
        onnx: whether an ONNX file may stand for the weights.

    Raises:
        FetchError: names what is missing, or the weight file that was cut short.
    """
    if not (directory / "config.json").is_file():
        raise FetchError(f"{directory}: not a model directory, it has no config.json")
    _read_object(directory / "config.json")
    exported = onnx and any(directory.rglob("*.onnx"))
    if not exported:
        refuse_pickled(directory)
    weights = sorted(directory.glob("*.safetensors"))
    if not weights and not exported:
        raise FetchError(f"{directory}: has no weights (*.safetensors; pickled ones are not read)")
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        weight_map = _read_object(index).get("weight_map")
        if not isinstance(weight_map, dict) or not all(
            isinstance(name, str) for name in weight_map.values()
        ):
            raise FetchError(f"{index}: not a whole index of weights: no proper weight_map")
        shards = set(weight_map.values())
        missing = sorted(shards - {path.name for path in weights})
        if missing:
            raise FetchError(f"{directory}: lacks {', '.join(missing)} of its weights")
    for path in weights:
        check_safetensors(path)
    if not any((directory / name).is_file() for name in (*TOKENIZER_FILES, PROCESSOR_FILE)):
        raise FetchError(
            f"{directory}: has no tokenizer (tokenizer.json or a vocabulary file) and no "
            f"{PROCESSOR_FILE}"
        )


def _read_object(path: Path) -> dict[str, Any]:
    """The JSON object in *path*; what is none is a `FetchError`."""
    try:
        found = read_json(path)
    except DataError as error:
        raise FetchError(str(error)) from error
    if not isinstance(found, dict):
        raise FetchError(f"{path}: expected a JSON object")
    return found


def check_safetensors(path: Path) -> None:
    """See that a safetensors file is whole: as long as its header says.

    Raises:
        FetchError: cut short, or not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        # Opening holds the header against the length of the file.
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise FetchError(f"{path}: not a whole safetensors file: {error}") from error


def weights_digest(directory: Path) -> list[str]:
    """SHA-256 of each weight file of a checkpoint directory, by name."""
    return [
        sha256_file(path) for pattern in WEIGHT_FILES for path in sorted(directory.glob(pattern))
    ]

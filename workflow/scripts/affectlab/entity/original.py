"""Reading an original ``best_model.pt``: a state dict with the names of the original project.

The names are taken apart by what a layer is called and by its shape, since the original nests the
same layers in differently named modules. Everything must find its place: a checkpoint with a
part too many or too few is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from affectlab.entity.heads import Heads
from affectlab.entity.labels import CLASSES
from affectlab.entity.model import (
    DESCRIPTION_FILE,
    Description,
    EmotionEmbedder,
    load_encoder,
    misfit,
    save_model,
)
from affectlab.errors import UserError
from affectlab.models.text_models import load_tokenizer

MAX_LENGTH = 128

# Part of an original name -> the layer of `heads.Heads` that it is; the first match counts.
_LAYERS = (
    (re.compile(r"(?:^|\.)(?:aux|auxiliary|classifier)\w*\."), "auxiliary"),
    (re.compile(r"(?:^|\.)(?:kappa|energy|concentration)\w*\."), "energy"),
    (re.compile(r"(?:^|\.)(?:mu|proj|projection|direction|token_proj)\w*\."), "projection"),
    (re.compile(r"prototype"), "prototypes"),
)
LONGEST_NAME = 500
"""Characters of a tensor's name: the patterns above take the square of it in time."""

_ENCODER = re.compile(r"^(?:module\.)?(?:encoder|backbone|roberta|bert|model)\.")
# Linear layers of the original's sequences, in order.
_SEQUENCES = {
    "projection": ("hidden", "direction"),
    "energy": ("energy",),
    "auxiliary": ("auxiliary.0", "auxiliary.2"),
}


def load_original(
    path: Path, encoder_directory: Path, *, device: torch.device
) -> tuple[EmotionEmbedder, Any, Description]:
    """Load an original checkpoint as a published model of this experiment.

    Args:
        path: the file; opened with ``weights_only=True``, so it cannot run code.
        encoder_directory: checkpoint of the pretrained encoder, for its architecture and tokenizer.
        device: where the model goes.

    Raises:
        UserError: the file is corrupted, holds more than tensors, or is not of this architecture.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch.load raises half a dozen unrelated types for a corrupted or foreign file.
        raise UserError(f"{path}: not a state dict of tensors ({type(error).__name__})") from error
    state = stored.get("model_state_dict", stored) if isinstance(stored, Mapping) else None
    if not state or not all(
        isinstance(name, str) and len(name) <= LONGEST_NAME and isinstance(value, torch.Tensor)
        for name, value in state.items()
    ):
        raise UserError(f"{path}: expected a state dict: names and tensors")
    encoder = load_encoder(encoder_directory, device=torch.device("cpu"))
    heads = Heads(encoder.config.hidden_size, method="gbert", classes=len(CLASSES))
    network = EmotionEmbedder(encoder, heads)
    try:
        network.load_state_dict(renamed(state, set(encoder.state_dict())))
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path}: not a model of this architecture: {misfit(error)}") from error
    description = Description(
        method="gbert",
        encoder=encoder_directory.name,
        max_length=MAX_LENGTH,
        heads={},
        calibration=None,
        classes=CLASSES,
    )
    return network.to(device).eval(), load_tokenizer(encoder_directory), description


def renamed(state: Mapping[str, torch.Tensor], encoder_names: set[str]) -> dict[str, torch.Tensor]:
    """An original state dict under the names of `model.EmotionEmbedder`.

    Args:
        state: original name -> tensor.
        encoder_names: names in the encoder's own state dict; a pooling layer is left out.

    Raises:
        ValueError: a tensor has no place.
    """
    found: dict[str, torch.Tensor] = {}
    linear: dict[str, dict[str, dict[str, torch.Tensor]]] = {}
    for name, tensor in state.items():
        inner = _ENCODER.sub("", name)
        if inner in encoder_names:
            found[f"encoder.{inner}"] = tensor
            continue
        if _ENCODER.match(name) and ("pooler." in inner or inner.endswith("position_ids")):
            continue
        layer = next((layer for pattern, layer in _LAYERS if pattern.search(name)), None)
        if layer == "prototypes":
            if "heads.prototypes" in found:
                raise ValueError(f"{name} is a second tensor of prototypes")
            found["heads.prototypes"] = tensor
        elif layer is None:
            raise ValueError(f"{name} has no place in this architecture")
        else:
            stem, _, kind = name.rpartition(".")
            linear.setdefault(layer, {}).setdefault(stem, {})[kind] = tensor
    for layer, modules in linear.items():
        places = _SEQUENCES[layer]
        if len(modules) != len(places):
            raise ValueError(f"{layer}: expected {len(places)} linear layers, found {len(modules)}")
        for place, (_, tensors) in zip(places, modules.items(), strict=True):
            for kind, tensor in tensors.items():
                found[f"heads.{place}.{kind}"] = tensor
    return found


def convert_original(path: Path, encoder_directory: Path, model_directory: Path) -> None:
    """Store an original checkpoint as a model directory of this experiment.

    Args:
        path: see `load_original`.
        encoder_directory: see `load_original`.
        model_directory: what is written; a model of this experiment that stands there is replaced.

    Raises:
        UserError: something else stands at *model_directory*; or as `load_original`.
    """
    is_model = (model_directory / DESCRIPTION_FILE).is_file()
    is_empty = model_directory.is_dir() and not any(model_directory.iterdir())
    if model_directory.exists() and not (is_model or is_empty):
        raise UserError(f"{model_directory}: is there already, and is no model of this experiment")
    network, tokenizer, description = load_original(
        path, encoder_directory, device=torch.device("cpu")
    )
    save_model(model_directory, network, tokenizer, description)

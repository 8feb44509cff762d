"""Parts of published checkpoints: only the tensors of one submodule are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from affectlab.assets.checkpoints import refuse_pickled
from affectlab.assets.safe_loading import from_directory
from affectlab.errors import UserError, reading
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json
from affectlab.models.finite import check_finite_tensors

INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"


@checked("directory", check_directory)
def read_config(directory: Path, model_types: Sequence[str]) -> dict[str, Any]:
    """The config.json of a checkpoint that must be of one of *model_types*.

    Raises:
        UserError: there is none, or it is of another model.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise UserError(f"{directory}: not a model directory, it has no config.json")
    config = read_json(path)
    if not isinstance(config, dict):
        raise UserError(f"{path}: expected a JSON object with the settings of a model")
    found = config.get("model_type")
    if found not in model_types:
        raise UserError(
            f"{directory}: expected a model of the type {' or '.join(model_types)}, found {found!r}"
        )
    return config


@checked("directory", check_directory)
def read_features(kind: Any, directory: Path) -> Any:
    """The feature extractor of a checkpoint, of the transformers class *kind*.

    Raises:
        UserError: the directory has none, or none that can be read.
    """
    path = directory / "preprocessor_config.json"
    if not path.is_file():
        raise UserError(f"{directory}: not a whole model directory, it has no {path.name}")
    read_json(path)
    with reading(path, "the settings of a feature extractor"):
        return from_directory(kind, directory)


@checked("directory", check_directory)
def load_part(module: nn.Module, directory: Path, prefixes: Sequence[str]) -> None:
    """Fill *module* with the tensors of a safetensors checkpoint whose names carry a prefix.

    Only those tensors are read, from those shards that hold them. Nothing stays as it was
    initialised.

    Args:
        module: in place; its weights keep their number format.
        directory: with model.safetensors, or shards and their index.
        prefixes: of names in the checkpoint, the first that fits is taken; ``""`` for none.

    Raises:
        UserError: a tensor is missing or of another shape.
    """
    files = _files_by_name(directory)
    wanted = list(module.state_dict())
    prefix = next((p for p in prefixes if f"{p}{wanted[0]}" in files), None)
    if prefix is None:
        raise UserError(
            f"{directory}: has no tensor {' or '.join(p + wanted[0] for p in prefixes)}: "
            "not the model that was expected"
        )
    names = {f"{prefix}{name}": name for name in wanted if f"{prefix}{name}" in files}
    state: dict[str, torch.Tensor] = {}
    for path in sorted({files[name] for name in names}):
        with _opened(path) as stream:
            for name, own in names.items():
                if files[name] == path:
                    state[own] = stream.get_tensor(name)
    load_complete(module, state, directory)


def load_complete(module: nn.Module, state: Mapping[str, torch.Tensor], source: Path) -> None:
    """Load *state* into *module*; every tensor must be there, in its shape.

    Raises:
        UserError: names what is missing or does not fit.
    """
    own = module.state_dict()
    # Counters of batch normalisation are no weights; old checkpoints lack them.
    missing = [n for n in own if n not in state and not n.endswith("num_batches_tracked")]
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UserError(f"{source}: lacks {len(missing)} tensors: {listed}")
    for name, tensor in state.items():
        if name in own and own[name].shape != tensor.shape:
            raise UserError(
                f"{source}: {name} has the shape {tuple(tensor.shape)}, "
                f"expected {tuple(own[name].shape)}"
            )
    check_finite_tensors(state.items(), source)
    module.load_state_dict({name: state[name] for name in own if name in state}, strict=False)


def _files_by_name(directory: Path) -> dict[str, Path]:
    """Name of each tensor of a checkpoint -> the file that holds it."""
    index = directory / INDEX
    if index.is_file():
        found = read_json(index)
        weight_map = found.get("weight_map") if isinstance(found, dict) else None
        if not isinstance(weight_map, dict):
            raise UserError(f"{index}: expected a weight_map, from tensors to files")
        files = {}
        for name, file in weight_map.items():
            if not isinstance(file, str) or Path(file).name != file or "\0" in file:
                raise UserError(f"{index}: expected the name of a file beside it, found {file!r}")
            files[name] = directory / file
        return files
    path = directory / WEIGHTS
    if not path.is_file():
        refuse_pickled(directory)
        raise UserError(f"{directory}: has no weights ({WEIGHTS})")
    with _opened(path) as stream:
        return dict.fromkeys(stream.keys(), path)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import safe_open

    if not path.is_file():
        raise UserError(f"{path}: no such file; the index of the checkpoint names it")
    with reading(path, "a whole safetensors file"), safe_open(path, framework="pt") as stream:
        yield stream

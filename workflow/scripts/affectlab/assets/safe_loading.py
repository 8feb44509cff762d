"""The one place where a checkpoint directory is given to transformers or PEFT."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectlab.errors import UserError

MOST_LAYERS = 10_000
"""Layers of a network that is built from its settings; the deepest published ones have hundreds."""

_LAYERS = re.compile(r"(^|_)(layers|depths?|blocks|stages)$|^n_layer$")

ADAPTER_KIND = "LORA"
"""The only type of adapter that this package stores and reads."""


def from_directory(kind: Any, directory: Path | str, **options: Any) -> Any:
    """Call ``kind.from_pretrained`` on a local directory; nothing is downloaded.

    A checkpoint can name Python files of its own (``auto_map``). They are never run: without
    ``trust_remote_code=False``, transformers asks about them on standard input, from where a
    command may be reading its texts.

    Args:
        kind: a class of transformers, such as `AutoModel`.
        directory: the checkpoint.
        options: further arguments.

    Raises:
        UserError: the checkpoint cannot be loaded without code of its own, or has more than
            `MOST_LAYERS` layers.
        Exception: whatever transformers raises for a directory that it cannot load.
    """
    from transformers.utils import logging

    check_layers(_stored_settings(Path(directory)), directory)
    # Its warnings are about other uses of a checkpoint than ours; what fails is raised.
    logging.set_verbosity_error()
    try:
        return kind.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, **options
        )
    except ValueError as error:
        raise _own_code(error, directory) or error from error


def from_config(kind: Any, settings: Mapping[str, Any], source: Path | str) -> Any:
    """Build an untrained network from a stored configuration; see `from_directory`.

    Args:
        kind: an Auto class of transformers.
        settings: with ``model_type``.
        source: where they come from, for the error message.

    Raises:
        UserError: the network needs code of its own, or has more than `MOST_LAYERS` layers.
        Exception: whatever transformers raises for settings that it cannot use.
    """
    from transformers import AutoConfig

    check_layers(settings, source)
    try:
        return kind.from_config(AutoConfig.for_model(**settings), trust_remote_code=False)
    except ValueError as error:
        raise _own_code(error, source) or error from error


def check_adapter(directory: Path) -> None:
    """See that an adapter is of the one type that is read here.

    Other types of PEFT read further files, tokenizers and models that their settings name.

    Raises:
        ValueError: it is of another type, or its settings are not JSON.
        OSError: it has no settings.
    """
    path = directory / "adapter_config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply") from error
    found = settings.get("peft_type") if isinstance(settings, dict) else None
    if found != ADAPTER_KIND:
        raise ValueError(f"{path.name}: expected peft_type {ADAPTER_KIND!r}, found {found!r}")


def _stored_settings(directory: Path) -> Any:
    """The settings of a checkpoint; None if there are none that can be read."""
    try:
        return json.loads((directory / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        # transformers says what is wrong with them.
        return None


def check_layers(settings: Any, source: Path | str) -> None:
    """Refuse settings whose layers alone would fill the memory, weights or none."""
    if not isinstance(settings, Mapping):
        return
    for key, value in settings.items():
        check_layers(value, source)
        counts = value if isinstance(value, list) else [value]
        most = max((count for count in counts if isinstance(count, int)), default=0)
        if _LAYERS.search(str(key)) and most > MOST_LAYERS:
            raise UserError(f"{source}: {key}: {most} layers; at most {MOST_LAYERS} are read")


def _own_code(error: ValueError, directory: Path | str) -> UserError | None:
    """A clear message if *error* is the refusal to run a checkpoint's own code."""
    if "trust_remote_code" not in str(error):
        return None
    return UserError(
        f"{directory}: this model needs Python code from its own folder (auto_map), which is never "
        "run; expected a model of a type that transformers knows"
    )

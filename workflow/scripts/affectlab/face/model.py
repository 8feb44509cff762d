"""Networks of the face experiment: a compact one of our own, or a backbone of `transformers`.

All of them answer with one row of numbers per image: logits of the seven classes, then valence,
arousal and the two raw proxies (`REGRESSED`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from affectlab.assets.checkpoints import refuse_pickled
from affectlab.assets.safe_loading import check_layers, from_config, from_directory
from affectlab.errors import DataError, UserError, first_line
from affectlab.face.faces import CLASSES, SIDE
from affectlab.files.integrity import check_directory, checked
from affectlab.files.io import read_json, sealed_path, write_json
from affectlab.models.devices import autocast
from affectlab.models.finite import check_finite_tensors

REGRESSED = ("valence", "arousal", "iq_proxy", "eq_proxy")
LIMITS = (1.0, 1.0, 2.0, 2.0)
"""The regressed values lie between minus and plus these."""

OUTPUTS = len(CLASSES) + len(REGRESSED)
HEAD_NAMES = ("head",)
CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"

# Mean and deviation of grey levels (0..1): of our own network's input, and of ImageNet's in grey.
PREPROCESSOR_NAME = "preprocessor_config.json"
UNSCALED = (0.0, 1.0)
COMPACT_SCALE = (0.5, 0.25)

TEST_TIMES = ("none", "flip", "ten_crop")
"""What of an image a network may be shown, see `views`."""

LARGEST_SIDE = 4096
"""Side to which a backbone may enlarge its images, in pixels."""

CROP_SHARE = 11 / 12
"""Side of a test crop, as a share of the image's: 44 of 48."""

Module = TypeVar("Module", bound=nn.Module)

Network = Callable[[torch.Tensor], torch.Tensor]
"""From grey levels of 0..1, ``[B, 1, H, W]``, to logits and regressed values, ``[B, 11]``."""


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (He et al. 2016), halving the size if *stride* is 2.

    A shortcut that changes size averages before its 1 x 1 convolution, so that it uses every
    pixel (He et al. 2019, ResNet-D).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``[B, inputs, H, W]`` to ``[B, outputs, H / stride, W / stride]``."""
        y = functional.relu(self.first_norm(self.first(x)), inplace=True)
        y = self.second_norm(self.second(y))
        return functional.relu(y + self.shortcut(x), inplace=True)


class CompactBody(nn.Module):
    """A short residual network for 48 x 48 grey images.

    The first convolution halves the size at once: dense products on few, wide maps keep a CPU
    busy, where many thin layers would wait for memory.
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 5, stride=2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        blocks: list[nn.Module] = []
        inputs = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for place in range(depth):
                stride = 2 if stage > 0 and place == 0 else 1
                blocks.append(ResidualBlock(inputs, width, stride))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.features = inputs

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``[B, 1, H, W]`` to features ``[B, features]``."""
        x = functional.relu(self.stem_norm(self.stem(images)), inplace=True)
        return self.blocks(x).mean(dim=(2, 3))


class BackboneBody(nn.Module):
    """An image network of `transformers` (ResNet, ViT) on grey images, resized and tripled."""

    def __init__(self, backbone: nn.Module, image_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.image_size = image_size
        config: Any = backbone.config
        self.features = config.hidden_sizes[-1] if hasattr(config, "hidden_sizes") else 0
        self.features = self.features or config.hidden_size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``[B, 1, H, W]`` to features ``[B, features]``."""
        size = (self.image_size, self.image_size)
        if images.shape[2:] != size:
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        hidden = self.backbone(images.expand(-1, 3, -1, -1)).last_hidden_state
        # Maps of a convolutional network, or the class token of a ViT.
        return hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden[:, 0]


class FaceNetwork(nn.Module):
    """A body, dropout, and one linear layer for all heads.

    Args:
        body: maps images to features.
        scale: mean and deviation of the grey levels, of 0..1.
        dropout: share of the features dropped in training.
    """

    def __init__(
        self, body: CompactBody | BackboneBody, scale: tuple[float, float], dropout: float
    ) -> None:
        super().__init__()
        self.body = body
        self.scale = scale
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(body.features, OUTPUTS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map grey levels of 0..1, ``[B, 1, H, W]``, to float32 ``[B, 11]``."""
        mean, deviation = self.scale
        standard = ((images - mean) / deviation).to(self.head.weight.dtype)
        return self.head(self.dropout(self.body(standard))).float()


def build_network(run: Mapping[str, Any], base_model: Path | None) -> FaceNetwork:
    """A network to train, in float32.

    Args:
        run: the run's block: ``method`` (``compact`` or ``backbone``), ``network``.
        base_model: checkpoint directory of the pretrained backbone; None for ``compact``.

    Raises:
        DataError: the checkpoint is no image network, lacks weights, or is for images of another
            size.
    """
    settings = run["network"]
    if run["method"] == "compact":
        return _compact(settings)
    assert base_model is not None
    side = settings["image_size"]
    try:
        network = _with_backbone(_load_backbone(base_model), settings, UNSCALED).eval()
        with torch.inference_mode():
            network(torch.zeros(1, 1, side, side))
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        problem = f"reads no images of {side} x {side} pixels: {first_line(error)}"
        raise DataError(base_model, None, problem) from error
    network.scale = backbone_scale(base_model)
    return network.train()


def _compact(settings: Mapping[str, Any]) -> FaceNetwork:
    body = CompactBody(settings["widths"], settings["depths"])
    network = FaceNetwork(body, COMPACT_SCALE, settings["dropout"])
    # Neighbouring channels side by side: what the convolutions of oneDNN and cuDNN want.
    return network.to(memory_format=torch.channels_last)


def _with_backbone(
    backbone: nn.Module, settings: Mapping[str, Any], scale: Sequence[float]
) -> FaceNetwork:
    body = BackboneBody(backbone, settings["image_size"])
    mean, deviation = scale
    return FaceNetwork(body, (mean, deviation), settings["dropout"])


def backbone_scale(directory: Path) -> tuple[float, float]:
    """Mean and deviation of the grey levels that a backbone was pretrained with, of 0..1.

    The means over the channels of what its `PREPROCESSOR_NAME` says.

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


def save_network(network: FaceNetwork, run: Mapping[str, Any], directory: Path) -> None:
    """Write weights and configuration; `load_network` reads them.

    Args:
        network: in float32.
        run: the run's block: ``method``, ``network`` and ``test_time``.
        directory: made or replaced.
    """
    from safetensors.torch import save_file

    config: dict[str, Any] = {
        "method": run["method"],
        "network": dict(run["network"]),
        "test_time": run["test_time"],
        "classes": list(CLASSES),
        "regressed": list(REGRESSED),
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
        if config["method"] == "compact":
            check_layers(config["network"], directory)
            network = _of_stored_size(lambda: _compact(config["network"]), directory)
        else:
            backbone = _of_stored_size(
                lambda: _backbone_of(config["backbone"], directory), directory
            )
            network = _with_backbone(backbone, config["network"], config["scale"])
            if config["network"]["image_size"] not in range(1, LARGEST_SIDE + 1):
                raise ValueError(f"image_size: expected at most {LARGEST_SIDE}")
        weights = load_file(directory / WEIGHTS_NAME)
        network.load_state_dict(weights)
        check_finite_tensors(weights.items(), directory / WEIGHTS_NAME)
        network.eval()
        with torch.inference_mode():
            if not network(torch.zeros(1, 1, SIDE, SIDE)).isfinite().all():
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
        DataError: there is none, or it is of other classes, heads or views.
    """
    if not directory.is_dir():
        raise DataError(directory, None, "no such model directory")
    config = read_json(directory / CONFIG_NAME)
    known = {"classes": list(CLASSES), "regressed": list(REGRESSED)}
    if (
        not isinstance(config, dict)
        or {key: config.get(key) for key in known} != known
        or config.get("test_time") not in TEST_TIMES
    ):
        problem = (
            f"not a model of the face experiment: {CONFIG_NAME} has not its classes, heads or views"
        )
        raise DataError(directory, None, problem)
    return config


def _backbone_of(config: Mapping[str, Any], directory: Path) -> nn.Module:
    from transformers import AutoModel

    backbone: nn.Module = from_config(AutoModel, config, directory)
    return backbone


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
        images: ``[B, 1, H, W]``.
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
    """uint8 ``[B, H, W]`` to grey levels of 0..1, float32 ``[B, 1, H, W]``, on *device*."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device)[:, None].float() / 255


def predict_images(
    network: Network,
    images: np.ndarray,
    *,
    test_time: str,
    batch_size: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> tuple[np.ndarray, np.ndarray]:
    """Run a network (in eval mode if it is PyTorch's) on uint8 images ``[N, H, W]``.

    Args:
        network: the network, on *device*.
        images: the images.
        test_time: see `views`.
        batch_size: images per pass.
        device: where it computes.
        dtype: of its matrix products.

    Returns:
        Class probabilities, float64 ``[N, 7]``, and the regressed values within `LIMITS`, float64
        ``[N, 4]``; each the mean over the views.

    Raises:
        ValueError: *batch_size* is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    probabilities = np.empty((len(images), len(CLASSES)))
    regressed = np.empty((len(images), len(REGRESSED)))
    for start in range(0, len(images), batch_size):
        shown = views(as_batch(images[start : start + batch_size], device), test_time)
        with torch.inference_mode(), autocast(dtype, device):
            answers = torch.stack([network(view).float() for view in shown])
        logits, values = answers.split([len(CLASSES), len(REGRESSED)], dim=2)
        end = start + shown[0].shape[0]
        probabilities[start:end] = logits.softmax(dim=2).mean(dim=0).cpu().numpy()
        regressed[start:end] = values.mean(dim=0).cpu().numpy()
    # In float32 a row sums to 1 only roughly.
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities, np.clip(regressed, -np.array(LIMITS), LIMITS)

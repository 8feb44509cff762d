"""Networks of the face experiment: a body, and one linear layer for all outputs.

The body is a compact one of our own, or a backbone of `transformers`. A network returns one row of
numbers per image: logits of the classes, then the regressed values; see `interface.Interface`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from affectlab.face.interface import Interface

HEAD_NAMES = ("head",)
"""The parts of a network that are new; the training has a learning rate for them."""


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
    """A short residual network for small images, such as 48 x 48 pixels.

    The first convolution halves the size at once: dense products on few, wide maps keep a CPU
    busy, where many thin layers would wait for memory.
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int], channels: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, widths[0], 5, stride=2, padding=2, bias=False)
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
        """Map images ``[B, channels, H, W]`` to features ``[B, features]``."""
        x = functional.relu(self.stem_norm(self.stem(images)), inplace=True)
        return self.blocks(x).mean(dim=(2, 3))


class BackboneBody(nn.Module):
    """An image network of `transformers` (ResNet, ViT) on resized images; grey ones are tripled."""

    def __init__(self, backbone: nn.Module, image_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.image_size = image_size
        config: Any = backbone.config
        self.features = config.hidden_sizes[-1] if hasattr(config, "hidden_sizes") else 0
        self.features = self.features or config.hidden_size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``[B, 1, H, W]`` or ``[B, 3, H, W]`` to features ``[B, features]``."""
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
        scale: mean and deviation of the levels of a pixel, of 0..1.
        dropout: share of the features dropped in training.
        interface: what it takes and gives.
    """

    def __init__(
        self,
        body: CompactBody | BackboneBody,
        scale: tuple[float, float],
        dropout: float,
        interface: Interface,
    ) -> None:
        super().__init__()
        self.body = body
        self.scale = scale
        self.interface = interface
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(body.features, sum(interface.sizes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map levels of 0..1, ``[B, channels, H, W]``, to float32 ``[B, outputs]``."""
        mean, deviation = self.scale
        standard = ((images - mean) / deviation).to(self.head.weight.dtype)
        return self.head(self.dropout(self.body(standard))).float()

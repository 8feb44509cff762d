"""Random changes of training images, a whole batch at once, on the CPU.

All draw from PyTorch's global generator, whose state a checkpoint holds, so that an interrupted
run goes on with the numbers that an undisturbed one would have drawn.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from affectlab.face.settings import Augmentation


def augment(images: torch.Tensor, settings: Augmentation) -> torch.Tensor:
    """Shift, turn, scale, mirror, relight and partly erase images.

    Args:
        images: grey levels of 0..1, ``[B, 1, H, W]``.
        settings: reaches and chances of the changes.

    Returns:
        A new tensor of the same shape.
    """
    moved = _move(images, settings)
    moved = _relight(moved, settings.light)
    return _erase(moved, settings.erasing)


def mix(
    images: torch.Tensor, targets: torch.Tensor, settings: Augmentation
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend each image and its targets with those of another one, for the whole batch or not.

    With chance ``mixup`` as a weighted sum (Zhang et al. 2018), with chance ``cutmix`` by pasting
    a rectangle (Yun et al. 2019); the weight is drawn from Beta(``alpha``, ``alpha``).

    Args:
        images: ``[B, 1, H, W]``.
        targets: ``[B, T]``; NaN marks an unknown target, and stays.
        settings: chances and weights of the blends.
    """
    chance = torch.rand(()).item()
    if chance >= settings.mixup + settings.cutmix:
        return images, targets
    weight = torch.distributions.Beta(settings.alpha, settings.alpha).sample().item()
    order = torch.randperm(len(images))
    if chance < settings.mixup:
        images = torch.lerp(images[order], images, weight)
    else:
        images, weight = _paste(images, order, weight)
    return images, weight * targets + (1 - weight) * targets[order]


def _uniform(count: int, reach: float) -> torch.Tensor:
    return (torch.rand(count) * 2 - 1) * reach


def _move(images: torch.Tensor, settings: Augmentation) -> torch.Tensor:
    count = len(images)
    angle = torch.deg2rad(_uniform(count, settings.rotation))
    size = torch.exp(_uniform(count, settings.scale))
    mirror = torch.where(torch.rand(count) < settings.flip, -1.0, 1.0)
    # Where each pixel of the result is taken from, in units of half the side.
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = size * angle.cos() * mirror
    theta[:, 0, 1] = -size * angle.sin()
    theta[:, 1, 0] = size * angle.sin() * mirror
    theta[:, 1, 1] = size * angle.cos()
    theta[:, :, 2] = _uniform(2 * count, 2 * settings.shift).reshape(count, 2)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _relight(images: torch.Tensor, reach: float) -> torch.Tensor:
    count = len(images)
    contrast = torch.exp(_uniform(count, reach)).view(-1, 1, 1, 1)
    brightness = _uniform(count, reach / 2).view(-1, 1, 1, 1)
    centre = images.mean(dim=(2, 3), keepdim=True)
    return ((images - centre) * contrast + centre + brightness).clamp_(0, 1)


def _erase(images: torch.Tensor, chance: float) -> torch.Tensor:
    """Cover a random rectangle with a random grey (Zhong et al. 2020)."""
    count, _, height, width = images.shape
    covered = torch.rand(count, 1, 1, 1) < chance
    grey = torch.rand(count, 1, 1, 1)
    share = 0.02 + 0.23 * torch.rand(count)
    form = torch.exp(_uniform(count, 1.0))
    inside = _rectangles(share, form, height, width)
    return torch.where(covered & inside, grey, images)


def _paste(images: torch.Tensor, order: torch.Tensor, weight: float) -> tuple[torch.Tensor, float]:
    """Paste the same rectangle of each other image; the weight is what remains of the first."""
    _, _, height, width = images.shape
    inside = _rectangles(torch.tensor([1 - weight]), torch.ones(1), height, width)
    return torch.where(inside, images[order], images), 1 - inside.float().mean().item()


def _rectangles(share: torch.Tensor, form: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Masks ``[B, 1, H, W]`` of rectangles with a share of the area and a ratio of the sides.

    Centres lie anywhere, so a rectangle may be cut off at the border.
    """
    count = len(share)
    rows = torch.arange(height).view(1, 1, height, 1)
    columns = torch.arange(width).view(1, 1, 1, width)
    tall = (share * form).sqrt().view(-1, 1, 1, 1) * height / 2
    wide = (share / form).sqrt().view(-1, 1, 1, 1) * width / 2
    y = torch.rand(count, 1, 1, 1) * height
    x = torch.rand(count, 1, 1, 1) * width
    return ((rows + 0.5 - y).abs() <= tall) & ((columns + 0.5 - x).abs() <= wide)

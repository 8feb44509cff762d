"""Training of the compact face network: `training.loop.fit` against a plain PyTorch loop.

    python benchmarks/face_throughput.py [--images 2560] [--threads 2]

Both train the same network on the same generated faces with the same augmentation and optimizer,
in the number format that the processor multiplies in hardware: bfloat16, or else float32.
The peer is what a tutorial would write: a Dataset of single images, a DataLoader, float32 weights
(under autocast where the format is bfloat16). The share of the peak is that of products of 2048 x
2048 matrices in the same format, measured in between.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from affectlab.config.models import typed
from affectlab.experiments import read_config
from affectlab.face.augment import augment, mix
from affectlab.face.interface import Interface
from affectlab.face.model import build_network
from affectlab.face.settings import FaceRun
from affectlab.face.train import collator, loss_function
from affectlab.models import devices
from affectlab.samples.face import draw_faces
from affectlab.training import loop

PROJECT = Path(__file__).parents[1]
CPU = torch.device("cpu")
INTERFACE = Interface()
MATRIX = 2048
ROUNDS = 3


class Images(Dataset):
    """Single images and their targets."""

    def __init__(self, images: np.ndarray, targets: np.ndarray) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = torch.from_numpy(self.images[row])[None].float() / 255
        return image, torch.from_numpy(self.targets[row])


def peak(dtype: torch.dtype) -> float:
    """Operations a second of matrix products in *dtype*."""
    matrix = torch.randn(MATRIX, MATRIX, dtype=dtype)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        best = max(best, 2 * MATRIX**3 / (time.perf_counter() - started))
    return best


def multiplications(network: nn.Module) -> int:
    """Multiply-accumulates of one image's forward pass."""
    total = 0

    def count(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 1, 48, 48))
    for hook in hooks:
        hook.remove()
    network.train()
    return total


def ours(run: FaceRun, images: np.ndarray, targets: np.ndarray) -> float:
    """Images a second of one epoch, everything but the evaluation included."""
    network = build_network(run, None, INTERFACE)
    recipe = run.training.model_copy(update={"epochs": 1})
    with tempfile.TemporaryDirectory() as folder:
        result = loop.fit(
            network,
            loop.Task(
                lengths=[1] * len(images),
                collate=collator(
                    images,
                    targets,
                    run.augmentation,
                    recipe.label_smoothing,
                    len(INTERFACE.classes),
                ),
                loss_sum=loss_function(run.loss, INTERFACE),
                evaluate=lambda _: {"loss": 0.0},
                select_by=None,
            ),
            recipe,
            seed=0,
            device=CPU,
            checkpoint_directory=Path(folder),
            checkpoint_fingerprint="benchmark",
        )
    return result.summary["samples_per_second"]


def plain(run: FaceRun, images: np.ndarray, targets: np.ndarray, dtype: torch.dtype) -> float:
    """Images a second of the plain loop."""
    network = build_network(run, None, INTERFACE).train()
    recipe = run.training
    loader = DataLoader(Images(images, targets), batch_size=recipe.batch_size, shuffle=True)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    loss_sum = loss_function(run.loss, INTERFACE)
    started = time.perf_counter()
    for batch, wanted in loader:
        mixed = mix(augment(batch, run.augmentation), wanted, run.augmentation)
        with devices.autocast(dtype, CPU):
            loss = loss_sum(network, {"images": mixed[0], "targets": mixed[1]}) / len(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), recipe.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return len(images) / (time.perf_counter() - started)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=2560)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    devices.set_threads(options.threads)
    devices.seed_everything(0)
    run = typed(FaceRun, read_config(PROJECT)["face"]["runs"]["compact"])
    dtype = devices.compute_dtype(run.training.precision, CPU)
    generator = np.random.default_rng(0)
    labels = generator.integers(7, size=options.images)
    images = draw_faces(labels, generator)
    targets = np.zeros((options.images, sum(INTERFACE.sizes)), np.float32)
    targets[np.arange(options.images), labels] = 1
    speeds: dict[str, list[float]] = {"ours": [], "plain": [], "peak": []}
    for _ in range(ROUNDS):
        speeds["peak"].append(peak(dtype))
        speeds["ours"].append(ours(run, images, targets))
        speeds["plain"].append(plain(run, images, targets, dtype))
    best = {name: max(values) for name, values in speeds.items()}
    operations = 6 * multiplications(build_network(run, None, INTERFACE))
    print(
        json.dumps(
            {
                "images": options.images,
                "format": str(dtype).removeprefix("torch."),
                "threads": options.threads,
                "ours_images_per_second": round(best["ours"], 1),
                "plain_images_per_second": round(best["plain"], 1),
                "ratio": round(best["ours"] / best["plain"], 3),
                "peak_tflops": round(best["peak"] / 1e12, 3),
                "ours_share_of_peak": round(operations * best["ours"] / best["peak"], 3),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()

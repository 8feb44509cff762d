"""The frame of a training, the same in all experiments.

It sets threads, seed and device, runs the loop with checkpoints in a folder of its own, and writes
the results in the main process alone. Data, network, loss and evaluation are the experiment's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import nn

from affectlab.config.models import Training
from affectlab.models import devices
from affectlab.training import loop
from affectlab.training.checkpoints import fingerprint, remove_checkpoints
from affectlab.training.outputs import Outputs


class Job:
    """One training in this process, which may be one of several (`training.launch`).

    Attributes:
        work: folder of the run for what goes when the results are stored.
        seed: of initialisation, dropout and data order.
        device: where networks are trained.
    """

    def __init__(
        self, work: Path, *, seed: int, threads: int, device: torch.device | None = None
    ) -> None:
        """Set threads and seed of this process.

        Args:
            work: folder for checkpoints and TensorBoard events, private to the run.
            seed: of initialisation, dropout and data order.
            threads: CPU threads.
            device: where to train; None takes a GPU if there is one.
        """
        devices.set_threads(threads)
        self.work = work
        self.seed = seed
        self.device = devices.choose_device() if device is None else device
        devices.seed_everything(seed)

    @property
    def is_main(self) -> bool:
        """Whether this process writes the results."""
        return bool(PartialState().is_main_process)

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.work / "checkpoints"

    def dtype(self, recipe: Training) -> torch.dtype:
        """Number format of matrix products by *recipe* on the device."""
        return devices.compute_dtype(recipe.precision, self.device)

    def owner(self, identity: Sequence[Any]) -> str:
        """Fingerprint of what a checkpoint belongs to: *identity*, JSON-able, and the seed."""
        return fingerprint(*identity, self.seed)

    def fit(
        self,
        network: nn.Module,
        task: loop.Task,
        recipe: Training,
        *,
        identity: Sequence[Any],
        stage: str = "",
    ) -> loop.Fitted:
        """Fit *network*; see `loop.fit`.

        Args:
            network: on the device.
            task: items, loss and evaluation.
            recipe: optimiser, schedule and batching.
            identity: what decides the result besides the seed, such as digests of the inputs. A
                checkpoint of anything else is not used.
            stage: name of the stage, of a run that has several.
        """
        return loop.fit(
            network,
            task,
            recipe,
            seed=self.seed,
            device=self.device,
            checkpoint_directory=self.checkpoints / stage,
            checkpoint_fingerprint=self.owner(identity),
            tensorboard_directory=self.work / "tensorboard" / stage,
        )

    def finish(
        self, outputs: Outputs, save: Callable[[Path], None], fitted: loop.Fitted, **metadata: Any
    ) -> None:
        """Store the results in the main process, then remove the checkpoints.

        Args:
            outputs: where they go.
            save: writes the model to a folder.
            fitted: history and training summary.
            metadata: further entries of the training summary.
        """
        if self.is_main:
            save(outputs.model)
            outputs.write(fitted.history, {**fitted.summary, **metadata})
            self.remove_checkpoints()

    def remove_checkpoints(self) -> None:
        """Delete the checkpoints, and the folder of the run if nothing else is in it."""
        remove_checkpoints(self.checkpoints)
        with suppress(OSError):
            self.work.rmdir()

"""What a training leaves on the disk to go on from: its checkpoint, and its best weights so far."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from affectlab.errors import DataError, UserError, reading
from affectlab.files.integrity import check_file, forget_digest
from affectlab.files.io import sealed_path
from affectlab.training.weights import MasterWeights, WeightAverage

logger = logging.getLogger(__name__)

CHECKPOINT_NAME = "checkpoint.pt"
BEST_NAME = "best-{step}.safetensors"


@dataclass(slots=True)
class Progress:
    """Where a training stands; everything but the tensors that a checkpoint holds."""

    epoch: int = 0
    group: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_weight: float = 0.0
    best_score: float = -math.inf
    best_loss: float = math.inf
    best_epoch: float = 0.0
    best_step: int = 0
    evaluations_without_gain: int = 0
    seconds: float = 0.0
    items: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class TrainingState:
    """All that an update or an evaluation changes; random states are the process's own."""

    weights: MasterWeights
    average: WeightAverage
    optimizers: Sequence[torch.optim.Optimizer]
    device: torch.device
    progress: Progress = field(default_factory=Progress)


def fingerprint(*parts: Any) -> str:
    """Hash of what a checkpoint belongs to (recipe, data, model, seed): JSON-able values.

    How often checkpoints are written is not part of it, wherever it stands in a recipe.
    """

    def decisive(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {k: decisive(v) for k, v in part.items() if k != "checkpoint_minutes"}
        return [decisive(v) for v in part] if isinstance(part, list | tuple) else part

    parts = tuple(map(decisive, parts))
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def remove_checkpoints(directory: Path) -> None:
    """Delete a run's checkpoints once its results are stored.

    A process that is killed on the way leaves all of them or none that would be used.
    """
    doomed = directory.with_name(f".{directory.name}.removed")
    shutil.rmtree(doomed, ignore_errors=True)
    with suppress(FileNotFoundError):
        directory.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


class CheckpointFolder:
    """A folder private to one run, with its checkpoint and the weights of its best evaluation.

    Args:
        directory: empty, or as an earlier process of the run left it.
        owner: `fingerprint` of the run; the checkpoint of another one is not used.
    """

    def __init__(self, directory: Path, owner: str) -> None:
        self.checkpoint = directory / CHECKPOINT_NAME
        self.directory = directory
        self.owner = owner
        # The best weights that the checkpoint on the disk names.
        self.resumable_best = self._best(0)

    def clear_leftovers(self) -> None:
        """Remove what a process that was killed as it wrote left; each is as large as a file."""
        patterns = (f".{CHECKPOINT_NAME}.*", "." + BEST_NAME.format(step="*") + ".*")
        for leftover in chain.from_iterable(map(self.directory.glob, patterns)):
            if leftover.is_dir():
                shutil.rmtree(leftover)

    def save(self, state: TrainingState) -> None:
        """Write the checkpoint.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        device = state.device
        stored = {
            "fingerprint": self.owner,
            "threads": torch.get_num_threads(),
            "progress": asdict(state.progress),
            "parameters": state.weights.state(),
            "average": state.average.values,
            "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
            "random_state": torch.get_rng_state(),
            # Of this process's GPU alone: the next one may see fewer.
            "gpu_random_state": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        }
        with sealed_path(self.checkpoint) as temporary:
            torch.save(stored, temporary)
        self.resumable_best = self._best(state.progress.best_step)

    def restore(self, state: TrainingState) -> bool:
        """Set *state* and the random states to the checkpoint's.

        Returns:
            Whether there is one, and of this run.

        Raises:
            UserError: it is corrupt.
        """
        if not self.checkpoint.exists():
            return False
        try:
            check_file(self.checkpoint)
            stored = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:
            # torch.load raises half a dozen unrelated types for a corrupt file.
            raise UserError(
                f"{self.checkpoint}: corrupt checkpoint ({type(error).__name__}): delete its "
                "folder to start this run again from the beginning"
            ) from error
        if not isinstance(stored, dict) or stored.get("fingerprint") != self.owner:
            logger.warning(
                "%s belongs to another recipe, data or model: starting anew", self.checkpoint
            )
            return False
        if state.device.type == "cpu":
            _warn_of_other_threads(stored.get("threads"))
        with reading(self.checkpoint, "a whole checkpoint (delete its folder to start again)"):
            state.weights.load(stored["parameters"])
            for name, value in state.average.values.items():
                value.copy_(stored["average"][name])
            for optimizer, of_optimizer in zip(state.optimizers, stored["optimizers"], strict=True):
                optimizer.load_state_dict(of_optimizer)
            torch.set_rng_state(stored["random_state"])
            if state.device.type == "cuda" and stored["gpu_random_state"] is not None:
                torch.cuda.set_rng_state(stored["gpu_random_state"], state.device)
            state.progress = Progress(**stored["progress"])
        self.resumable_best = self._best(state.progress.best_step)
        return True

    def save_best(self, state: TrainingState) -> None:
        """Write the present weights as the best; remove those that nothing will read again.

        A run that is killed now goes on from its checkpoint, and with the best weights that names.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        from safetensors.torch import save_file

        best = self._best(state.progress.best_step)
        with sealed_path(best) as temporary:
            save_file({n: p.contiguous() for n, p in state.weights.state().items()}, temporary)
        for path in list(self.directory.glob(BEST_NAME.format(step="*"))):
            if path not in (best, self.resumable_best):
                path.unlink()
                forget_digest(path)

    def load_best(self, state: TrainingState) -> None:
        """Set the weights to those of the best evaluation.

        Raises:
            UserError: they are missing or corrupt.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        best = self._best(state.progress.best_step)
        try:
            check_file(best)
            stored = load_file(best)
        except (OSError, ValueError, SafetensorError, DataError) as error:
            raise UserError(
                f"{best}: missing or corrupt weights of the best evaluation: delete its folder to "
                "start this run again from the beginning"
            ) from error
        with reading(best, "the weights of this run (delete its folder to start again)"):
            state.weights.load(stored)

    def _best(self, step: int) -> Path:
        """Where the weights after *step* updates lie, if they are or were the best."""
        return self.directory / BEST_NAME.format(step=step)


def _warn_of_other_threads(began_with: int | None) -> None:
    threads = torch.get_num_threads()
    if began_with not in (None, threads):
        logger.warning(
            "going on with %d threads where %d began: sums are rounded in another order, so the "
            "result will not be, to the byte, that of a run never disturbed",
            threads,
            began_with,
        )

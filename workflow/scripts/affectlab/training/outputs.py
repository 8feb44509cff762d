"""The files that a training leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectlab.evaluation.records import origin_record
from affectlab.files.io import write_json
from affectlab.training.history import write_history


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a training writes.

    Attributes:
        model: folder of the model.
        history: CSV with losses and validation scores over the run.
        training: training.json, the training summary: durations, memory, device, host, packages.
            It may differ between equal runs.
    """

    model: Path
    history: Path
    training: Path

    @property
    def work(self) -> Path:
        """Folder next to the model, for checkpoints and TensorBoard events."""
        return self.model.parent / "work"

    def write(self, history: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
        """Write history and training summary; time, host and packages are added to this one."""
        write_history(self.history, history)
        write_json(self.training, {**summary, **origin_record()}, sealed=True)

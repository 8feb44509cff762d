"""The history of a training run as a table: written by every trainer, read by the plots."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affectlab.core.io import atomic_writer


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write history rows as CSV: step, epoch, split, loss, then every other column by name."""
    first = ["step", "epoch", "split", "loss"]
    columns = first + sorted({name for row in history for name in row} - set(first))
    with atomic_writer(path) as stream:
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)

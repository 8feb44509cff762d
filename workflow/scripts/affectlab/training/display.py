"""What a training shows while it runs: scalars for TensorBoard, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from affectlab.files.io import writing_to
from affectlab.files.progress import progress

Board = Callable[[str, float, int], None]


def scalar_writer(directory: Path | None, first_step: int) -> Board:
    """A function that writes one scalar to TensorBoard, or does nothing without *directory*."""
    if directory is None:
        return lambda name, value, step: None
    from torch.utils.tensorboard import SummaryWriter

    with writing_to(directory):
        writer = SummaryWriter(str(directory), purge_step=first_step)

    def add(name: str, value: float, step: int) -> None:
        with writing_to(directory):
            writer.add_scalar(name, value, step)
            writer.flush()

    return add


@contextmanager
def progress_bar(total: int, done: int, *, shown: bool) -> Iterator[Callable[[float], None]]:
    """Log how far the training is; call it once per update, with the loss."""
    with progress("training", "update", total, done, shown=shown) as bar:

        def advance(loss: float) -> None:
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()

        yield advance

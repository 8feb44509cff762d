"""How far a long step is, as lines in its log."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from tqdm import tqdm

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0

LINE = "{desc}: {n_fmt} of {total_fmt}, {rate_fmt}, {remaining} to go{postfix}"


class _Lines(io.TextIOBase):
    """Takes what would redraw a bar, and logs it as a line."""

    def write(self, text: str) -> int:
        if line := text.strip():
            logger.info("%s", line)
        return len(text)


def progress(what: str, unit: str, total: int, done: int = 0, *, shown: bool = True) -> tqdm[Any]:
    """Count steps; every half minute, and at the end, their number goes to the log.

    Args:
        what: is done, such as ``training``.
        unit: of a step, such as ``update``.
        total: steps.
        done: steps that were done before.
        shown: whether anything is logged.
    """
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=done,
        desc=what,
        unit=unit,
        mininterval=SECONDS_BETWEEN_LINES,
        bar_format=LINE,
        file=cast("TextIO", _Lines()),
        disable=not shown,
    )

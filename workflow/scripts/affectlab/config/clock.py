"""Files that are dated in the future, which Snakemake takes for newer than all that is made."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from affectlab.errors import UserError

TOLERANCE_SECONDS = 60.0
"""Clocks of a network's computers differ by less."""

STAMP = ".snakemake_timestamp"
"""In a folder, the file whose date Snakemake takes for that of the folder."""

SHOWN = 5


def check_dates(paths: Iterable[Path | str], now: float | None = None) -> None:
    """Refuse input files of jobs that are dated in the future.

    Each output of such a job would be older than its input. Snakemake then fails the job after it
    has run, whatever time that took.

    Args:
        paths: of the inputs; those that are not there yet are passed over.
        now: seconds since 1970; None for the clock.

    Raises:
        UserError: lists the files with their dates.
    """
    latest = (time.time() if now is None else now) + TOLERANCE_SECONDS
    ahead = sorted(
        (str(path), seconds)
        for path in {*map(Path, paths)}
        if (seconds := _modified(path)) is not None and seconds > latest
    )
    if not ahead:
        return
    lines = [
        f"{path}: {datetime.fromtimestamp(seconds).isoformat(sep=' ', timespec='seconds')}"
        for path, seconds in ahead[:SHOWN]
    ]
    if len(ahead) > SHOWN:
        lines.append(f"... and {len(ahead) - SHOWN} more")
    raise UserError(
        "\n  ".join(
            [
                "dated in the future, so nothing was started: results made from these would count "
                "as out of date. Check the clock of this computer, then `touch` the files:",
                *lines,
            ]
        )
    )


def _modified(path: Path) -> float | None:
    """When a file or folder was changed, in seconds since 1970; None if it is not there."""
    stamp = path / STAMP
    try:
        return (stamp if stamp.is_file() else path).stat().st_mtime
    except OSError:
        # Its job will report why.
        return None

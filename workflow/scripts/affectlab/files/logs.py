"""One way of logging for every script: all of it to the rule's log file, problems to the screen."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from types import TracebackType

from affectlab.errors import UserError

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

SCREEN_FORMAT = "%(levelname)s: %(message)s"

OUTPUTS = (1, 2)
"""File descriptors of stdout and stderr."""


def configure_logging(
    log_file: Path | str, level: int = logging.INFO, *, append: bool = False
) -> None:
    """Send everything that this process and its children print to *log_file*.

    Warnings and errors of affectlab go to the screen as well. Several jobs share it, and libraries
    write much to it that helps nobody who waits for a result.

    An uncaught exception is logged: a `UserError` as its message alone, since it tells the user
    what to do; anything else with its traceback.

    Args:
        log_file: emptied first, unless *append* is set.
        level: of the records that are logged.
        append: whether other processes have written to it before, and go on to.
    """
    path = Path(log_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not append:
        path.write_bytes(b"")
    # Always at its end: other processes (`training.launch`) may have written there meanwhile.
    handlers: list[logging.Handler] = [logging.FileHandler(path, mode="a", encoding="utf-8")]
    # A child of a process that did this before has the log file for a screen.
    if not os.path.samestat(os.fstat(2), path.stat()):
        handlers.append(_screen())
        with path.open("ab") as target:
            sys.stdout.flush()
            sys.stderr.flush()
            for output in OUTPUTS:
                os.dup2(target.fileno(), output)
    logging.basicConfig(level=level, format=FORMAT, handlers=handlers, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = log_uncaught


def _screen() -> logging.Handler:
    """Shows problems of affectlab itself where stderr is now, wherever it will be later."""
    screen = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
    handler = logging.StreamHandler(screen)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter(SCREEN_FORMAT))
    handler.addFilter(logging.Filter("affectlab"))
    return handler


def log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """An `sys.excepthook` that writes to the log instead of stderr alone."""
    logger = logging.getLogger("affectlab")
    if isinstance(error, UserError):
        logger.error("%s", error)
    else:
        logger.critical("uncaught %s", kind.__name__, exc_info=(kind, error, traceback))

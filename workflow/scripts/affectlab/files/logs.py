"""One way of logging for every script: to the rule's log file and to stderr."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import TracebackType

from affectlab.errors import UserError

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(
    log_file: Path | str | None = None, level: int = logging.INFO, *, append: bool = False
) -> None:
    """Send log records to stderr and, if given, to *log_file*, which is emptied or appended to.

    An uncaught exception goes there too: a `UserError` as its message alone,
    since it tells the user what to do; anything else with its traceback.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log_file is not None:
        path = Path(log_file)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not append:
            path.write_bytes(b"")
        # Always at its end: other processes (`training.launch`) may have written there meanwhile.
        handlers.append(logging.FileHandler(path, mode="a", encoding="utf-8"))
    logging.basicConfig(level=level, format=FORMAT, handlers=handlers, force=True)
    sys.excepthook = log_uncaught


def log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """An `sys.excepthook` that writes to the log instead of stderr alone."""
    logger = logging.getLogger("affectlab")
    if isinstance(error, UserError):
        logger.error("%s", error)
    else:
        logger.critical("uncaught %s", kind.__name__, exc_info=(kind, error, traceback))

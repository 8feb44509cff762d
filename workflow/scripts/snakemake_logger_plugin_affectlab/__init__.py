"""`snakemake --logger affectlab`: one line for each finished step.

Snakemake finds the plugin by the name of this package. Its own log file, below `.snakemake/log`,
keeps everything.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

NUMBERED = ("seed", "fold", "shard")
"""Wildcards whose values say nothing without their names."""

COLLECTING = ("all",)
"""Rules that make nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """A job.

    Attributes:
        rule: its name.
        title: such as ``emotion train: qwen3_lora, seed 13``.
        logs: its log files.
        started: on the monotonic clock, in seconds.
    """

    rule: str
    title: str
    logs: tuple[str, ...]
    started: float


class LogHandler(LogHandlerBase):
    """Prints to stderr how far a run is, what failed, and every warning.

    In a dry run it prints the table of jobs alone.
    """

    def __post_init__(self) -> None:
        self._steps: dict[int, Step] = {}
        self._ended: list[int] = []

    @property
    def writes_to_stream(self) -> bool:
        """Take the place of Snakemake's own lines."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Leave the file to Snakemake."""
        return False

    @property
    def has_filter(self) -> bool:
        """Choose by the kind of event."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Word the lines."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """Print no graph."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a reader needs of a record, if anything."""
        details = vars(record)
        match details.get("event"):
            case LogEvent.RUN_INFO if self.common_settings.dryrun:
                _print(record.getMessage())
            case LogEvent.RUN_INFO:
                _print(f"{_steps(details['stats']['total'])} to do")
            case LogEvent.JOB_INFO:
                self._steps[details["jobid"]] = step_of(details)
            case LogEvent.JOB_FINISHED:
                self._ended.append(details["job_id"])
            case LogEvent.PROGRESS:
                self._print_ended(details["done"], details["total"])
            case LogEvent.JOB_ERROR:
                failed = self._steps.get(details["jobid"]) or step_of(details)
                where = f"; its log: {', '.join(failed.logs)}" if failed.logs else ""
                _print(f"failed: {failed.title}{where}")
            case None | LogEvent.ERROR if record.levelno >= logging.WARNING:
                # That a script failed is known by then, and its command is of no use.
                if not record.getMessage().startswith("RuleException:\nCalledProcessError"):
                    _print(record.getMessage())
            case None if record.getMessage().startswith("Nothing to be done"):
                _print("Nothing to do: everything is there and up to date")

    def _print_ended(self, done: int, total: int) -> None:
        """Print the jobs that ended since the last time; the last of them is number *done*."""
        now, width = time.monotonic(), len(str(total))
        first = done - len(self._ended) + 1
        for number, job in enumerate(self._ended, first):
            step = self._steps.pop(job, None)
            if step is not None and step.rule not in COLLECTING:
                took = duration(now - step.started)
                _print(f"{number:>{width}} of {total}  {step.title} ({took})")
        self._ended.clear()


def step_of(job: Mapping[str, Any]) -> Step:
    """The step of a job, as Snakemake describes it."""
    rule = job["rule_name"]
    # A target rule of the command line has no wildcards, and an error may come without them.
    values = [
        f"{name} {value}" if name in NUMBERED else str(value)
        for name, value in (job.get("wildcards") or {}).items()
        if value not in rule.split("_")
    ]
    words = rule.replace("_", " ")
    title = f"{words}: {', '.join(values)}" if values else words
    return Step(rule, title, tuple(map(str, job.get("log") or ())), time.monotonic())


def duration(seconds: float) -> str:
    """A time as a reader says it: ``4 s``, ``2:05 min``, ``1:30 h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    unit, above, below = ("min", *divmod(whole, 60))
    if whole >= 3600:
        unit, above, below = ("h", *divmod(whole // 60, 60))
    return f"{above}:{below:02d} {unit}"


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

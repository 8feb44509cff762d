"""Errors that a user can cause and mend, as opposed to faults of the program."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """A mistake in the input or the set-up; its message tells what to change."""


class ConfigError(UserError):
    """One or more mistakes in the configuration, all listed in the message."""


class FetchError(UserError):
    """A data set or model could not be obtained from any of its sources."""


class DataError(UserError):
    """A record that is not what the format asks for.

    The message names the file, the place in it (``line 12``, ``record 3``) and
    what was expected, in that order.
    """

    def __init__(self, path: Path | str, place: str | None, problem: str) -> None:
        self.path = Path(path)
        self.place = place
        self.problem = problem
        where = f"{path}, {place}" if place else f"{path}"
        super().__init__(f"{where}: {problem}")


def first_line(error: BaseException) -> str:
    """The first line of what an error of another library says; its name if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""Errors that a user can cause and fix, as opposed to faults of the program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """A mistake in the input or the set-up; its message tells what to change.

    What UTF-8 cannot hold, such as a byte of another encoding in a name, is written out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


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


@contextmanager
def reading(path: Path | str, expected: str) -> Iterator[None]:
    """Within it, whatever a library or a value of the file *path* raises becomes a `DataError`.

    Libraries raise dozens of unrelated types for a corrupt file, and values of a wrong type raise
    wherever they are first used. Keep the block short, so that it holds no other fault.

    Args:
        path: the file or folder that is read.
        expected: what it should have been, such as ``a Parquet file``.

    Raises:
        DataError: names *path*, *expected* and the first line of the reason.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno is None:
            raise DataError(path, None, f"expected {expected}: {first_line(error)}") from error
        absent = isinstance(error, FileNotFoundError) and error.filename == str(path)
        reason = "no such file" if absent else f"cannot be read: {error.strerror}"
        if error.filename not in (None, str(path), path):
            reason += f" ({os.fsdecode(error.filename)})"
        raise DataError(path, None, f"{reason}; expected {expected}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {shortened(first_line(error), 200)}"
        raise DataError(path, None, f"expected {expected}; found {reason}") from error


def shortened(text: str, length: int) -> str:
    """*text*, cut to *length* characters, as it may be printed on any terminal."""
    return printable(text if len(text) <= length else f"{text[: length - 3]}...")


def printable(text: str) -> str:
    """*text* with what UTF-8 cannot hold, such as a byte of another encoding, written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def first_line(error: BaseException) -> str:
    """The first line of what an error of another library says; its name if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

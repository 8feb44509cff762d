"""Reading and writing files so that no reader ever sees half of one."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from affectlab.errors import DataError, UserError
from affectlab.files.integrity import CHUNK_BYTES as CHUNK_BYTES
from affectlab.files.integrity import (
    SUMS,
    digest_path,
    digest_text,
    forget_digest,
    sums_text,
)
from affectlab.files.integrity import sha256_file as sha256_file
from affectlab.files.text import read_lines, read_text

logger = logging.getLogger(__name__)

FULL_BYTES = 1 << 16

RANDOM_LETTERS = 8
"""Letters that `tempfile.mkdtemp` adds to a prefix."""

_SCRATCH = re.compile(rf"\..+\.[a-z0-9_]{{{RANDOM_LETTERS}}}", re.DOTALL)
"""Names of the temporary folders of `atomic_path`."""


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling of *path*; rename it to *path* on success.

    On any error, a full disk and Ctrl-C included, the temporary file or folder
    is removed and *path* stays as it was. What a process left that was killed as it wrote the
    same file is removed as well.

    Raises:
        UserError: the folder cannot be written to, the disk is full, or a folder stands where a
            file should go.
    """
    with _replacing(Path(path), _replace) as temporary:
        yield temporary


def _replace(temporary: Path, target: Path) -> None:
    # A file without a digest is read unchecked; with that of an older file it is refused.
    forget_digest(target)
    os.replace(temporary, target)


def _replace_sealed(temporary: Path, target: Path) -> None:
    """Put a file and its digest in place, so that a kill on the way leaves no wrong pair."""
    if temporary.is_dir():
        _replace(temporary, target)
        return
    text = digest_text(target, sha256_file(temporary))
    if target.exists():
        _replace(temporary, target)
        write_text(digest_path(target), text)
    else:
        # A digest without a file harms nobody, and a file that is there has its digest.
        write_text(digest_path(target), text)
        os.replace(temporary, target)


@contextmanager
def _replacing(target: Path, replace: Callable[[Path, Path], None]) -> Iterator[Path]:
    """See `atomic_path`; *replace* moves the temporary file or folder to *target*."""
    scratch: Path | None = None
    lock: int | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        scratch, lock = _locked_scratch(target)
        temporary = scratch / target.name
        yield temporary
        if target.is_dir() and not target.is_symlink():
            if not temporary.is_dir():
                raise UserError(f"{target}: is a folder, expected a file or nothing")
            shutil.rmtree(target)
        replace(temporary, target)
    except OSError as error:
        if error.errno is None or isinstance(error, FileNotFoundError):
            raise
        # What was to be copied may be at fault, not where it was to go.
        culprit = Path(os.fsdecode(error.filename)) if error.filename is not None else target
        on_its_way = culprit in target.parents or target.parent in culprit.parents
        if isinstance(error, PermissionError) and not on_its_way:
            raise UserError(f"{culprit}: cannot be read: {error.strerror}") from error
        raise UserError(f"{target}: cannot be written: {error.strerror}") from error
    except Exception as error:
        # Libraries that write by themselves report a full disk as an error of their own kind.
        full = os.strerror(errno.ENOSPC)
        if isinstance(error, UserError) or not (full in str(error) or _is_full(target.parent)):
            raise
        raise UserError(f"{target}: cannot be written: {full}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked_scratch(target: Path) -> tuple[Path, int]:
    """A new folder next to *target*, and the descriptor that keeps a lock on it.

    The lock ends with the process, however that ends. Where the disk knows no locks there is none.
    """
    while True:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        with suppress(FileNotFoundError):
            descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Before it was locked, another process may have taken it for a leftover.
            if scratch.exists():
                return scratch, descriptor
            os.close(descriptor)


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary folders of *target* that no living process holds."""
    prefix = f".{target.name}."
    with os.scandir(target.parent) as entries:
        found = [Path(entry) for entry in entries if entry.name.startswith(prefix)]
    _remove_unused(path for path in found if len(path.name) == len(prefix) + RANDOM_LETTERS)


def clear_leftovers(folder: Path) -> None:
    """Remove every temporary folder in *folder* that no living process holds.

    For folders of files that are kept and not written again, such as caches: what a kill left of
    them would else stay. *folder* need not exist.
    """
    if folder.is_dir():
        with os.scandir(folder) as entries:
            found = [Path(entry) for entry in entries if _SCRATCH.fullmatch(entry.name)]
        _remove_unused(found)


def _remove_unused(scratch: Iterable[Path]) -> None:
    for path in scratch:
        if not path.is_dir():
            continue
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            except OSError:
                # Held by a process that is writing, or on a disk that knows no locks.
                logger.debug("%s is left where it is", path)
            finally:
                os.close(descriptor)


def _is_full(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free < FULL_BYTES


@contextmanager
def atomic_writer(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open *path* for writing text (``"w"``, UTF-8) or bytes (``"wb"``), atomically."""
    with atomic_path(path) as temporary, _opened(temporary, mode) as stream:
        yield stream


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[IO[Any]]:
    """Open a file for writing; in the end it is on the disk."""
    text = "b" not in mode
    with path.open(
        mode, encoding="utf-8" if text else None, newline="\n" if text else None
    ) as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def check_target(path: Path | str) -> None:
    """Find out before long work whether a file can be written to *path*; its folder is made.

    Raises:
        UserError: it cannot, or *path* is a folder.
    """
    target = Path(path)
    with writing_to(target):
        try:
            kind = target.stat().st_mode
        except FileNotFoundError:
            kind = stat.S_IFREG
        if stat.S_ISDIR(kind):
            raise UserError(f"{target}: is a folder, expected a file or nothing")
        if not stat.S_ISREG(kind):
            # A finished file takes the place of the old one, which would destroy a device.
            raise UserError(f"{target}: is a device or a pipe, expected a file or nothing")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass


@contextmanager
def writing_to(target: Path) -> Iterator[None]:
    """Turn what goes wrong on the disk while the block writes to *target* into a message.

    Raises:
        UserError: it cannot be written, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror or error}") from error


@contextmanager
def sealed_path(path: Path | str) -> Iterator[Path]:
    """`atomic_path` for what a later step reads: its SHA-256 is kept with it (`files.integrity`).

    Of a directory the digests of all files are in the file `SUMS` inside.
    """
    with _replacing(Path(path), _replace_sealed) as temporary:
        yield temporary
        if temporary.is_dir():
            write_text(temporary / SUMS, sums_text(temporary))


@contextmanager
def sealed_writer(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """`atomic_writer` for what a later step reads: see `sealed_path`."""
    with sealed_path(path) as temporary, _opened(temporary, mode) as stream:
        yield stream


def write_text(path: Path | str, text: str) -> None:
    """Write *text* as UTF-8, atomically."""
    with atomic_writer(path) as stream:
        stream.write(text)


def write_json(path: Path | str, value: Any, *, sealed: bool = False) -> None:
    """Write *value* as canonical JSON (sorted keys, no NaN), atomically.

    Args:
        path: of the file.
        value: JSON-able.
        sealed: whether its SHA-256 is kept with it (`sealed_path`).
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    with (sealed_writer if sealed else atomic_writer)(path) as stream:
        stream.write(text)


def read_json(path: Path | str) -> Any:
    """Read one JSON document.

    Raises:
        DataError: the file is not UTF-8 or not JSON; names line and column.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DataError(path, place, f"not valid JSON: {error.msg}") from error
    except RecursionError as error:
        raise DataError(path, None, "not valid JSON: nested too deeply") from error
    except ValueError as error:  # thousands of digits
        raise DataError(path, None, "not valid JSON: a number out of bounds") from error


def write_jsonl(
    path: Path | str, records: Iterable[dict[str, Any]], *, sealed: bool = False
) -> int:
    """Write one JSON object a line, atomically; return how many were written.

    Args:
        path: of the file.
        records: JSON-able.
        sealed: whether its SHA-256 is kept with it (`sealed_path`).
    """
    count = 0
    with (sealed_writer if sealed else atomic_writer)(path) as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def append_jsonl(path: Path | str, records: Iterable[Mapping[str, Any]]) -> None:
    """Append one JSON object a line to a file, which is made if need be, and see it on the disk.

    A crash on the way may cut the last line short.

    Raises:
        UserError: the file cannot be written, or the disk is full.
    """
    target = Path(path)
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a", encoding="utf-8", newline="\n") as stream:
            for record in records:
                stream.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def drop_torn_line(path: Path | str) -> None:
    """Remove what follows the last line end of a file: a line that a crash cut short.

    Raises:
        UserError: the file cannot be written.
    """
    stored = Path(path).read_bytes()
    whole = stored[: stored.rfind(b"\n") + 1]
    if whole != stored:
        with atomic_writer(path, "wb") as stream:
            stream.write(whole)


def read_jsonl(path: Path | str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON Lines file; blank lines are passed over.

    Raises:
        DataError: a line is not UTF-8, not JSON or not an object; names the line.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(path, f"line {number}", f"not valid JSON: {error.msg}") from error
        except RecursionError as error:
            problem = "not valid JSON: nested too deeply"
            raise DataError(path, f"line {number}", problem) from error
        except ValueError as error:  # thousands of digits
            problem = "not valid JSON: a number out of bounds"
            raise DataError(path, f"line {number}", problem) from error
        if not isinstance(record, dict):
            raise DataError(path, f"line {number}", "expected a JSON object")
        yield record


def folders_below(
    root: Path, on_denied: Callable[[DataError], None] | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """*root* and each folder below it with its files, also of links; a loop of links is cut.

    Hidden folders and files are left out.

    Args:
        root: the folder.
        on_denied: gets the error of each folder that cannot be listed; None raises the first one.

    Raises:
        DataError: a folder cannot be listed, and *on_denied* is None.
    """

    def report(error: OSError) -> None:
        denied = DataError(error.filename, None, f"cannot be read: {error.strerror}")
        if on_denied is None:
            raise denied from error
        on_denied(denied)

    seen: set[Path] = set()
    for folder, below, names in os.walk(root, onerror=report, followlinks=True):
        # Of a folder and a link to it, which is seen first must not depend on the disk.
        below[:] = sorted(name for name in below if not name.startswith("."))
        real = Path(folder).resolve()
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        yield Path(folder), [name for name in names if not name.startswith(".")]


def user_path(path: Path | str) -> Path:
    """*path* with ``~`` replaced; one of a user who is not known stays as it is."""
    return Path(os.path.expanduser(path))


def round_significant(value: float, digits: int = 8) -> float:
    """Round to *digits* significant digits, so that stored numbers stay short."""
    if not math.isfinite(value):
        raise ValueError(f"cannot store {value}")
    return float(f"{value:.{digits}g}")

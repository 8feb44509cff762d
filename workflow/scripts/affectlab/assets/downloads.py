"""Downloading one file so that it is whole, right and survives a bad line."""

from __future__ import annotations

import errno
import itertools
import logging
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from affectlab.assets.transfers import CHUNK_BYTES, Part, TransientError, transfer
from affectlab.assets.web_pages import refuse_web_page
from affectlab.errors import FetchError
from affectlab.files.io import sha256_file, writing_to
from affectlab.files.urls import redact

logger = logging.getLogger(__name__)

LONGEST_PAUSE = 120.0


def download(
    url: str,
    destination: Path | str,
    *,
    sha256: str | None = None,
    retries: int = 5,
    backoff: float = 1.0,
    timeout: float = 30.0,
) -> str:
    """Fetch *url* (http, https or file) into the file *destination*.

    The body is streamed to ``<destination>.part`` and renamed when it is whole and its digest is
    right, so *destination* is never half a file. A web page is refused. After a broken connection,
    and in a later call too, the transfer resumes where it stopped if the server can do that and
    the file has not changed; else it starts again. Server errors, 429 (its Retry-After is
    respected), lost connections and stalls are tried again with growing, randomised pauses.

    The attempts are counted here and not by urllib3's ``Retry``: it ends with the header of an
    answer, and most failures of a long transfer (a lost connection, a stall, a wrong digest after
    resuming) come later. One count covers both.

    Args:
        url: what to fetch; redirects are followed.
        destination: file to write. If it exists and has *sha256*, nothing is fetched.
        sha256: expected digest in hex.
        retries: attempts after the first.
        backoff: first pause in seconds, doubled each time.
        timeout: seconds without a connection or without a byte that count as a failure.

    Returns:
        SHA-256 of the file in hex.

    Raises:
        FetchError: not available, or not what was expected; says which.
        UserError: the file cannot be written, or the disk is full.
    """
    target = Path(destination)
    if sha256 is not None and target.is_file() and sha256_file(target) == sha256:
        return sha256
    part = Part(target.with_name(f"{target.name}.part"), url)
    with _clear_disk_errors(target, part):
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in itertools.count():
            try:
                digest = _attempt(part, sha256, timeout)
                break
            except TransientError as error:
                if attempt >= retries:
                    tries = "attempt" if attempt == 0 else "attempts"
                    message = f"{redact(url)}: gave up after {attempt + 1} {tries}: {error}"
                    raise FetchError(message) from error
                _pause(url, error, backoff * 2**attempt)
        part.path.replace(target)
        part.discard()
    return digest


def _attempt(part: Part, sha256: str | None, timeout: float) -> str:
    """Fetch the part once; return its SHA-256."""
    if urlsplit(part.url).scheme == "file":
        _copy(part.url, part.path)
        return _check(part, sha256, resumed=False)
    return _check(part, sha256, resumed=transfer(part, timeout))


def _pause(url: str, error: TransientError, seconds: float) -> None:
    """Wait as long as the server asked for, else about *seconds*, but never too long."""
    pause = seconds * random.uniform(0.5, 1.5) if error.after is None else error.after
    pause = min(pause, LONGEST_PAUSE)
    logger.warning("%s: %s; trying again in %.1f s", redact(url), error, pause)
    time.sleep(pause)


@contextmanager
def _clear_disk_errors(target: Path, part: Part) -> Iterator[None]:
    with writing_to(target):
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                # Kept, the half file would keep the disk full.
                with suppress(OSError):
                    part.discard()
            raise


def _check(part: Part, sha256: str | None, resumed: bool) -> str:
    digest = sha256_file(part.path)
    if sha256 in (None, digest):
        return digest
    problem = f"expected sha256 {sha256}, got {digest}"
    part.discard()
    if resumed:
        # Two halves of different files look like this; one clean attempt tells.
        raise TransientError(f"{problem} after resuming", after=0.0)
    raise FetchError(f"{redact(part.url)}: {problem}")


def _copy(url: str, path: Path) -> None:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FetchError(f"{redact(url)}: a file address names no other host: file:///path")
    source = Path(url2pathname(parts.path))
    if not source.is_file():
        raise FetchError(f"{redact(url)}: no such file")
    with source.open("rb") as stream:
        refuse_web_page(url, stream.read(CHUNK_BYTES), "")
    shutil.copyfile(source, path)

"""Downloading one file over HTTP so that it is whole, right and survives a bad line."""

from __future__ import annotations

import email.utils
import errno
import hashlib
import itertools
import json
import logging
import queue
import random
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, url2pathname

import requests
from urllib3.exceptions import NameResolutionError

from affectlab.errors import FetchError, first_line
from affectlab.files.io import sha256_file, writing_to
from affectlab.files.urls import HIDDEN, redact

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
LONGEST_PAUSE = 120.0
SECONDS_BETWEEN_LOG_LINES = 15.0
PASSING_STATUSES = frozenset({408, 425, 429})
HTML_TAGS = re.compile(rb"<(?:!doctype\s++html|html|head|body)\b", re.I)

SLOWEST_SECONDS = 60.0
"""How long `CHUNK_BYTES`, or the header of an answer, may take: about a kilobyte a second."""


class _TransientError(Exception):
    """A failure that may be gone at the next attempt, *after* seconds from now if it said so."""

    def __init__(self, message: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


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
    right, so *destination* is never half a file. A web page is refused: it usually is an error or
    log-in page sent in place of the data. After a broken connection, and in a later call too, the
    transfer goes on where it stopped if the server can do that and the file has not changed
    meanwhile; else it starts again. Server errors, 429 (its Retry-After is respected),
    lost connections and stalls are tried again with growing, randomised pauses.

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
    part = _Part(target.with_name(f"{target.name}.part"), url)
    with _clear_disk_errors(target, part):
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in itertools.count():
            try:
                if urlsplit(url).scheme == "file":
                    _copy(url, part.path)
                    resumed = False
                else:
                    resumed = _transfer(url, part, timeout)
                digest = _check(part, sha256, resumed)
                break
            except _TransientError as error:
                if attempt >= retries:
                    tries = "attempt" if attempt == 0 else "attempts"
                    message = f"{redact(url)}: gave up after {attempt + 1} {tries}: {error}"
                    raise FetchError(message) from error
                pause = error.after
                if pause is None:
                    pause = backoff * 2**attempt * random.uniform(0.5, 1.5)
                pause = min(pause, LONGEST_PAUSE)
                logger.warning("%s: %s; trying again in %.1f s", redact(url), error, pause)
                time.sleep(pause)
        part.path.replace(target)
        part.discard()
    return digest


def is_passing(status: int) -> bool:
    """Whether an HTTP status is of the kind that may be gone at the next attempt."""
    return status in PASSING_STATUSES or status >= 500


@dataclass(frozen=True, slots=True)
class _Part:
    """A file on its way, and beside it what is needed to go on with it."""

    path: Path
    url: str

    @property
    def state(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def _digest(self) -> str:
        """What stands for the address, which may hold a password, in a file."""
        return hashlib.sha256(self.url.encode(errors="surrogatepass")).hexdigest()

    def resume_point(self) -> tuple[int, str]:
        """Bytes already here and the validator they came with; (0, "") to start afresh."""
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
            size = self.path.stat().st_size
        except (FileNotFoundError, ValueError):
            return 0, ""
        known = state if isinstance(state, dict) else {}
        validator = known.get("validator")
        if known.get("url") != self._digest or not isinstance(validator, str) or not validator:
            return 0, ""
        return size, validator

    def remember(self, validator: str) -> None:
        self.state.write_text(
            json.dumps({"url": self._digest, "validator": validator}), encoding="utf-8"
        )

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)


@contextmanager
def _clear_disk_errors(target: Path, part: _Part) -> Iterator[None]:
    with writing_to(target):
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                # Kept, the half file would keep the disk full.
                with suppress(OSError):
                    part.discard()
            raise


def _check(part: _Part, sha256: str | None, resumed: bool) -> str:
    digest = sha256_file(part.path)
    if sha256 in (None, digest):
        return digest
    problem = f"expected sha256 {sha256}, got {digest}"
    part.discard()
    if resumed:
        # Two halves of different files look like this; one clean attempt tells.
        raise _TransientError(f"{problem} after resuming", after=0.0)
    raise FetchError(f"{redact(part.url)}: {problem}")


def _copy(url: str, path: Path) -> None:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FetchError(f"{redact(url)}: a file address names no other host: file:///path")
    source = Path(url2pathname(parts.path))
    if not source.is_file():
        raise FetchError(f"{redact(url)}: no such file")
    with source.open("rb") as stream:
        _refuse_html(url, stream.read(CHUNK_BYTES), "")
    shutil.copyfile(source, path)


def _transfer(url: str, part: _Part, timeout: float) -> bool:
    """One attempt; returns whether it went on with bytes of an earlier one."""
    offset, validator = part.resume_point()
    headers = {
        # Compressed in transit, sizes and ranges would no longer be those of the file.
        "Accept-Encoding": "identity",
        "User-Agent": "affectlab",
    }
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
    with (
        requests.Session() as session,
        _clear_request_errors(url, timeout),
        _answer(session, url, headers, timeout) as response,
    ):
        if offset and response.status_code == requests.codes.range_not_satisfiable:
            if response.headers.get("Content-Range") == f"bytes */{offset}":
                return True
            part.discard()
            raise _TransientError("the file has changed; starting again", after=0.0)
        _refuse_status(response)
        if response.status_code == requests.codes.partial_content:
            begins = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
            changed = _validator(response) not in ("", validator)
            if not offset or begins is None or int(begins[1]) != offset or changed:
                part.discard()
                raise _TransientError("the server sent another part; starting again", after=0.0)
            logger.info("%s: going on after %d bytes", redact(url), offset)
        else:
            offset = 0
        _receive(response, part, offset)
    return offset > 0


def _answer(
    session: requests.Session, url: str, headers: Mapping[str, str], timeout: float
) -> requests.Response:
    """The answer with its header, whose body is still to come.

    *timeout* is that of a single read, and a header may come byte by byte.
    """
    found: queue.SimpleQueue[requests.Response | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(session.get(url, headers=headers, stream=True, timeout=timeout))
        except BaseException as error:
            found.put(error)

    # Nothing can end it from outside; as a daemon it does not outlive the program.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = found.get(timeout=timeout + SLOWEST_SECONDS)
    except queue.Empty:
        raise _TransientError(f"no whole header in {timeout + SLOWEST_SECONDS:g} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


@contextmanager
def _patience(response: requests.Response) -> Iterator[Callable[[], object]]:
    """Cut the connection if `SLOWEST_SECONDS` pass between two calls of what is yielded.

    The timeout of a request is that of a single read: a server that sends a byte now and then
    would never be given up.

    Raises:
        _TransientError: that was so.
    """
    news: queue.SimpleQueue[bool] = queue.SimpleQueue()
    given_up = threading.Event()

    def watch() -> None:
        try:
            while news.get(timeout=SLOWEST_SECONDS):
                pass
        except queue.Empty:
            given_up.set()
            with suppress(OSError, ValueError):
                response.raw.shutdown()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    problem = f"less than {CHUNK_BYTES // 1024} KiB in {SLOWEST_SECONDS:g} s"
    try:
        yield lambda: news.put(True)
    except requests.RequestException as error:
        if given_up.is_set():
            raise _TransientError(problem) from error
        raise
    finally:
        news.put(False)
        watcher.join()
    if given_up.is_set():
        raise _TransientError(problem)


@contextmanager
def _clear_request_errors(url: str, timeout: float) -> Iterator[None]:
    try:
        yield
    except requests.TooManyRedirects as error:
        raise FetchError(f"{redact(url)}: redirects without end") from error
    except requests.exceptions.SSLError as error:
        raise FetchError(f"{redact(url)}: no secure connection: {_told(error, url)}") from error
    except requests.Timeout as error:
        raise _TransientError(f"nothing came for {timeout:g} s") from error
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        if isinstance(reason, NameResolutionError):
            raise FetchError(f"{redact(url)}: the host name is not known (no network?)") from error
        if "timed out" in str(error).lower():
            raise _TransientError(f"nothing came for {timeout:g} s") from error
        raise _TransientError(f"the connection broke: {_told(error, url)}") from error
    except requests.RequestException as error:
        raise FetchError(f"{redact(url)}: {_told(error, url)}") from error


def _told(error: Exception, url: str) -> str:
    """The first line of what requests says, without the secrets of the address and the proxies."""
    text = first_line(error)
    for address in (url, *getproxies().values()):
        with suppress(ValueError):
            parts = urlsplit(address)
            userinfo = parts.netloc.rpartition("@")[0]
            for secret in (userinfo, parts.password, parts.query):
                if secret and secret in text and (secret != parts.query or redact(url) != url):
                    text = text.replace(secret, HIDDEN)
    return text


def _refuse_status(response: requests.Response) -> None:
    status = response.status_code
    if status in (requests.codes.ok, requests.codes.partial_content):
        return
    problem = f"HTTP {status} {response.reason}"
    if is_passing(status):
        raise _TransientError(problem, _retry_after(response.headers.get("Retry-After")))
    raise FetchError(f"{redact(response.url)}: {problem}")


def _retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header (a number or a date) asks for."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _validator(response: requests.Response) -> str:
    """What identifies these very bytes: a strong ETag, else the date, else nothing."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified", "")


def _refuse_html(url: str, start: bytes, content_type: str) -> None:
    claims = content_type.split(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")
    if not claims and not _begins_as_html(start):
        return
    title = _html_title(start)
    named = f" (titled {title!r})" if title else ""
    raise FetchError(f"{redact(url)}: sent a web page{named} in place of the data")


def _begins_as_html(start: bytes) -> bool:
    """Whether the first tag is one of a web page; an XML declaration and comments may precede it.

    Each byte is looked at once: the sender may have chosen them so that a pattern backtracks.
    """
    place = _behind_space(start, 0)
    if start[place : place + 5].lower() == b"<?xml":
        place = _behind_space(start, start.find(b">", place) + 1)
    while start.startswith(b"<!--", place):
        end = start.find(b"-->", place + 4)
        place = _behind_space(start, end + 3) if end >= 0 else len(start)
    return HTML_TAGS.match(start, place) is not None


def _behind_space(text: bytes, place: int) -> int:
    while place < len(text) and text[place : place + 1].isspace():
        place += 1
    return place


def _html_title(start: bytes) -> str:
    """The title of a web page, shortened; empty if it has none."""
    lower = start.lower()
    tag = lower.find(b"<title")
    begin = lower.find(b">", tag) + 1 if tag >= 0 else 0
    end = lower.find(b"</title", begin) if begin else -1
    return start[begin:end].decode("utf-8", "replace").strip()[:80] if end >= 0 else ""


def _receive(response: requests.Response, part: _Part, offset: int) -> None:
    """Write the body behind the first *offset* bytes of the part."""
    with _patience(response) as arrived:
        _write_body(response, part, offset, arrived)


def _write_body(
    response: requests.Response, part: _Part, offset: int, arrived: Callable[[], object]
) -> None:
    """See `_receive`; *arrived* is called for each chunk of the body."""
    chunks = response.iter_content(CHUNK_BYTES)
    first = next(chunks, b"")
    if offset == 0:
        _refuse_html(part.url, first, response.headers.get("Content-Type", ""))
    announced = re.fullmatch(r"\d{1,18}", response.headers.get("Content-Length", ""))
    length = None if announced is None else announced[0]
    encoded = "Content-Encoding" in response.headers
    total = None
    if length is not None and not encoded:
        total = offset + int(length)
        free = shutil.disk_usage(part.path.parent).free
        if int(length) > free:
            raise OSError(errno.ENOSPC, f"needs {int(length)} bytes, the disk has {free} left")
    if offset == 0:
        part.discard()
        # Ranges of an encoded body are not ranges of the file: no going on with that.
        part.remember("" if encoded else _validator(response))
    with (
        part.path.open("ab" if offset else "wb") as out,
        _progress(part.path.stem, offset, total) as advance,
    ):
        for chunk in itertools.chain([first], chunks):
            arrived()
            out.write(chunk)
            advance(len(chunk))
    size = part.path.stat().st_size
    if total is not None and size < total:
        raise _TransientError(f"got {size} of {total} bytes")
    if total is not None and size > total:
        part.discard()
        raise _TransientError(f"got {size} bytes where {total} were announced")


@contextmanager
def _progress(name: str, done: int, total: int | None) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal; elsewhere a log line now and then."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(
            desc=name, initial=done, total=total, unit="B", unit_scale=True, unit_divisor=1024
        ) as bar:
            yield bar.update
        return
    last = time.monotonic()

    def log(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= SECONDS_BETWEEN_LOG_LINES:
            last = time.monotonic()
            share = f" of {total / 1e6:.0f}" if total else ""
            logger.info("%s: %.0f%s MB", name, done / 1e6, share)

    yield log

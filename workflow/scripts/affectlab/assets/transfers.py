"""One attempt to transfer a file over HTTP: it resumes, and has limits of time."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import logging
import queue
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import requests
from urllib3.exceptions import InvalidHeader, NameResolutionError
from urllib3.util.retry import Retry

from affectlab.assets.web_pages import refuse_web_page
from affectlab.errors import FetchError, first_line
from affectlab.files.urls import HIDDEN, redact

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
SECONDS_BETWEEN_LOG_LINES = 15.0
PASSING_STATUSES = frozenset({408, 425, 429})

SLOWEST_SECONDS = 60.0
"""How long `CHUNK_BYTES`, or the header of an answer, may take: about a kilobyte a second."""


class TransientError(Exception):
    """A failure that may be gone at the next attempt, *after* seconds if the server said so."""

    def __init__(self, message: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(message)


def is_passing(status: int) -> bool:
    """Tell whether an HTTP status is of the kind that may be gone at the next attempt."""
    return status in PASSING_STATUSES or status >= 500


@dataclass(frozen=True, slots=True)
class Part:
    """A file that is being transferred, with what is needed to resume.

    Attributes:
        path: of the bytes so far.
        url: where they come from.
    """

    path: Path
    url: str

    @property
    def _state(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def _digest(self) -> str:
        """The address as it is stored: it may hold a password."""
        return hashlib.sha256(self.url.encode(errors="surrogatepass")).hexdigest()

    def resume_point(self) -> tuple[int, str]:
        """Return the number of bytes here and their validator; (0, "") to start from scratch."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            size = self.path.stat().st_size
        except (FileNotFoundError, ValueError):
            return 0, ""
        known = state if isinstance(state, dict) else {}
        validator = known.get("validator")
        if known.get("url") != self._digest or not isinstance(validator, str) or not validator:
            return 0, ""
        return size, validator

    def remember(self, validator: str) -> None:
        """Store the *validator* of the bytes that follow; an empty one forbids to resume."""
        self._state.write_text(
            json.dumps({"url": self._digest, "validator": validator}), encoding="utf-8"
        )

    def discard(self) -> None:
        """Delete the bytes and what is needed to resume."""
        self.path.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)


def transfer(part: Part, timeout: float) -> bool:
    """Try once to fetch a file over HTTP, from where an earlier attempt stopped.

    Args:
        part: its address, whose redirects are followed; gets the bytes.
        timeout: seconds without a connection or without a byte that count as a failure.

    Returns:
        Whether bytes of an earlier attempt were kept.

    Raises:
        TransientError: the next attempt may succeed.
        FetchError: no attempt will.
    """
    url = part.url
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
            raise TransientError("the file has changed; starting again", after=0.0)
        _refuse_status(response)
        if response.status_code == requests.codes.partial_content:
            begins = re.match(r"bytes (\d{1,18})-", response.headers.get("Content-Range", ""))
            changed = _validator(response) not in ("", validator)
            if not offset or begins is None or int(begins[1]) != offset or changed:
                part.discard()
                raise TransientError("the server sent another part; starting again", after=0.0)
            logger.info("%s: going on after %d bytes", redact(url), offset)
        else:
            offset = 0
        _receive(response, part, offset)
    return offset > 0


def _answer(
    session: requests.Session, url: str, headers: Mapping[str, str], timeout: float
) -> requests.Response:
    """Return the answer with its header, whose body is still to come.

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
        raise TransientError(f"no whole header in {timeout + SLOWEST_SECONDS:g} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


@contextmanager
def _patience(response: requests.Response) -> Iterator[Callable[[], object]]:
    """Cut the connection if `SLOWEST_SECONDS` pass between two calls of what is yielded.

    The timeout of a request is that of a single read: a server that sends a byte now and then
    would never be given up.

    Raises:
        TransientError: that was so.
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
            raise TransientError(problem) from error
        raise
    finally:
        news.put(False)
        watcher.join()
    if given_up.is_set():
        raise TransientError(problem)


@contextmanager
def _clear_request_errors(url: str, timeout: float) -> Iterator[None]:
    try:
        yield
    except requests.TooManyRedirects as error:
        raise FetchError(f"{redact(url)}: redirects without end") from error
    except requests.exceptions.SSLError as error:
        raise FetchError(f"{redact(url)}: no secure connection: {_told(error, url)}") from error
    except requests.Timeout as error:
        raise TransientError(f"nothing came for {timeout:g} s") from error
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        if isinstance(reason, NameResolutionError):
            raise FetchError(f"{redact(url)}: the host name is not known (no network?)") from error
        if "timed out" in str(error).lower():
            raise TransientError(f"nothing came for {timeout:g} s") from error
        raise TransientError(f"the connection broke: {_told(error, url)}") from error
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
        raise TransientError(problem, _retry_after(response.headers.get("Retry-After")))
    raise FetchError(f"{redact(response.url)}: {problem}")


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header (a number or a date) asks for."""
    if value is None:
        return None
    try:
        return Retry().parse_retry_after(value)
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _validator(response: requests.Response) -> str:
    """What identifies these very bytes: a strong ETag, else the date, else nothing."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified", "")


def _receive(response: requests.Response, part: Part, offset: int) -> None:
    """Write the body behind the first *offset* bytes of the part."""
    with _patience(response) as arrived:
        _write_body(response, part, offset, arrived)


def _write_body(
    response: requests.Response, part: Part, offset: int, arrived: Callable[[], object]
) -> None:
    """See `_receive`; *arrived* is called for each chunk of the body."""
    chunks = response.iter_content(CHUNK_BYTES)
    first = next(chunks, b"")
    if offset == 0:
        refuse_web_page(part.url, first, response.headers.get("Content-Type", ""))
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
        raise TransientError(f"got {size} of {total} bytes")
    if total is not None and size > total:
        part.discard()
        raise TransientError(f"got {size} bytes where {total} were announced")


@contextmanager
def _progress(name: str, done: int, total: int | None) -> Iterator[Callable[[int], object]]:
    """A log line now and then."""
    last = time.monotonic()

    def log(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= SECONDS_BETWEEN_LOG_LINES:
            last = time.monotonic()
            share = f" of {total / 1e6:.0f}" if total else ""
            logger.info("%s: %.0f%s MB", name, done / 1e6, share)

    yield log

"""An endpoint that speaks OpenAI's chat protocol, with limits on the size and time of a reply."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

from affectlab.assets.transfers import is_passing
from affectlab.config.prompts import ChatEndpoint
from affectlab.errors import UserError
from affectlab.files.urls import redact

if TYPE_CHECKING:
    import requests

MAX_REPLY_BYTES = 4 << 20
"""A longer reply is not read: an answer needs a few kilobytes, and thinking a hundred."""

CHUNK_BYTES = 1 << 16
MAX_REDIRECTS = 5
MAX_COUNTED_TOKENS = 10**12
LONGEST_WAIT = 60.0

AnswerT = TypeVar("AnswerT")


class ReplyError(Exception):
    """There is no reply that can be used.

    Attributes:
        again: whether another attempt may get one.
        unreachable: whether the endpoint cannot be reached.
        status: of HTTP, where that is the reason.
    """

    def __init__(
        self,
        problem: str,
        *,
        again: bool,
        unreachable: bool = False,
        status: int | None = None,
    ) -> None:
        self.again, self.unreachable, self.status = again, unreachable, status
        super().__init__(problem)


class Asked(NamedTuple, Generic[AnswerT]):
    """What came of a question.

    Attributes:
        answer: None if there is none.
        error: why there is none.
        tokens: that the endpoint counted, of all attempts.
        unreachable: whether the endpoint could not be reached at the last attempt.
        status: of HTTP, where that is the reason.
    """

    answer: AnswerT | None
    error: str | None
    tokens: int
    unreachable: bool = False
    status: int | None = None


class Endpoint:
    """An endpoint for chats."""

    def __init__(self, settings: ChatEndpoint, path: str) -> None:
        """Take its address and key; nothing is sent yet.

        Args:
            settings: of the endpoint.
            path: of these settings in the configuration, for messages.

        Raises:
            UserError: the variable that should hold the key is not set.
        """
        self._settings, self._path = settings, path
        self._url = f"{settings.base_url.rstrip('/')}/chat/completions"
        self._timeout = settings.timeout_seconds
        # Compressed, a small reply could be a large one.
        self._headers = {"Accept-Encoding": "identity"}
        if (variable := settings.api_key_variable) is None:
            return
        if variable not in os.environ:
            raise UserError(f"{path}.api_key_variable: the environment has no variable {variable}")
        self._headers["Authorization"] = f"Bearer {os.environ[variable]}"

    def answer(
        self, body: Mapping[str, Any], read: Callable[[str], AnswerT | None], missing: str
    ) -> Asked[AnswerT]:
        """Send one question as often as the settings allow, until there is an answer.

        Args:
            body: of the request.
            read: what it finds in the text of a reply; None where that is no answer.
            missing: what is wrong with a reply that is no answer.
        """
        tokens, failure = 0, ReplyError(missing, again=True)
        for attempt in range(self._settings.attempts):
            if attempt:
                wait = self._settings.wait_seconds * 2 ** (attempt - 1)
                time.sleep(min(wait, LONGEST_WAIT))
            try:
                reply, used = self.ask(body)
            except ReplyError as error:
                failure = error
                if not error.again:
                    break
                continue
            tokens += used
            if (found := read(reply)) is not None:
                return Asked(found, None, tokens)
            failure = ReplyError(missing, again=True)
        return Asked(None, str(failure), tokens, failure.unreachable, failure.status)

    def ask(self, body: Mapping[str, Any]) -> tuple[str, int]:
        """Send one question; return the text of the reply and the tokens that it reports.

        Raises:
            ReplyError: the endpoint gave no reply, or none that can be used.
        """
        import requests
        import urllib3

        try:
            return _read_reply(self._send(body))
        except requests.ReadTimeout as error:
            raise ReplyError("timed out", again=True) from error
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as error:
            problem = f"cannot be reached ({type(error).__name__})"
            raise ReplyError(problem, again=True, unreachable=True) from error

    def _send(self, body: Mapping[str, Any]) -> bytes:
        """Post one question and read the reply; redirects are followed on the same host alone."""
        import requests

        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            with requests.post(
                url,
                json=body,
                headers=self._headers,
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                if response.is_redirect:
                    url = _redirected(url, response.headers["location"], self._path)
                    continue
                if response.status_code != 200:
                    raise ReplyError(
                        f"answered with status {response.status_code}",
                        again=is_passing(response.status_code),
                        status=response.status_code,
                    )
                return _bounded(response, self._timeout)
        raise ReplyError(f"more than {MAX_REDIRECTS} redirects", again=False)


def _redirected(url: str, location: str, path: str) -> str:
    """Where a redirect leads; raise if the question would go to anybody else, or in the clear."""
    target = location
    try:
        target = urljoin(url, location)
        before, after = ((parts.scheme, _port(parts)) for parts in map(urlsplit, (url, target)))
        same_host = urlsplit(url).hostname == urlsplit(target).hostname
    except ValueError:
        same_host = False
    same = same_host and (before == after or (before, after) == (("http", 80), ("https", 443)))
    if not same:
        raise ReplyError(
            f"redirects to {redact(target)}, another host or an insecure address; nothing is "
            f"sent there: correct {path}.base_url",
            again=False,
        )
    return target


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _bounded(response: requests.Response, seconds: float) -> bytes:
    """The body of a response, read up to `MAX_REPLY_BYTES` and for *seconds* at most."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ReplyError("the reply is compressed, although that was not asked for", again=False)
    parts: list[bytes] = []
    size = 0
    end = time.monotonic() + seconds
    # What the socket has, and not whole chunks: bytes that trickle in are counted as they come.
    while part := response.raw.read1(CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > MAX_REPLY_BYTES:
            raise ReplyError(
                f"the reply is longer than {MAX_REPLY_BYTES >> 20} MiB, the most that is read",
                again=True,
            )
        if time.monotonic() > end:
            raise ReplyError("timed out", again=True)
    return b"".join(parts)


def _read_reply(body: bytes) -> tuple[str, int]:
    """Text and counted tokens of a reply in the chat protocol."""
    unusable = ReplyError("the reply is not of the chat protocol", again=True)
    try:
        content = json.loads(body)
        text = content["choices"][0]["message"]["content"]
        usage = content.get("usage")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise unusable from error
    if isinstance(text, list):
        texts = [part.get("text") for part in text if isinstance(part, dict)]
        text = "".join(part for part in texts if isinstance(part, str))
    if not isinstance(text, str):
        raise unusable
    used = usage.get("total_tokens") if isinstance(usage, dict) else None
    if not isinstance(used, int) or isinstance(used, bool) or not 0 <= used <= MAX_COUNTED_TOKENS:
        used = 0
    return text, used

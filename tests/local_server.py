"""A real HTTP server on 127.0.0.1 that serves, and misbehaves, as a test tells it to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class LocalServer:
    """The server's address, what it answers per path, and what it was asked."""

    url: str
    replies: dict[str, Reply] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    posted: list[bytes] = field(default_factory=list)

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of each GET of *path*, in order."""
        return [headers for method, at, headers in self.requests if (method, at) == ("GET", path)]


@contextmanager
def serve() -> Iterator[LocalServer]:
    """Run a server for the time of a ``with`` block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            local.requests.append((self.command, self.path, dict(self.headers)))
            reply = local.replies.get(self.path, status(404))
            try:
                reply(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_HEAD = do_GET  # noqa: N815

        def do_POST(self) -> None:
            local.posted.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            """Tests read `LocalServer.requests` instead."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    local = LocalServer(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield local
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@contextmanager
def nobody_listens() -> Iterator[str]:
    """An address that refuses connections; its port is kept, so that no other server gets it."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{kept.getsockname()[1]}"


def send(
    handler: BaseHTTPRequestHandler, code: int, headers: dict[str, str], body: bytes = b""
) -> None:
    """One whole response."""
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    if "Content-Length" not in headers:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def status(code: int, **headers: str) -> Reply:
    """An empty response with this status; ``Retry_After="1"`` becomes a Retry-After header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: send(handler, code, named)


def body(data: bytes, **headers: str) -> Reply:
    """The whole of *data*, whatever range is asked for."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: send(handler, 200, named, data)


def ranged(data: bytes, etag: str) -> Reply:
    """*data* as a good server sends it: by range, if the file has not changed since."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        if asked is None or handler.headers.get("If-Range") != etag:
            send(handler, 200, {"ETag": etag}, data)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(data):
            send(handler, 416, {"Content-Range": f"bytes */{len(data)}"})
            return
        span = f"bytes {start}-{len(data) - 1}/{len(data)}"
        send(handler, 206, {"ETag": etag, "Content-Range": span}, data[start:])

    return reply


def cut(data: bytes, after: int, **headers: str) -> Reply:
    """Announce all of *data*, send *after* bytes of it and drop the line."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        send(handler, 200, {"Content-Length": str(len(data)), **named}, data[:after])
        handler.close_connection = True

    return reply


def in_turn(*replies: Reply) -> Reply:
    """The first reply to the first request and so on; the last one for all further ones."""
    waiting = list(replies)

    def reply(handler: BaseHTTPRequestHandler) -> None:
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)

    return reply

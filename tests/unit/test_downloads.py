"""`download` against a real local server that also misbehaves."""

from __future__ import annotations

import email.utils
import errno
import gzip
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from local_server import LocalServer, body, cut, in_turn, ranged, send, serve, status

from affectlab.assets import downloads, transfers
from affectlab.assets.downloads import download
from affectlab.errors import FetchError, UserError

DATA = bytes(range(256)) * 1200  # several chunks of 64 KiB
SHA256 = hashlib.sha256(DATA).hexdigest()
QUICK: dict[str, Any] = {"retries": 3, "backoff": 0.01, "timeout": 5.0}


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve() as local:
        yield local


def assert_clean(folder: Path, *names: str) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_whole_file_with_right_digest(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/data.bin"] = body(DATA)
    target = tmp_path / "deeper" / "data.bin"
    assert download(f"{server.url}/data.bin", target, sha256=SHA256, **QUICK) == SHA256
    assert target.read_bytes() == DATA
    assert_clean(target.parent, "data.bin")


def test_file_that_is_already_right_is_not_fetched(server: LocalServer, tmp_path: Path) -> None:
    target = tmp_path / "data.bin"
    target.write_bytes(DATA)
    download(f"{server.url}/data.bin", target, sha256=SHA256, **QUICK)
    assert server.requests == []


@pytest.mark.parametrize("code", [403, 404, 410])
def test_final_statuses_are_not_tried_again(server: LocalServer, tmp_path: Path, code: int) -> None:
    server.replies["/gone"] = status(code)
    with pytest.raises(FetchError, match=f"/gone: HTTP {code}"):
        download(f"{server.url}/gone", tmp_path / "x", **QUICK)
    assert len(server.requests) == 1
    assert_clean(tmp_path)


@pytest.mark.parametrize("code", [500, 502, 503, 429, 408])
def test_passing_statuses_are_tried_again(server: LocalServer, tmp_path: Path, code: int) -> None:
    server.replies["/data"] = in_turn(status(code), status(code), body(DATA))
    download(f"{server.url}/data", tmp_path / "x", sha256=SHA256, **QUICK)
    assert len(server.requests) == 3


def test_gives_up_after_the_retries(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/data"] = status(500)
    with pytest.raises(FetchError, match="gave up after 4 attempts: HTTP 500"):
        download(f"{server.url}/data", tmp_path / "x", **QUICK)
    assert len(server.requests) == 4


def test_pauses_grow_and_are_randomised(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(downloads.time, "sleep", pauses.append)
    server.replies["/data"] = status(503)
    with pytest.raises(FetchError):
        download(f"{server.url}/data", tmp_path / "x", retries=4, backoff=1.0)
    assert len(pauses) == 4
    for number, pause in enumerate(pauses):
        assert 0.5 * 2**number <= pause <= 1.5 * 2**number


def test_retry_after_in_seconds_and_as_date(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(downloads.time, "sleep", pauses.append)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=30)
    date = email.utils.format_datetime(until, usegmt=True)
    server.replies["/data"] = in_turn(
        status(429, Retry_After="7"),
        status(503, Retry_After=date),
        status(429, Retry_After="100000"),
        body(DATA),
    )
    download(f"{server.url}/data", tmp_path / "x", retries=3)
    assert pauses[0] == 7
    assert (until - datetime.now(UTC)).total_seconds() <= pauses[1] <= 30
    assert pauses[2] == downloads.LONGEST_PAUSE


def resumed_at(headers: dict[str, str]) -> int:
    return int(headers["Range"].removeprefix("bytes=").removesuffix("-"))


def test_goes_on_where_the_line_was_cut(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/data"] = in_turn(cut(DATA, 200_000, ETag='"one"'), ranged(DATA, '"one"'))
    download(f"{server.url}/data", tmp_path / "x", sha256=SHA256, **QUICK)
    first, second = server.asked("/data")
    assert "Range" not in first
    assert 200_000 - transfers.CHUNK_BYTES < resumed_at(second) <= 200_000
    assert second["If-Range"] == '"one"'
    assert (tmp_path / "x").read_bytes() == DATA
    assert_clean(tmp_path, "x")


def test_goes_on_in_a_later_call(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/data"] = cut(DATA, 150_000, Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")
    with pytest.raises(FetchError, match="gave up after 1 attempt"):
        download(f"{server.url}/data", tmp_path / "x", retries=0)
    assert not (tmp_path / "x").exists()
    server.replies["/data"] = ranged(DATA, "Mon, 01 Jan 2024 00:00:00 GMT")
    download(f"{server.url}/data", tmp_path / "x", sha256=SHA256, retries=0)
    assert 150_000 - transfers.CHUNK_BYTES < resumed_at(server.asked("/data")[1]) <= 150_000


def test_what_identifies_nothing_is_not_gone_on_with(server: LocalServer, tmp_path: Path) -> None:
    # A weak ETag says that two versions mean the same, not that their bytes are.
    server.replies["/data"] = in_turn(cut(DATA, 200_000, ETag='W/"one"'), body(DATA))
    download(f"{server.url}/data", tmp_path / "x", sha256=SHA256, **QUICK)
    assert not any("Range" in headers for headers in server.asked("/data"))


def test_part_of_another_address_is_not_gone_on_with(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/one"] = cut(DATA, 200_000, ETag='"same"')
    with pytest.raises(FetchError):
        download(f"{server.url}/one", tmp_path / "x", retries=0)
    server.replies["/two"] = ranged(DATA[::-1], '"same"')
    download(f"{server.url}/two", tmp_path / "x", retries=0)
    assert (tmp_path / "x").read_bytes() == DATA[::-1]


def test_a_whole_part_is_not_fetched_again(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/data"] = ranged(DATA, '"one"')
    (tmp_path / "x.part").write_bytes(DATA)
    # The address, which may hold a password, is kept as its digest.
    address = hashlib.sha256(f"{server.url}/data".encode()).hexdigest()
    state = {"url": address, "validator": '"one"'}
    (tmp_path / "x.part.json").write_text(json.dumps(state))
    download(f"{server.url}/data", tmp_path / "x", sha256=SHA256, **QUICK)
    assert server.asked("/data")[0]["Range"] == f"bytes={len(DATA)}-"
    assert len(server.requests) == 1
    assert_clean(tmp_path, "x")


def test_server_that_ignores_ranges_starts_again(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/data"] = in_turn(cut(DATA, 100_000, ETag='"one"'), body(DATA, ETag='"one"'))
    download(f"{server.url}/data", tmp_path / "x", sha256=SHA256, **QUICK)
    assert (tmp_path / "x").read_bytes() == DATA


def test_file_that_changed_meanwhile_starts_again(server: LocalServer, tmp_path: Path) -> None:
    changed = DATA[::-1]
    server.replies["/data"] = in_turn(cut(DATA, 100_000, ETag='"one"'), ranged(changed, '"two"'))
    download(f"{server.url}/data", tmp_path / "x", **QUICK)
    assert (tmp_path / "x").read_bytes() == changed


def test_other_part_than_asked_for_is_not_glued_on(server: LocalServer, tmp_path: Path) -> None:
    def careless(handler: Any) -> None:
        # Honours the range of a file that is no longer the same.
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        send(handler, 206, {"ETag": '"two"', "Content-Range": span}, DATA[::-1][start:])

    good = ranged(DATA[::-1], '"two"')
    server.replies["/data"] = in_turn(cut(DATA, 100_000, ETag='"one"'), careless, good)
    download(f"{server.url}/data", tmp_path / "x", **QUICK)
    assert (tmp_path / "x").read_bytes() == DATA[::-1]


def test_wrong_digest_after_resuming_gets_one_clean_attempt(
    server: LocalServer, tmp_path: Path
) -> None:
    # Same ETag, other bytes: only the digest can tell.
    server.replies["/data"] = in_turn(
        cut(b"\0" * len(DATA), 100_000, ETag='"one"'), ranged(DATA, '"one"')
    )
    download(f"{server.url}/data", tmp_path / "x", sha256=SHA256, **QUICK)
    assert ["Range" in headers for headers in server.asked("/data")] == [False, True, False]


def test_wrong_digest(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/data"] = body(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(FetchError, match=f"expected sha256 {SHA256}, got {found}"):
        download(f"{server.url}/data", tmp_path / "x", sha256=SHA256, **QUICK)
    assert len(server.requests) == 1
    assert_clean(tmp_path)


@pytest.mark.parametrize(
    ("page", "content_type"),
    [
        (b"<!DOCTYPE html><html><title>Please log in</title></html>", "application/octet-stream"),
        (b"\n <HTML lang=en><head><title>Please log in</title>", "application/zip"),
        (b"<?xml version='1.0'?>\n<html><title>Please log in</title>", "application/xml"),
        (b"<title>Please log in</title>", "text/html; charset=utf-8"),
    ],
)
def test_web_page_in_place_of_data(
    server: LocalServer, tmp_path: Path, page: bytes, content_type: str
) -> None:
    server.replies["/data.zip"] = body(page, Content_Type=content_type)
    with pytest.raises(FetchError, match=r"sent a web page .*Please log in"):
        download(f"{server.url}/data.zip", tmp_path / "data.zip", **QUICK)
    assert len(server.requests) == 1
    assert_clean(tmp_path)


def test_text_that_only_mentions_html_is_data(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/a.txt"] = body(b"i love <html>;joy\n", Content_Type="text/plain")
    download(f"{server.url}/a.txt", tmp_path / "a.txt", **QUICK)
    assert (tmp_path / "a.txt").read_bytes() == b"i love <html>;joy\n"


def drip(pause: float, pieces: int) -> Any:
    def reply(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(pieces))
        handler.end_headers()
        for _ in range(pieces):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(pause)

    return reply


def test_slow_drip_within_the_timeout_is_waited_for(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/slow"] = drip(0.05, 12)
    download(f"{server.url}/slow", tmp_path / "x", timeout=5, retries=0)
    assert (tmp_path / "x").read_bytes() == b"x" * 12


def test_stall_beyond_the_timeout_is_an_error(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/slow"] = drip(1.0, 3)
    with pytest.raises(FetchError, match=r"after 2 attempts: nothing came for 0\.2 s"):
        download(f"{server.url}/slow", tmp_path / "x", timeout=0.2, retries=1, backoff=0.01)
    assert not (tmp_path / "x").exists()


def test_server_that_never_answers(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/mute"] = lambda handler: time.sleep(1)
    with pytest.raises(FetchError, match=r"nothing came for 0\.2 s"):
        download(f"{server.url}/mute", tmp_path / "x", timeout=0.2, retries=0)


def test_redirects_are_followed_but_not_for_ever(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/old"] = status(302, Location="/new")
    server.replies["/new"] = body(DATA)
    download(f"{server.url}/old", tmp_path / "x", sha256=SHA256, **QUICK)
    server.replies["/loop"] = status(302, Location="/loop")
    with pytest.raises(FetchError, match="redirects without end"):
        download(f"{server.url}/loop", tmp_path / "y", **QUICK)


def test_nobody_listens(tmp_path: Path, dead_url: str) -> None:
    with pytest.raises(FetchError, match="gave up after 2 attempts: the connection broke"):
        download(f"{dead_url}/data", tmp_path / "x", retries=1, backoff=0.01)


def test_unknown_host_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="host name is not known"):
        download("http://no-such-host.invalid/data", tmp_path / "x", retries=3, backoff=60)


def test_encoded_body_is_not_gone_on_with(server: LocalServer, tmp_path: Path) -> None:
    packed = gzip.compress(os.urandom(300_000))
    server.replies["/data"] = in_turn(
        cut(packed, 200_000, ETag='"one"', Content_Encoding="gzip"),
        body(packed, ETag='"one"', Content_Encoding="gzip"),
    )
    download(f"{server.url}/data", tmp_path / "x", **QUICK)
    assert (tmp_path / "x").read_bytes() == gzip.decompress(packed)
    assert not any("Range" in headers for headers in server.asked("/data"))


def test_progress_in_the_log(
    server: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(transfers, "SECONDS_BETWEEN_LOG_LINES", 0.0)
    server.replies["/data.bin"] = body(DATA * 10)
    with caplog.at_level("INFO"):
        download(f"{server.url}/data.bin", tmp_path / "data.bin", **QUICK)
    assert "data.bin: 3 of 3 MB" in caplog.messages


def test_file_mirror(tmp_path: Path) -> None:
    source = tmp_path / "my mirror" / "data.bin"
    source.parent.mkdir()
    source.write_bytes(DATA)
    download(source.as_uri(), tmp_path / "x", sha256=SHA256)
    assert (tmp_path / "x").read_bytes() == DATA
    with pytest.raises(FetchError, match="no such file"):
        download(f"file://{tmp_path}/absent", tmp_path / "y")
    with pytest.raises(FetchError, match="no other host"):
        download("file://elsewhere/data", tmp_path / "y")
    page = tmp_path / "page.zip"
    page.write_bytes(b"<!doctype html><p>not found")
    with pytest.raises(FetchError, match="web page"):
        download(page.as_uri(), tmp_path / "y")
    assert not (tmp_path / "y").exists()


def test_disk_full_while_writing(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.replies["/data"] = body(DATA)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6, 1000)
    )
    with pytest.raises(UserError, match=rf"x: cannot be written: needs {len(DATA)} bytes, .* 1000"):
        download(f"{server.url}/data", tmp_path / "x", **QUICK)
    assert_clean(tmp_path)


def test_really_full_disk(server: LocalServer, small_disk: Path) -> None:
    def chunked(handler: Any) -> None:
        # No length announced: only the writing itself finds out.
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(DATA * 4)
        handler.close_connection = True

    server.replies["/data"] = chunked
    with pytest.raises(UserError, match=os.strerror(errno.ENOSPC)):
        download(f"{server.url}/data", small_disk / "x", **QUICK)
    assert_clean(small_disk)


def test_folder_that_cannot_be_made(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    server.replies["/data"] = body(DATA)
    with pytest.raises(UserError, match="cannot be written"):
        download(f"{server.url}/data", tmp_path / "file" / "x", **QUICK)

"""Input that was made to hang a reader, or to fill the memory."""

import gzip
import io
import tarfile
import time
from pathlib import Path

import pytest
from local_server import serve

from affectlab.assets import transfers, web_pages
from affectlab.assets.downloads import download
from affectlab.config.checks import folder_mistakes
from affectlab.config.load import load_yaml
from affectlab.config.schemas import schema_mistakes
from affectlab.errors import ConfigError, DataError, FetchError
from affectlab.files.unpacking import extract

SECONDS = 5.0
"""Far more than each of these takes, on a busy machine too, and far less than before."""


@pytest.fixture(autouse=True)
def quick():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize(
    "start",
    [
        b"<!---->" * 40 + b"<!--",
        b"<!-- -->" * 8000,
        b"<?xml" * 12_000,
        b" " * 65_000,
        b"<!doctype" + b" " * 65_000,
        b"<title" * 10_000,
        b"<title>" * 9_000,
    ],
)
def test_the_look_at_a_first_chunk_takes_each_byte_once(start):
    assert not web_pages.begins_as_html(start)
    web_pages.html_title(start)


@pytest.mark.parametrize(
    ("start", "title"),
    [
        (b"<html><title>Log in</title>", "Log in"),
        (b"\n<!DOCTYPE  html><TITLE lang='x'> Busy </TITLE>", "Busy"),
        (b"<?xml version='1.0'?>\n<!-- a --><!-- b > -->\n<html>", ""),
        (b"<body>", ""),
    ],
)
def test_a_web_page_is_known(start, title):
    assert web_pages.begins_as_html(start)
    assert web_pages.html_title(start) == title


@pytest.mark.parametrize(
    "start", [b"", b"<headline>", b"<!-- <html> -->", b"text <html>", b"<?xml"]
)
def test_other_data_is_no_web_page(start):
    assert not web_pages.begins_as_html(start)


def drip(handler, *, header: bool) -> None:
    """An answer whose header or body comes byte by byte."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n" + (b"" if header else b"\r\n"))
    for _ in range(200):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize("header", [False, True])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(tmp_path, monkeypatch, header):
    monkeypatch.setattr(transfers, "SLOWEST_SECONDS", 0.3)
    with serve() as server:
        server.replies["/data.csv"] = lambda handler: drip(handler, header=header)
        problem = "no whole header in" if header else "less than 64 KiB in 0.3 s"
        with pytest.raises(FetchError, match=problem):
            download(f"{server.url}/data.csv", tmp_path / "data.csv", retries=0, timeout=0.5)
    assert not (tmp_path / "data.csv").exists()


def write_tar(path: Path, kind: bytes, payload: bytes) -> None:
    """A tar with one extending header before its only member."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = kind, len(payload)
    member = tarfile.TarInfo("a.txt")
    padding = b"\0" * (-len(payload) % 512)
    path.write_bytes(
        gzip.compress(
            info.tobuf(tarfile.USTAR_FORMAT) + payload + padding + member.tobuf() + b"\0" * 1024,
            compresslevel=1,
        )
    )


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (tarfile.GNUTYPE_LONGNAME, b"a" * 20_000_000),
        (tarfile.GNUTYPE_LONGLINK, b"a" * 1_000_000),
        (tarfile.XHDTYPE, b"0" * 1_000_000),
        (tarfile.XHDTYPE, b"1" * 60_000),
        (tarfile.XGLTYPE, b"20 path=a.txt " + b"9" * 50_000),
        (tarfile.XHDTYPE, b"25 GNU.sparse.major=1\n   \n"),
    ],
)
def test_a_header_made_to_keep_tarfile_busy_is_refused(tmp_path, kind, payload):
    write_tar(tmp_path / "x.tar.gz", kind, payload)
    with pytest.raises(DataError, match=r"x\.tar\.gz, member .*(refused|sparse file)"):
        extract(tmp_path / "x.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_headers_without_end_are_a_bomb(tmp_path):
    block = tarfile.TarInfo("././@LongLink")
    block.type, block.size = tarfile.GNUTYPE_LONGNAME, 60_000
    one = block.tobuf(tarfile.GNU_FORMAT) + b"a" * 60_000 + b"\0" * (-60_000 % 512)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(one * 1200, 1))
    with pytest.raises(DataError, match=r"x\.tar\.gz"):
        extract(tmp_path / "x.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names_arrive(tmp_path, form):
    """Python's own writer makes the headers that are looked at."""
    names = ["a" * 90 + "/" + "b" * 150 + ".txt", "ünï.txt", "1234567890/20261130.txt"]
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", format=form) as bundle:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 3, 1.5
            bundle.addfile(info, io.BytesIO(b"abc"))
    found = extract(tmp_path / "x.tar.gz", tmp_path / "out")
    assert [path.as_posix() for path in found] == sorted(names)


def test_tarfile_still_calls_what_guards_it():
    for name in ("_proc_gnulong", "_proc_pax", "_proc_sparse", "_block"):
        assert callable(getattr(tarfile.TarInfo, name))


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LAUGHS, "line 5, column .*: stands for more than 100,000 values"),
        (LAUGHS.replace("[", "{<<: [").replace("]", "]}"), "stands for more than 100,000 values"),
        ("a: " + "[" * 3000, "line 1, column .*: nested more than 40 levels deep"),
        ("{a: " * 3000, "nested more than 40 levels deep"),
        ("a: &a [*a]", "line 1, column 8: the alias \\*a stands inside its own value"),
        ("a: !!int x", "line 1, column 4: not a value of the type int"),
        ("a: !!bool x", "not a value of the type bool"),
        ("a: !!float x", "not a value of the type float"),
        ("a: !!timestamp x", "not a value of the type timestamp"),
        ("a: 2001-99-99", "not a value of the type timestamp"),
        ("a: " + "9" * 5000, "not a value of the type int"),
        ("a: 0x" + "f" * 5000, "a whole number out of bounds"),
        ("a: 1" + ":59" * 3000, "a whole number out of bounds"),
        ("a: *b", "line 1, column 4"),
        ("<<: 3", "line 1, column 5"),
    ],
)
def test_a_hostile_yaml_file_gives_one_line(tmp_path, text, problem):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"own\.yaml.*{problem}") as caught:
        load_yaml(path)
    assert len(str(caught.value).splitlines()) == 1


def test_aliases_of_an_ordinary_file_are_read(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("a: &a {x: 1, y: [2, 3]}\nb: *a\nc: {<<: *a, x: 5}\n")
    assert load_yaml(path) == {
        "a": {"x": 1, "y": [2, 3]},
        "b": {"x": 1, "y": [2, 3]},
        "c": {"x": 5, "y": [2, 3]},
    }


def test_a_name_with_a_line_break_does_not_fit_a_pattern():
    """To Python, ``$`` fits before a line break too."""
    schema = {"type": "string", "pattern": "^[a-z]+$"}
    assert schema_mistakes("x", schema) == []
    assert len(schema_mistakes("x\n", schema)) == 1
    names = {"propertyNames": {"pattern": "^[a-z]+$"}}
    assert len(schema_mistakes({"x\n": 1}, names)) == 1


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_number_without_counterpart_is_reported(kind):
    """Snakemake reads the configuration by itself, and YAML knows no bounds."""
    (mistake,) = schema_mistakes(10**5000, {"type": kind})
    assert "a whole number out of bounds" in mistake


def test_a_home_that_nobody_has_is_a_folder_that_is_not_there():
    (mistake,) = folder_mistakes({"data_root": "~nobody_such/x"})
    assert mistake.startswith("data_root: no folder '~nobody_such/x'")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "9" * 5000},
        {"Content-Length": "many"},
        {"Content-Length": "3", "Content-Range": "bytes " + "9" * 5000 + "-"},
    ],
)
def test_headers_that_are_no_numbers_are_no_traceback(tmp_path, headers):
    def reply(handler):
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b"abc")

    with serve() as server:
        server.replies["/x"] = reply
        try:
            download(f"{server.url}/x", tmp_path / "x", retries=0)
        except FetchError:
            return
    assert (tmp_path / "x").read_bytes() == b"abc"

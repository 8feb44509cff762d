"""Files that are small on the disk and would fill the memory."""

import gzip
import json
import resource
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import pytest

from affectlab.emotion.convert import read_raw as read_emotion
from affectlab.entity.convert import convert
from affectlab.errors import DataError
from affectlab.face.images import MOST_PIXELS, claimed_size
from affectlab.face.photographs import read_image
from affectlab.face.pixels import decode_image
from affectlab.face.raw import read_raw as read_faces
from affectlab.files import io, text


def png(width: int, height: int, *, chunk_length: int | None = None) -> bytes:
    """A grey PNG, whose chunk of pixels may claim another length."""

    def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
        size = len(data) if length is None else length
        return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    row = b"\0" * (width + 1)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels, chunk_length)
        + chunk(b"IEND", b"")
    )


def huge_png(side: int) -> bytes:
    """The beginning of a PNG that claims *side* x *side* pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
    data = zlib.compress(b"\0" * 50_000)
    return (
        start
        + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", len(data))
        + b"IDAT"
        + data
        + struct.pack(">I", zlib.crc32(b"IDAT" + data))
        + b"\0\0\0\0IEND\xaeB`\x82"
    )


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (png(48, 48, chunk_length=0xFF000000), "a chunk is longer than what is left"),
        (huge_png(32_000), f"at most {MOST_PIXELS:,} pixels"),
        (huge_png(10_001), f"at most {MOST_PIXELS:,} pixels, found 10001x10001"),
        (png(48, 48)[:-12], "it has no end"),
        (png(48, 48)[:30], "a chunk is longer than what is left"),
        (b"BM" + b"\xff" * 60, "expected a whole image file"),
    ],
)
def test_what_an_image_claims_is_looked_at_first(tmp_path, data, problem):
    with pytest.raises(ValueError, match=problem):
        claimed_size(data)
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(DataError, match=rf"x\.png: .*{problem}"):
        read_image(tmp_path / "x.png")
    with pytest.raises(ValueError, match="expected"):
        decode_image(data)


def test_an_image_of_another_size_is_refused_before_it_is_decoded(monkeypatch):
    import cv2

    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="expected 48x48 pixels, found 3000x20"):
        decode_image(png(3000, 20))


@pytest.fixture
def short_lines(monkeypatch):
    monkeypatch.setattr(text, "LONGEST_LINE", 1000)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("train.jsonl", '{"text": "%s", "label": "joy"}'),
        ("train.jsonl.gz", '{"text": "%s", "label": "joy"}'),
        ("train.txt.gz", "%s;joy"),
        ("train.csv.gz", "%s,joy"),
    ],
)
def test_a_line_without_end_is_refused(tmp_path, short_lines, name, line):
    lines = [line % "short", line % ("x" * 2000)]
    if ".csv" in name:
        lines.insert(0, "text,label")
    data = "\n".join(lines).encode()
    for split in ("train", "validation", "test"):
        path = tmp_path / name.replace("train", split)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(DataError, match=rf"{name}, line {len(lines)}: longer than"):
        list(read_emotion(tmp_path, "skip"))


def test_a_line_without_end_of_a_table_in_a_zip_is_refused(tmp_path, short_lines):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("fer2013.csv", "emotion,pixels,Usage\n0," + "1 " * 5000 + ",Training\n")
    with pytest.raises(DataError, match=r"fer2013\.csv, line 2: longer than"):
        list(read_faces(tmp_path, "skip"))


def test_records_are_read_line_by_line(tmp_path, short_lines):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r{"a": 3}')
    assert [row["a"] for row in io.read_jsonl(path)] == [1, 2, 3]
    path.write_bytes(b'{"a": 1}\n{"a": "\xff"}\n')
    with pytest.raises(DataError, match=r"line 2: expected UTF-8, found byte 0xff"):
        list(io.read_jsonl(path))
    path.write_text('{"a": 1}\n{"a": "' + "x" * 2000 + '"}')
    with pytest.raises(DataError, match="line 2: longer than"):
        list(io.read_jsonl(path))
    path.unlink()
    with pytest.raises(DataError, match="no such file"):
        list(io.read_jsonl(path))


@pytest.mark.parametrize("layout", ["goemotions", "goemotions_spans"])
def test_the_memory_of_a_conversion_does_not_grow_with_the_corpus(tmp_path, layout):
    """As a list, the records of 1,500 more sentences took 3 MB."""
    peaks = []
    # Both files are larger than the block in which their SHA-256 is computed.
    for size in (3000, 4500):
        with (tmp_path / "train.tsv").open("w") as stream:
            for number in range(size):
                stream.write(f"[NAME] is number {number} and he is happy about it\t17\tx{number}\n")
        for name in ("dev.tsv", "test.tsv"):
            (tmp_path / name).write_text("a text about you\t3\tx\n")
        tracemalloc.start()
        convert(
            tmp_path,
            tmp_path / "out.jsonl",
            tmp_path / "bad.jsonl",
            tmp_path / "description.json",
            entry={"layout": layout},
            on_bad_record="skip",
            split=None,
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        with (tmp_path / "out.jsonl").open() as stream:
            assert sum(json.loads(line)["split"] == "train" for line in stream) == size
    assert peaks[1] < peaks[0] + 500_000


def test_a_conversion_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "raw").mkdir()
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        (tmp_path / "raw" / name).write_text("good\t3\tx\nbad\t99\tx\n")
    with pytest.raises(DataError, match=r"train\.tsv, line 2: expected class ids"):
        convert(
            tmp_path / "raw",
            tmp_path / "out.jsonl",
            tmp_path / "bad.jsonl",
            tmp_path / "description.json",
            entry={"layout": "goemotions"},
            on_bad_record="fail",
            split=None,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


def test_an_image_that_claims_gigabytes_takes_none(tmp_path):
    """In a process with a limit, so that the test itself cannot fill the machine."""
    (tmp_path / "x.png").write_bytes(png(48, 48, chunk_length=0xFF000000))
    code = (
        "import sys\nfrom affectlab.face.photographs import read_image\n"
        "from affectlab.errors import DataError\n"
        "try:\n    read_image(sys.argv[1])\nexcept DataError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.png")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30)),
    )
    assert "a chunk is longer than what is left" in done.stdout

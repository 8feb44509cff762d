"""Which files are images or recordings, by ending and by content."""

import re

import cv2
import numpy as np
import pytest
import soundfile

from affectlab.datasets.media import IMAGES, RECORDINGS, read_head, sort_files

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
AVIF_AS_MIF1 = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(40)
M4A = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42" + bytes(40)


def files(folder, medium):
    names = sorted(path.name for path in folder.iterdir())
    return sort_files(medium, names, lambda name: read_head(folder / name))


def test_opencv_reads_every_ending_of_images_and_any_other_name_for_them(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    written = {
        ending: cv2.imencode(
            {".jfif": ".jpg"}.get(ending, ending),
            np.stack([grey] * 3, axis=-1) if ending in (".gif", ".ppm") else grey,
        )[1]
        for ending in IMAGES.endings
    }
    for ending, content in written.items():
        (tmp_path / f"a{ending}").write_bytes(content.tobytes())
        (tmp_path / f"B{ending.upper()}").write_bytes(content.tobytes())
    found = files(tmp_path, IMAGES)
    assert len(found.read) == 2 * len(written)
    for name in found.read:
        data = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).shape == (48, 48), name
    for ending, content in written.items():
        # Portable maps begin as texts may.
        expected = "other" if ending in (".pbm", ".pgm", ".ppm", ".pnm") else "read"
        head = content.tobytes()[:64]
        assert IMAGES.judge("IMG_0001", lambda head=head: head) == expected, ending
        assert IMAGES.judge("scan.dat", lambda head=head: head) == expected, ending


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AU", "PCM_16"),
        ("CAF", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
        ("NIST", "PCM_16"),
        ("VOC", "PCM_16"),
    ],
)
def test_recordings_are_known_by_their_content(tmp_path, form, subtype):
    path = tmp_path / "voice"
    soundfile.write(path, np.zeros(48_000), 48_000, format=form, subtype=subtype)
    assert files(tmp_path, RECORDINGS).read == ["voice"]
    assert IMAGES.judge("voice", lambda: read_head(path)) == "other"


@pytest.mark.parametrize(
    ("medium", "name", "content", "verdict", "advice"),
    [
        (IMAGES, "a.heic", HEIC, "convert", "HEIC, a format .*: magick a.heic a.png"),
        (IMAGES, "a", HEIC, "convert", "HEIC, .*: magick a a.png"),
        (IMAGES, "my face.jpg", HEIC, "read", "HEIC, .*: magick 'my face.jpg' 'my face.png'"),
        (IMAGES, "a.heic", b"\xff\xd8\xff\xe0" + bytes(60), "read", None),
        (IMAGES, "a.nef", b"II*\0" + bytes(60), "convert", None),
        (IMAGES, "a", AVIF_AS_MIF1, "read", None),
        (IMAGES, "notes.txt", b"BMW and Mercedes: a comparison of their faces", "other", None),
        (IMAGES, "notes.txt", b"", "other", None),
        (RECORDINGS, "a.m4a", M4A, "convert", "M4A, a format .*: ffmpeg -i a.m4a a.wav"),
        (RECORDINGS, "a.wav", M4A, "read", "M4A, .*: ffmpeg -i a.wav a.wav"),
        (RECORDINGS, "a.wma", b"\x30\x26\xb2\x75" + bytes(60), "convert", "WMA"),
        (RECORDINGS, "a.mp4", b"\0\0\0\x18ftypisom" + bytes(52), "other", None),
        (RECORDINGS, "a.txt", "no audio".encode("utf-16"), "other", None),
        (RECORDINGS, "a.webp", b"RIFF\0\0\0\0WEBP", "other", None),
    ],
)
def test_other_formats_of_the_medium_are_told_apart(medium, name, content, verdict, advice):
    assert medium.judge(name, lambda: content) == verdict
    found = medium.advice(name, content)
    if advice is None:
        assert found is None or verdict == "convert"
    else:
        assert re.match(advice, found), found

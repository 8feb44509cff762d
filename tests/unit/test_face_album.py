"""Every image of an album is read or reported, singly and in a folder, and in raw data."""

import errno
import io
import json
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from affectlab.cli import main
from affectlab.errors import DataError
from affectlab.face import model, photographs, pixels, predict, raw
from affectlab.face.interface import Interface
from affectlab.face.settings import FaceRun, Network
from affectlab.files.quarantine import BadRecord
from affectlab.samples import face as samples

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
ENDINGS = ("avif", "bmp", "gif", "jfif", "jpe", "jpg", "JPG", "png", "tif", "webp")


def encoded(picture, ending):
    if ending == "gif":
        # OpenCV writes colours that are not quite grey.
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "GIF")
        return stream.getvalue()
    form = {"jfif": ".jpg", "JPG": ".jpg"}.get(ending, f".{ending}")
    return cv2.imencode(form, picture)[1].tobytes()


def draw(number=1):
    return samples.draw_faces(np.full(number, 3), np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    directory = tmp_path_factory.mktemp("network")
    run = FaceRun(network=Network(widths=[8, 8], depths=[1, 1], dropout=0.1))
    model.save_network(model.build_network(run, None, Interface()), run, directory)
    return directory


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for ending in ENDINGS:
        (folder / f"a.{ending}").write_bytes(encoded(draw(), ending))
    (folder / "IMG_0001").write_bytes(encoded(draw(), "jpg"))
    (folder / "renamed.dat").write_bytes(encoded(draw(), "webp"))
    (folder / "photo.heic").write_bytes(HEIC)
    (folder / "phone.jpeg").write_bytes(HEIC)
    (folder / "notes.txt").write_text("BM and other letters")
    return folder


def test_a_folder_is_read_as_its_files_are_and_each_unread_image_reported(network, album, capsys):
    command = ["predict", "face", "--model", str(network), "--device", "cpu"]
    assert main([*command, str(album)]) == 1
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    found = {row["file"] for row in rows if "faces" in row}
    assert {row["file"] for row in rows if "error" in row} == {
        str(album / "photo.heic"),
        str(album / "phone.jpeg"),
    }
    readable = {*(f"a.{ending}" for ending in ENDINGS), "IMG_0001", "renamed.dat"}
    assert found == {str(album / name) for name in readable}
    assert f"{album / 'photo.heic'}: HEIC, a format that cannot be read here" in printed.err
    assert "magick phone.jpeg phone.png" in printed.err
    assert "2 image files or folders could not be read" in printed.err
    assert "notes.txt" not in printed.err
    assert main([*command, *map(str, sorted(found))]) == 0


def test_a_bad_image_does_not_stop_the_others(network, album, capsys):
    (album / "a.png").write_bytes(encoded(draw(), "png")[:-30])
    command = ["predict", "face", "--model", str(network), "--device", "cpu"]
    assert main([*command, str(album / "a.png"), str(album / "a.webp")]) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert "cut off" in first["error"]
    assert second["faces"]
    assert main([*command, str(album)]) == 1
    assert capsys.readouterr().out.count('"faces"') == len(ENDINGS) + 1
    predictor = predict.FacePredictor.from_directory(network, device="cpu")
    with pytest.raises(DataError):
        list(predictor.predict_folder(album))


def write_folders(folder):
    for number, ending in enumerate(ENDINGS):
        place = folder / "train" / "happy"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.{ending}").write_bytes(encoded(draw(), ending))
    (place / "without_ending").write_bytes(encoded(draw(), "png"))


def test_folders_of_fer2013_may_hold_any_format_of_images(tmp_path):
    write_folders(tmp_path)
    found = list(raw.read_raw(tmp_path))
    assert len(found) == len(ENDINGS) + 1
    for face in found:
        assert np.abs(face.pixels.astype(int) - draw()).mean() < 12, face.image_path


def test_an_image_in_another_format_is_set_aside_with_advice(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "train" / "happy" / "photo.heic").write_bytes(HEIC)
    with pytest.raises(DataError, match=r"photo\.heic: HEIC, a format that cannot be read here"):
        list(raw.read_raw(tmp_path))
    found = list(raw.read_raw(tmp_path, "skip"))
    [bad] = [item for item in found if isinstance(item, BadRecord)]
    assert bad.file == "train/happy/photo.heic"
    assert len(found) == len(ENDINGS) + 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_cut_image_is_refused_in_every_format(ending):
    content = encoded(draw(), ending)
    for share in (0.3, 0.7, 0.95):
        with pytest.raises(ValueError, match="expected a"):
            pixels.decode_image(content[: int(share * len(content))])


def test_images_beside_a_table_are_reported(tmp_path, caplog):
    samples.write_corpus(tmp_path, 3, "csv", {"Training": 7, "PublicTest": 7, "PrivateTest": 7})
    (tmp_path / "train" / "happy").mkdir(parents=True)
    (tmp_path / "train" / "happy" / "1.png").write_bytes(encoded(draw(), "png"))
    assert len(list(raw.read_raw(tmp_path))) == 21
    assert "1 image files beside it are not, the first is train/happy/1.png" in caplog.text


def test_every_bad_path_of_a_command_is_reported_and_the_rest_goes_on(network, tmp_path, capsys):
    good, empty, cut, page = (tmp_path / name for name in ("a.png", "b.png", "c.png", "d.png"))
    good.write_bytes(encoded(draw(), "png"))
    empty.write_bytes(b"")
    cut.write_bytes(encoded(draw(), "png")[:200])
    page.write_text("<!DOCTYPE html><title>Sign in</title>")
    bare = tmp_path / "bare"
    bare.mkdir()
    bad = [tmp_path / "absent.png", empty, cut, page, bare]
    command = ["predict", "face", "--model", str(network), "--device", "cpu"]
    assert main([*command, *map(str, bad), str(good)]) == 1
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["file"] for row in rows] == [*map(str, bad), str(good)]
    assert ["error" in row for row in rows] == [True] * len(bad) + [False]
    assert "no such file" in rows[0]["error"].lower()
    assert "an empty file" in rows[1]["error"]
    assert "a web page" in rows[3]["error"]
    assert "no images" in rows[4]["error"]
    lines = printed.err.splitlines()
    assert lines[-1] == "affectlab: 5 image files or folders could not be read"
    for path, line in zip(bad, lines, strict=False):
        assert line.startswith(f"affectlab: {path}: ")


def test_a_device_without_an_end_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(photographs, "MOST_BYTES", 1 << 20)
    with pytest.raises(DataError, match="an image of at most 1 MB, found a longer file"):
        photographs.read_image("/dev/zero")


def test_a_folder_that_may_not_be_read_is_reported_and_the_rest_goes_on(
    network, album, monkeypatch
):
    (album / "private").mkdir()
    refused, scandir = str(album / "private"), os.scandir

    def no_entry(path):
        if str(path) == refused:
            raise PermissionError(errno.EACCES, "Permission denied", refused)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", no_entry)
    predictor = predict.FacePredictor.from_directory(network, device="cpu")
    bad = []
    assert len(list(predictor.predict_folder(album, on_bad=bad.append))) == len(ENDINGS) + 2
    assert {error.path.name for error in bad} == {"private", "photo.heic", "phone.jpeg"}

"""Archives as people have them: zipped on Windows, two in a folder, or of another kind."""

import zipfile

import pytest

from affectlab.assets.fetch import fetch_dataset
from affectlab.assets.status import asset_status
from affectlab.errors import DataError, FetchError
from affectlab.face import faces, raw
from affectlab.files.quarantine import BadRecord
from affectlab.files.unpacking import extract
from affectlab.samples import face as samples

ENTRY = {"sources": [{"kind": "url", "urls": ["http://127.0.0.1:9/x"], "files": {}}]}


def write_zip(path, members, system=0):
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in members.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.create_system = name, system
            bundle.writestr(info, content)
    return path


@pytest.mark.parametrize("system", [0, 3, 10])
def test_backslashes_separate_folders(tmp_path, system):
    members = {"RAVDESS\\": b"", "RAVDESS\\Actor_01\\a.wav": b"1", "RAVDESS\\b.wav": b"2"}
    found = extract(write_zip(tmp_path / "a.zip", members, system), tmp_path / "out")
    assert [path.as_posix() for path in found] == ["RAVDESS/Actor_01/a.wav", "RAVDESS/b.wav"]
    assert (tmp_path / "out/RAVDESS/Actor_01/a.wav").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("..\\evil", "leads outside"),
        ("a\\..\\..\\evil", "leads outside"),
        ("\\evil", "absolute path"),
        ("C:\\evil", "unsafe name"),
        ("\\\\host\\evil", "absolute path"),
    ],
)
def test_backslashes_lead_nowhere_else(tmp_path, name, message):
    archive = write_zip(tmp_path / "a.zip", {"ok.txt": b"1", name: b"2"})
    with pytest.raises(DataError, match=message):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    archive = write_zip(tmp_path / "b.zip", {"a\\b.txt": b"1", "a/b.txt": b"2"})
    with pytest.raises(DataError, match="comes twice"):
        extract(archive, tmp_path / "out")


def test_faces_are_read_in_place_from_such_an_archive(tmp_path):
    samples.write_corpus(tmp_path / "zip", 3, "zip", dict.fromkeys(faces.USAGES, 7))
    expected = list(raw.read_raw(tmp_path / "zip"))
    (tmp_path / "windows").mkdir()
    with zipfile.ZipFile(tmp_path / "zip" / "archive.zip") as bundle:
        members = {name.replace("/", "\\"): bundle.read(name) for name in bundle.namelist()}
    write_zip(tmp_path / "windows" / "archive.zip", members)
    found = list(raw.read_raw(tmp_path / "windows"))
    assert [face.image_path for face in found] == [face.image_path for face in expected]
    assert len(found) == 21
    # An image under both spellings of its name is there twice.
    name = next(name for name in members if name.endswith(".jpg"))
    twice = {**members, name.replace("\\", "/"): members[name]}
    write_zip(tmp_path / "windows" / "archive.zip", twice)
    bad = [
        item for item in raw.read_raw(tmp_path / "windows", "skip") if isinstance(item, BadRecord)
    ]
    assert ["a second image" in one.problem for one in bad] == [True]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a.zip", "b.ZIP"], "holds 2 archives (a.zip, b.ZIP), expected one; unpack them there"),
        (["a.7z", "b.zip", "README.md"], "holds 2 archives (a.7z, b.zip), expected one"),
        (["a.rar"], "holds a.rar, an archive of a kind that is not read here; unpack it there"),
        (["a.7z.001", "a.7z.002"], "holds 2 archives (a.7z.001, a.7z.002), expected one"),
    ],
)
def test_a_folder_of_archives_is_reported_before_anything_starts(tmp_path, files, message):
    folder = tmp_path / "set"
    folder.mkdir()
    for name in files:
        (folder / name).write_bytes(b"PK")
    status = asset_status("dataset", "set", ENTRY, tmp_path, tmp_path / "resources")
    assert status.state == "missing"
    assert f"{folder}: {message}" in status.detail
    with pytest.raises(FetchError) as caught:
        fetch_dataset("set", ENTRY, tmp_path / "out" / "manifest.json", tmp_path)
    assert f"{folder}: {message}" in str(caught.value)
    (folder / "train.txt").write_text("i am glad;joy\n")
    status = asset_status("dataset", "set", ENTRY, tmp_path, tmp_path / "resources")
    assert status.state == "present"


@pytest.mark.parametrize("name", ["set.7z", "set.RAR", "set.tar.zst", "set.zip.001"])
def test_a_copy_in_another_archive_is_not_passed_over(tmp_path, name):
    (tmp_path / name).write_bytes(b"7z")
    (tmp_path / "setting.7z").write_bytes(b"7z")
    status = asset_status("dataset", "set", ENTRY, tmp_path, tmp_path / "resources")
    assert status.state == "missing"
    expected = "an archive of a kind that is not read here; unpack it to"
    assert status.detail == f"{tmp_path / name}: {expected} {tmp_path / 'set'}"
    other = asset_status("dataset", "se", ENTRY, tmp_path, tmp_path / "resources")
    assert other.state == "downloadable"


@pytest.mark.parametrize(
    ("start", "kind"), [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR")]
)
def test_an_archive_of_another_kind_under_a_wrong_name(tmp_path, start, kind):
    (tmp_path / "a.zip").write_bytes(start + bytes(100))
    with pytest.raises(DataError, match=f"a {kind} archive, whatever its name is"):
        extract(tmp_path / "a.zip", tmp_path / "out")

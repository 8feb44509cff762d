"""Unpacking: good archives arrive whole, bad ones leave nothing behind."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from affectlab.errors import DataError, UserError
from affectlab.files.archives import local_copy, single_archive
from affectlab.files.unpacking import Limits, extract

FILES = {"train.txt": b"one;joy\n", "deep/er/test.txt": b"two;fear\n" * 1000}


def make_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return path


def make_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as bundle:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            bundle.addfile(info, io.BytesIO(data))
    return path


def make_any(path: Path, files: Mapping[str, bytes]) -> Path:
    if path.suffix == ".zip":
        return make_zip(path, files)
    modes = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}
    return make_tar(path, files, modes[path.suffix])


ALL_KINDS = ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.xz", "a.tar.bz2"]


def refused(archive: Path, tmp_path: Path, match: str, limits: Limits | None = None) -> None:
    """The archive is refused with this message, and nothing is left anywhere."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=match) as caught:
        extract(archive, tmp_path / "out", limits or Limits())
    assert str(archive) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_what_the_finder_adds_is_left_out(tmp_path: Path, name: str) -> None:
    archive = make_any(tmp_path / name, {**FILES, "__MACOSX/._train.txt": b"x"})
    assert extract(archive, tmp_path / "out") == [Path("deep/er/test.txt"), Path("train.txt")]
    assert not (tmp_path / "out" / "__MACOSX").exists()


@pytest.mark.parametrize("name", ALL_KINDS)
def test_every_kind_arrives_whole(tmp_path: Path, name: str) -> None:
    archive = make_any(tmp_path / name, FILES)
    paths = extract(archive, tmp_path / "out")
    assert paths == [Path("deep/er/test.txt"), Path("train.txt")]
    for member, data in FILES.items():
        assert (tmp_path / "out" / member).read_bytes() == data


def test_replaces_what_was_there_but_only_on_success(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old.txt").write_text("old")
    bad = make_zip(tmp_path / "bad.zip", {"../evil": b"x"})
    with pytest.raises(DataError):
        extract(bad, out)
    assert [path.name for path in out.iterdir()] == ["old.txt"]
    extract(make_zip(tmp_path / "good.zip", {"new.txt": b"new"}), out)
    assert [path.name for path in out.iterdir()] == ["new.txt"]


@pytest.mark.parametrize("kind", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize(
    ("member", "match"),
    [
        ("../evil", "leads outside"),
        ("a/../../evil", "leads outside"),
        ("/etc/evil", "absolute path"),
        ("C:/evil", "unsafe name"),
        ("a\\..\\evil", "leads outside the archive|unsafe name"),
        (".", "unsafe name"),
    ],
)
def test_names_that_lead_elsewhere(tmp_path: Path, kind: str, member: str, match: str) -> None:
    refused(make_any(tmp_path / kind, {"ok.txt": b"ok", member: b"evil"}), tmp_path, match)


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_come_twice(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / kind
    if kind == "a.zip":
        with zipfile.ZipFile(archive, "w") as bundle:
            bundle.writestr("a.txt", b"1")
            bundle.writestr("./a.txt", b"2")
    else:
        with tarfile.open(archive, "w") as bundle:
            for name in ("a.txt", "./a.txt"):
                bundle.addfile(tarfile.TarInfo(name))
    refused(archive, tmp_path, "comes twice")


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_file_that_is_also_a_folder(tmp_path: Path, kind: str, names: tuple[str, str]) -> None:
    archive = make_any(tmp_path / kind, dict.fromkeys(names, b"x"))
    refused(archive, tmp_path, "both a file and a folder")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_tar(tmp_path: Path, kind: bytes) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as bundle:
        info = tarfile.TarInfo("member")
        info.type = kind
        # Even a link that stays inside is refused: no data set needs one.
        info.linkname = "train.txt"
        bundle.addfile(info)
    refused(archive, tmp_path, "link or special file")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip(tmp_path: Path, kind: int) -> None:
    archive = tmp_path / "a.zip"
    info = zipfile.ZipInfo("member")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr(info, "/etc/passwd")
    refused(archive, tmp_path, "link or special file")


def test_encrypted_zip(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a.txt": b"secret"})
    raw = bytearray(archive.read_bytes())
    # The flag stands in the local header (offset 6) and in the central directory (offset 8).
    raw[raw.index(b"PK\x03\x04") + 6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(raw)
    refused(archive, tmp_path, "encrypted; unpack it with its password")


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_too_many_bytes(tmp_path: Path, kind: str) -> None:
    archive = make_any(tmp_path / kind, {"a": b"\0" * 60_000, "b": b"\0" * 60_000})
    limits = Limits(total_bytes=100_000)
    refused(archive, tmp_path, "unpacks to more than", limits)


@pytest.mark.parametrize("kind", ["a.zip", "a.tar.gz", "a.tar.xz"])
def test_compressed_bomb(tmp_path: Path, kind: str) -> None:
    archive = make_any(tmp_path / kind, {"zeros": b"\0" * 3_000_000})
    limits = Limits(ratio=100, ratio_floor_bytes=1_000_000)
    refused(archive, tmp_path, "expands more than 100 times", limits)


@pytest.mark.parametrize("kind", ["a.zip", "a.tar"])
def test_too_many_files(tmp_path: Path, kind: str) -> None:
    archive = make_any(tmp_path / kind, {f"{number}.txt": b"" for number in range(11)})
    refused(archive, tmp_path, "more than 10 members", Limits(files=10))


def test_zip_that_lies_about_a_size(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"\0" * 50_000})
    raw = archive.read_bytes().replace((50_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(raw)
    refused(archive, tmp_path, "cannot be unpacked")


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize(
    "harm",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:3],
        lambda raw: raw[:20] + raw[60:],
        lambda raw: b"<html>no</html>",
        lambda raw: b"",
    ],
    ids=["half", "three bytes", "a hole", "web page", "nothing"],
)
def test_corrupt_archives(tmp_path: Path, kind: str, harm: Callable[[bytes], bytes]) -> None:
    files = {"a": bytes(range(256)) * 100, "b": bytes(range(256)) * 100}
    archive = make_any(tmp_path / kind, files)
    archive.write_bytes(harm(archive.read_bytes()))
    refused(archive, tmp_path, "cannot be unpacked")


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"x"})
    with zipfile.ZipFile(archive, "a") as bundle:
        bundle.writestr(zipfile.ZipInfo("."), b"x")
        bundle.filelist[-1].filename = ""
    refused(archive, tmp_path, "cannot be unpacked|unsafe name")


def test_a_name_in_a_zip_that_is_not_the_utf_8_it_claims_to_be(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"\u00e9.txt": b"x"})
    archive.write_bytes(archive.read_bytes().replace("\u00e9".encode(), b"\xf6\xf6"))
    refused(archive, tmp_path, "cannot be unpacked")


def test_changed_byte_in_zip_is_noticed(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("a", b"stored as it is")
    archive.write_bytes(archive.read_bytes().replace(b"stored", b"staged"))
    refused(archive, tmp_path, "cannot be unpacked: Bad CRC-32")


def test_no_such_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        extract(tmp_path / "absent.zip", tmp_path / "out")


def test_destination_that_cannot_be_made(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", FILES)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        extract(archive, tmp_path / "file" / "out")


def test_permissions_of_the_archive_are_not_taken_over(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as bundle:
        info = tarfile.TarInfo("tool")
        info.mode = 0o6777
        bundle.addfile(info)
    extract(archive, tmp_path / "out")
    assert not (tmp_path / "out" / "tool").stat().st_mode & 0o7111


def test_local_copy_is_a_folder_or_an_archive(tmp_path: Path) -> None:
    assert local_copy("set", None) is None
    assert local_copy("set", tmp_path) is None
    (tmp_path / "set").mkdir()
    assert local_copy("set", tmp_path) is None, "an empty folder is no copy"
    (tmp_path / "set" / ".DS_Store").write_text("")
    assert local_copy("set", tmp_path) is None, "nor is one of hidden files, which nobody reads"
    archive = make_zip(tmp_path / "set.zip", FILES)
    assert local_copy("set", tmp_path) == archive
    (tmp_path / "set" / "train.txt").write_text("x")
    assert local_copy("set", tmp_path) == tmp_path / "set"
    (tmp_path / "other").write_text("a file, but no archive")
    assert local_copy("other", tmp_path) is None


def test_folder_that_stands_for_its_one_archive(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "anything.zip", FILES)
    (tmp_path / "README.md").write_text("where this came from")
    (tmp_path / ".DS_Store").write_text("")
    assert single_archive(tmp_path) == archive
    (tmp_path / "train.txt").write_text("x")
    assert single_archive(tmp_path) is None

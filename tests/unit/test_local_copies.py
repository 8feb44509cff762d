"""A changed local copy is noticed by its content, and an unchanged one is not read again."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from affectlab.assets import local_copies
from affectlab.assets.fetch import fetch_dataset
from affectlab.assets.local_copies import copy_files
from affectlab.assets.status import local_marker, manifest_path
from affectlab.errors import FetchError
from affectlab.files.io import read_json

GATED = {"sources": [], "access": "gated", "ask": "Ask them"}


class Copied:
    """A user's own copy, and what was fetched of it."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.copy = self.root / "x"
        self.resources = folder / "resources"
        self.manifest = manifest_path("dataset", "x", self.resources)

    def fetch(self):
        fetch_dataset("x", GATED, self.manifest, self.root)

    def is_stale(self):
        """Whether Snakemake would fetch again: the marker is newer, and of other content."""
        (marker,) = local_marker("dataset", "x", GATED, self.root, self.resources)
        return Path(marker).stat().st_mtime_ns > self.manifest.stat().st_mtime_ns


@pytest.fixture
def copied(tmp_path):
    made = Copied(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (made.copy / "below").mkdir(parents=True)
    for folder in (made.copy, made.copy / "below", elsewhere):
        (folder / "train.txt").write_text("i am glad;joy\n")
    (made.copy / "linked").symlink_to(elsewhere)
    (made.copy / "single.txt").symlink_to(elsewhere / "train.txt")
    local_marker("dataset", "x", GATED, made.root, made.resources)
    made.fetch()
    assert not made.is_stale()
    return made


def moved_there(path, content):
    """As `mv` puts a file in place: with its own, older date."""
    new = path.with_name("new")
    new.write_text(content)
    os.utime(new, (1_000_000_000, 1_000_000_000))
    new.replace(path)


@pytest.mark.parametrize("name", ["train.txt", "below/train.txt", "linked/train.txt"])
@pytest.mark.parametrize("content", ["i am glad;love\n", "longer than before;joy\n"])
def test_a_file_with_an_older_date_is_noticed(copied, name, content):
    moved_there(copied.copy / name, content)
    assert copied.is_stale()
    assert copied.is_stale()
    copied.fetch()
    assert not copied.is_stale()


def test_files_that_come_and_go_are_noticed(copied):
    moved_there(copied.copy / "linked" / "more.txt", "")
    assert copied.is_stale()
    (copied.copy / "linked" / "more.txt").unlink()
    assert not copied.is_stale()
    (copied.copy / "below" / "train.txt").unlink()
    assert copied.is_stale()


def test_a_renamed_file_is_noticed(copied):
    (copied.copy / "train.txt").rename(copied.copy / "test.txt")
    assert copied.is_stale()


def test_a_copy_made_again_is_not_fetched_again(copied, tmp_path):
    again = shutil.copytree(copied.copy, tmp_path / "again", symlinks=True)
    shutil.rmtree(copied.copy)
    shutil.copytree(again, copied.copy, symlinks=True)
    assert not copied.is_stale()


def test_what_is_reverted_is_not_fetched_again(copied):
    path = copied.copy / "train.txt"
    path.write_text("other")
    assert copied.is_stale()
    path.write_text("i am glad;joy\n")
    assert not copied.is_stale()


def test_hundreds_of_files_are_all_watched(copied):
    for number in range(300):
        (copied.copy / "below" / f"{number}.txt").write_text("text")
    assert len(list(copy_files(copied.copy))) == 304
    assert copied.is_stale()
    copied.fetch()
    assert not copied.is_stale()
    moved_there(copied.copy / "below" / "217.txt", "text!")
    assert copied.is_stale()


def test_an_archive_is_watched_too(tmp_path):
    made = Copied(tmp_path)
    made.root.mkdir()
    for content in ("i am glad;joy", "i am glad;fear"):
        with zipfile.ZipFile(made.root / "new.zip", "w") as archive:
            archive.writestr("train.txt", content)
        os.utime(made.root / "new.zip", (1_000_000_000, 1_000_000_000))
        (made.root / "new.zip").replace(made.root / "x.zip")
        assert not made.manifest.exists() or made.is_stale()
        made.fetch()
        assert not made.is_stale()
        assert content == (made.manifest.parent / "files" / "train.txt").read_text()


def test_only_files_of_another_state_are_hashed(copied, monkeypatch):
    read = []
    real = local_copies.sha256_file
    monkeypatch.setattr(local_copies, "sha256_file", lambda path: read.append(path) or real(path))
    assert not copied.is_stale()
    assert read == []
    (copied.copy / "train.txt").touch()
    assert not copied.is_stale()
    assert read == [copied.copy / "train.txt"]
    assert not copied.is_stale()
    assert len(read) == 1


def test_nothing_is_hashed_before_the_first_fetch(tmp_path, monkeypatch):
    made = Copied(tmp_path)
    made.copy.mkdir(parents=True)
    (made.copy / "model.safetensors").write_bytes(b"as large as may be")
    monkeypatch.setattr(local_copies, "sha256_file", pytest.fail)
    local_marker("model", "x", GATED, made.root, made.resources)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"copy": 1}'])
def test_a_corrupt_memory_fetches_again(copied, content):
    (copied.manifest.parent / local_copies.STATE_NAME).write_text(content)
    assert copied.is_stale()
    copied.fetch()
    assert not copied.is_stale()


def test_a_copy_in_another_place_is_fetched_again(copied, tmp_path):
    copied.root = copied.root.rename(tmp_path / "other")
    assert copied.is_stale()


def test_files_in_linked_folders_are_listed(copied):
    listed = [file["path"] for file in read_json(copied.manifest)["files"]]
    assert listed == ["below/train.txt", "linked/train.txt", "single.txt", "train.txt"]


def test_a_loop_of_links_ends(copied):
    (copied.copy / "below" / "up").symlink_to(copied.copy)
    assert not copied.is_stale()


def test_a_name_that_is_not_utf8_is_reported(copied):
    (copied.copy / os.fsdecode(b"caf\xe9.txt")).write_text("text")
    assert copied.is_stale()
    with pytest.raises(FetchError, match=r"the file name 'caf\\udce9.txt' is not UTF-8: rename it"):
        copied.fetch()

"""A folder that cannot be listed is reported: its files would silently be missing."""

import errno
import os

import pytest

from affectlab.errors import DataError
from affectlab.face.raw import read_raw
from affectlab.files.io import folders_below


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A folder with one below it that may not be read; the tests may run as root, who may all."""
    for split in ("train", "test"):
        (tmp_path / split / "happy").mkdir(parents=True)
        (tmp_path / split / "happy" / "1.png").write_bytes(b"x")
    refused, scandir = str(tmp_path / "test"), os.scandir

    def no_entry(path):
        if str(path) == refused:
            raise PermissionError(errno.EACCES, "Permission denied", refused)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", no_entry)
    return tmp_path


def test_the_first_one_is_raised_or_each_is_reported(corpus):
    with pytest.raises(DataError, match="test: cannot be read: Permission denied"):
        list(folders_below(corpus))
    denied = []
    found = [name for _, names in folders_below(corpus, denied.append) for name in names]
    assert found == ["1.png"]
    assert [error.path for error in denied] == [corpus / "test"]


def test_raw_data_are_not_read_without_it(corpus):
    with pytest.raises(DataError, match="test: cannot be read: Permission denied"):
        list(read_raw(corpus, "skip"))

"""Inputs that are dated in the future."""

import os

import pytest

from affectlab.config.clock import STAMP, TOLERANCE_SECONDS, check_dates
from affectlab.errors import UserError

NOW = 1_800_000_000


def dated(path, seconds):
    path.write_text("x")
    os.utime(path, (seconds, seconds))
    return path


def test_files_of_the_past_and_absent_ones_pass(tmp_path):
    nearly = dated(tmp_path / "b", NOW + TOLERANCE_SECONDS)
    check_dates([dated(tmp_path / "a", NOW), nearly, tmp_path / "absent"], NOW)


def test_each_file_of_the_future_is_listed_once_with_its_date(tmp_path):
    paths = [dated(tmp_path / str(number), NOW + 90_000) for number in range(7)]
    with pytest.raises(UserError, match="dated in the future, so nothing was started") as caught:
        check_dates([dated(tmp_path / "old", NOW), *paths, str(paths[0])], NOW)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0].strip() for line in lines[1:6]] == [str(p) for p in paths[:5]]
    assert lines[1].split(": ")[1].startswith("2027-01-1")
    assert lines[6].strip() == "... and 2 more"


def test_a_folder_is_as_old_as_its_stamp(tmp_path):
    """Snakemake puts it into folders that a job makes, and looks at no other date."""
    folder = tmp_path / "model"
    folder.mkdir()
    dated(folder / STAMP, NOW + 90_000)
    os.utime(folder, (NOW, NOW))
    with pytest.raises(UserError, match="model"):
        check_dates([folder], NOW)
    dated(folder / STAMP, NOW)
    os.utime(folder, (NOW + 90_000, NOW + 90_000))
    check_dates([folder], NOW)

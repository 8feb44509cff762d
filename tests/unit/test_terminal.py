"""Texts from a command line, a file or a pipe."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import affectlab
from affectlab.errors import DataError
from affectlab.terminal import BadInput, read_texts, runs_of_texts


@pytest.fixture
def pipe(monkeypatch):
    """Let standard input hold some bytes, read as a terminal in another locale would."""

    def fill(content):
        stream = io.TextIOWrapper(io.BytesIO(content), encoding="ascii", errors="strict")
        monkeypatch.setattr("sys.stdin", stream)
        return read_texts(["-"], None)

    return fill


def test_a_pipe_is_utf_8_whatever_the_locale(pipe):
    assert list(pipe("\ufefftrès bien\r\nso so\n".encode())) == ["très bien", "so so"]


def test_blank_lines_end_a_file_and_a_pipe_alike(pipe, tmp_path):
    for end in ("\n\n\n", "\n \n\t"):
        (tmp_path / "texts.txt").write_text("one\ntwo" + end, encoding="utf-8")
        assert list(read_texts([], tmp_path / "texts.txt")) == ["one", "two"]
        assert list(pipe(b"one\ntwo" + end.encode())) == ["one", "two"]
    assert list(pipe(b"")) == []


def test_bad_lines_of_a_pipe_are_named_in_their_place(pipe):
    found = list(pipe(b"one\n\ntwo\n"))
    assert found == ["one", BadInput("standard input, line 2", "is empty"), "two"]
    first, bad, last = pipe(b"one\ntr\xe8s\nthree")
    assert (first, last) == ("one", "three")
    assert bad.place == "standard input, line 2"
    assert re.fullmatch(r"expected UTF-8, .* byte 0xe8", bad.problem)


def test_bad_texts_of_a_file_and_of_a_command_line_are_named(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes(b"one\n \ntwo\xff\nthree\n")
    one, blank, undecoded, three = read_texts([], path)
    assert (one, three) == ("one", "three")
    assert blank == BadInput(f"{path}, line 2", "is empty")
    assert undecoded.place == f"{path}, line 3"
    assert list(read_texts(["one", ""], None)) == ["one", BadInput("text 2", "is empty")]


def test_a_file_without_texts_is_refused(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n")
    with pytest.raises(DataError, match=r"texts\.txt: the file is empty"):
        list(read_texts([], path))
    with pytest.raises(DataError, match=r"nowhere\.txt: no such file"):
        list(read_texts([], tmp_path / "nowhere.txt"))


def test_texts_are_joined_between_bad_ones():
    bad = BadInput("text 3", "is empty")
    assert list(runs_of_texts(["a", "b", bad, bad, "c"])) == [["a", "b"], bad, bad, ["c"]]


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "affectlab", "predict", "emotion", "--model", "nowhere", "so glad"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(affectlab.__file__).parents[1])},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "affectlab: nowhere: no such model directory\n"

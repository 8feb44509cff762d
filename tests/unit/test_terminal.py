"""Texts from a command line, a file or a pipe."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import affectlab
from affectlab.core.errors import DataError, UserError
from affectlab.core.terminal import read_texts


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


def test_bad_lines_of_a_pipe_are_named_where_they_stand(pipe):
    texts = pipe(b"one\n\ntwo\n")
    assert next(texts) == "one"
    with pytest.raises(UserError, match="standard input, line 2: is empty"):
        next(texts)
    texts = pipe(b"one\ntr\xe8s\n")
    assert next(texts) == "one"
    with pytest.raises(UserError, match=r"standard input, line 2: expected UTF-8, .* byte 0xe8"):
        next(texts)


def test_a_file_is_looked_through_before_its_first_text_is_given_out(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\n \ntwo\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"texts\.txt, line 2: is empty"):
        next(read_texts([], path))
    with pytest.raises(UserError, match="text, line 2: is empty"):
        next(read_texts(["one", ""], None))
    path.write_text("\n")
    with pytest.raises(DataError, match=r"texts\.txt: the file is empty"):
        next(read_texts([], path))


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

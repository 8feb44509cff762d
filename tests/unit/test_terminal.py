"""Items from a command line, a file or a pipe, and the output of a command."""

import argparse
import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import affectlab
from affectlab.errors import DataError, UserError
from affectlab.terminal.commands import predict_texts
from affectlab.terminal.items import BadInput, Item, read_items, runs_of_items
from affectlab.terminal.options import add_input_options, add_output_options, check_options
from affectlab.terminal.output import open_output


def parsed(*arguments, column="text"):
    parser = argparse.ArgumentParser()
    add_input_options(parser, "TEXT", "texts", column)
    add_output_options(parser)
    parser.add_argument("--batch-size", type=int, default=2)
    return parser.parse_args([str(argument) for argument in arguments])


def items(*arguments, paths=False):
    """Values of the items, and whole bad inputs."""
    found = read_items(parsed(*arguments), paths=paths)
    return [item.value if isinstance(item, Item) else item for item in found]


@pytest.fixture
def pipe(monkeypatch):
    """Let standard input hold some bytes, read as a terminal in another locale would."""

    def fill(content, *options):
        stream = io.TextIOWrapper(io.BytesIO(content), encoding="ascii", errors="strict")
        monkeypatch.setattr("sys.stdin", stream)
        return items("-", *options)

    return fill


def test_a_pipe_is_utf_8_whatever_the_locale(pipe):
    assert pipe("\ufefftrès bien\r\nso so\n".encode()) == ["très bien", "so so"]


def test_blank_lines_end_a_file_and_a_pipe_alike(pipe, tmp_path):
    for end in ("\n\n\n", "\n \n\t"):
        (tmp_path / "texts.txt").write_text("one\ntwo" + end, encoding="utf-8")
        assert items("--file", tmp_path / "texts.txt") == ["one", "two"]
        assert pipe(b"one\ntwo" + end.encode()) == ["one", "two"]
    assert pipe(b"") == []


def test_bad_lines_of_a_pipe_are_named_in_their_place(pipe):
    found = pipe(b"one\n\ntwo\n")
    assert found == ["one", BadInput("standard input, line 2", "is empty"), "two"]
    first, bad, last = pipe(b"one\ntr\xe8s\nthree")
    assert (first, last) == ("one", "three")
    assert bad.place == "standard input, line 2"
    assert re.fullmatch(r"expected UTF-8, .* byte 0xe8", bad.problem)


def test_bad_texts_of_a_file_and_of_a_command_line_are_named(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes(b"one\n \ntwo\xff\nthree\n")
    one, blank, undecoded, three = items("--file", path)
    assert (one, three) == ("one", "three")
    assert blank == BadInput(f"{path}, line 2", "is empty")
    assert undecoded.place == f"{path}, line 3"
    assert items("one", "") == ["one", BadInput("text 2", "is empty")]


def test_a_file_without_texts_is_refused(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n")
    with pytest.raises(DataError, match=r"texts\.txt: the file is empty"):
        items("--file", path)
    with pytest.raises(DataError, match=r"nowhere\.txt: no such file"):
        items("--file", tmp_path / "nowhere.txt")


def test_a_table_gives_its_column_and_an_id(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text('\ufeffid,tweet\na,"one, ""two""\nthree"\nb,four\n', encoding="utf-8")
    found = list(read_items(parsed("--file", path, "--column", "tweet", "--id", "id")))
    assert found == [Item('one, "two"\nthree', {"id": "a"}), Item("four", {"id": "b"})]
    (tmp_path / "texts.tsv").write_text("text\tid\nso, so\t1\n")
    assert items("--file", tmp_path / "texts.tsv") == ["so, so"]


def test_bad_rows_of_a_table_do_not_stop_the_others(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_bytes(b'text,id\none,1\ntwo\n\n,3\ntr\xe8s,4\n"fi"ve,5\nsix,6\n\n\n')
    options = parsed("--file", path, "--id", "id")
    found = list(read_items(options))
    assert [item.value for item in found if isinstance(item, Item)] == ["one", "six"]
    bad = {item.place.rpartition(" ")[2]: item for item in found if isinstance(item, BadInput)}
    assert list(bad) == ["3", "4", "5", "6", "7"]
    assert bad["3"].problem == "expected 2 cells, found 1"
    assert bad["4"].problem == "is empty"
    assert bad["5"] == BadInput(f"{path}, line 5", "is empty", {"id": "3"})
    assert bad["6"].problem == "expected UTF-8, found byte 0xe8"
    assert bad["7"].problem.startswith("not a row of a table: ")


def test_a_table_without_the_column_is_refused(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("tweet,id\none,1\n")
    with pytest.raises(DataError, match=r"line 1: expected a column 'text', found tweet, id"):
        items("--file", path)
    with pytest.raises(DataError, match="expected a column 'number'"):
        items("--file", path, "--column", "tweet", "--id", "number")


def test_json_lines_give_a_key_and_an_id(tmp_path, pipe):
    content = b'{"text": "one", "n": 1}\n\n{"text": 2}\n[]\n{"text": "\\ud83d", "n": "x"}\n{"te\n'
    path = tmp_path / "texts.jsonl"
    path.write_bytes(content + b"\n")
    found = list(read_items(parsed("--file", path, "--id", "n")))
    assert found[0] == Item("one", {"id": 1})
    problems = [item.problem for item in found[1:]]
    assert problems[:3] == [
        "is empty",
        "n: expected a text or a whole number",
        "expected a JSON object",
    ]
    assert problems[3] == "holds half a surrogate pair, expected valid Unicode"
    assert found[4].identity == {"id": "x"}
    assert problems[4].startswith("expected JSON: ")
    assert items("--file", path)[2].problem == "text: expected a text"
    assert pipe(b'{"a": "one"}\n', "--column", "a") == ["one"]
    assert pipe(b"[" * 100_000 + b"\n", "--column", "a")[0].problem.startswith("expected JSON: ")


def test_paths_may_be_any_bytes_but_nothing(tmp_path):
    path = tmp_path / "files.txt"
    path.write_bytes(b"a.wav\n \ntr\xe8s.wav\nb\0.wav\n")
    first, blank, odd, null = items("--file", path, paths=True)
    assert (first, os.fsencode(odd)) == ("a.wav", b"tr\xe8s.wav")
    assert (blank.problem, null.problem) == ("is empty", "holds a NUL character")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give either texts"),
        (["one", "--file", "x.txt"], "give either texts"),
        (["one", "--column", "text"], "--column: the texts of a command line have no columns"),
        (["one", "--id", "n"], "--id: the texts of a command line have no columns"),
        (["--file", "x.txt", "--output", "./x.txt"], "x.txt: holds the texts; name another file"),
        (["one", "--output", "."], "is a folder, expected a file"),
    ],
)
def test_options_that_contradict_each_other_are_refused(arguments, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(problem)):
        check_options(parsed(*arguments), "texts")


def test_items_are_joined_between_bad_ones():
    a, b, c = map(Item, "abc")
    bad = BadInput("text 3", "is empty")
    assert list(runs_of_items([a, b, bad, bad, c])) == [[a, b], bad, bad, [c]]


def shout(*arguments):
    """Run a command that predicts upper case."""

    def line(text, found, full):
        return {"text": text, "shares": {found: 1.0}, **({"cut": False} if full else {})}

    return predict_texts(parsed(*arguments), lambda texts, first: [t.upper() for t in texts], line)


def test_predictions_are_written_as_json_lines(tmp_path, capsys):
    assert shout("a", "", "b") == 1
    printed = capsys.readouterr()
    assert [json.loads(line) for line in printed.out.splitlines()] == [
        {"text": "a", "shares": {"A": 1.0}},
        {"input": "text 2", "error": "is empty"},
        {"text": "b", "shares": {"B": 1.0}},
    ]
    assert printed.err.splitlines() == [
        "affectlab: text 2: is empty",
        "affectlab: 1 texts could not be read",
    ]
    path = tmp_path / "new" / "out.jsonl"
    assert shout("a", "--output", path) == 0
    assert json.loads(path.read_text()) == {"text": "a", "shares": {"A": 1.0}}
    assert capsys.readouterr().out == ""


def test_predictions_are_written_as_a_table(tmp_path):
    source, path = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('text,n\n,1\n"a, ""b""",2\n,3\n')
    assert shout("--file", source, "--id", "n", "--format", "csv", "--output", path) == 1
    with path.open(newline="") as stream:
        first, second, third = csv.DictReader(stream)
    assert list(first) == ["id", "text", 'shares.A, "B"', "cut", "input", "error"]
    assert (first["id"], first["error"]) == ("1", "is empty")
    assert (second["id"], second["text"], second["cut"]) == ("2", 'a, "b"', "False")
    assert (third["id"], third["text"], third["error"]) == ("3", "", "is empty")


def test_a_table_of_bad_inputs_alone_is_written(capsys):
    assert shout("", "--format", "csv") == 1
    assert capsys.readouterr().out == "input,error\ntext 1,is empty\n"


def test_an_output_that_fails_on_the_way_leaves_nothing(tmp_path):
    def interrupted(options):
        with open_output(options) as output:
            output.write({"text": "a"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(parsed("a", "--output", tmp_path / "out.jsonl"))
    assert list(tmp_path.iterdir()) == []


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


def test_an_output_that_is_no_file_is_refused_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe: is a device or a pipe, expected a file"):
        check_options(parsed("hi", "--output", tmp_path / "pipe"), "texts")
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(UserError, match="cannot be written: File name too long"):
        check_options(parsed("hi", "--output", tmp_path / ("x" * 300)), "texts")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match="loop: cannot be written"):
        check_options(parsed("hi", "--output", tmp_path / "loop"), "texts")


def test_a_linked_output_is_written_where_the_link_leads(tmp_path):
    (tmp_path / "real.jsonl").write_text("old")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    options = parsed("hi", "--output", tmp_path / "link.jsonl")
    check_options(options, "texts")
    with open_output(options) as output:
        output.write({"label": "joy"})
    assert (tmp_path / "link.jsonl").is_symlink()
    assert json.loads((tmp_path / "real.jsonl").read_text()) == {"label": "joy"}


def test_a_table_is_known_by_an_ending_in_capitals(tmp_path):
    (tmp_path / "T.CSV").write_text("id,text\n1,hi\n")
    assert items("--file", tmp_path / "T.CSV") == ["hi"]


@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        ("text,text\na,b\n", [], "expected one column 'text'"),
        ("text\na\n", ["--id", ""], "expected a column ''"),
    ],
)
def test_a_header_that_leaves_the_column_open_is_refused(tmp_path, text, options, problem):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=problem):
        items("--file", tmp_path / "t.csv", *options)


def test_an_id_that_is_not_utf_8_is_a_bad_row(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"id,text\ncaf\xe9,hi\nb,there\n")
    bad, good = items("--file", tmp_path / "t.csv", "--id", "id")
    assert (bad.problem, good) == ("id: is not UTF-8", "there")


def test_a_closed_standard_input_is_one_line(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UserError, match="standard input is closed"):
        items("-")

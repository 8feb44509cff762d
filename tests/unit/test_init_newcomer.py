"""`affectlab init` on tables with other encodings, names, groups, and rows it cannot use."""

import csv
import json

import pytest

from affectlab.datasets.label_sets import LabelSetCells
from affectlab.datasets.look import look_at
from affectlab.datasets.look_columns import words_of
from affectlab.datasets.numbers import number_problem
from affectlab.emotion.overlay import overlay
from affectlab.errors import DataError, UserError
from affectlab.summary.overlay import overlay as summary_overlay

LABELS = ("Wut", "Freude", "Trauer")


def write(path, header, rows, **options):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, **options).writerows([header, *rows])
    return path


def texts(count=60):
    return [
        [str(n), f"heute war es im Garten wieder sehr schön {n}", LABELS[n % 3]]
        for n in range(count)
    ]


def test_the_output_of_a_model_is_no_annotator(tmp_path):
    rows = [[*row, LABELS[n % 2]] for n, row in enumerate(texts())]
    for name in ("predicted", "second"):
        path = write(tmp_path / "mine.csv", ["id", "text", "label", name], rows)
        found = overlay(path)
        assert found.entry["columns"]["label"] == "label"
        assert f"also seen: {name}" in found.comments["columns"]
    path = write(tmp_path / "mine.csv", ["id", "text", "rater_a", "predicted"], rows)
    assert overlay(path).entry["columns"]["label"] == "rater_a"


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    path = write(tmp_path / "mine.csv", ["id", "text", "label"], texts())
    path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    with pytest.raises(DataError, match=r"line 2: expected UTF-8.*Windows-1252, save it as UTF-8"):
        look_at(path)
    path.write_bytes("id,text\n0,ein Garten\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"save it as UTF-8 .in Excel: CSV UTF-8"):
        look_at(path)


def test_rows_that_stop_a_run_are_noted(tmp_path):
    rows = texts()
    rows[7][2] = ""
    path = write(tmp_path / "mine.csv", ["id", "text", "label"], rows)
    (note,) = overlay(path).notes
    assert note.startswith("1 rows cannot be used; the first: mine.csv, line 9: the label")
    rows = texts()
    rows[7][0] = "3"
    path = write(tmp_path / "mine.csv", ["id", "text", "label"], rows)
    assert "the id '3' occurs 2 times" in overlay(path).notes[0]
    path = tmp_path / "mine.jsonl"
    lines = [{"text": text, "label": label} for _, text, label in texts()]
    lines[0]["label"] = None
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "line 1: the label is" in overlay(path).notes[0]


def test_summaries_that_stop_a_run_are_noted(tmp_path):
    rows = [[str(n), f"a long text about garden number {n}", f"garden {n} now"] for n in range(30)]
    rows[4][1] = ""
    path = write(tmp_path / "mine.csv", ["id", "text", "summary"], rows)
    assert "the first: mine.csv, line 6" in summary_overlay(path).notes[0]


def test_a_language_model_gets_room_for_the_longest_case(tmp_path):
    rows = [[str(n), f"a text about garden number {n}", f"garden {n}"] for n in range(30)]
    path = write(tmp_path / "mine.csv", ["id", "text", "summary"], rows)
    found = summary_overlay(path)
    assert found.entry["split"] == {"folds": 3}
    small = {run.name: run.block for run in found.runs}["smollm2"]
    assert (small["max_length"], small["max_answer_tokens"]) == (1024, 128)
    rows[3][1:] = ["a garden " * 400, "a garden " * 50]
    path = write(tmp_path / "mine.csv", ["id", "text", "summary"], rows)
    small = {run.name: run.block for run in summary_overlay(path).runs}["smollm2"]
    assert (small["max_length"], small["max_answer_tokens"]) == (4096, 256)
    rows[4][1] = "a garden " * 9000
    path = write(tmp_path / "mine.csv", ["id", "text", "summary"], rows)
    small = {run.name: run.block for run in summary_overlay(path).runs}["smollm2"]
    assert "max_length" not in small


def test_a_group_with_fewer_values_than_folds_is_not_proposed(tmp_path):
    rows = [[*row, f"s{n % 2}"] for n, row in enumerate(texts())]
    found = overlay(write(tmp_path / "mine.csv", ["id", "text", "label", "source"], rows))
    assert "group" not in found.entry["columns"]
    assert "The column source has 2 values, too few to divide" in found.notes[0]
    rows = [[*row, f"p{n % 9}"] for n, row in enumerate(rows)]
    found = overlay(write(tmp_path / "mine.csv", ["id", "text", "label", "source", "who"], rows))
    assert found.entry["columns"]["group"] == "who"
    assert not found.notes


def test_texts_without_spaces_have_words(tmp_path):
    assert words_of("在快乐晚上学校") == 4
    assert words_of("高兴") == words_of("joy") == 1
    rows = [[f"在快乐晚上学校晚上工作公园{n}", ("高兴", "难过")[n % 2]] for n in range(40)]
    found = overlay(write(tmp_path / "mine.csv", ["beitrag", "label"], rows))
    assert found.entry["columns"]["text"] == "beitrag"


def test_names_come_before_lengths(tmp_path):
    rows = [[f"gut{n}", LABELS[n % 3], f"a remark that is quite long {n}"] for n in range(90)]
    path = write(tmp_path / "mine.csv", ["text", "label", "notes"], rows)
    assert look_at(path).text == "text"
    assert summary_overlay(path).entry["fields"] == ["notes"]
    path = write(tmp_path / "mine.csv", ["text", "label"], [row[:2] for row in rows])
    assert overlay(path).entry["columns"]["text"] == "text"


def test_a_name_with_a_comma_is_one_class(tmp_path):
    names = ("Wut, Ärger", "Freude, Glück", "Trauer")
    rows = [[f"heute ein Text {n}", names[n % 3]] for n in range(60)]
    found = overlay(write(tmp_path / "mine.csv", ["text", "label"], rows))
    assert "target" not in found.entry
    assert found.entry["classes"] == sorted(names)
    cells = ("Wut, Ärger; Freude", "Wut, Ärger", "Freude")
    rows = [[f"heute ein Text {n}", cells[n % 3]] for n in range(60)]
    found = overlay(write(tmp_path / "mine.csv", ["text", "label"], rows))
    assert found.entry["target"] == "classes"
    assert found.entry["classes"] == ["Freude", "Wut, Ärger"]


@pytest.mark.parametrize("listed", [None, ["Freude", "Wut, Ärger"]])
def test_a_semicolon_is_the_only_separator_of_its_column(tmp_path, listed):
    reader = LabelSetCells({"classes": listed} if listed else {}, "refuse")
    cells = ("Wut, Ärger", "Wut, Ärger; Freude", "")
    for cell in cells:
        assert reader.problem(cell) is None
        reader.add(cell)
    assert reader.finish(tmp_path) == ("Freude", "Wut, Ärger")
    found = [reader.labels(cell) for cell in cells]
    assert found == [("Wut, Ärger",), ("Freude", "Wut, Ärger"), ()]


def test_commas_separate_classes_of_a_column_without_semicolons(tmp_path):
    for listed in (None, ["a", "b"]):
        reader = LabelSetCells({"classes": listed} if listed else {}, "refuse")
        for cell in ("a, b", "b"):
            assert reader.problem(cell) is None
            reader.add(cell)
        assert reader.finish(tmp_path) == ("a", "b")
        assert reader.labels("a, b") == ("a", "b")


@pytest.mark.parametrize("column", ["Autor", "autor_id", "Sprecherin", "hablante", "usuario"])
def test_groups_have_names_in_other_languages(tmp_path, column):
    rows = [[*row, f"p{n % 9}"] for n, row in enumerate(texts())]
    found = overlay(write(tmp_path / "mine.csv", ["id", "text", "label", column], rows))
    assert found.entry["columns"]["group"] == column


def test_decimal_commas_are_reported(tmp_path):
    rows = [[f"heute ein schöner Text {n}", f"-0,{n + 10}", f"0,{n % 7}"] for n in range(60)]
    path = write(tmp_path / "mine.csv", ["text", "valence", "arousal"], rows, delimiter=";")
    with pytest.raises(UserError, match=r"valence has decimal commas, such as '-0,10'"):
        overlay(path)
    problem = number_problem("-0,74", ["valence"])
    assert problem.endswith("expected a finite number with a decimal point instead of the comma")
    assert number_problem("high", ["valence"]).endswith("expected a finite number")


def test_vertical_bars_are_reported(tmp_path):
    path = write(tmp_path / "mine.csv", ["text", "label"], [r[1:] for r in texts()], delimiter="|")
    with pytest.raises(DataError, match=r"line 1: its fields are separated by vertical bars"):
        overlay(path)


def test_numbers_that_may_be_classes_are_listed(tmp_path):
    rows = [[f"heute ein schöner Text {n}", str(n % 4)] for n in range(60)]
    path = write(tmp_path / "mine.csv", ["text", "stimmung"], rows)
    with pytest.raises(UserError, match=r"few different numbers are in stimmung.*to label"):
        overlay(path)

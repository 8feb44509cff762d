"""What readers do with columns of spreadsheets without names, and messages for data without ids."""

import pytest

from affectlab.audio.data import Clip, with_merged_subjects
from affectlab.audio.tasks import OWN_TASK
from affectlab.datasets.tables import read_table
from affectlab.errors import DataError
from affectlab.referee import Case, configuration


def rows_of(folder, text):
    path = folder / "a.csv"
    path.write_text(text)
    return list(read_table(path, ["text", "label"]))


def test_empty_columns_without_names_are_left_out(tmp_path):
    [row] = rows_of(tmp_path, "id,text,label,, \n1,fine,joy,, \n")
    assert row.values == {"id": "1", "text": "fine", "label": "joy"}
    # What pandas writes has a number before the first name.
    [row] = rows_of(tmp_path, ",text,label\n0,fine,joy\n")
    assert row.values == {"text": "fine", "label": "joy"}


def test_a_value_behind_the_last_name_is_a_problem_of_its_row(tmp_path):
    good, shifted = rows_of(tmp_path, "text,label,\nfine,joy,\nfine, really,joy\n")
    assert good.problem is None
    assert (shifted.place, shifted.problem) == (
        "line 3",
        "a value in a column without a name; quote a field that holds the separator",
    )


def test_columns_with_one_name_are_still_refused(tmp_path):
    with pytest.raises(DataError, match="the column text occurs more than once"):
        rows_of(tmp_path, "text,text,label\na,b,c\n")


def test_a_referee_needs_ids_in_the_data(tmp_path):
    lines = [f"the text number {n} tells of it,{('joy', 'fear')[n % 2]}" for n in range(40)]
    (tmp_path / "mine.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    (tmp_path / "theirs.csv").write_text("id,label\n1,joy\n")
    case = Case("emotion", tmp_path / "mine.csv", tmp_path / "theirs.csv", None, {}, None, False)
    with pytest.raises(DataError, match=r"mine\.csv.*no column 'id'; there are text, label\."):
        configuration(case, tmp_path)


def test_subjects_in_two_spellings_are_one():
    clips = [
        Clip(str(n), str(n), name, {OWN_TASK: "joy"}, None)
        for n, name in enumerate(["P01", "p01", "P01", "P02"])
    ]
    assert [clip.subject for clip in with_merged_subjects(clips)] == ["P01", "P01", "P01", "P02"]

"""Classes that differ in spelling only, and columns of labels that are no votes."""

import pytest
from emotion_tables import converted, data_in

from affectlab.datasets.classes import class_order, merge_spellings
from affectlab.errors import DataError


@pytest.mark.parametrize(
    "names", [["Happy", "happy", "sad"], ["1", "1.0", "2"], ["-1", "-1.00", "0"], ["a b", "ab"]]
)
@pytest.mark.parametrize("listed", [False, True])
def test_two_spellings_of_a_class_stop_also_where_the_entry_lists_them(names, listed):
    with pytest.raises(DataError, match=f"{names[0]!r} and {names[1]!r} differ in spelling only"):
        class_order(set(names), names if listed else None, "x")


def test_spellings_of_a_number_are_merged():
    assert merge_spellings({"1": 3, "1.0": 5, "10": 1, "1.5": 1}) == {
        "1": "1.0",
        "1.0": "1.0",
        "10": "10",
        "1.5": "1.5",
    }


def write_votes(folder, cells):
    folder.mkdir()
    lines = [f"text number {n} of this table,{a},{b}" for n, (a, b) in enumerate(cells)]
    (folder / "a.csv").write_text("\n".join(["text,r1,r2", *lines]) + "\n")
    return folder


ENTRY = {"layout": "table", "columns": {"label": ["r1", "r2"]}, "split": {"folds": 3}}
BITS = [(n % 2, n // 2 % 2) for n in range(24)]
RATINGS = [(n / 10, (n * 7 % 24) / 10) for n in range(24)]
MANY = [(f"a{n}", f"b{n}") for n in range(40)]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (BITS, "all of their cells are 0 or 1; write target: classes"),
        (RATINGS, "all of their cells are numbers, some with decimals; write target: numbers"),
        (MANY, "80 classes; expected at most 64"),
    ],
)
def test_columns_that_are_no_votes_are_refused_without_a_target(tmp_path, cells, problem):
    with pytest.raises(DataError, match=problem):
        converted(write_votes(tmp_path / "raw", cells), tmp_path, ENTRY)


def test_votes_of_0_and_1_are_taken_where_the_entry_says_so(tmp_path):
    raw = write_votes(tmp_path / "raw", BITS)
    for stated in ({"target": "class"}, {"classes": ["0", "1"]}):
        converted(raw, tmp_path, ENTRY | stated)
        assert data_in(tmp_path).classes == ("0", "1")


def test_votes_on_a_scale_of_whole_numbers_are_votes(tmp_path):
    converted(write_votes(tmp_path / "raw", [(n % 5, n % 3) for n in range(24)]), tmp_path, ENTRY)
    assert data_in(tmp_path).classes == ("0", "1", "2", "3", "4")

"""A results.csv that something else has written ends in one line, never in a traceback."""

import pytest

from affectlab.errors import DataError
from affectlab.report.results import COLUMNS, results_csv
from affectlab.report.results_file import read_results

ROW = dict.fromkeys(COLUMNS, "") | {
    "kind": "ours",
    "experiment": "emotion",
    "run": "tfidf",
    "data": "tweets",
    "metric": "accuracy",
    "headline": "True",
    "value": 0.9,
    "n": 10,
    "seeds": "1",
}


def shown(folder, text):
    (folder / "tables").mkdir()
    (folder / "tables" / "results.csv").write_text(text)
    return read_results(folder)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"value": "high"}, "line 2: expected a number, found 'high'"),
        ({"value": ""}, "line 2: expected a number, found ''"),
        ({"ci_low": 0.1, "ci_high": "?"}, r"line 2: expected a number, found '\?'"),
        ({"baseline": "majority"}, "line 2: baseline_value: expected a number, found ''"),
        ({"seeds": ""}, "line 2: seeds: expected a value, found ''"),
        ({"kind": "published", "run": ""}, "line 2: run: expected a value, found ''"),
        ({"n": "many"}, "line 2: expected a whole number, found 'many'"),
        ({"headline": "yes"}, "line 2: expected True or False, found 'yes'"),
        ({"data_note": "invented"}, r"line 2: data_note: expected .* found 'invented'"),
    ],
)
def test_a_cell_that_is_not_what_it_should_be(tmp_path, changes, problem):
    with pytest.raises(DataError, match=problem):
        shown(tmp_path, results_csv([ROW | changes]))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ours,emotion", f"line 2: expected {len(COLUMNS)} cells"),
        ("," * len(COLUMNS), f"line 2: expected {len(COLUMNS)} cells"),
        ('ours,"emotion"x', r"line \d: .*expected after"),
        ("ours," + "x" * 200_000, r"line \d: field larger than field limit"),
    ],
)
def test_a_line_that_is_no_row_of_the_table(tmp_path, line, problem):
    with pytest.raises(DataError, match=problem):
        shown(tmp_path, f"{','.join(COLUMNS)}\n{line}\n")

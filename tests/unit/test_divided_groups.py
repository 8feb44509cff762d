"""Groups that splits of the user's own divide: a trap of every experiment's audit."""

import pytest
from emotion_tables import converted, data_in
from own_texts import rows_of, write_csv

from affectlab.datasets.traps import divided_groups
from affectlab.emotion import audit

AUTHORS = ["Ann", "ann ", "ben", None, "cleo", "cleo"]
SPLITS = ["train", "test", "train", "test", "validation", "train"]


def test_groups_in_two_splits_are_counted_in_any_spelling():
    [trap] = divided_groups(AUTHORS, SPLITS, what="texts", group_name="author")
    assert trap.name == "group_in_two_splits"
    assert trap.sentence.startswith(
        "Groups by author have texts in two splits "
        "(test and train: 1 of 1 groups; validation and train: 1 of 1 groups). "
    )


@pytest.mark.parametrize(
    ("groups", "splits"),
    [
        (["ann", "ann", "ben"], ["train", "train", "test"]),
        ([None, None], ["train", "test"]),
        (["ann", "ann"], [None, None]),
    ],
)
def test_whole_groups_and_unknown_ones_are_no_trap(groups, splits):
    assert divided_groups(groups, splits, what="texts", group_name="author") == []


def test_a_split_column_that_divides_authors_is_in_the_audit_of_texts(tmp_path):
    rows = [
        {**row, "part": "test" if number % 5 == 0 else "train"}
        for number, row in enumerate(rows_of(80))
    ]
    entry = {
        "layout": "table",
        "columns": {"text": "tweet", "label": "emo", "group": "who"},
        "split": {"column": "part"},
    }
    converted(write_csv(tmp_path / "raw", rows), tmp_path, entry)
    names = [trap["name"] for trap in audit.audit(data_in(tmp_path))["traps"]]
    assert "group_in_two_splits" in names
    whole = {**entry, "split": {"seed": 1}}
    converted(write_csv(tmp_path / "raw", rows), tmp_path, whole)
    names = [trap["name"] for trap in audit.audit(data_in(tmp_path))["traps"]]
    assert "group_in_two_splits" not in names

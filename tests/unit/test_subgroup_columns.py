"""Columns such as sex or age: from a table to subgroups.jsonl, and mistakes in them."""

import json

import pytest

from affectlab.config.registries import _subgroup_mistakes
from affectlab.datasets.subgroups import of_tables, read_subgroups, write_subgroups
from affectlab.errors import DataError
from affectlab.experiments import EXPERIMENTS


def written(tmp_path, column, values):
    ids = [str(number) for number in range(len(values))]
    rows = [(name, {column: value}) for name, value in zip(ids, values, strict=True)]
    write_subgroups(tmp_path / "subgroups.jsonl", rows, ids, [column], tmp_path)
    found = read_subgroups(tmp_path / "subgroups.jsonl")[column]
    return [found[name] for name in ids]


def test_a_table_to_its_subgroups(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "mine.csv").write_text(
        "nr,text,label,sex,age\na,one,x,female,20\nb,two,y,Female ,31\nc,three,x,female,\n"
        "d,four,y,,31\n"
    )
    records = tmp_path / "records.jsonl"
    # b was excluded or is a bad row.
    records.write_text("".join(json.dumps({"id": name}) + "\n" for name in "dac"))
    entry = {"layout": "table", "columns": {"id": "nr"}, "subgroups": ["sex", "age"]}
    ids, rows = of_tables(raw, records, entry)
    write_subgroups(tmp_path / "subgroups.jsonl", rows, ids, entry["subgroups"], raw)
    lines = [json.loads(line) for line in (tmp_path / "subgroups.jsonl").read_text().splitlines()]
    stored = [
        {key: line.get(key) for key in ("id", "sex", "age")} for line in lines if "id" in line
    ]
    assert stored == [
        {"id": "d", "sex": None, "age": "31"},
        {"id": "a", "sex": "female", "age": "20"},
        {"id": "c", "sex": "female", "age": None},
    ]
    assert read_subgroups(tmp_path / "subgroups.jsonl") == {
        "sex": {"d": None, "a": "female", "c": "female"},
        "age": {"d": "31", "a": "20", "c": None},
    }


def test_a_column_with_the_name_of_a_role_is_that_column(tmp_path):
    (tmp_path / "mine.csv").write_text("text,label,author,group\none,x,p,young\ntwo,y,q,old\n")
    records = tmp_path / "records.jsonl"
    records.write_text('{"id": "00001"}\n{"id": "00002"}\n')
    raw = tmp_path / "raw"
    raw.mkdir()
    (tmp_path / "mine.csv").rename(raw / "mine.csv")
    entry = {"columns": {"group": "author"}, "subgroups": ["group"]}
    _, rows = of_tables(raw, records, entry)
    assert list(rows) == [("00001", {"group": "young"}), ("00002", {"group": "old"})]


def test_a_missing_column_is_reported_by_its_name(tmp_path):
    (tmp_path / "mine.csv").write_text("text,label\none,x\n")
    records = tmp_path / "records.jsonl"
    records.write_text('{"id": "00001"}\n')
    raw = tmp_path / "raw"
    raw.mkdir()
    (tmp_path / "mine.csv").rename(raw / "mine.csv")
    with pytest.raises(DataError, match="device"):
        list(of_tables(raw, records, {"subgroups": ["device"]})[1])


def test_spellings_of_a_value_are_one_subgroup(tmp_path):
    values = ["female", "Female", "female ", "male", "", None]
    assert written(tmp_path, "sex", values) == ["female"] * 3 + ["male", None, None]


def test_whole_numbers_have_no_decimal_point(tmp_path):
    assert written(tmp_path, "age", [20.0, 20, "20", None]) == ["20", "20", "20", None]


def test_exact_ages_are_shown_by_quartile_without_the_extremes(tmp_path):
    found = written(tmp_path, "age", [*range(20, 60), None])
    # 40 ages: ten in each quartile.
    assert found[:40:10] == ["up to 29", "over 29 to 39", "over 39 to 49", "over 49"]
    assert [found.count(name) for name in found[:40:10]] == [10] * 4
    assert found[40] is None
    assert not any("20" in name or "59" in name for name in found[:40])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([f"town {number}" for number in range(21)], "21 different values, expected at most 20"),
        ([None, "", " "], "is empty for all items"),
        ([["a"], "b"], "neither text nor numbers"),
    ],
)
def test_columns_that_divide_nothing_are_refused(tmp_path, values, problem):
    with pytest.raises(DataError, match=problem):
        written(tmp_path, "place", values)


def test_items_without_a_row_are_refused(tmp_path):
    with pytest.raises(DataError, match="1 items have no row with sex"):
        write_subgroups(tmp_path / "x.jsonl", [("a", {"sex": "f"})], ["a", "b"], ["sex"], tmp_path)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"layout": "table", "subgroups": ["sex"]}, []),
        ({"layout": "ravdess", "subgroups": ["sex"]}, []),
        ({"layout": "ravdess", "subgroups": ["age"]}, ["do not state 'age'; expected sex"]),
        (
            {"layout": "goemotions", "subgroups": ["sex"]},
            ["goemotions have no scores by subgroup"],
        ),
        ({"layout": "audio_folder", "target": "classes", "subgroups": ["sex"]}, []),
        ({"layout": "cases", "subgroups": ["sex"]}, []),
        ({"layout": "spans", "subgroups": ["sex"]}, []),
    ],
)
def test_the_configuration_refuses_subgroups_that_cannot_be(entry, expected):
    found = list(_subgroup_mistakes("datasets.mine", entry))
    assert len(found) == len(expected)
    assert all(part in mistake for part, mistake in zip(expected, found, strict=True))


def test_each_layout_with_subgroups_belongs_to_an_experiment_that_reads_them():
    from affectlab.config.registries import SUBGROUP_COLUMNS

    readers = {
        layout
        for one in EXPERIMENTS.values()
        if one.subgroups
        for layout in one.load_settings().LAYOUTS
    }
    assert set(SUBGROUP_COLUMNS) <= readers


@pytest.mark.parametrize(
    ("columns", "name"), [({}, "label"), ({"label": "emo"}, "emo"), ({"label": ["a", "b"]}, "b")]
)
def test_the_classes_are_no_subgroups(columns, name):
    entry = {"layout": "table", "columns": columns, "subgroups": ["sex", name]}
    (mistake,) = _subgroup_mistakes("datasets.mine", entry)
    assert mistake.startswith(f"datasets.mine.subgroups.1: {name!r} holds the classes themselves")

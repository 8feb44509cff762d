"""Tables of users' own data, in every form that is read."""

import gzip
import json

import pytest

from affectlab.datasets.own_tables import OwnFile, own_files, own_rows
from affectlab.datasets.tables import read_table
from affectlab.errors import DataError, UserError

ROWS = [
    {"tweet": "so glad, really", "emo": "joy", "who": "a"},
    {"tweet": 'he said "no"', "emo": "NA", "who": "b"},
    {"tweet": "two\nlines", "emo": "fear", "who": "a"},
]


def _csv_text(separator):
    def cell(value):
        return '"' + value.replace('"', '""') + '"'

    lines = [separator.join(ROWS[0])]
    lines += [separator.join(cell(value) for value in row.values()) for row in ROWS]
    return "\n".join(lines) + "\n"


def _write(folder, kind):
    import pyarrow as pa
    from datasets import Dataset
    from pyarrow import feather, parquet

    path = folder / f"mine.{kind}"
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    match kind:
        case "csv" | "tsv":
            path.write_text(_csv_text("," if kind == "csv" else "\t"), encoding="utf-8")
        case "csv.gz":
            path.write_bytes(gzip.compress(_csv_text(",").encode()))
        case "jsonl":
            path.write_text(lines, encoding="utf-8")
        case "json":
            path.write_text(json.dumps(ROWS, indent=1), encoding="utf-8")
        case "parquet":
            parquet.write_table(pa.Table.from_pylist(ROWS), path)
        case "feather":
            feather.write_feather(pa.Table.from_pylist(ROWS), str(path), compression="uncompressed")
        case "saved":
            Dataset.from_list(ROWS).save_to_disk(str(path))
    return path


@pytest.mark.parametrize(
    "kind", ["csv", "tsv", "csv.gz", "jsonl", "json", "parquet", "feather", "saved"]
)
def test_every_form_gives_the_same_rows(tmp_path, kind):
    path = _write(tmp_path, kind)
    assert [row.values for row in read_table(path, ["tweet", "emo"])] == ROWS
    with pytest.raises(DataError, match=r"missing (column|field) mood"):
        _ = [_stop(row) for row in read_table(path, ["mood"])]


def _stop(row):
    if row.problem:
        raise DataError("x", row.place, row.problem)


def test_a_label_called_na_stays_a_label_and_an_error_names_the_line(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label\nfine,NA\nbroken,joy,more\nlast,None\n", encoding="utf-8")
    first, second, third = read_table(path, ["text", "label"])
    assert (first.values["label"], third.values["label"]) == ("NA", "None")
    assert (second.place, second.problem) == (
        "line 3",
        "expected 2 fields, as in the header, found 3",
    )


def test_semicolons_of_a_spreadsheet_are_taken(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(_csv_text(";"), encoding="utf-8")
    assert [row.values for row in read_table(path, ["tweet", "emo"])] == ROWS


def test_class_ids_inside_the_file_become_names(tmp_path):
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["sad", "glad"])})
    path = tmp_path / "mine.parquet"
    Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features).to_parquet(path)
    assert [row.values["label"] for row in read_table(path, ["text"])] == ["glad", "sad", None]


def test_a_table_cut_off_is_one_clear_error(tmp_path):
    path = _write(tmp_path, "parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"mine\.parquet"):
        list(read_table(path, ["tweet"]))


def test_an_unknown_ending_is_refused(tmp_path):
    path = tmp_path / "mine.sav"
    path.write_text("x")
    with pytest.raises(UserError, match=r"ends in one of \.csv"):
        next(iter(read_table(path, [])))


def test_columns_are_renamed_and_files_tell_the_split(tmp_path):
    for name in ("train", "dev", "test"):
        _write(tmp_path, "csv").rename(tmp_path / f"{name}.csv")
    entry = {"columns": {"text": "tweet", "label": "emo", "group": "who"}}
    rows = list(own_rows(own_files(tmp_path, {}), entry, ["text", "label"], ["group"]))
    assert [row.split for row in rows] == ["validation"] * 3 + ["test"] * 3 + ["train"] * 3
    assert rows[1].values == {"text": 'he said "no"', "label": "NA", "group": "b"}
    assert len({row.id for row in rows}) == 9


def test_a_column_tells_the_split(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label,part\na,x,TRAIN\nb,y,held\nc,y,what\n", encoding="utf-8")
    plan = {"column": "part", "names": {"test": "held"}}
    rows = list(own_rows(own_files(tmp_path, plan), {"split": plan}, ["text", "label"]))
    assert [row.split for row in rows] == ["train", "test", None]
    assert "names no split" in rows[2].problem


def test_several_columns_of_a_role_are_a_list(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,r1,r2\na,x,y\n", encoding="utf-8")
    entry = {"columns": {"label": ["r1", "r2"]}}
    (row,) = own_rows(own_files(tmp_path, {}), entry, ["text", "label"])
    assert row.values["label"] == ["x", "y"]


def test_tables_that_are_no_splits_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("text,label\na,b\n")
    with pytest.raises(DataError, match=r"split\.files"):
        own_files(tmp_path, {})


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_rows(tmp_path, kind):
    """Ten times the rows: less than 10 % more memory, measured in processes of their own."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path;"
        "from affectlab.datasets.tables import read_table;"
        "n = sum(1 for _ in read_table(Path(sys.argv[1]), ['text']));"
        # Of this process alone: the peak of `getrusage` is at least that of its parent.
        "status = Path('/proc/self/status').read_text();"
        "print(n, status.partition('VmHWM:')[2].split()[0])"
    )
    peaks = []
    for rows in (20_000, 200_000):
        path = tmp_path / f"rows{rows}.{kind}"
        _many(path, kind, rows)
        out = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True)
        count, peak = map(int, out.stdout.split())
        assert count == rows
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0]


def _many(path, kind, rows):
    import pyarrow as pa
    from pyarrow import parquet

    texts = [f"text number {number} with some words in it" for number in range(rows)]
    if kind == "csv":
        path.write_text("text\n" + "\n".join(texts) + "\n")
    else:
        parquet.write_table(pa.table({"text": texts}), path, row_group_size=5000)


def test_lists_of_items_divide_a_table(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,x\n2,y\n3,z\n")
    (tmp_path / "test.txt").write_text("3\n\n1\n")
    entry = {"split": {"items": {"test": str(tmp_path / "test.txt")}}}
    rows = own_rows([OwnFile(tmp_path / "a.csv", None)], entry, ["text"])
    assert {row.id: row.split for row in rows} == {"1": "test", "2": "train", "3": "test"}
    for text, problem in (("1\n1\n", "line 2: the item '1' is listed twice"), ("\n", "found none")):
        (tmp_path / "test.txt").write_text(text)
        with pytest.raises(DataError, match=problem):
            list(own_rows([OwnFile(tmp_path / "a.csv", None)], entry, ["text"]))


def test_listed_ids_that_no_item_has_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,x\n2,y\n3,z\n")
    entry = {"split": {"items": {"test": str(tmp_path / "test.txt")}}}
    files = [OwnFile(tmp_path / "a.csv", None)]
    (tmp_path / "test.txt").write_text("3\nb\na\n")
    with pytest.raises(DataError, match=r"test\.txt: .*\(2 of 3 in the lists.*\): 'a', 'b'\. "):
        list(own_rows(files, entry, ["text"]))
    # A row that was set aside has no id: the list may name it.
    (tmp_path / "a.csv").write_text("id,text\n1,x\na,y,more\n3,z\n")
    (tmp_path / "test.txt").write_text("3\na\n")
    rows = list(own_rows(files, entry, ["text"]))
    assert [row.split for row in rows if row.problem is None] == ["train", "test"]

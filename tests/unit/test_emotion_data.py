import codecs
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from emotion_tables import converted, data_in, described, outputs_in
from pyarrow import parquet

from affectlab.datasets.texts import normalise_text
from affectlab.emotion import convert as conversion
from affectlab.emotion import data
from affectlab.emotion.layouts import find_layout
from affectlab.errors import DataError, UserError
from affectlab.samples.emotion import LAYOUTS, write_corpus

GOOD = "i feel glad;joy\ni feel gloomy;sadness\n"


def write_txt(folder, **texts):
    """A semicolon corpus; `train=`, `val=` and `test=` replace the good content of a file."""
    folder.mkdir(exist_ok=True)
    for stem in ("train", "val", "test"):
        content = texts.get(stem, GOOD)
        if content is not None:
            raw = content if isinstance(content, bytes) else content.encode()
            (folder / f"{stem}.txt").write_bytes(raw)
    return folder


def write_jsonl(folder, train):
    folder.mkdir(exist_ok=True)
    good = '{"text": "i feel glad", "label": 1}\n'
    (folder / "train.jsonl").write_text(train, encoding="utf-8")
    (folder / "validation.jsonl").write_text(good)
    (folder / "test.jsonl").write_text(good)
    return folder


def write_csv(folder, train):
    folder.mkdir(exist_ok=True)
    (folder / "training.csv").write_bytes(train if isinstance(train, bytes) else train.encode())
    (folder / "validation.csv").write_text("text,label\ni feel glad,1\n")
    (folder / "test.csv").write_text("text,label\ni feel glad,1\n")
    return folder


def write_parquet(folder, train, metadata=None):
    (folder / "split").mkdir(parents=True, exist_ok=True)
    good = {"text": ["i feel glad"], "label": [1]}
    for split, columns in (("train", train), ("validation", good), ("test", good)):
        table = pyarrow.table(columns)
        if metadata and split == "train":
            table = table.replace_schema_metadata(metadata)
        parquet.write_table(table, folder / "split" / f"{split}-00000-of-00001.parquet")
    return folder


def problem(folder):
    """The error of a folder, as (file name, place, problem)."""
    with pytest.raises(DataError) as caught:
        list(conversion.read_raw(folder))
    error = caught.value
    assert str(error.path) in str(error)
    return error.path.name, error.place, error.problem


def train_records(folder, on_bad_record="fail"):
    return [
        item
        for item in conversion.read_raw(folder, on_bad_record)
        if isinstance(item, data.Record) and item.split == "train"
    ]


# --- what is read


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_table(tmp_path, layout):
    for name in (layout, "semicolon"):
        write_corpus(tmp_path / name, seed=4, train=60, validation=20, test=20, layout=name)
        converted(tmp_path / name, tmp_path / "out" / name)
    first_line = (tmp_path / "semicolon" / "train.txt").read_text().split("\n")[0]
    found = data_in(tmp_path / "out" / layout)
    records = found.records
    assert found.classes == data.CLASSES
    assert len(records) == 100
    assert [record.split for record in records] == ["train"] * 60 + ["validation"] * 20 + [
        "test"
    ] * 20
    assert records[0] == data.Record("train-00001", *first_line.split(";"), "train")
    assert records == data_in(tmp_path / "out" / "semicolon").records
    assert (tmp_path / "out" / layout / "quarantine.jsonl").read_text() == ""


def test_records_are_as_in_the_contract(tmp_path):
    outputs = converted(write_txt(tmp_path / "raw"), tmp_path)
    assert json.loads(outputs.records.read_text().split("\n")[1]) == {
        "id": "train-00002",
        "text": "i feel gloomy",
        "label": "sadness",
        "split": "train",
    }


@pytest.mark.parametrize(
    "train",
    [
        codecs.BOM_UTF8 + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.rstrip("\n").encode(),
        (GOOD + "\n\n").encode(),
    ],
    ids=["byte order mark", "CRLF", "no last line end", "blank lines at the end"],
)
def test_harmless_differences(tmp_path, train):
    records = train_records(write_txt(tmp_path / "raw", train=train))
    assert [(r.id, r.text, r.label) for r in records] == [
        ("train-00001", "i feel glad", "joy"),
        ("train-00002", "i feel gloomy", "sadness"),
    ]


def test_labels_of_text_and_csv_files_may_be_ids(tmp_path):
    texts = write_txt(tmp_path / "txt", train="i feel glad;1\ni feel gloomy;0\n")
    table = write_csv(tmp_path / "csv", "text,label\ni feel glad,1\ni feel gloomy,0\n")
    for folder in (texts, table):
        assert [record.label for record in train_records(folder)] == ["joy", "sadness"]


def test_a_blank_line_is_passed_over_but_counted(tmp_path):
    records = train_records(write_txt(tmp_path / "raw", train="i feel glad;joy\n\ni feel so;joy\n"))
    assert [record.id for record in records] == ["train-00001", "train-00003"]


def test_text_beyond_ascii_and_line_separators_survive(tmp_path):
    text = 'i feel "glad"\n\u2028 zuversichtlich \u00e9 \U0001f600'
    write_jsonl(tmp_path / "raw", json.dumps({"text": text, "label": "joy"}) + "\n")
    converted(tmp_path / "raw", tmp_path)
    assert data_in(tmp_path).records[0].text == text


def test_gzip_and_data_folder(tmp_path):
    folder = tmp_path / "raw" / "data"
    folder.mkdir(parents=True)
    for stem in ("train", "valid", "test"):
        (folder / f"{stem}.txt.gz").write_bytes(gzip.compress(GOOD.encode()))
    assert len(train_records(tmp_path / "raw")) == 2


def test_single_folder_inside_an_archive(tmp_path):
    (tmp_path / "raw").mkdir()
    write_txt(tmp_path / "raw" / "emotion-main")
    (tmp_path / "raw" / "__MACOSX").mkdir()
    assert len(train_records(tmp_path / "raw")) == 2


def test_csv_labels_quotes_and_record_numbers(tmp_path):
    folder = write_csv(
        tmp_path / "raw", 'label,text\n4,"i feel, well,\nafraid"\nlove,i feel fond\n'
    )
    assert [(r.id, r.text, r.label) for r in train_records(folder)] == [
        ("train-00001", "i feel, well,\nafraid", "fear"),
        ("train-00002", "i feel fond", "love"),
    ]


def test_parquet_in_parts_has_unique_ids(tmp_path):
    folder = write_parquet(tmp_path / "raw", {"text": ["i feel glad"], "label": [1]})
    (folder / "split" / "train-00000-of-00001.parquet").unlink()
    for part, label in ((0, "joy"), (1, "fear")):
        parquet.write_table(
            pyarrow.table({"text": ["i feel so", "i feel that"], "label": [label, label]}),
            folder / "split" / f"train-{part:05d}-of-00002.parquet",
        )
    assert [(r.id, r.label) for r in train_records(folder)] == [
        ("train-00001", "joy"),
        ("train-00002", "joy"),
        ("train-00003", "fear"),
        ("train-00004", "fear"),
    ]


def hub_metadata(names):
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def test_class_names_inside_parquet_decide_what_an_id_means(tmp_path):
    metadata = hub_metadata(sorted(data.CLASSES))
    folder = write_parquet(tmp_path / "raw", {"text": ["a", "b"], "label": [0, 5]}, metadata)
    assert [record.label for record in train_records(folder)] == ["anger", "surprise"]


def test_other_class_names_inside_parquet_are_refused(tmp_path):
    metadata = hub_metadata(["negative", "positive"])
    folder = write_parquet(tmp_path / "raw", {"text": ["a"], "label": [0]}, metadata)
    assert "expected the classes sadness" in problem(folder)[2]


# --- bad records

BAD_LINES = {
    "three fields": ("i feel; glad;joy", "expected 2 fields (text;label), found 3"),
    "one field": ("i feel glad", "expected 2 fields (text;label), found 1"),
    "typo": ("i feel glad;hapy joy", "unknown label 'hapy joy', expected one of sadness, joy,"),
    "near label": ("i feel glad;saddness", "did you mean sadness?"),
    "case": ("i feel glad;Joy", "did you mean joy?"),
    "empty text": (";joy", "the text is empty"),
    "blank text": ("   ;joy", "the text is empty"),
    "NUL": ("i feel\0;joy", "the text holds a NUL character"),
}


@pytest.mark.parametrize(("line", "expected"), BAD_LINES.values(), ids=BAD_LINES)
def test_bad_line(tmp_path, line, expected):
    folder = write_txt(tmp_path / "raw", train=f"{GOOD}{line}\n")
    file, place, found = problem(folder)
    assert (file, place) == ("train.txt", "line 3")
    assert expected in found


def test_wrong_encoding_names_line_and_byte(tmp_path):
    folder = write_txt(
        tmp_path / "raw", train=GOOD.encode() + "i feel très glad;joy".encode("latin-1")
    )
    assert problem(folder) == ("train.txt", "line 3", "expected UTF-8, found byte 0xe8")


def test_wrong_encoding_in_json_and_csv(tmp_path):
    folder = write_csv(tmp_path / "csv", b"text,label\ni feel glad,joy\ntr\xe8s,joy\n")
    assert problem(folder) == ("training.csv", "line 3", "expected UTF-8, found byte 0xe8")
    folder = write_jsonl(tmp_path / "jsonl", "")
    (folder / "train.jsonl").write_bytes(b'{"text": "tr\xe8s", "label": 1}\n')
    assert problem(folder) == ("train.jsonl", "line 1", "expected UTF-8, found byte 0xe8")


def test_a_long_label_is_not_shown(tmp_path):
    """It may be a text, if the fields are the wrong way round."""
    folder = write_txt(tmp_path / "raw", train="joy;something that someone wrote in private\n")
    assert "private" not in problem(folder)[2]


BAD_OBJECTS = {
    "broken": ('{"text": "i feel', "not valid JSON"),
    "no object": ('["i feel", 1]', "found a list"),
    "no label": ('{"text": "i feel"}', "missing field label"),
    "text is a number": ('{"text": 3, "label": 1}', "the text is the number 3, expected a string"),
    "text is null": ('{"text": null, "label": 1}', "the text is null"),
    "label too large": ('{"text": "a", "label": 6}', "the label is 6, expected 0 to 5"),
    "label negative": ('{"text": "a", "label": -1}', "the label is -1, expected 0 to 5"),
    "label NaN": ('{"text": "a", "label": NaN}', "the label is the number nan"),
    "label float": ('{"text": "a", "label": 1.0}', "the label is the number 1.0"),
    "label bool": ('{"text": "a", "label": true}', "the label is true or false"),
    "label null": ('{"text": "a", "label": null}', "the label is null"),
    "label list": ('{"text": "a", "label": [1]}', "the label is a list"),
    "half a surrogate": ('{"text": "a \\ud83d", "label": 1}', "half a surrogate pair"),
    "endless number": ('{"text": "a", "label": ' + "9" * 5000 + "}", "out of bounds"),
    "endless nesting": ("[" * 200_000, "out of bounds"),
}


@pytest.mark.parametrize(("line", "expected"), BAD_OBJECTS.values(), ids=BAD_OBJECTS)
def test_bad_json_line(tmp_path, line, expected):
    folder = write_jsonl(tmp_path / "raw", '{"text": "a", "label": "joy"}\n\n' + line + "\n")
    file, place, found = problem(folder)
    assert (file, place) == ("train.jsonl", "line 3")
    assert expected in found


def test_duplicate_ids(tmp_path):
    lines = [{"id": i, "text": "a", "label": 1} for i in ("x1", "x2", "x1")]
    folder = write_jsonl(tmp_path / "raw", "".join(json.dumps(line) + "\n" for line in lines))
    found = problem(folder)
    assert found == ("train.jsonl", "line 3", "the id 'x1' was already used in line 1")


def test_duplicate_ids_in_two_parts_of_a_split(tmp_path):
    folder = write_parquet(tmp_path / "raw", {"text": ["a"], "label": [1]})
    (folder / "split" / "train-00000-of-00001.parquet").unlink()
    for part in (0, 1):
        parquet.write_table(
            pyarrow.table({"id": [f"x{part}", "y"], "text": ["a", "b"], "label": [1, 1]}),
            folder / "split" / f"train-{part:05d}-of-00002.parquet",
        )
    expected = "the id 'y' was already used in train-00000-of-00002.parquet, record 2"
    assert problem(folder) == ("train-00001-of-00002.parquet", "record 2", expected)


def test_id_of_another_type(tmp_path):
    folder = write_jsonl(tmp_path / "raw", '{"id": [1], "text": "a", "label": 1}\n')
    assert "the id is a list" in problem(folder)[2]


def test_bad_csv_row(tmp_path):
    """The place is the line where the record begins; the records here have two lines each."""
    rows = 'text,label\n"i feel\nglad",joy\n"i feel\nso",glad,joy\n'
    expected = "expected 2 fields, as in the header, found 3"
    assert problem(write_csv(tmp_path / "raw", rows)) == ("training.csv", "line 4", expected)


@pytest.mark.parametrize("label", ["7", "-1", "nan", "1.0", ""])
def test_bad_csv_label(tmp_path, label):
    folder = write_csv(tmp_path / "raw", f"text,label\ni feel,{label}\n")
    assert problem(folder)[:2] == ("training.csv", "line 2")


def test_bad_parquet_records(tmp_path):
    floats = write_parquet(tmp_path / "a", {"text": ["i", "i"], "label": [1.0, float("nan")]})
    name = "train-00000-of-00001.parquet"
    assert problem(floats)[:2] == (name, "record 1")
    nulls = write_parquet(tmp_path / "b", {"text": ["i", None], "label": [1, 1]})
    found = problem(nulls)
    assert found == (name, "record 2", "the text is null, expected a string")


# --- bad files: they fail whatever on_bad_record says


def file_problem(folder):
    with pytest.raises(DataError) as skipping:
        list(conversion.read_raw(folder, "skip"))
    found = problem(folder)
    assert found[2] == skipping.value.problem
    return found


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"\n\n  \n", "the file holds no records"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (codecs.BOM_UTF16_LE + GOOD.encode("utf-16-le"), "UTF-16, expected UTF-8"),
        (gzip.compress(GOOD.encode()), "end its name in .gz"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
    ids=["empty", "blank", "html", "utf-16", "gzip", "lfs"],
)
def test_file_is_something_else(tmp_path, content, expected):
    file, _, found = file_problem(write_txt(tmp_path / "raw", val=content))
    assert file == "val.txt"
    assert expected in found


def test_not_one_good_record(tmp_path):
    folder = write_txt(tmp_path / "raw", test="a\tjoy\nb\tfear\n")
    with pytest.raises(DataError, match=r"test\.txt: not one good record"):
        list(conversion.read_raw(folder, "skip"))


def test_truncated_gzip(tmp_path):
    write_corpus(tmp_path / "raw", train=200, layout="jsonl_gz")
    path = tmp_path / "raw" / "data" / "train.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-200])
    file, place, found = file_problem(tmp_path / "raw")
    assert file == "train.jsonl.gz"
    assert place.startswith("after line ")
    assert "cut off or corrupt" in found


@pytest.mark.parametrize("position", [10, -8], ids=["block type", "checksum"])
def test_corrupt_gzip(tmp_path, position):
    write_corpus(tmp_path / "raw", train=200, layout="jsonl_gz")
    path = tmp_path / "raw" / "data" / "train.jsonl.gz"
    content = bytearray(path.read_bytes())
    content[position] |= 0b111  # 0b11 is no block type of deflate
    content[position] ^= 0b1000
    path.write_bytes(content)
    file, _, found = file_problem(tmp_path / "raw")
    assert file == "train.jsonl.gz"
    assert "cut off or corrupt" in found


def test_named_gz_but_plain(tmp_path):
    folder = write_txt(tmp_path / "raw")
    (folder / "val.txt").rename(folder / "val.txt.gz")
    assert "not gzip-compressed" in file_problem(folder)[2]


@pytest.mark.parametrize("keep", [0, 3, 100, -10])
def test_cut_parquet(tmp_path, keep):
    folder = write_parquet(tmp_path / "raw", {"text": ["i feel"] * 50, "label": [1] * 50})
    path = folder / "split" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    expected = "cut off or corrupt" if keep else "the file is empty"
    assert expected in file_problem(folder)[2]


def test_html_as_parquet(tmp_path):
    folder = write_parquet(tmp_path / "raw", {"text": ["i feel"], "label": [1]})
    (folder / "split" / "test-00000-of-00001.parquet").write_text("<html>not found</html>")
    assert "web page" in file_problem(folder)[2]


def test_text_in_parquet_that_is_not_utf_8_is_one_bad_record(tmp_path):
    raw = pyarrow.array([b"i feel glad", b"caf\xe9", b"i feel so"], pyarrow.binary())
    texts = pyarrow.Array.from_buffers(pyarrow.string(), 3, raw.buffers())
    folder = write_parquet(tmp_path / "raw", {"text": texts, "label": [1, 1, 1]})
    assert problem(folder)[1:] == ("record 2", "expected UTF-8, found other bytes")
    records = train_records(folder, "skip")
    assert [record.id for record in records] == ["train-00001", "train-00003"]


def test_corrupt_pages_inside_parquet(tmp_path):
    texts = [f"i feel {number}" for number in range(2000)]
    folder = write_parquet(tmp_path / "raw", {"text": texts, "label": [1] * 2000})
    path = folder / "split" / "train-00000-of-00001.parquet"
    content = bytearray(path.read_bytes())
    content[10:2000] = b"\xff" * 1990
    path.write_bytes(content)
    assert "cut off or corrupt" in file_problem(folder)[2]


def test_missing_column(tmp_path):
    folder = write_csv(tmp_path / "csv", "sentence,label\ni feel,joy\n")
    assert file_problem(folder)[2] == "missing column text; found: sentence, label"
    folder = write_parquet(tmp_path / "parquet", {"text": ["i feel"], "emotion": [1]})
    assert file_problem(folder)[2] == "missing column label; found: text, emotion"


def test_column_twice(tmp_path):
    folder = write_csv(tmp_path / "raw", "text,label,text\ni,joy,i\n")
    assert "the column text occurs more than once" in file_problem(folder)[2]


def test_open_quote_in_csv(tmp_path):
    folder = write_csv(tmp_path / "raw", 'text,label\ni feel,joy\n"i feel,joy\ni feel,joy\n')
    _, place, found = file_problem(folder)
    assert "not valid CSV" in found
    assert place == "line 3", "where the record begins, not the end of the file"


# --- which files


def test_nothing_there(tmp_path):
    (tmp_path / "notes.md").write_text("see train")
    with pytest.raises(DataError) as caught:
        find_layout(tmp_path)
    for wanted in ("train.txt, val.txt and test.txt", ".parquet", "train.jsonl", "train.csv"):
        assert wanted in str(caught.value)
    assert str(caught.value).endswith("Found notes.md")


def test_no_such_folder(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find_layout(tmp_path / "nothing")


def test_two_layouts(tmp_path):
    folder = write_txt(tmp_path / "raw")
    write_csv(folder, "text,label\ni feel,joy\n")
    with pytest.raises(DataError, match="more than one layout") as caught:
        find_layout(folder)
    assert "semicolon: train.txt, val.txt, test.txt" in str(caught.value)
    assert "csv: training.csv, validation.csv, test.csv" in str(caught.value)


def test_missing_split(tmp_path):
    folder = write_txt(tmp_path / "raw", val=None, test=None)
    with pytest.raises(DataError, match="no file of the split validation and test"):
        find_layout(folder)


def test_split_twice(tmp_path):
    folder = write_txt(tmp_path / "raw")
    (folder / "dev.txt").write_text(GOOD)
    with pytest.raises(DataError, match=r"more than one file of the split validation: dev\.txt"):
        find_layout(folder)


@pytest.mark.parametrize("present", [[0], [0, 2], [1, 2]])
def test_missing_part(tmp_path, present):
    folder = write_parquet(tmp_path / "raw", {"text": ["a"], "label": [1]})
    first = folder / "split" / "train-00000-of-00001.parquet"
    content = first.read_bytes()
    first.unlink()
    for part in present:
        (folder / "split" / f"train-{part:05d}-of-00003.parquet").write_bytes(content)
    with pytest.raises(DataError, match="the split train should have 3 parts"):
        find_layout(folder)


# --- skip and convert


def test_skip_sets_every_bad_record_aside_and_keeps_the_rest(tmp_path):
    lines = [line for line, _ in BAD_LINES.values()]
    folder = write_txt(tmp_path / "raw", train=GOOD + "\n".join(lines) + "\ni feel so;love\n")
    outputs = converted(folder, tmp_path, on_bad_record="skip")
    kept = data_in(tmp_path).of_split("train")
    assert [r.id for r in kept] == ["train-00001", "train-00002", f"train-{3 + len(lines):05d}"]
    rows = [json.loads(line) for line in outputs.quarantine.read_text().splitlines()]
    assert [row["place"] for row in rows] == [f"line {3 + n}" for n in range(len(lines))]
    for row, (_, expected) in zip(rows, BAD_LINES.values(), strict=True):
        assert set(row) == {"file", "place", "problem"}
        assert row["file"] == "train.txt"
        assert expected in row["problem"]


def test_nothing_half_written(tmp_path):
    folder = write_txt(tmp_path / "raw", test=GOOD + "i feel;;joy\n")
    out = tmp_path / "out"
    with pytest.raises(DataError):
        converted(folder, out)
    assert list(out.iterdir()) == []


def test_earlier_files_stay_when_converting_fails(tmp_path):
    folder = write_txt(tmp_path / "raw")
    outputs = converted(folder, tmp_path)
    before = outputs.records.read_bytes()
    write_txt(folder, test="i feel;;joy\n")
    with pytest.raises(DataError):
        converted(folder, tmp_path)
    assert outputs.records.read_bytes() == before


def test_unknown_policy(tmp_path):
    with pytest.raises(ValueError, match="on_bad_record"):
        list(conversion.read_raw(write_txt(tmp_path / "raw"), "ignore"))


def test_output_folder_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        converted(write_txt(tmp_path / "raw"), tmp_path / "out")


# --- reading the table back


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"label": "happy"}, "unknown label 'happy'"),
        ({"split": "dev"}, "unknown split"),
        ({"text": 3}, "to be a string"),
        ({"more": "x"}, "expected the fields id, text, label and split"),
        ({"id": "train-00001"}, "occurs a second time"),
        ({"group": 3}, "a group that is a string"),
        ({"fold": 0}, "a fold in every record of a cross-validation, and in no other"),
    ],
)
def test_corrupt_table(tmp_path, change, expected):
    row = {"id": "train-00001", "text": "i feel", "label": "joy", "split": "train"}
    rows = [row, row | {"id": "train-00002"} | change]
    path = outputs_in(tmp_path).records
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    with pytest.raises(DataError, match="record 2") as caught:
        data.read_data(path, described(tmp_path))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I  Feel\tGlad ", "i feel glad"),
        ("STRASSE", "strasse"),
        ("stra\u00dfe", "strasse"),
        ("\u00a0a\u2003b\n", "a b"),
    ],
)
def test_normalise_text(text, expected):
    assert normalise_text(text) == expected


def test_importing_stays_light():
    heavy = "{'pyarrow', 'pandas', 'numpy', 'torch', 'sklearn'}"
    code = f"import sys, affectlab.emotion.convert; print(sorted({heavy} & set(sys.modules)))"
    library = Path(data.__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=library, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"

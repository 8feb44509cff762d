"""Tables with another separator, as spreadsheets save them, are reported as such."""

import pytest

from affectlab.audio.corpora.manifest import read_manifest
from affectlab.datasets.separators import wrong_separator
from affectlab.emotion import convert as conversion
from affectlab.entity import convert as entity
from affectlab.errors import DataError
from affectlab.face import raw
from affectlab.face.votes import TAGS, join_votes

NAMES = {";": "semicolons", "\t": "tabs", "|": "vertical bars", ",": "commas"}


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(
    ("table", "separator"), [("csv", ";"), ("csv", "\t"), ("csv", "|"), ("tsv", ","), ("tsv", ";")]
)
def test_a_manifest(tmp_path, table, separator, quote):
    names = (f"{quote}{name}{quote}" for name in ("clip", "subject", "label"))
    header = separator.join(names)
    (tmp_path / f"manifest.{table}").write_text(f"{header}\na.wav{separator}s1{separator}x\n")
    expected = {"csv": "commas", "tsv": "tabs"}[table]
    message = f"line 1: its fields are separated by {NAMES[separator]}, expected {expected}"
    with pytest.raises(DataError, match=message):
        list(read_manifest(tmp_path, {}))


@pytest.mark.parametrize("header", ["text;label", '"text"\t"label"', "label|text"])
def test_a_corpus_of_texts(tmp_path, header):
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.csv").write_text(f"{header}\n")
    with pytest.raises(DataError, match=r"fields are separated by .*, expected commas"):
        list(conversion.read_raw(tmp_path))


def test_lines_without_a_header(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.txt").write_text("i feel glad\tjoy\n")
    with pytest.raises(DataError, match=r"found 1; the fields seem to be separated by tabs"):
        list(conversion.read_raw(tmp_path))
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.tsv").write_text("Well, I am glad;17;abc\n")
    with pytest.raises(DataError, match=r"found 1; .* separated by semicolons, expected tabs"):
        entity.convert(
            tmp_path,
            tmp_path / "records.jsonl",
            tmp_path / "quarantine.jsonl",
            tmp_path / "description.json",
            entry={"layout": "goemotions"},
            on_bad_record="fail",
            split=None,
        )


def test_a_corpus_of_faces(tmp_path):
    (tmp_path / "fer2013.csv").write_text("emotion;pixels;Usage\n")
    with pytest.raises(DataError, match="separated by semicolons, expected commas"):
        list(raw.read_raw(tmp_path))
    (tmp_path / "fer2013new.csv").write_text("\t".join(["Usage", "Image name", *TAGS]))
    with pytest.raises(DataError, match="separated by tabs, expected commas"):
        join_votes([], [], tmp_path)


def test_other_tables_are_not_taken_for_one():
    columns = ["text", "label"]
    assert wrong_separator(["text", "label"], columns) is None
    assert wrong_separator(["sentence;label"], columns) is None
    assert wrong_separator([], columns) is None
    assert wrong_separator(["texts; label, and more"], columns) is None

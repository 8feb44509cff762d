"""Subgroups of images and recordings, from the tables that describe them or from the corpus."""

import json

import pytest
from own_images import ENTRY, converted, with_table, write_classes

from affectlab.audio.corpora import emodb, ravdess
from affectlab.audio.subgroups import of_recordings
from affectlab.datasets.subgroups import read_subgroups, write_subgroups
from affectlab.errors import DataError
from affectlab.face.subgroups import of_images


def read(reader, tmp_path, records, entry):
    ids, rows = reader(tmp_path / "raw", records, entry)
    write_subgroups(tmp_path / "subgroups.jsonl", rows, ids, entry["subgroups"], tmp_path / "raw")
    return ids, read_subgroups(tmp_path / "subgroups.jsonl")


def test_images_have_the_subgroups_of_their_table(tmp_path):
    rows = with_table(tmp_path / "raw", count=60, light=lambda number: ("day", "night")[number % 2])
    faces = converted(tmp_path)
    entry = {**ENTRY, "subgroups": ["light", "subject"]}
    ids, found = read(of_images, tmp_path, tmp_path / "metadata.csv", entry)
    assert sorted(ids) == sorted(faces.paths)
    assert found["light"] == {row["file_name"]: row["light"] for row in rows}
    # A column that is the group of the images as well.
    assert found["subject"] == {row["file_name"]: row["subject"] for row in rows}


def test_images_without_a_table_have_no_subgroups(tmp_path):
    write_classes(tmp_path / "raw", 60)
    converted(tmp_path)
    with pytest.raises(DataError, match="60 items have no row with light"):
        read(of_images, tmp_path, tmp_path / "metadata.csv", {**ENTRY, "subgroups": ["light"]})


def test_a_column_that_the_table_of_images_lacks_is_reported(tmp_path):
    with_table(tmp_path / "raw", count=60)
    converted(tmp_path)
    with pytest.raises(DataError, match="skin"):
        read(of_images, tmp_path, tmp_path / "metadata.csv", {**ENTRY, "subgroups": ["skin"]})


def write_clips(tmp_path, names, subjects=None):
    """The records of clips as a conversion stores them."""
    clips = [
        {"id": name, "path": name, "subject": subject, "labels": {"label": "x"}}
        | {"split": None, "seconds": None}
        for name, subject in zip(names, subjects or names, strict=True)
    ]
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    return path


@pytest.mark.parametrize(
    ("layout", "table", "header"),
    [
        ("audio_manifest", "manifest.csv", "clip,label,subject,sex"),
        ("audio_folder", "metadata.csv", "file_name,label,subject,sex"),
        ("audio_folder", "train/metadata.csv", "file_name,label,subject,sex"),
    ],
)
def test_recordings_have_the_subgroups_of_their_table(tmp_path, layout, table, header):
    path = tmp_path / "raw" / table
    path.parent.mkdir(parents=True)
    names = ["one.wav", "two.wav", "three.wav"]
    for name in names:
        (path.parent / name).write_bytes(b"RIFF")
    rows = ["one.wav,x,s1,female", "two.wav,y,s2,male", "three.wav,x,s3,", "lost.wav,x,s4,male"]
    path.write_text("\n".join([header, *rows]) + "\n")
    folder = path.parent.relative_to(tmp_path / "raw")
    stored = [(folder / name).as_posix() for name in names]
    entry = {"layout": layout, "subgroups": ["sex"]}
    ids, found = read(of_recordings, tmp_path, write_clips(tmp_path, stored), entry)
    assert ids == stored
    assert found["sex"] == dict(zip(stored, ["female", "male", None], strict=True))


def test_recordings_without_a_table_have_no_subgroups(tmp_path):
    (tmp_path / "raw" / "calm").mkdir(parents=True)
    records = write_clips(tmp_path, ["calm/one.wav"])
    with pytest.raises(DataError, match=r"no table here; expected one of metadata\.csv"):
        read(of_recordings, tmp_path, records, {"layout": "audio_folder", "subgroups": ["sex"]})


def test_the_speakers_of_published_corpora_have_a_sex(tmp_path):
    (tmp_path / "raw").mkdir()
    records = write_clips(tmp_path, ["a", "b", "c"], ["actor_01", "actor_02", "actor_24"])
    entry = {"layout": "ravdess", "subgroups": ["sex"]}
    _, found = read(of_recordings, tmp_path, records, entry)
    assert found["sex"] == {"a": "male", "b": "female", "c": "female"}
    # RAVDESS: 12 of each (Livingstone and Russo 2018); EMO-DB: five of each (Burkhardt 2005).
    actors = [ravdess.sex_of(f"actor_{number:02d}") for number in range(1, 25)]
    assert (actors.count("male"), actors.count("female")) == (12, 12)
    known = [emodb.sex_of(f"speaker_{number:02d}") for number in range(1, 30)]
    assert (known.count("male"), known.count("female")) == (5, 5)

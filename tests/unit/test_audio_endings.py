"""Corpora may hold recordings in any format; what is not read is reported."""

import json
import re

import numpy as np
import pytest
import soundfile

from affectlab.audio import audit
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import read_clips
from affectlab.audio.waveform import read_audio
from affectlab.errors import DataError
from affectlab.files.io import read_jsonl

RATE = 16_000
SOUND = 0.1 * np.random.default_rng(0).standard_normal(RATE)
M4A = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42" + bytes(200)
FORMS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".MP3": "MP3", ".aiff": "AIFF", "": "WAV"}


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, SOUND, RATE, format=FORMS[path.suffix])


def converted(root, layout, on_bad_record="fail"):
    records, quarantine = root.parent / "records.jsonl", root.parent / "quarantine.jsonl"
    outputs = Outputs(records, quarantine, root.parent / "description.json")
    convert(root, outputs, {"layout": layout}, on_bad_record)
    return read_clips(records), list(read_jsonl(quarantine))


@pytest.mark.parametrize(
    ("layout", "stem"), [("ravdess", "Actor_01/03-01-0{}-01-02-01-01"), ("emodb", "wav/03a0{}Fa")]
)
def test_emotions_are_read_whatever_the_format(tmp_path, layout, stem):
    root = tmp_path / "raw"
    for number, ending in enumerate(FORMS, start=1):
        write(root / f"{stem.format(number)}{ending}")
    (root / "README.md").write_text("about the corpus")
    clips, bad = converted(root, layout)
    assert len(clips) == len(FORMS)
    assert bad == []
    assert {len(read_audio(root / clip.path, RATE)) for clip in clips} >= {RATE}


@pytest.mark.parametrize(
    ("layout", "name"), [("ravdess", "03-01-05-01-02-01-01.m4a"), ("emodb", "03a01Fa.m4a")]
)
def test_a_format_that_cannot_be_read_is_named_with_how_to_convert_it(tmp_path, layout, name):
    root = tmp_path / "raw"
    write(root / name.replace("01-01.m4a", "01-02.wav").replace("01Fa.m4a", "02Fa.wav"))
    (root / name).write_bytes(M4A)
    with pytest.raises(DataError, match=f"{re.escape(name)}: M4A, .* ffmpeg -i"):
        converted(root, layout)
    clips, bad = converted(root, layout, "skip")
    assert len(clips) == 1
    assert bad[0]["file"] == name


@pytest.mark.parametrize("name", ["03-01-٠٥-01-02-01-01.wav", "03-01-٠٥-01-02-01-٠١.wav"])
def test_digits_of_other_scripts_are_no_numbers_of_ravdess(tmp_path, name):
    root = tmp_path / "raw"
    write(root / name)
    with pytest.raises(DataError, match="expected seven two-digit numbers"):
        converted(root, "ravdess")


def write_eatd(root, endings):
    for number, ending in enumerate(endings, start=1):
        folder = root / f"t_{number}"
        for prompt in ("negative", "neutral", "positive"):
            write(folder / f"{prompt}_out{ending}")
            (folder / f"{prompt}.txt").write_text("text")
        (folder / "new_label.txt").write_text("50")


def test_answers_of_eatd_are_read_whatever_the_format(tmp_path):
    write_eatd(tmp_path / "raw", FORMS)
    clips, bad = converted(tmp_path / "raw", "eatd")
    assert len(clips) == 3 * len(FORMS)
    assert bad == []


def test_two_recordings_of_one_answer_are_not_chosen_from(tmp_path):
    write_eatd(tmp_path / "raw", [".wav"])
    write(tmp_path / "raw" / "t_1" / "neutral_out.flac")
    with pytest.raises(DataError, match=r"more than one .*neutral_out.flac and neutral_out.wav"):
        converted(tmp_path / "raw", "eatd")


def test_recordings_that_no_clip_uses_are_counted_and_reported(tmp_path, caplog):
    root = tmp_path / "raw"
    for name in ("a.wav", "b.ogg", "more/c.flac", "without_ending"):
        write(root / name)
    (root / "voice.m4a").write_bytes(M4A)
    (root / "notes.txt").write_text("no recording")
    (root / "manifest.csv").write_text("clip,subject,label\na.wav,p1,x\nb.ogg,p2,y\n")
    converted(root, "audio_manifest")
    audit.write_audit(
        records_path=tmp_path / "records.jsonl",
        quarantine_path=tmp_path / "quarantine.jsonl",
        description_path=tmp_path / "description.json",
        raw_directory=root,
        audit_path=tmp_path / "audit.json",
        measures_path=tmp_path / "measures.jsonl",
        expected={},
        on_bad_record="fail",
        threads=1,
    )
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found["unused_recordings"] == {
        "count": 3,
        "first": ["more/c.flac", "voice.m4a", "without_ending"],
    }
    assert "3 recordings belong to no clip of the corpus" in caplog.text


def test_a_clip_of_a_manifest_in_another_format_is_named_with_how_to_convert_it(tmp_path):
    (tmp_path / "voice.wav").write_bytes(M4A)
    with pytest.raises(DataError, match=r"voice\.wav: M4A, a format that cannot be read here"):
        read_audio(tmp_path / "voice.wav", RATE)

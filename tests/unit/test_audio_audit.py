import json

import numpy as np
import pytest
import soundfile

from affectlab.audio.audit import audit, write_audit
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import Clip
from affectlab.audio.measures import measure
from affectlab.errors import DataError, UserError
from affectlab.files.io import read_json, read_jsonl, write_jsonl
from affectlab.files.quarantine import BadRecord
from affectlab.samples.audio import write_corpus


def outputs(folder):
    return Outputs(*(folder / name for name in ("records.jsonl", "bad.jsonl", "description.json")))


@pytest.fixture
def corpus(tmp_path):
    write_corpus(tmp_path / "raw", subjects=4)
    convert(tmp_path / "raw", outputs(tmp_path), {"layout": "eatd"}, "fail")
    return tmp_path


def run(folder, on_bad_record="fail", expected=None):
    write_audit(
        records_path=folder / "records.jsonl",
        quarantine_path=folder / "bad.jsonl",
        description_path=folder / "description.json",
        raw_directory=folder / "raw",
        audit_path=folder / "audit.json",
        measures_path=folder / "measures.jsonl",
        expected=expected or {},
        on_bad_record=on_bad_record,
        threads=2,
    )
    return read_json(folder / "audit.json"), list(read_jsonl(folder / "measures.jsonl"))


def test_a_file_is_measured(tmp_path):
    rate = 16000
    loud = 0.5 * np.sin(2 * np.pi * 100 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "a.wav", np.concatenate([loud, np.zeros(rate)]), rate)
    found = measure(tmp_path / "a.wav", "a")
    assert (found.seconds, found.rate) == (2.0, rate)
    assert found.silent_share == pytest.approx(0.5, abs=0.02)
    assert found.peak_db == pytest.approx(-6.02, abs=0.01)
    # A sine of amplitude .5 over half the time: .5 / sqrt(2) / sqrt(2).
    assert found.rms_db == pytest.approx(20 * np.log10(0.25), abs=0.01)
    assert found.clipped_samples == 0


def test_clipping_is_runs_at_full_scale(tmp_path):
    samples = np.zeros(1000)
    samples[10] = 1.0
    samples[100:105] = 1.0
    samples[200:204] = -1.0
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    assert measure(tmp_path / "a.wav", "a").clipped_samples == 9


def test_silence_has_a_level_too(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    found = measure(tmp_path / "a.wav", "a")
    assert (found.rms_db, found.peak_db, found.silent_share) == (-120.0, -120.0, 1.0)


def test_a_corpus_is_described(corpus):
    found, measures = run(
        corpus, expected={"counts": {"train": 6}, "known_issues": {"subjects": 5}}
    )
    assert found["counts"]["train"] == {"clips": 6, "subjects": 2}
    assert found["classes"]["3emo"]["neutral"] == {"clips": 4, "subjects": 4}
    assert len(measures) == 12
    assert [row["status"] for row in found["expected"]] == ["ok", "differs"]


def test_a_subject_in_two_spellings_is_counted_once(corpus):
    path = corpus / "records.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    of_first = [row for row in rows if row["subject"] == rows[0]["subject"]]
    of_first[0]["subject"] = f" {of_first[0]['subject'].upper()}"
    write_jsonl(path, rows)
    found, _ = run(corpus)
    assert found["counts"][rows[0]["split"]]["subjects"] == 2


def test_identical_files_are_found(corpus):
    clips = sorted((corpus / "raw").rglob("*_out.wav"))
    clips[1].write_bytes(clips[0].read_bytes())
    found, _ = run(corpus)
    assert [len(group) for group in found["identical"]] == [2]


def test_the_same_audio_in_another_format_is_identical(tmp_path):
    samples = np.random.default_rng(0).integers(-3000, 3000, 800).astype("int16")
    soundfile.write(tmp_path / "a.wav", samples, 8000)
    soundfile.write(tmp_path / "b.flac", samples, 8000)
    first, second = (measure(tmp_path / name, name) for name in ("a.wav", "b.flac"))
    assert first.sha256 == second.sha256


@pytest.mark.parametrize(("stated", "fits"), [(1.04, True), (3.0, False)])
def test_a_stated_duration_is_held_against_the_file(tmp_path, stated, fits):
    (tmp_path / "raw").mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / "raw" / name, np.zeros(8000), 8000)
    text = f"clip,subject,label,duration\na.wav,s,x,{stated}\nb.wav,s,y,\n"
    (tmp_path / "raw" / "manifest.csv").write_text(text)
    convert(tmp_path / "raw", outputs(tmp_path), {"layout": "audio_manifest"}, "fail")
    if fits:
        assert len(run(tmp_path)[1]) == 2
    else:
        with pytest.raises(DataError, match=r"a\.wav: lasts 1 s; its corpus says 3 s"):
            run(tmp_path)


def test_a_file_that_cannot_be_read_stops_the_audit(corpus):
    path = sorted((corpus / "raw").rglob("*_out.wav"))[0]
    path.write_bytes(b"<html>")
    with pytest.raises(DataError, match="a web page saved"):
        run(corpus)
    assert not (corpus / "audit.json").exists()


def test_or_is_set_aside(corpus):
    path = sorted((corpus / "raw").rglob("*_out.wav"))[0]
    path.write_bytes(b"<html>")
    found, measures = run(corpus, "skip")
    assert found["quarantine"]["records"] == 1
    assert len(measures) == 11


def clip(name, subject, split):
    return Clip(name, f"{name}.wav", subject, {"label": "x"}, split)


def test_a_subject_in_both_splits_is_refused():
    clips = [clip("a", "s1", "train"), clip("b", "s1", "test")]
    with pytest.raises(UserError, match="1 subjects are in more than one split, such as s1"):
        audit(clips, [], [], {})


def test_a_corpus_of_bad_clips_is_refused():
    bad = [BadRecord("a.wav", "", "broken")]
    with pytest.raises(UserError, match="1 of 3 clips are bad, more than 10%"):
        audit([clip("a", "s1", None), clip("b", "s2", None)], [], bad, {})

"""Recordings that hold no sound, or lose it when their channels are mixed to one."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affectlab import cli
from affectlab.audio import audit
from affectlab.audio.embedding import embed_files
from affectlab.audio.encoders.registry import load_encoder
from affectlab.audio.waveform import Mixture, open_recording

RATE = 16_000
GENERATOR = np.random.default_rng(0)
VOICE = 0.2 * GENERATOR.standard_normal(RATE)
HUM = 0.2 * GENERATOR.standard_normal(RATE)


def mixture_of(tmp_path, *channels, subtype="PCM_16"):
    soundfile.write(tmp_path / "a.wav", np.stack(channels, axis=1), RATE, subtype=subtype)
    mixture = Mixture()
    with open_recording(tmp_path / "a.wav") as recording:
        for _ in recording.blocks(mixture):
            pass
    return mixture


@pytest.mark.parametrize(
    "channels",
    [
        (VOICE, -VOICE),
        (VOICE, -0.8 * VOICE),
        (VOICE, 0.05 * HUM - VOICE),
        (VOICE + 0.3, 0.1 - VOICE),
        (VOICE, -VOICE, VOICE, -VOICE),
        (0.001 * VOICE, -0.001 * VOICE),
    ],
)
def test_channels_that_cancel_each_other_are_found(tmp_path, channels):
    assert mixture_of(tmp_path, *channels, subtype="FLOAT").cancelling


@pytest.mark.parametrize(
    "channels",
    [
        (VOICE,),
        (VOICE, VOICE),
        (VOICE, HUM),
        (VOICE, 0 * VOICE),
        (VOICE, 0.5 * VOICE - HUM),
        (0 * VOICE, 0 * VOICE),
        tuple(np.roll(VOICE, 100 * shift) for shift in range(8)),
    ],
)
def test_other_channels_are_not(tmp_path, channels):
    assert not mixture_of(tmp_path, *channels).cancelling


@pytest.mark.parametrize(
    ("samples", "silent"),
    [
        (np.zeros(RATE), True),
        (np.full(RATE, 0.25), True),
        (2**-15 * GENERATOR.integers(-1, 2, RATE), True),
        (2**-15 * GENERATOR.integers(-20, 21, RATE), False),
        (0.01 * VOICE, False),
    ],
)
def test_silence_is_an_absolute_level(tmp_path, samples, silent):
    assert mixture_of(tmp_path, samples).silent == silent


def write_corpus(folder):
    folder.mkdir()
    rows = ["clip,subject,label"]
    for number in range(6):
        voice = 0.2 * np.random.default_rng(number).standard_normal(RATE)
        sign = -1 if number < 2 else 1
        samples = 0 * voice if number == 5 else voice
        soundfile.write(folder / f"{number}.wav", np.c_[samples, sign * samples], RATE)
        rows.append(f"{number}.wav,p{number},{'loud' if number < 2 else 'calm'}")
    (folder / "manifest.csv").write_text("\n".join(rows))


def test_the_audit_counts_them_and_warns(tmp_path, caplog):
    from affectlab.audio.convert import Outputs, convert

    write_corpus(tmp_path / "raw")
    outputs = Outputs(*(tmp_path / name for name in ("r.jsonl", "q.jsonl", "description.json")))
    convert(tmp_path / "raw", outputs, {"layout": "audio_manifest"}, "fail")
    audit.write_audit(
        records_path=tmp_path / "r.jsonl",
        quarantine_path=tmp_path / "q.jsonl",
        description_path=tmp_path / "description.json",
        raw_directory=tmp_path / "raw",
        audit_path=tmp_path / "audit.json",
        measures_path=tmp_path / "measures.jsonl",
        expected={"known_issues": {"silent_clips": 3, "cancelling_clips": 2}},
        on_bad_record="fail",
        threads=1,
    )
    found = json.loads((tmp_path / "audit.json").read_text())
    assert found["audio"]["silent_clips"] == 3
    assert found["audio"]["cancelling_clips"] == 2
    assert {row["status"] for row in found["expected"]} == {"ok"}
    assert "2 clips have channels that cancel each other" in caplog.text
    assert "3 clips hold no sound" in caplog.text


COMMAND = ["predict", "audio", "--model", "nowhere"]


class Levels:
    """A probe that stands for any other: it reads the files and tells what it was told of them."""

    warning = "not a diagnostic instrument"

    def predict(self, file):
        from affectlab.audio.predict import Prediction

        [part] = embed_files([Path(file)], load_encoder("logmel", None))
        return Prediction(file, "calm", {"calm": 1.0}, part.mixtures[0].warnings)


def test_the_command_warns_of_each(tmp_path, capsys, monkeypatch):
    from affectlab.audio.predict import AudioProbe

    write_corpus(tmp_path / "raw")
    monkeypatch.setattr("affectlab.audio.predict.target_of", lambda _: "class")
    monkeypatch.setattr(AudioProbe, "from_directory", lambda *_, **__: Levels())
    files = [tmp_path / "raw" / f"{number}.wav" for number in (0, 3, 5)]
    assert cli.main([*COMMAND, *map(str, files)]) == 0
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert "its channels cancel each other" in rows[0]["warnings"][0]
    assert "warnings" not in rows[1]
    assert rows[2]["warnings"] == ["it holds no sound: the prediction is that for silence"]
    assert f"{files[0]}: its channels cancel each other" in printed.err
    assert f"{files[2]}: it holds no sound" in printed.err
    assert str(files[1]) not in printed.err


def test_a_bad_recording_does_not_stop_the_others(tmp_path, capsys, monkeypatch):
    from affectlab.audio.predict import AudioProbe

    write_corpus(tmp_path / "raw")
    (tmp_path / "raw" / "0.wav").write_text("no audio")
    monkeypatch.setattr("affectlab.audio.predict.target_of", lambda _: "class")
    monkeypatch.setattr(AudioProbe, "from_directory", lambda *_, **__: Levels())
    files = [tmp_path / "raw" / name for name in ("0.wav", "nowhere.wav", "3.wav")]
    assert cli.main([*COMMAND, *map(str, files)]) == 1
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert ["error" in row for row in rows] == [True, True, False]
    assert f"affectlab: {files[1]}: no such file" in printed.err
    assert "2 recordings could not be read" in printed.err
    assert cli.main([*COMMAND, str(files[2])]) == 0

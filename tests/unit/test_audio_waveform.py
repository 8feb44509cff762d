import errno
import os
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affectlab.audio.waveform import in_parallel, open_recording, read_audio, windows
from affectlab.errors import DataError


def tone(seconds, rate, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def pitch(samples, rate):
    return np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * rate / len(samples)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_format_is_read(tmp_path, subtype):
    expected = tone(0.1, 16000)
    soundfile.write(tmp_path / "a.wav", expected, 16000, subtype=subtype)
    found = read_audio(tmp_path / "a.wav", 16000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.01 if subtype == "PCM_U8" else 1e-4)


def test_flac_is_read(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(0.1, 16000), 16000)
    with open_recording(tmp_path / "a.flac") as recording:
        assert (recording.rate, recording.channels) == (16000, 1)
        assert recording.format == "FLAC PCM_16"
    np.testing.assert_allclose(read_audio(tmp_path / "a.flac", 16000), tone(0.1, 16000), atol=1e-4)


def test_channels_are_averaged(tmp_path):
    left, right = tone(0.1, 16000), tone(0.1, 16000, 880)
    soundfile.write(tmp_path / "a.wav", np.c_[left, right], 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", 16000), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 44100, 200_000])
def test_any_rate_becomes_the_one_that_is_wanted(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(0.5, rate), rate, subtype="FLOAT")
    found = read_audio(tmp_path / "a.wav", 16000)
    assert abs(len(found) - 8000) <= 1
    assert pitch(found, 16000) == pytest.approx(440, abs=2)
    assert found.std() == pytest.approx(tone(0.5, 16000).std(), rel=0.01)


def test_loudness_is_left_as_it_is(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.001 * tone(0.1, 16000), 16000, subtype="FLOAT")
    assert np.abs(read_audio(tmp_path / "a.wav", 16000)).max() < 0.001


def wav_bytes(samples=1600):
    return (
        b"RIFF"
        + struct.pack("<I", 36 + 2 * samples)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
        + b"data"
        + struct.pack("<I", 2 * samples)
        + bytes(2 * samples)
    )


def test_the_hand_made_file_is_sound(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes())
    assert read_audio(tmp_path / "a.wav", 16000).shape == (1600,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (wav_bytes()[:30], "not audio that can be read|cut short"),
        (wav_bytes()[:-100], "cut short: its header announces 3200 bytes of sound, it has 3100"),
        (wav_bytes(0), "holds no samples"),
        (wav_bytes(15), "15 samples at 16000 Hz, less than a millisecond"),
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>404</html>", "a web page saved under the name"),
        (b"just some text that is no audio at all", "not audio that can be read"),
    ],
)
def test_what_is_no_whole_audio_is_named(tmp_path, content, message):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_audio(tmp_path / "a.wav", 16000)
    assert str(tmp_path / "a.wav") in str(error.value)


@pytest.mark.parametrize("ending", ["wav", "aiff"])
@pytest.mark.parametrize("endian", ["BIG", "FILE"])
def test_a_file_cut_short_is_named_in_either_byte_order(tmp_path, ending, endian):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, tone(0.1, 16000), 16000, endian=endian)
    assert len(read_audio(path, 16000)) == 1600
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="cut short: its header announces 320"):
        read_audio(path, 16000)


def test_audio_under_the_name_of_bare_samples_is_read(tmp_path):
    """By its ending, libsndfile would take such a file for samples without a header."""
    soundfile.write(tmp_path / "a.wav", tone(0.1, 16000), 16000)
    path = (tmp_path / "a.wav").rename(tmp_path / "a.raw")
    assert len(read_audio(path, 16000)) == 1600


@pytest.mark.parametrize("ending", ["au", "snd", "vox", "gsm", "raw"])
def test_text_under_the_name_of_bare_samples_is_no_audio(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text("some text that is no audio at all\n" * 99)
    with pytest.raises(DataError, match="not audio that can be read"):
        read_audio(path, 16000)


def test_samples_that_are_no_numbers_are_named(tmp_path):
    samples = tone(0.1, 16000)
    samples[7] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match="not finite"):
        read_audio(tmp_path / "a.wav", 16000)


def test_a_folder_is_called_one(tmp_path):
    with pytest.raises(DataError, match="a folder, expected an audio file"):
        read_audio(tmp_path, 16000)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_audio(tmp_path / "a.wav", 16000)


@pytest.mark.parametrize("refused", ["is_file", "open"])
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, refused):
    (tmp_path / "a.wav").write_bytes(b"")

    def deny(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, refused, deny)
    with pytest.raises(DataError, match=r"a\.wav: cannot be read: Permission denied"):
        read_audio(tmp_path / "a.wav", 16000)


def test_a_rate_of_nothing_audible_is_refused(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as stream:
        stream.setparams((1, 2, 10, 0, "NONE", ""))
        stream.writeframes(bytes(20))
    with pytest.raises(DataError, match="10 Hz is not one of sound"):
        read_audio(tmp_path / "a.wav", 16000)


@pytest.mark.parametrize(
    ("length", "expected"), [(5, [5]), (10, [10]), (25, [10, 10, 5]), (20, [10, 10])]
)
def test_windows_cover_a_clip(length, expected):
    pieces = list(windows([np.arange(length, dtype=np.float32)], 10))
    assert [len(piece) for piece in pieces] == expected
    assert np.concatenate(pieces).tolist() == list(range(length))


@pytest.mark.parametrize("block", [1, 3, 7, 10, 19, 64])
@pytest.mark.parametrize("length", [3, 10, 21, 45, 60])
def test_windows_do_not_depend_on_the_blocks(length, block):
    samples = np.arange(length, dtype=np.float32)
    blocks = [samples[start : start + block] for start in range(0, length, block)]
    found = [piece.tolist() for piece in windows(blocks, 20)]
    assert found == [piece.tolist() for piece in windows([samples], 20)]


def test_a_crumb_at_the_end_is_dropped():
    assert [len(piece) for piece in windows([np.zeros(201, np.float32)], 100)] == [100, 100]
    assert [len(piece) for piece in windows([np.zeros(3, np.float32)], 100)] == [3]


def test_work_in_parallel_stays_in_order_and_bounded():
    started = []

    def work(item):
        started.append(item)
        return item * item

    results = in_parallel(work, range(1000), threads=2)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(started) < 20
    results.close()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "clip.wav")
    for path in (tmp_path / "clip.wav", "/dev/zero"):
        with (
            pytest.raises(DataError, match="a pipe or a device, expected an audio file"),
            open_recording(path),
        ):
            pass

"""Whole files are read, whatever their headers get wrong; files that were cut short are refused."""

import struct
import time

import numpy as np
import pytest
import soundfile

from affectlab.audio.waveform import read_audio
from affectlab.errors import DataError

RATE = 16_000
SOUND = (0.2 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)
SOUND += 0.01 * np.random.default_rng(0).standard_normal(len(SOUND)).astype(np.float32)

COUNTED = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("RF64", "FLOAT"),
    ("W64", "PCM_16"),
    ("W64", "ULAW"),
    ("AIFF", "PCM_16"),
    ("AIFF", "ALAW"),
    ("SVX", "PCM_16"),
    ("AU", "PCM_16"),
    ("AU", "ULAW"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("NIST", "PCM_16"),
    ("NIST", "ULAW"),
    ("VOC", "PCM_16"),
    ("VOC", "ULAW"),
    ("AVR", "PCM_16"),
    ("MAT4", "PCM_16"),
    ("MAT5", "PCM_16"),
    ("MPC2K", "PCM_16"),
]
"""Format and encoding of files that tell how long they are."""


def write(folder, form, subtype):
    path = folder / f"a.{form.lower()}"
    rate = 48_000 if subtype == "OPUS" else RATE
    soundfile.write(path, SOUND, rate, format=form, subtype=subtype)
    return path, rate


@pytest.mark.parametrize(("form", "subtype"), COUNTED)
def test_a_whole_file_is_read_and_a_cut_one_refused(tmp_path, form, subtype):
    path, rate = write(tmp_path, form, subtype)
    assert len(read_audio(path, rate)) == pytest.approx(len(SOUND), abs=1100)
    content = path.read_bytes()
    for share in (0.1, 0.3, 0.5, 0.9, 0.98):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(DataError, match=r"cut short|not audio that can be read"):
            read_audio(path, rate)


@pytest.mark.parametrize(("form", "subtype"), [("RF64", "PCM_16"), ("AU", "PCM_16")])
def test_the_message_names_what_is_missing(tmp_path, form, subtype):
    path, rate = write(tmp_path, form, subtype)
    content = path.read_bytes()
    path.write_bytes(content[:-1000])
    with pytest.raises(DataError, match="cut short: its header announces 64000 bytes of sound"):
        read_audio(path, rate)


def wav(riff_size, data_size, sound, after=b""):
    return (
        struct.pack(
            "<4sI4s4sIHHIIHH", b"RIFF", riff_size, b"WAVE", b"fmt ", 16, 1, 1, *RATES, 2, 16
        )
        + struct.pack("<4sI", b"data", data_size)
        + sound
        + after
    )


RATES = (RATE, 2 * RATE)
BYTES = (SOUND * 32767).astype("<i2").tobytes()
TAG = struct.pack("<4sI4s", b"LIST", 4, b"INFO")


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [
        (36 + len(BYTES), len(BYTES)),
        (44 + len(BYTES), len(BYTES)),
        (0, len(BYTES)),
        (72 + len(BYTES), len(BYTES)),
        (0, 0),
        (36 + len(BYTES), 0),
        (0x7FFFF024, 0x7FFFF000),
        (0x80000024, 0x80000000),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF - 36),
    ],
)
def test_a_whole_wav_with_a_wrong_size_of_the_file_is_read(tmp_path, riff_size, data_size):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(riff_size, data_size, BYTES))
    assert len(read_audio(path, RATE)) == len(SOUND)


def test_a_byte_of_padding_that_was_not_written_is_not_missed(tmp_path):
    sound = BYTES[:-1]
    header = bytearray(wav(37 + len(sound), len(sound), sound))
    struct.pack_into("<HIIHH", header, 22, 1, RATE, RATE, 1, 8)
    (tmp_path / "a.wav").write_bytes(header)
    assert len(read_audio(tmp_path / "a.wav", RATE)) == len(sound)


def test_a_cut_in_what_follows_the_sound_loses_nothing(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(48 + len(BYTES), len(BYTES), BYTES, TAG[:-2]))
    assert len(read_audio(tmp_path / "a.wav", RATE)) == len(SOUND)


def test_an_empty_recording_with_a_tag_is_empty(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(48, 0, b"", TAG))
    with pytest.raises(DataError, match="holds no samples"):
        read_audio(tmp_path / "a.wav", RATE)


@pytest.mark.parametrize("joined", [True, False])
def test_sound_that_the_header_does_not_announce_is_not_lost_silently(tmp_path, joined):
    whole = wav(36 + len(BYTES), len(BYTES), BYTES)
    path = tmp_path / "a.wav"
    path.write_bytes(whole + whole if joined else wav(36 + 8000, 8000, BYTES))
    with pytest.raises(DataError, match=r"more bytes follow: the header is wrong, or recordings"):
        read_audio(path, RATE)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_an_au_file_of_unknown_length_is_read(tmp_path, size):
    path, _ = write(tmp_path, "AU", "PCM_16")
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, 8, size)
    path.write_bytes(content)
    assert len(read_audio(path, RATE)) == len(SOUND)


def test_an_aiff_file_of_unknown_length_is_read(tmp_path):
    path, _ = write(tmp_path, "AIFF", "PCM_16")
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.index(b"SSND") + 4, 0)
    struct.pack_into(">I", content, content.index(b"COMM") + 10, 0)
    path.write_bytes(content)
    assert len(read_audio(path, RATE)) == len(SOUND)


def flac_of_unknown_length(folder):
    path, _ = write(folder, "FLAC", "PCM_16")
    content = bytearray(path.read_bytes())
    # STREAMINFO: the lowest four bits of byte 13 and the next four bytes.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    return path


def test_a_flac_file_of_unknown_length_is_read_and_a_cut_one_refused(tmp_path):
    path = flac_of_unknown_length(tmp_path)
    assert len(read_audio(path, RATE)) == len(SOUND)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DataError, match="cut short or corrupt"):
        read_audio(path, RATE)


def test_ogg_needs_the_mark_at_its_end_and_every_page(tmp_path):
    path, rate = write(tmp_path, "OGG", "VORBIS")
    content = path.read_bytes()
    last = content.rindex(b"OggS")
    path.write_bytes(content[:last])
    with pytest.raises(DataError, match="no Ogg page marks the end"):
        read_audio(path, rate)
    fourth = [i for i in range(len(content)) if content[i : i + 4] == b"OggS"][3]
    path.write_bytes(content[:fourth] + content[last:])
    with pytest.raises(DataError, match="an Ogg page is missing"):
        read_audio(path, rate)
    path.write_bytes(content + b"TAG" + bytes(125))
    assert len(read_audio(path, rate)) == len(SOUND)


def without_xing(content):
    """An MP3 file without its first frame, which announces how many there are."""
    size = next(i for i in range(100, len(content)) if content[i : i + 2] == content[:2])
    return content[size:]


def test_mp3_without_a_count_is_read_whole(tmp_path):
    """libsndfile itself guesses 16,992 samples by the bit rate of the first frames."""
    path, rate = write(tmp_path, "MP3", "MPEG_LAYER_III")
    content = path.read_bytes()
    expected = read_audio(path, rate)
    path.write_bytes(without_xing(content))
    found = read_audio(path, rate)
    assert len(found) >= len(SOUND)
    # Without the count, nobody knows how much of the first frames is the delay of the encoder.
    delay = np.correlate(found[:4000], expected[:2000], "valid").argmax()
    np.testing.assert_allclose(found[delay:][:20_000], expected[:20_000], atol=1e-3)


def test_mp3_without_a_count_shows_an_incomplete_last_frame(tmp_path):
    path, rate = write(tmp_path, "MP3", "MPEG_LAYER_III")
    path.write_bytes(without_xing(path.read_bytes())[:-50])
    with pytest.raises(DataError, match="cut short: its last frame ends at byte"):
        read_audio(path, rate)


ID3 = b"ID3\x04\0\0\0\0\0\x6e" + bytes(110)


@pytest.mark.parametrize(
    ("form", "subtype", "between"),
    [
        ("MP3", "MPEG_LAYER_III", b""),
        ("MP3", "MPEG_LAYER_III", ID3),
        ("OGG", "VORBIS", b""),
        ("AIFF", "PCM_16", b""),
        ("AU", "PCM_16", b""),
    ],
)
def test_joined_recordings_are_not_read_in_part(tmp_path, form, subtype, between):
    path, rate = write(tmp_path, form, subtype)
    path.write_bytes(path.read_bytes() + between + path.read_bytes())
    with pytest.raises(DataError, match="recordings were joined"):
        read_audio(path, rate)


def test_a_tag_after_the_sound_is_no_second_recording(tmp_path):
    tag = b"ID3\x04\0\0\0\0\x40\0" + bytes(range(256)) * 32
    (tmp_path / "a.wav").write_bytes(wav(36 + len(BYTES), len(BYTES), BYTES, tag))
    assert len(read_audio(tmp_path / "a.wav", RATE)) == len(SOUND)


@pytest.mark.parametrize("front", [b"", ID3])
@pytest.mark.parametrize("back", [b"", b"TAG" + bytes(125), b"APETAGEX" + bytes(56)])
def test_tags_of_mp3_files_are_no_damage(tmp_path, front, back):
    path, rate = write(tmp_path, "MP3", "MPEG_LAYER_III")
    content = path.read_bytes()
    path.write_bytes(front + content + back)
    assert len(read_audio(path, rate)) == pytest.approx(len(SOUND), abs=2500)
    path.write_bytes(front + content[: len(content) // 3] + back)
    with pytest.raises(DataError, match="cut short"):
        read_audio(path, rate)


def test_text_that_begins_like_an_mp3_frame_is_no_audio(tmp_path):
    (tmp_path / "a.mp3").write_text("\ufeffno audio" * 99, encoding="utf-16")
    with pytest.raises(DataError, match="not audio that can be read"):
        read_audio(tmp_path / "a.mp3", RATE)


@pytest.mark.parametrize("channels", [65, 1024])
def test_absurd_numbers_of_channels_are_refused(tmp_path, channels):
    header = bytearray(wav(0, len(BYTES), BYTES))
    struct.pack_into("<HIIHH", header, 22, channels, RATE, 2 * RATE * channels, 2 * channels, 16)
    (tmp_path / "a.wav").write_bytes(header)
    with pytest.raises(DataError, match=f"{channels} channels, more than 64"):
        read_audio(tmp_path / "a.wav", RATE)


def test_an_absurd_length_is_refused_before_it_is_decoded(tmp_path):
    path, _ = write(tmp_path, "FLAC", "PCM_16")
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(DataError, match="longer than an hour"):
        read_audio(path, RATE)


@pytest.mark.parametrize("junk", [b"\xff", b"\xff\xfb\x90\x64", b"\0", b"no sound"])
def test_a_search_for_frames_ends(tmp_path, junk):
    """Each of eight million places may begin a frame; that took 25 seconds."""
    path, rate = write(tmp_path, "MP3", "MPEG_LAYER_III")
    frame = path.read_bytes()[:288]
    path.write_bytes(2 * frame + junk * (8_000_000 // len(junk)))
    started = time.process_time()
    with pytest.raises(DataError, match="are no sound"):
        read_audio(path, rate)
    assert time.process_time() - started < 5


def test_frames_after_a_little_junk_are_counted(tmp_path):
    path, rate = write(tmp_path, "MP3", "MPEG_LAYER_III")
    content = path.read_bytes()
    last = content.rindex(content[:2])
    path.write_bytes(content[:last] + b"junk" * 100 + content[last:])
    assert len(read_audio(path, rate)) == pytest.approx(len(SOUND), abs=2500)

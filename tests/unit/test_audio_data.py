import logging
import shutil

import numpy as np
import pytest

from affectlab.assets.fetch import fetch_dataset
from affectlab.assets.manifest import manifest_directory
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import Clip, read_clips
from affectlab.audio.tasks import TASKS
from affectlab.audio.waveform import read_audio
from affectlab.errors import DataError
from affectlab.files.io import read_jsonl
from affectlab.samples.audio import write_corpus, write_emodb


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eatd") / "corpus"
    write_corpus(folder, subjects=4)
    return folder


@pytest.fixture
def volunteer(tmp_path):
    """One volunteer's folder, to be spoilt."""
    folder = tmp_path / "raw" / "t_7"
    folder.mkdir(parents=True)
    for prompt in ("negative", "neutral", "positive"):
        for name in (f"{prompt}.wav", f"{prompt}_out.wav", f"{prompt}.txt"):
            (folder / name).write_text("x")
    (folder / "label.txt").write_text("40.0\n")
    (folder / "new_label.txt").write_text("50.0\n")
    return folder


def read(folder, layout="eatd", on_bad_record="fail", clips="cleaned"):
    records = folder.parent / "records.jsonl"
    quarantine = folder.parent / "quarantine.jsonl"
    outputs = Outputs(records, quarantine, folder.parent / "description.json")
    convert(folder, outputs, {"layout": layout}, on_bad_record, clips)
    return read_clips(records), list(read_jsonl(quarantine))


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_a_volunteer_gives_three_clips(corpus):
    clips, bad = read(corpus)
    assert len(clips) == 12
    assert bad == []
    assert {clip.labels["3emo"] for clip in clips} == {"negative", "neutral", "positive"}
    assert {clip.split for clip in clips} == {"train", "validation"}
    assert all((corpus / clip.path).is_file() and "_out" in clip.path for clip in clips)


def test_the_raw_files_can_be_read_instead(corpus):
    clips, _ = read(corpus, clips="raw")
    assert len(clips) == 12
    assert not any("_out" in clip.path for clip in clips)


def test_the_other_convention_gives_the_same(corpus, tmp_path):
    for folder in corpus.iterdir():
        split = "train" if folder.name.startswith("t_") else "validation"
        shutil.copytree(folder, tmp_path / "raw" / split / folder.name[2:])
    ours, _ = read(tmp_path / "raw")
    theirs, _ = read(corpus)
    assert [(c.id, c.labels, c.split) for c in ours] == [(c.id, c.labels, c.split) for c in theirs]


def test_splits_that_are_links_are_looked_into(volunteer, tmp_path):
    for split, number in (("train", "1"), ("validation", "2")):
        shutil.copytree(volunteer, tmp_path / f"disk of {split}" / number)
    shutil.rmtree(volunteer)
    for split in ("train", "validation"):
        (volunteer.parent / split).symlink_to(tmp_path / f"disk of {split}")
    (tmp_path / "disk of train" / "back").symlink_to(volunteer.parent)
    clips, _ = read(volunteer.parent)
    assert {(clip.id, clip.split) for clip in clips} == {
        (f"{split[0]}_{number}_{prompt}", split)
        for split, number in (("train", 1), ("validation", 2))
        for prompt in ("negative", "neutral", "positive")
    }
    assert {clip.path.split("/")[0] for clip in clips} == {"train", "validation"}


@pytest.mark.parametrize(
    ("standard", "raw", "labels"),
    [
        ("53.0 \n", "42.4", ("depressed", "depressed")),
        (" 52.5\n", "42", ("not_depressed", "depressed")),
        ("48.75", "39", ("not_depressed", "not_depressed")),
    ],
)
def test_the_thresholds_are_those_of_the_authors_and_of_the_probes(
    volunteer, standard, raw, labels
):
    (volunteer / "new_label.txt").write_text(standard)
    (volunteer / "label.txt").write_text(raw)
    clips, _ = read(volunteer.parent)
    assert (clips[0].labels["2dep"], clips[0].labels["2dep_50"]) == labels


def test_a_raw_score_is_multiplied_and_said_so(volunteer, caplog):
    (volunteer / "new_label.txt").unlink()
    (volunteer / "label.txt").write_text("44")
    with caplog.at_level(logging.WARNING):
        clips, _ = read(volunteer.parent)
    assert clips[0].labels["2dep"] == "depressed"
    assert "using 1.25 x label.txt" in caplog.text
    # Whose score it is, and what it is, is nobody's business.
    assert "55" not in caplog.text
    assert volunteer.name not in caplog.text


@pytest.mark.parametrize(("raw", "warned"), [("44", True), ("40", False)])
def test_what_a_threshold_on_the_raw_score_would_do_is_said(volunteer, caplog, raw, warned):
    (volunteer / "label.txt").write_text(raw)
    (volunteer / "new_label.txt").write_text(f"{1.25 * float(raw)}")
    with caplog.at_level(logging.WARNING):
        read(volunteer.parent)
    assert ("would call 1 of 1 volunteers otherwise" in caplog.text) == warned


def test_the_folder_of_one_volunteer_is_no_corpus(volunteer):
    with pytest.raises(DataError, match="no clips here; expected folders t_<n>"):
        read(volunteer)


def test_what_the_finder_adds_to_an_archive_is_passed_over(volunteer):
    (volunteer.parent / "__MACOSX" / "t_7").mkdir(parents=True)
    assert read(volunteer.parent)[1] == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: (f / "new_label.txt").write_text("40.0"),
            "the score is not 1.25 x that of label",
        ),
        (lambda f: (f / "new_label.txt").write_text("about 50"), "expected one number"),
        (lambda f: (f / "new_label.txt").write_text("150"), "from 0 to 100"),
        (lambda f: (f / "neutral.txt").unlink(), "transcript neutral.txt is missing"),
        (lambda f: (f / "neutral.txt").write_text(" \n"), "transcript neutral.txt is empty"),
        (
            lambda f: (f / "neutral.txt").write_bytes("天气".encode("gbk")),
            "transcript neutral.txt is no text: expected UTF-8",
        ),
        (lambda f: (f / "neutral_out.wav").unlink(), "neutral_out.wav: no such file"),
        (
            lambda f: [(f / n).unlink() for n in ("label.txt", "new_label.txt")],
            "no such file, and no label.txt",
        ),
    ],
)
def test_a_bad_volunteer_is_named(volunteer, spoil, message):
    spoil(volunteer)
    with pytest.raises(DataError, match=message):
        read(volunteer.parent)


@pytest.mark.parametrize("name", ["label.txt", "new_label.txt"])
@pytest.mark.parametrize("found", ["41.7.", "417"])
def test_a_score_that_is_none_is_named_but_not_shown(volunteer, caplog, name, found):
    (volunteer / name).write_text(found)
    with pytest.raises(DataError, match=rf"t_7/{name}, line 1: expected") as error:
        read(volunteer.parent)
    assert error.value.problem in ("expected one number", "expected a score from 0 to 100")
    touch(volunteer.parent / "t_8", *(path.name for path in volunteer.iterdir()))
    for label in ("label.txt", "new_label.txt"):
        (volunteer.parent / "t_8" / label).write_text("0")
    clips, bad = read(volunteer.parent, on_bad_record="skip")
    assert {clip.subject for clip in clips} == {"t_8"}
    assert [row["file"] for row in bad] == [f"t_7/{name}"]
    assert bad[0]["problem"] == error.value.problem
    assert found not in caplog.text


def test_a_bad_clip_can_be_set_aside(volunteer):
    (volunteer / "neutral.txt").unlink()
    clips, bad = read(volunteer.parent, on_bad_record="skip")
    assert [clip.id for clip in clips] == ["t_7_negative", "t_7_positive"]
    assert [row["file"] for row in bad] == ["t_7/neutral_out.wav"]


def test_folders_that_are_links_are_looked_into_once(tmp_path):
    touch(tmp_path / "elsewhere", "Actor_03/03-01-05-01-02-01-03.wav")
    (tmp_path / "raw").mkdir()
    # The first by name stands for both.
    for name in ("Actor_04", "Actor_03"):
        (tmp_path / "raw" / name).symlink_to(tmp_path / "elsewhere" / "Actor_03")
    (tmp_path / "elsewhere" / "Actor_03" / "back").symlink_to(tmp_path / "raw")
    clips, _ = read(tmp_path / "raw", "ravdess")
    assert [clip.path for clip in clips] == ["Actor_03/03-01-05-01-02-01-03.wav"]


def test_ravdess_names_are_understood(tmp_path):
    touch(
        tmp_path / "raw",
        "Actor_03/03-01-05-01-02-01-03.wav",
        "Actor_03/03-01-02-01-02-01-03.WAV",
        "Actor_03/03-02-05-01-02-01-03.wav",
        "Actor_03/._03-01-05-01-02-01-03.wav",
    )
    clips, _ = read(tmp_path / "raw", "ravdess")
    assert clips == [
        Clip(
            "03-01-02-01-02-01-03",
            "Actor_03/03-01-02-01-02-01-03.WAV",
            "actor_03",
            {"8emo": "calm", "3valence": "neutral"},
            None,
        ),
        Clip(
            "03-01-05-01-02-01-03",
            "Actor_03/03-01-05-01-02-01-03.wav",
            "actor_03",
            {"8emo": "angry", "3valence": "negative"},
            None,
        ),
    ]


def test_a_number_out_of_range_in_a_name_is_bad(tmp_path):
    touch(tmp_path / "raw", "03-01-09-01-02-01-03.wav")
    with pytest.raises(DataError, match="emotion 9 or actor 3 is out of range"):
        read(tmp_path / "raw", "ravdess")


def test_emodb_names_are_understood(tmp_path):
    touch(tmp_path / "raw", "wav/03a01Fa.wav", "wav/16b10Lb.wav")
    clips, _ = read(tmp_path / "raw", "emodb")
    assert [(c.subject, c.labels["7emo"]) for c in clips] == [
        ("speaker_03", "happy"),
        ("speaker_16", "bored"),
    ]
    touch(tmp_path / "raw", "wav/03a01Xa.wav")
    with pytest.raises(DataError, match=r"such as 03a01Fa\.wav"):
        read(tmp_path / "raw", "emodb")


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize(("layout", "write"), [("eatd", write_corpus), ("emodb", write_emodb)])
def test_an_archive_is_read_like_a_folder(tmp_path, layout, write, kind):
    folder = tmp_path / "plain" / "Corpus"
    write(folder, 0, 4)
    # The corpora come with a folder of their own around everything.
    shutil.make_archive(str(tmp_path / "mine" / layout), kind, folder.parent, "Corpus")
    manifest = tmp_path / "out" / "manifest.json"
    fetch_dataset(layout, {"sources": []}, manifest, tmp_path / "mine")
    unpacked = manifest_directory(manifest)
    clips, bad = read(unpacked, layout)
    expected, _ = read(folder, layout)
    assert bad == []
    assert [(c.id, c.subject, c.labels, c.split) for c in clips] == [
        (c.id, c.subject, c.labels, c.split) for c in expected
    ]
    sounds = [read_audio(unpacked / clip.path, 16_000) for clip in (clips[0], clips[-1])]
    assert all(np.abs(sound).max() > 0.4 for sound in sounds)


def test_the_generated_emodb_has_each_emotion_of_each_speaker(tmp_path):
    write_emodb(tmp_path / "corpus", speakers=3)
    clips, _ = read(tmp_path / "corpus", "emodb")
    pairs = {(clip.subject, clip.labels["7emo"]) for clip in clips}
    assert len(clips) == len(pairs) == 3 * 7
    assert {clip.labels["7emo"] for clip in clips} == set(TASKS["7emo"].classes)


def manifest(tmp_path, text, name="manifest.csv"):
    touch(tmp_path / "raw", "a.wav", "sub/b.flac")
    (tmp_path / "raw" / name).write_text(text)
    return tmp_path / "raw"


def test_a_manifest_is_read(tmp_path):
    text = "clip,subject,label,split,duration\na.wav,s1,yes,train,3\nsub/b.flac,s2,no,,4\n"
    clips, _ = read(manifest(tmp_path, text), "audio_manifest")
    assert clips == [
        Clip("a.wav", "a.wav", "s1", {"label": "yes"}, "train", 3.0),
        Clip("sub/b.flac", "sub/b.flac", "s2", {"label": "no"}, None, 4.0),
    ]


def test_splits_have_many_names(tmp_path):
    text = "clip,subject,label,split\na.wav,s1,yes,Dev\nsub/b.flac,s2,no,test\n"
    clips, _ = read(manifest(tmp_path, text), "audio_manifest")
    assert [clip.split for clip in clips] == ["validation", "test"]


@pytest.mark.parametrize("of", ["a.wav", "sub"])
def test_a_link_out_of_the_folder_is_not_followed(tmp_path, of):
    folder = manifest(tmp_path, "clip,subject,label\na.wav,s1,x\nsub/b.flac,s2,y\n")
    (folder / of).rename(tmp_path / of)
    (folder / of).symlink_to(tmp_path / of)
    with pytest.raises(DataError, match=r"line [23]: .* is a link that leads out of the folder"):
        read(folder, "audio_manifest")


def test_a_link_inside_the_folder_is(tmp_path):
    folder = manifest(tmp_path, "clip,subject,label\na.wav,s1,x\nsub/b.flac,s2,y\n")
    (folder / "a.wav").unlink()
    (folder / "a.wav").symlink_to(folder / "sub" / "b.flac")
    assert len(read(folder, "audio_manifest")[0]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,subject\na.wav,s1\n", "lacks the columns label"),
        ("clip,subject,label\n../a.wav,s1,x\n", "line 2: .* leads out of the folder"),
        ("clip,subject,label\n/etc/a.wav,s1,x\n", "leads out of the folder"),
        ("clip,subject,label\nno.wav,s1,x\n", "there is no file no.wav"),
        ("clip,subject,label\na.wav,,x\n", "subject empty"),
        ("clip,subject,label\na.wav,s1,x\na.wav,s1,y\n", "was already used"),
        ("clip,subject,label\na.wav,s1,very, sad\n", "line 2: has more fields than the first"),
        ('"clip"x,subject,label\na.wav,s1,x\n', "manifest.csv, line 1: ',' expected"),
        ("clip,subject,label,split\na.wav,s1,x,trian\n", "validation or test, found 'trian'"),
        ("clip,subject,label,duration\na.wav,s1,x,nan\n", "duration in seconds, found 'nan'"),
        ("clip,subject,label,duration\na.wav,s1,x,3 s\n", "duration in seconds, found '3 s'"),
    ],
)
def test_a_bad_manifest_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(manifest(tmp_path, text), "audio_manifest")


def test_a_sentence_in_place_of_a_clip_is_not_shown(tmp_path):
    said = "I have not slept for days " * 12
    folder = manifest(tmp_path, f"clip,subject,label\n{said},s1,x\na.wav,s1,x\nsub/b.flac,s2,y\n")
    with pytest.raises(DataError, match=r"manifest\.csv, line 2: clip names no file") as error:
        read(folder, "audio_manifest")
    assert "slept" not in str(error.value)
    clips, bad = read(folder, "audio_manifest", on_bad_record="skip")
    assert [clip.id for clip in clips] == ["a.wav", "sub/b.flac"]
    assert "slept" not in str(bad)


def test_another_folder_is_no_corpus(tmp_path):
    touch(tmp_path / "raw", "notes.txt")
    with pytest.raises(DataError, match="no clips here; expected files such as Actor_01"):
        read(tmp_path / "raw", "ravdess")

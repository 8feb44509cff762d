"""Users' own recordings: how they are read and divided, and which traps the audit finds."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import yaml
from pyarrow import parquet

from affectlab.assets.hub_data import fetch_hub_data
from affectlab.audio.audit import write_audit
from affectlab.audio.convert import Outputs, convert
from affectlab.audio.data import read_clips, usable_clips
from affectlab.audio.items import make_items
from affectlab.audio.overlay import overlay
from affectlab.audio.store import Embeddings
from affectlab.audio.tasks import task_classes
from affectlab.config.load import load_config, merge
from affectlab.datasets.description import read_description
from affectlab.datasets.overlay import as_yaml
from affectlab.errors import ConfigError, DataError, FetchError, UserError
from affectlab.experiments import validate_config
from affectlab.files.io import read_json, read_jsonl

PROJECT = Path(__file__).parents[2]
RATE = 8000
CLASSES = ("calm", "keen", "sad")


def voice(seed, seconds=0.6):
    """Sound of its own for each seed: tones whose levels change in time."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    steps = np.linspace(0, seconds, 8)
    sound = np.zeros(len(time))
    for frequency in generator.uniform(150, 3000, 5):
        levels = np.interp(time, steps, generator.uniform(0, 1, 8))
        sound += levels * np.sin(2 * np.pi * frequency * time)
    return 0.1 * sound + 0.001 * generator.standard_normal(len(time))


def write(path, sound, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate)


def write_folder(root, subjects=6, takes=2):
    """``audio/*.wav`` with metadata.csv: each subject in each class, *takes* times."""
    rows = []
    for subject in range(subjects):
        for number, label in enumerate(CLASSES):
            for take in range(takes):
                name = f"audio/s{subject}_{label}_{take}.wav"
                seed = subject * 100 + number * 10 + take
                write(root / name, voice(seed, 0.5 + seed % 7 / 50))
                rows.append([name, label, f"S{subject:02d}"])
    return rows


def write_table(root, rows, header="file_name,label,subject"):
    lines = [",".join(row) for row in rows]
    root.mkdir(parents=True, exist_ok=True)
    (root / "metadata.csv").write_text("\n".join([header, *lines]) + "\n")


def paths(folder):
    names = ("records.jsonl", "quarantine.jsonl", "description.json")
    return Outputs(*(folder / name for name in names))


def converted(tmp_path, on_bad_record="fail", **entry):
    outputs = paths(tmp_path)
    convert(tmp_path / "raw", outputs, {"layout": "audio_folder", **entry}, on_bad_record)
    return read_clips(outputs.records), read_description(outputs.description)


def audited(tmp_path, **entry):
    """The kinds of traps, and their sentences as one text."""
    converted(tmp_path, **entry)
    outputs = paths(tmp_path)
    write_audit(
        records_path=outputs.records,
        quarantine_path=outputs.quarantine,
        description_path=outputs.description,
        raw_directory=tmp_path / "raw",
        audit_path=tmp_path / "audit.json",
        measures_path=tmp_path / "measures.jsonl",
        expected={},
        on_bad_record="fail",
        threads=1,
    )
    traps = read_json(tmp_path / "audit.json")["traps"]
    return {trap["name"] for trap in traps}, " ".join(trap["sentence"] for trap in traps)


# --- reading


def test_folders_are_classes(tmp_path):
    for number, label in enumerate(("10", "9")):
        write(tmp_path / "raw" / label / "a.wav", voice(number))
    clips, description = converted(tmp_path)
    assert [(clip.id, clip.labels, clip.subject) for clip in clips] == [
        ("10/a.wav", {"label": "10"}, "10/a.wav"),
        ("9/a.wav", {"label": "9"}, "9/a.wav"),
    ]
    # Numbers by their value; nobody is known to speak.
    assert (description.classes, description.group) == (("9", "10"), "content")


def test_folders_of_splits_divide_the_data(tmp_path):
    for number, name in enumerate(
        ("train/x/a.wav", "train/y/b.wav", "dev/x/c.wav", "test/y/d.wav")
    ):
        write(tmp_path / "raw" / name, voice(number))
    clips, _ = converted(tmp_path)
    assert {clip.path: (clip.labels["label"], clip.split) for clip in clips} == {
        "train/x/a.wav": ("x", "train"),
        "train/y/b.wav": ("y", "train"),
        "dev/x/c.wav": ("x", "validation"),
        "test/y/d.wav": ("y", "test"),
    }


@pytest.mark.parametrize("role", ["subject", "group"])
def test_a_table_lists_recordings(tmp_path, role):
    write_table(tmp_path / "raw", write_folder(tmp_path / "raw"), "file_name,mood,who")
    clips, description = converted(tmp_path, columns={"label": "mood", role: "who"})
    assert len(clips) == 36
    assert clips[0].subject == "S00"
    assert (description.classes, description.group) == (CLASSES, "who")


def test_listed_classes_have_the_order_of_the_entry(tmp_path):
    write_table(tmp_path / "raw", write_folder(tmp_path / "raw"))
    order = ["sad", "calm", "keen", "bored"]
    assert converted(tmp_path, classes=order)[1].classes == tuple(order)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (["audio/gone.wav", "calm", "S00"], "there is no file audio/gone.wav"),
        (["../a.wav", "calm", "S00"], "leads out of the folder"),
        (["audio/s0_calm_0.wav", "", "S00"], "expected the name or number of a class"),
        (["audio/s0_calm_0.wav", "kalm", "S00"], "did you mean calm"),
        (["audio/s0_calm_0.wav", "calm", " "], "the subject is empty"),
        (["audio/s1_calm_0.wav", "calm", "S01"], "was already used in metadata.csv, line"),
        (["audio/s0_calm_0.wav", "calm"], "expected 3 fields"),
    ],
)
def test_a_bad_row_is_named_or_set_aside(tmp_path, row, problem):
    rows = write_folder(tmp_path / "raw")
    write_table(tmp_path / "raw", [*rows[1:], row])
    entry = {"classes": list(CLASSES)}
    with pytest.raises(DataError, match=problem) as error:
        converted(tmp_path, **entry)
    assert "metadata.csv, line 37" in str(error.value)
    clips, _ = converted(tmp_path, "skip", **entry)
    assert len(clips) == 35
    (bad,) = read_jsonl(tmp_path / "quarantine.jsonl")
    assert problem in bad["problem"]


def test_a_recording_outside_of_classes_is_a_bad_record(tmp_path):
    for number, name in enumerate(("x/a.wav", "y/b.wav", "c.wav")):
        write(tmp_path / "raw" / name, voice(number))
    with pytest.raises(DataError, match=r"c\.wav: lies in no folder of a class"):
        converted(tmp_path)


def test_some_clips_without_a_subject_are_refused(tmp_path):
    rows = write_folder(tmp_path / "raw")
    half = len(rows) // 2
    for split, part, header in (
        ("train", rows[:half], "file_name,label,subject"),
        ("test", [row[:2] for row in rows[half:]], "file_name,label"),
    ):
        write_table(tmp_path / "raw" / split, part, header)
        for row in part:
            source = tmp_path / "raw" / row[0]
            target = tmp_path / "raw" / split / row[0]
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
    (tmp_path / "raw" / "audio").rmdir()
    with pytest.raises(DataError, match="18 of 36 clips have no subject"):
        converted(tmp_path)


def hub_data(monkeypatch, folder, tables):
    """Let the package `datasets` read *tables* of recordings, by split, whatever is asked for."""
    import datasets

    features = datasets.Features(
        {
            "audio": datasets.Audio(),
            "label": datasets.ClassLabel(names=list(CLASSES)),
            "subject": datasets.Value("string"),
        }
    )
    files = {}
    for split, rows in tables.items():
        files[split] = str(folder / f"{split}.parquet")
        parquet.write_table(pa.Table.from_pylist(rows, features.arrow_schema), files[split])
    found = datasets.load_dataset("parquet", data_files=files, streaming=True)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: found)


@pytest.mark.parametrize("split", ["train", "recordings"])
def test_recordings_of_the_hub_are_stored_as_files(tmp_path, monkeypatch, split):
    write(tmp_path / "a.wav", voice(0))
    content = (tmp_path / "a.wav").read_bytes()
    rows = [
        {"audio": {"bytes": content, "path": name}, "label": number, "subject": f"s{number}"}
        for number, name in enumerate(("../../a.wav", "b.wav", "c"))
    ]
    hub_data(monkeypatch, tmp_path, {split: rows})
    (tmp_path / "raw").mkdir()
    source = {"repo": "some/set", "revision": "0" * 40}
    fetch_hub_data(source, tmp_path / "work", tmp_path / "raw")
    clips, description = converted(tmp_path)
    assert [(clip.path, clip.labels["label"], clip.subject) for clip in clips] == [
        (f"{split}/000001.wav", "calm", "s0"),
        (f"{split}/000002.wav", "keen", "s1"),
        (f"{split}/000003", "sad", "s2"),
    ]
    assert (tmp_path / "raw" / clips[0].path).read_bytes() == content
    assert {clip.split for clip in clips} == {"train" if split == "train" else None}
    assert description.group == "subject"


def test_a_row_of_the_hub_without_a_recording_is_named(tmp_path, monkeypatch):
    hub_data(monkeypatch, tmp_path, {"train": [{"audio": None, "label": 0, "subject": "s"}]})
    (tmp_path / "raw").mkdir()
    with pytest.raises(FetchError, match="train: row 1 has no recording"):
        fetch_hub_data({"repo": "a/b", "revision": "0" * 40}, tmp_path, tmp_path / "raw")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"columns": {"label": ["a", "b"]}}, "'mine' has several columns of labels"),
    ],
)
def test_targets_that_no_probe_predicts_are_mistakes(tmp_path, entry, problem):
    own = {"path": str(tmp_path), "layout": "audio_folder", **entry}
    run = {"like": "eatd_3emo_logmel", "task": "label", "data": "mine"}
    overlay = {"datasets": {"mine": own}, "audio": {"runs": {"mine": run}}}
    with pytest.raises(ConfigError, match=problem):
        validate_config(merge(load_config(PROJECT), overlay), PROJECT)


# --- division


def test_a_split_is_made_by_subject_and_by_sound(tmp_path):
    rows = write_folder(tmp_path / "raw", subjects=12)
    # The same sound in another file, of another subject.
    sound, _ = soundfile.read(tmp_path / "raw" / rows[0][0])
    write(tmp_path / "raw" / "audio/copy.flac", sound)
    original = soundfile.read(tmp_path / "raw" / "audio/copy.flac")[0]
    write(tmp_path / "raw" / rows[0][0], original)
    rows.append(["audio/copy.flac", "calm", "S11"])
    write_table(tmp_path / "raw", rows)
    clips, description = converted(tmp_path, split={"test": 0.25, "validation": 0.2, "seed": 3})
    splits = {}
    for clip in clips:
        splits.setdefault(clip.subject, set()).add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
    assert splits["S00"] == splits["S11"]
    assert set().union(*splits.values()) == {"train", "validation", "test"}
    assert description.seed == 3
    assert len(description.split_sha256) == 64
    again, _ = converted(tmp_path, split={"test": 0.25, "validation": 0.2, "seed": 3})
    assert again == clips


def test_folds_are_those_of_the_probe(tmp_path):
    write_table(tmp_path / "raw", write_folder(tmp_path / "raw"))
    clips, description = converted(tmp_path, split={"folds": 3})
    assert {clip.split for clip in clips} == {None}
    assert (description.folds, description.split_sha256) == (3, None)


def test_published_corpora_name_the_classes_of_each_task(tmp_path):
    from affectlab.samples.audio import write_corpus

    write_corpus(tmp_path / "raw", subjects=4)
    outputs = paths(tmp_path)
    convert(tmp_path / "raw", outputs, {"layout": "eatd"}, "fail")
    described = read_description(outputs.description).classes
    assert task_classes(described, "3emo") == ("negative", "neutral", "positive")
    assert task_classes(described, "2dep") == ("not_depressed", "depressed")


# --- traps


def test_clean_data_have_no_traps(tmp_path):
    write_table(tmp_path / "raw", write_folder(tmp_path / "raw"))
    assert audited(tmp_path, split={"folds": 3})[0] == set()


def test_a_clip_in_two_splits(tmp_path):
    rows = write_folder(tmp_path / "raw")
    sound, _ = soundfile.read(tmp_path / "raw" / rows[0][0], dtype="int16")
    write(tmp_path / "raw" / "audio/again.wav", sound)
    splits = {"S00": "train", "S01": "train", "S02": "train", "S03": "train", "S04": "validation"}
    rows = [[*row, splits.get(row[2], "test")] for row in rows]
    rows.append(["audio/again.wav", "calm", "S09", "test"])
    write_table(tmp_path / "raw", rows, "file_name,label,subject,split")
    names, text = audited(tmp_path, split={"column": "split"})
    assert "item_in_two_splits" in names
    assert "audio/again.wav and audio/s0_calm_0.wav" in text
    assert "near_duplicates" not in names


def test_a_subject_in_two_splits_is_refused_in_any_spelling(tmp_path):
    rows = [[*row, "train" if row[2] < "S04" else "test"] for row in write_folder(tmp_path / "raw")]
    rows[0][2:] = ["s 05", "train"]
    write_table(tmp_path / "raw", rows, "file_name,label,subject,split")
    with pytest.raises(UserError, match="1 subjects are in more than one split"):
        audited(tmp_path, split={"column": "split"})


@pytest.mark.parametrize("form", ["ogg", "mp3", "rate", "louder"])
def test_a_near_duplicate(tmp_path, form):
    rows = write_folder(tmp_path / "raw")
    sound, _ = soundfile.read(tmp_path / "raw" / rows[0][0])
    if form == "rate":
        times = np.arange(2 * len(sound)) / 2
        write(
            tmp_path / "raw/audio/near.wav", np.interp(times, np.arange(len(sound)), sound), 16000
        )
    elif form == "louder":
        write(tmp_path / "raw/audio/near.wav", 1.5 * sound)
    else:
        write(tmp_path / f"raw/audio/near.{form}", sound)
    ending = form if form in ("ogg", "mp3") else "wav"
    write_table(tmp_path / "raw", [*rows, [f"audio/near.{ending}", "calm", "S00"]])
    names, text = audited(tmp_path)
    assert names == {"near_duplicates"}
    assert f"audio/near.{ending} and audio/s0_calm_0.wav" in text


def test_a_subject_in_two_spellings(tmp_path):
    rows = write_folder(tmp_path / "raw")
    rows[0][2] = "s00"
    write_table(tmp_path / "raw", rows)
    names, text = audited(tmp_path)
    assert names == {"name_in_two_spellings"}
    assert "1 name is spelled in more than one way" in text
    # From then on it is one subject.
    known = usable_clips(tmp_path / "records.jsonl", tmp_path / "measures.jsonl")
    assert {clip.subject for clip in known} == {f"S{number:02d}" for number in range(6)}


def test_a_rate_that_predicts_the_class(tmp_path):
    rows = write_folder(tmp_path / "raw", subjects=8)
    for name, label, _ in rows:
        if label == "sad":
            sound, _ = soundfile.read(tmp_path / "raw" / name)
            write(tmp_path / "raw" / name, sound, 11025)
    write_table(tmp_path / "raw", rows)
    names, text = audited(tmp_path)
    assert names == {"condition_predicts_class"}
    assert "rate" in text


def test_a_class_with_fewer_items_than_folds(tmp_path):
    rows = [row for row in write_folder(tmp_path / "raw") if row[1] != "sad" or row[2] < "S02"]
    write_table(tmp_path / "raw", rows)
    names, text = audited(tmp_path, split={"folds": 4})
    assert names == {"class_smaller_than_folds"}
    assert "The class sad is rare (number of clips: 4, of different groups: 2)" in text


def test_a_label_that_is_constant_for_each_subject(tmp_path):
    rows = write_folder(tmp_path / "raw")
    for row in rows:
        row[1] = CLASSES[int(row[2][1:]) % 3]
    write_table(tmp_path / "raw", rows)
    names, text = audited(tmp_path)
    assert "label_constant_per_group" in names
    assert "In 6 of 6 groups by subject, all clips have the same class" in text


def test_nobody_is_known_to_speak(tmp_path):
    for number in range(12):
        write(tmp_path / "raw" / f"{CLASSES[number % 3]}/{number}.wav", voice(number))
    names, text = audited(tmp_path)
    assert names == {"subjects_not_stated"}
    assert "Add a column subject" in text


# --- items


def items(tmp_path, unit="clip"):
    outputs = paths(tmp_path)
    clips = usable_clips(outputs.records, tmp_path / "measures.jsonl")
    ids = tuple(clip.id for clip in clips)
    vectors = np.zeros((len(ids), 1, 2, 3), dtype=np.float32)
    subjects = tuple(clip.subject for clip in clips)
    embeddings = Embeddings(ids, subjects, ids, ("last",), vectors, {"encoder": {"kind": "logmel"}})
    description = read_description(outputs.description)
    return make_items(
        outputs.records, tmp_path / "measures.jsonl", embeddings, description, "label", unit
    )


@pytest.mark.parametrize("unit", ["clip", "subject"])
def test_subjects_that_share_a_recording_stay_together(tmp_path, unit):
    rows = write_folder(tmp_path / "raw")
    for row in rows:
        row[1] = CLASSES[int(row[2][1:]) % 3]
    sound, _ = soundfile.read(tmp_path / "raw" / rows[0][0], dtype="int16")
    write(tmp_path / "raw" / "audio/again.wav", sound)
    write_table(tmp_path / "raw", [*rows, ["audio/again.wav", "calm", "S03"]])
    audited(tmp_path)
    found = items(tmp_path, unit)
    groups = dict(zip(found.subjects.tolist(), found.groups.tolist(), strict=True))
    assert groups["S00"] == groups["S03"]
    assert sorted(set(groups.values())) == list(range(5))


def test_clips_of_nobody_are_not_pooled(tmp_path):
    for number in range(12):
        write(tmp_path / "raw" / f"{CLASSES[number % 3]}/{number}.wav", voice(number))
    audited(tmp_path)
    assert len(set(items(tmp_path).groups)) == 12
    with pytest.raises(UserError, match="no subject is stated: set unit to clip"):
        items(tmp_path, "subject")


def test_records_of_own_data_have_the_known_fields(tmp_path):
    write_table(tmp_path / "raw", write_folder(tmp_path / "raw"))
    converted(tmp_path)
    line = json.loads((tmp_path / "records.jsonl").read_text().splitlines()[0])
    assert set(line) == {"id", "path", "subject", "labels", "split", "seconds"}


# --- a configuration for them


def proposed(path):
    """The configuration that `affectlab init` prints, and its lines without comments."""
    text = as_yaml(overlay(path), "mine", path)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return yaml.safe_load(text), lines, text


def test_a_configuration_is_proposed(tmp_path):
    rows = write_folder(tmp_path / "raw", subjects=8)
    write_table(tmp_path / "raw", [[*row, "x"] for row in rows], "path,emotion,speaker_id,room")
    found, lines, text = proposed(tmp_path / "raw")
    assert found["datasets"]["mine"] == {
        "path": str(tmp_path / "raw"),
        "layout": "audio_folder",
        "columns": {"clip": "path", "label": "emotion", "subject": "speaker_id"},
        "classes": list(CLASSES),
        "split": {"folds": 5},
    }
    assert [run["like"] for run in found["audio"]["runs"].values()] == [
        "eatd_3emo_logmel",
        "eatd_3emo_ge2e",
        "eatd_3emo_whisper",
    ]
    assert len(lines) <= 20
    assert "# 16, 16, 16 clips" in text
    assert "also seen: room" in text
    complete, _ = validate_config(merge(load_config(PROJECT), found), PROJECT)
    assert complete["audio"]["runs"]["mine_logmel"]["task"] == "label"


def test_folders_of_classes_have_no_subjects(tmp_path):
    for number in range(12):
        write(tmp_path / "raw" / f"{CLASSES[number % 3]}/{number}.wav", voice(number))
    found, _, text = proposed(tmp_path / "raw")
    assert "Nothing tells who speaks" in text
    assert {run["unit"] for run in found["audio"]["runs"].values()} == {"clip"}


def test_few_subjects_get_fewer_inner_folds(tmp_path):
    write_table(tmp_path / "raw", write_folder(tmp_path / "raw", subjects=4))
    found, *_ = proposed(tmp_path / "raw")
    assert found["datasets"]["mine"]["split"] == {"folds": 4}
    assert found["audio"]["runs"]["mine_logmel"]["probe"] == {"inner_folds": 3}
    write_table(tmp_path / "raw", write_folder(tmp_path / "raw", subjects=2))
    with pytest.raises(UserError, match="2 subjects are too few"):
        overlay(tmp_path / "raw")


def test_a_manifest_and_a_given_split(tmp_path):
    rows = [[*row, "train" if row[2] < "S04" else "test"] for row in write_folder(tmp_path / "raw")]
    write_table(tmp_path / "raw", rows, "clip,label,subject,part")
    (tmp_path / "raw" / "metadata.csv").rename(tmp_path / "raw" / "manifest.csv")
    found, _, text = proposed(tmp_path / "raw")
    entry = found["datasets"]["mine"]
    assert (entry["layout"], entry["split"]) == ("audio_manifest", {"column": "part"})
    assert "columns" not in entry
    assert "train 24, test 12" in text


@pytest.mark.parametrize("name", ["empty", "a.csv"])
def test_nothing_to_propose(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.csv").write_text("x\n")
    with pytest.raises(UserError, match=r"expected (a folder|<class>)"):
        overlay(tmp_path / name)
